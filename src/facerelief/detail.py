"""Relief on a face's smooth mesh, as millimetres along its normals in the layout of the head.

`DETAILS` has the kinds by name. Each is made once (it may load a network), and then says of a face
and its photo what there is: a `Detail`. Finer meshes and normal maps follow from that alone
(`facerelief.detailed`).

Brows, eyes, lips, nostrils and hair are paint to a camera, and must not become relief. Shading is
not looked at where the five points say that they are, nor where brightness jumps (`fine`,
`geometry.shading_detail`); normals come from a network that was taught by shapes, and are not
carried beside rims nor where they contradict the mesh (`geometry.carried_normals`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from facerelief import catalogue
from facerelief.arrays import BoolArray, FloatArray
from facerelief.catalogue import Entry, WeightsError
from facerelief.easing import smooth_step
from facerelief.fine import painted, resized
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.carried_normals import carry_normals
from facerelief.geometry.landmark_schemes import topology_mesh
from facerelief.geometry.light import srgb_to_linear
from facerelief.geometry.mesh import face_normals, vertex_normals
from facerelief.geometry.moved_surface import Surface
from facerelief.geometry.normals import normalise
from facerelief.geometry.position import membranes
from facerelief.geometry.refined_mesh import refined, refined_layout
from facerelief.geometry.shading_detail import NoLightError, check_light, shading_detail
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.unwrapping import with_farther_half_mirrored
from facerelief.geometry.uv import skin_layout
from facerelief.images import Source, open_photo
from facerelief.learned import KIND, ReliefNetwork
from facerelief.memory import give_back_freed_memory
from facerelief.once import once
from facerelief.runtime import Estimator, load
from facerelief.sampling import bilinear
from facerelief.types import Face

SIZES = (256, 512, 1024)  # of the maps
#: The estimator whose normals are carried onto meshes.
NORMALS = "casfne_compact"

_STEEPEST = 0.05  # cosine of the view's angle, from which on skin begins to be believed
_LEAST_SEEN = 0.1  # of the skin; of less, too little is known
_RIM = 2  # edges of the refined mesh beside lids and lips, where nothing is believed
_BORDER = 0.04  # of the layout's side: over which relief ends at the face's border
_WIDEST = 12.0  # pixels of a crop of 256: of what shading tells
_FINEST = 1024  # pixels of a crop's side in which shading is looked at


@dataclass(frozen=True, eq=False)
class Detail:
    """Relief on a face. Row 0 of maps is v = 1; (S, S) of `SIZES`."""

    displacement: NDArray[np.float32]  # (S, S) mm along the mesh's normals; 0 where nothing is told
    seen: NDArray[np.float32]  # (S, S) in [0, 1]: how far a photo shows what stands there
    invented: BoolArray  # (S, S) mirrored from the nearer side, since the photo does not show it
    warnings: tuple[str, ...] = ()  # why there is none

    @classmethod
    def none(cls, size: int, *warnings: str) -> Detail:
        """No relief."""
        flat = np.zeros((size, size), np.float32)
        return cls(flat, flat, flat > 0, warnings)

    def mirrored(self) -> Detail:
        """With the farther half of the face as the nearer one's mirror image."""
        whole = with_farther_half_mirrored(self.displacement[..., None], self.seen)
        relief, seen = (a.astype(np.float32) for a in (whole.texels[..., 0], whole.visible))
        invented = (whole.invented & (seen > 0)) | self.invented
        return Detail(relief, seen, invented, self.warnings)


#: Of a face and the photo that it is in. Raises ValueError for a face without a shape.
Maker = Callable[[Face, Source], Detail]


def shading(size: int = 512, threads: int | None = None) -> Maker:
    """Relief from the photo's fine shading (`geometry.shading_detail`): no network."""

    def make(face: Face, photo: Source) -> Detail:
        skin = OnSkin.of(face)
        if skin.hidden:
            return Detail.none(size, skin.hidden)
        pixels = int(np.clip(round(face.crop.side), face.crop.size, _FINEST))
        scale = pixels / face.crop.size
        crop = replace(face.crop, size=pixels)
        picture = _linear(crop.extract(open_photo(photo)))
        normals = normalise(resized(face.normals, pixels)).astype(np.float32)
        mask = resized(face.mask.astype(np.float32), pixels) > 0.5
        left_out = painted(crop, _five(face))
        try:
            found = shading_detail(picture, normals, mask, scale, left_out, widest=_WIDEST,
                                   unexplained=True, workers=threads or 1)  # fmt: skip
        except NoLightError as error:
            return Detail.none(size, f"no detail: {error}")
        told = np.dstack([found.relief, mask if left_out is None else mask * (1 - left_out)])
        heights, sure = np.moveaxis(bilinear(told, _texels(skin.places * scale, size)), -1, 0)
        seen = sure * _texels(skin.seen[:, None], size)[..., 0]
        return Detail(heights / np.float32(scale * skin.scale) * seen * _border(size), seen,
                      np.zeros((size, size), bool))  # fmt: skip

    return make


def fused(size: int = 512, threads: int | None = None, estimator: Estimator | None = None) -> Maker:
    """The normals of the best estimator carried onto the mesh (`geometry.carried_normals`).

    `estimator` is another one, or the same where it is in memory already.
    """
    normals = estimator or load(NORMALS, threads=threads)

    def make(face: Face, photo: Source) -> Detail:
        skin = OnSkin.of(face, covered=False)  # the network knows that itself
        try:
            picture = face.crop.extract(open_photo(photo))
            check_light(_linear(picture), face.mask, 1.0)
        except NoLightError as error:
            return Detail.none(size, f"no detail: {error}")
        found = normals.estimate_crops(picture[None], release=True)  # two networks take much
        measured = found.face(0, face.place, picture, normals.name)
        inside = np.clip(2 * gaussian_filter(measured.mask.astype(np.float32), 3.0) - 1, 0, 1)
        layers = np.dstack([measured.normals, inside])
        shape = face.need_shape("detail")

        def look(by: FloatArray) -> tuple[FloatArray, FloatArray]:
            seen = bilinear(layers, shape.in_crop(skin.surface.displaced(by))[:, :2])
            return normalise(seen[:, :3]) @ skin.turn, seen[:, 3] * skin.seen

        sure = look(np.zeros(len(skin.seen)))[1]
        hidden = skin.hidden or skin.too_little(sure)
        if hidden:
            return Detail.none(size, hidden)
        by = carry_normals(skin.surface, look)
        give_back_freed_memory()
        maps = _texels(np.stack([by, sure], -1), size)
        give_back_freed_memory()
        return Detail(maps[..., 0] * _border(size), maps[..., 1], np.zeros((size, size), bool))

    return make


def learned(network: Path | Entry) -> Kind:
    """What a network of `train.systems.ri2itn` reads from the photo: an ONNX file, or an entry.

    The farther half of a face that is turned away is the mirrored nearer one.
    """

    def kind(size: int = 512, threads: int | None = None) -> Maker:
        read = ReliefNetwork(network, threads)

        def make(face: Face, photo: Source) -> Detail:
            skin = OnSkin.of(face)
            if skin.hidden:
                return Detail.none(size, skin.hidden)
            try:
                found = read(face, photo)
            except NoLightError as error:
                return Detail.none(size, f"no detail: {error}")
            maps = (found.displacement, found.seen, found.invented.astype(np.float32))
            relief, seen, invented = (resized(one, size) for one in maps)
            # That is in mm of the mean head, and the mesh in its own.
            grown = np.float32(face.need_shape("detail").skin.pose.scale / skin.scale)
            return Detail(relief * grown * _border(size), np.clip(seen, 0, 1), invented > 0.5)

        return make

    return kind


LEARNED = "learned"


def _shipped(size: int = 512, threads: int | None = None) -> Maker:
    """`learned`, by the network of the catalogue. Raises WeightsError where there is none."""
    networks = _networks()
    if not networks:
        raise WeightsError(
            f"no network that reads relief comes with this version: train and export one, and give "
            f"its file in place of {LEARNED!r}"
        )
    return learned(networks[0])(size, threads)


def _networks() -> list[Entry]:
    return [entry for entry in catalogue.details() if entry.kind == KIND]


#: A kind of detail: of the maps' size and a number of threads, what makes it. Raises WeightsError
#: where it has a network that cannot be loaded.
Kind = Callable[[int, int | None], Maker]

DETAILS: dict[str, Kind] = {"shading": shading, "fused": fused, LEARNED: _shipped}


def available() -> dict[str, Kind]:
    """Of `DETAILS`, those that this version has all networks of."""
    lacking = () if _networks() else (LEARNED,)
    return {name: kind for name, kind in DETAILS.items() if name not in lacking}


def kind_of(name: str) -> Kind | None:
    """The kind of a name in `DETAILS`, or that of a network's ``.onnx`` file; None for no other."""
    return learned(Path(name)) if name.endswith(".onnx") else DETAILS.get(name)


def begin(size: int | None, kind: str = "none") -> None:
    """Let another thread make what meshes of any photo need: with relief of a kind in maps of so
    many pixels, or without any.

    It is for one photo, which has threads to spare while its faces are sought.
    """
    worker = ThreadPoolExecutor(1)
    worker.submit(_prepare, size, kind)
    worker.shutdown(wait=False)


def _prepare(size: int | None, kind: str) -> None:
    membranes()
    skin_layout(SUBDIVISIONS)
    if size is None:
        return
    if kind == LEARNED:
        albedo_basis()
    links = refined("face").links
    for one in (links.coarse, links):
        if one is not None:
            _ = one.neighbours, one.corners
    _ = links.sides
    _border(size)


@dataclass(frozen=True, eq=False)
class OnSkin:
    """A face's mesh with every triangle cut in four, and where its photo shows it."""

    surface: Surface  # mm, the head's space
    places: NDArray[np.float32]  # (V, 2) pixels of the crop
    seen: NDArray[np.float32]  # (V,) in [0, 1]: in full view, and neither in eyes nor in the mouth
    turn: FloatArray  # (3, 3) the head's space to the crop's frame
    scale: float  # crop pixels that a mm has

    @classmethod
    def of(cls, face: Face, covered: bool = True) -> OnSkin:
        """What is `covered`, as the shape's system has it, is not seen, if that is asked for.

        Raises ValueError for a face without a shape.
        """
        shape = face.need_shape("detail")
        part, mesh, given = topology_mesh("face"), refined("face"), shape.mesh
        vertices = given.vertices if given.topology == "face" else given.vertices[part.kept]
        surface = smooth_surface("face", vertices)
        scale = float(np.cbrt(np.linalg.det(shape.pose[:, :3]))) / face.crop.scale
        turn = shape.turn
        shown = shape.skin.visible if covered else shape.skin.in_view
        seen = (shown & ~skin_mesh().inner)[part.kept].astype(np.float32)
        sight = np.clip((surface.normals @ turn[2] - _STEEPEST) / _STEEPEST, 0, 1)
        seen = np.floor(mesh.linear(seen)) * sight
        for _ in range(_RIM):
            seen = np.minimum(seen, surface.links.smoothed(seen))
        places = shape.in_crop(surface.vertices)[:, :2].astype(np.float32)
        return cls(surface, places, seen.astype(np.float32), turn, scale)

    @property
    def hidden(self) -> str | None:
        """Why the photo shows too little, or None."""
        return self.too_little(self.seen)

    def too_little(self, seen: FloatArray) -> str | None:
        """The same, if no more is seen than (V,) in [0, 1]."""
        outer = topology_mesh("face").outer
        share = seen[: len(outer)][outer].mean()
        return "no detail: the photo shows too little of the face" if share < _LEAST_SEEN else None


def smooth_surface(topology: str, vertices: FloatArray) -> Surface:
    """The mesh of a topology with every triangle cut in four; none may turn away from the whole.

    Where the curves between vertices would turn one over, in sharp folds, it is cut flat. Shared:
    do not write into it.
    """
    return _cut(topology, vertices.dtype.str, vertices.tobytes())


@lru_cache(maxsize=1)  # of one face it is asked for twice: to find its relief, and to displace it
def _cut(topology: str, dtype: str, stored: bytes) -> Surface:
    vertices = np.frombuffer(stored, dtype).reshape(-1, 3)
    part, cut = topology_mesh(topology), refined(topology)
    places = cut.curved(vertices, vertex_normals(vertices, part.triangles)).astype(np.float64)
    straight = cut.linear(vertices.astype(np.float64))
    whole = np.repeat(face_normals(vertices, part.triangles), 4, axis=0)
    while True:
        over = (whole * face_normals(places, cut.triangles)).sum(-1) <= 0
        quarters = over.reshape(-1, 4).any(axis=1)
        middles = cut.triangles.reshape(-1, 4, 3)[quarters, 3].ravel()
        if (places[middles] == straight[middles]).all():  # what has no area stays as it is
            break
        places[middles] = straight[middles]
    return Surface(places, cut.links, whole * np.repeat(part.outer_triangles, 4)[:, None])


def _five(face: Face) -> NDArray[np.float64]:
    """(5, 2) photo pixels, as `Place.points`, of the mesh: crops have no others."""
    marks = face.need_shape("detail").landmarks[:, :2].astype(np.float64)
    eyes = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
    return np.stack([*eyes, marks[30], marks[48], marks[54]])


def _linear(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return srgb_to_linear(picture / np.float32(255)).astype(np.float32)


def _texels(values: FloatArray, size: int) -> NDArray[np.float32]:
    """Values (V, C) of the refined face as maps (size, size, C), zero off it."""
    return np.nan_to_num(refined_layout("face", size).write(values), copy=False)


@once(maxsize=3)
def _border(size: int) -> NDArray[np.float32]:
    """(size, size) 1 within the face, falling to 0 at its border in the layout."""
    inside = np.pad(refined_layout("face", size).mask, 1)
    depth = distance_transform_edt(inside)[1:-1, 1:-1] / (_BORDER * size)
    return smooth_step(depth).astype(np.float32)
