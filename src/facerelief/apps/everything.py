"""All that a person wants to see of a photo at once: what `facerelief all` makes of one.

The faces are searched for once, every network is in memory once, and the relief on each mesh is
made once, for the mesh and for the page. A part that cannot be made does not take the others with
it: `Product.left_out` says which, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief import __version__
from facerelief.apps import mesh, normals, photos
from facerelief.apps.products import Photo, Product, face_stems
from facerelief.apps.view.page import page
from facerelief.apps.view.photo import MOST_FACES, Seen, subjects_of
from facerelief.catalogue import reason_of
from facerelief.detail import Detail, Maker, fused
from facerelief.encode import to_jpeg
from facerelief.geometry.light import Light
from facerelief.images import Source
from facerelief.inputs import in_line
from facerelief.relighting import Relighting
from facerelief.runtime import Estimator, load
from facerelief.types import Face

#: What is written besides that of `normals` and `mesh`: the file's ending, and what it is.
OUTPUTS = {
    "page": (".html", "all of it to look at: open it in a browser"),
    "relit": ("_relit.jpg", "the face as it is and under three lights"),
}
COEFFICIENTS = mesh.SIDECARS["coefficients"]
LIGHTS = ((55, 18), (-6, 52), (-52, 14))  # azimuth and elevation, degrees
RELIEF = 512  # pixels of the relief's maps
_SIDES = 320, 512  # pixels of a picture of the relit row: small faces are enlarged


@dataclass(frozen=True, eq=False)
class Systems:
    """The networks, each in memory once."""

    normals: Estimator
    shapes: Estimator
    coefficients: Estimator
    maker: Maker

    @classmethod
    def load(
        cls, threads: int | None = None, loader: Callable[[str], Estimator] | None = None
    ) -> Systems:
        """Those that ship, by a `loader` other than `facerelief.load`. Raises as that does."""
        get = loader or partial(load, threads=threads)
        first, second, third = map(get, ("default", "prnet", "full_pose"))
        return cls(first, second, third, fused(RELIEF, threads, first))


@dataclass(frozen=True)
class Options:
    """Which faces."""

    search: photos.Search = field(default_factory=photos.Search)


def written() -> dict[str, str]:
    """The endings of what is written, and what they hold."""
    beside = {**dict(mesh.SIDECARS.values()), ".glb": "the mesh, with its relief as a normal map"}
    known = normals.written(tuple(normals.OUTPUTS), ("crop",))
    return dict(OUTPUTS.values()) | {".glb": beside.pop(".glb")} | known | beside


def produce(photo: Photo, systems: Systems, options: Options = Options()) -> Product:
    """Normals, relit pictures, meshes with relief, landmarks, coefficients and a page.

    Raises PhotoError for a photo without a face.
    """
    faces = photos.find_faces(photo, systems.normals, options.search)
    making = _Making(photo, systems, options, faces)
    files: dict[str, bytes] = {}
    left_out = []
    described: list[dict[str, Any]] = [photos.describe_place(photo, face) for face in faces]
    for name, make in making.parts().items():
        try:
            product = make()
        except Exception as error:  # whatever it is, the other parts must not suffer for it
            left_out.append(in_line(f"{name} ({reason_of(error)})"))
            continue
        files |= product.files
        if name == "normals":
            described = product.sidecars
    if not files:
        raise RuntimeError("; ".join(left_out))
    sidecars = [
        one | {"files": sorted(files), "left_out": left_out, "facerelief": __version__}
        for one in described
    ]
    ending = normals.OUTPUTS["json"][0]
    for sidecar, stem in zip(sidecars, making.stems, strict=True):
        files[stem + ending] = photos.to_json(sidecar)
    return Product(sidecars, files, photo.stem, ending, tuple(left_out))


class _Making:
    """One photo's faces, and what each part makes of them."""

    def __init__(self, photo: Photo, systems: Systems, options: Options, faces: list[Face]) -> None:
        self.photo, self.systems, self.options, self.faces = photo, systems, options, faces
        self.stems = face_stems(photo.stem, len(faces))
        self._relief: dict[int, Detail] = {}

    def parts(self) -> dict[str, Callable[[], Product]]:
        """By name, in the order in which they are made."""
        return {
            "normals": self.normals,
            "relit pictures": self.relit,
            "meshes": self.meshes,
            "coefficients": self.coefficients,
            "page": self.page,
        }

    def normals(self) -> Product:
        wanted = normals.Options(search=self.options.search)
        return normals.produce(self.photo, self.systems.normals, wanted, self.faces)

    def relit(self) -> Product:
        files = {}
        for seen, stem in zip(self.seen, self.stems, strict=True):
            prepared = Relighting.of(self.photo.pixels, seen.face, seen.around)
            row = [prepared.pixels]
            row += [prepared.under(Light.from_angles(*lamp)) for lamp in LIGHTS]
            files[stem + OUTPUTS["relit"][0]] = to_jpeg(_side_by_side(row))
        return Product([], files)

    def meshes(self) -> Product:
        wanted = mesh.Options(search=self.options.search, overlay=True)
        shapes = self.systems.shapes
        return mesh.produce(self.photo, shapes, wanted, self.relief, "fused", self.shaped)

    def coefficients(self) -> Product:
        places = [face.place for face in self.faces]
        found = self.systems.coefficients.estimate(self.photo.pixels, places)
        files = {
            stem + COEFFICIENTS[0]: photos.to_json(mesh.describe_coefficients(face.sound))
            for stem, face in zip(self.stems, found, strict=True)
            if face.sound is not None
        }
        return Product([], files)

    def page(self) -> Product:
        solid = Seen.by(self.systems.shapes, self.photo, self.shaped[:MOST_FACES])
        columns = [
            self.seen[:MOST_FACES],
            [one.with_relief(self.relief, self.photo) for one in solid],
        ]
        subjects = subjects_of(self.photo, self.stems[:MOST_FACES], columns)
        name = self.photo.stem + OUTPUTS["page"][0]
        return Product([], {name: page(subjects, self.photo.stem)})

    @cached_property
    def shaped(self) -> list[Face]:
        """The faces as the system of shapes sees them."""
        places = [face.place for face in self.faces]
        return self.systems.shapes.estimate(self.photo.pixels, places)

    @cached_property
    def seen(self) -> list[Seen]:
        """The faces with what lies round them."""
        return Seen.by(self.systems.normals, self.photo, self.faces)

    def relief(self, face: Face, photo: Source) -> Detail:
        """The relief on one of `shaped`, made once."""
        if id(face) not in self._relief:
            self._relief[id(face)] = self.systems.maker(face, photo)
        return self._relief[id(face)]


def _side_by_side(pictures: list[NDArray[np.uint8]]) -> Image.Image:
    """Pictures of one size (h, w, 3) in a row."""
    height, width = pictures[0].shape[:2]
    scale = float(np.clip(height, *_SIDES)) / height
    size = (round(width * scale), round(height * scale))
    row = Image.new("RGB", (size[0] * len(pictures), size[1]))
    for index, picture in enumerate(pictures):
        image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        row.paste(image, (index * size[0], 0))
    return row
