"""A face in three dimensions, from its skin in a crop: what position maps and models tell alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.doubts import of_picture
from facerelief.geometry import position
from facerelief.geometry.camera import camera_space
from facerelief.geometry.completion import completed
from facerelief.geometry.landmark_schemes import scheme, topology_mesh
from facerelief.geometry.pose import pose
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin import Skin
from facerelief.geometry.skin_mesh import SUBDIVISIONS, SkinMesh, skin_mesh
from facerelief.geometry.uv import skin_layout
from facerelief.geometry.view import View
from facerelief.types import Crop, Estimate, Mesh, Place, Shape, Surface

#: Shares of the face's vertices: fewer seen, or more covered, and much of the shape is a guess.
_FEW, _COVERED = 0.25, 0.4
_TURNED = 60.0  # degrees of yaw beyond which a photo shows one side alone
#: Least and most mm between pupils, with room: people have 40 to 80 (Dodgson, "Variation and
#: extrema of human interpupillary distance", 2004).
EYE_DISTANCES = (30.0, 100.0)
_PUPILS = slice(104, 106)  # of jd106


@dataclass(frozen=True, eq=False)
class SkinShape(Shape):
    """A shape that is known by its skin in a crop. Its mesh is in the head's own space.

    That of the mean head: x to the subject's left, y up, z out of the face, millimetres by the mean
    head's size or by the distance of the eyes. `pose` takes its vertices to the photo: (x, -y) of
    camera points are photo pixels, and their z is in the same scale, nearer is larger.
    """

    skin: Skin
    place: Place
    texels: NDArray[np.float32] | None = None  # (S, S, 3) the position map, of systems that make it
    head: FloatArray | None = None  # (M, 3) in head space, of systems that know it
    coefficients: dict[str, FloatArray] | None = None
    view: View | None = None
    picture: NDArray[np.uint8] | None = None  # (256, 256, 3) the crop's
    complete: bool = False  # with a neck and a scalp that fit the face, not the face alone
    measured: float | None = None  # mm between the pupils, where somebody knows them

    def at(self, place: Place, picture: NDArray[np.uint8] | None = None) -> SkinShape:
        x, y = place.crop.to_photo(self.skin.points[:, :2]).T
        height, width = place.photo_size
        outside = (x <= 0) | (x >= width) | (y <= 0) | (y >= height)
        skin = replace(self.skin, outside=outside)
        return replace(self, skin=skin, place=place, picture=picture)

    def whole(self) -> SkinShape:
        return replace(self, complete=True)

    def metric(self, eye_distance: float) -> SkinShape:
        check_eye_distance(eye_distance)
        sized = replace(self, measured=eye_distance)
        view = self.view and self.view.enlarged(sized.size / self.size)
        return replace(sized, view=view)

    @cached_property
    def surface(self) -> Surface:
        return SkinSurface(self)

    @cached_property
    def mesh(self) -> Mesh:
        part, vertices = self._part, self.size * self._vertices
        return Mesh(
            vertices.astype(np.float32),
            part.triangles,
            uv=part.uv,
            scale="assumed" if self.measured is None else "metric",
            topology=self._topology,
        )

    @cached_property
    def eye_distance(self) -> float:
        return self.size * self._assumed_distance

    @cached_property
    def visible(self) -> BoolArray:
        return self.skin.visible[self._part.kept]

    @cached_property
    def invented(self) -> BoolArray:
        seen: BoolArray = self.visible
        return ~seen & seen[self._part.mirror]

    @cached_property
    def landmarks(self) -> NDArray[np.float32]:
        return to_photo(self.skin.points[skin_mesh().landmarks], self.place.crop).astype(np.float32)

    @cached_property
    def landmarks_visible(self) -> BoolArray:
        return self.skin.visible[skin_mesh().landmarks]

    @cached_property
    def pose(self) -> NDArray[np.float64]:
        return self._in_photo.matrix

    @property
    def turn(self) -> NDArray[np.float64]:
        return self._lying.rotation if self.view is None else self.view.rotation

    def in_crop(self, vertices: FloatArray) -> FloatArray:
        if self.view is not None:
            return self.view.in_crop(vertices)
        return camera_space(self._lying(np.asarray(vertices) / self.size))

    @cached_property
    def angles(self) -> tuple[float, float, float]:
        return self._in_photo.angles

    @cached_property
    def position(self) -> NDArray[np.float32]:
        if self.texels is not None:
            return self.texels
        mesh, layout = skin_mesh(), skin_layout(SUBDIVISIONS, self.skin.size)
        vertices = np.full((len(layout.vertices), 3), np.nan, np.float32)
        vertices[mesh.source] = self.skin.points
        return np.nan_to_num(layout.write(vertices))

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        return self.skin.depth

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        seen = () if self.picture is None else of_picture(self.picture, self.place.crop.side)
        own = doubts(self.skin, self.angles) if self.problem is None else (self.problem,)
        return tuple(dict.fromkeys((*seen, *own)))

    @property
    def _topology(self) -> Literal["skin", "face"]:
        return "skin" if self.complete else "face"

    @property
    def _part(self) -> SkinMesh:
        return topology_mesh(self._topology)

    @cached_property
    def _vertices(self) -> FloatArray:
        """(V, 3) of the mesh, mm by the mean head's size."""
        part = self._part
        if self.head is None:
            vertices = self._lying.undo(camera_space(self.skin.points[part.kept]))
        else:
            vertices = self.head[part.kept]
        return completed(vertices) if self.complete else vertices

    @property
    def _assumed_distance(self) -> float:
        right, left = scheme("jd106", self._topology)[_PUPILS].of(self._vertices)
        return float(np.linalg.norm(left - right))

    @property
    def size(self) -> float:
        return 1.0 if self.measured is None else self.measured / self._assumed_distance

    @cached_property
    def _lying(self) -> Similarity:
        """The pose in the crop."""
        return self.skin.pose if self.head is None else pose(self.skin.points, self.head)

    @property
    def _in_photo(self) -> Similarity:
        """The pose in the photo, of the mesh in its own size."""
        lying = _of_crop(self.place.crop) @ self._lying
        return replace(lying, scale=lying.scale / self.size)


class SkinSurface(Surface):
    """The surface of a shape, drawn when it is asked for."""

    def __init__(self, shape: SkinShape) -> None:
        object.__setattr__(self, "_shape", shape)
        object.__setattr__(self, "expected_error", None)

    _shape: SkinShape

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        return self._shape.skin.normals

    @cached_property
    def mask(self) -> BoolArray:
        place = self._shape.place
        return self._shape.skin.mask & place.crop.inside(place.photo_size)


class ShapeEstimate(Estimate):
    """What a system of shapes says of N crops; their normals are drawn when they are asked for."""

    shapes: Sequence[Shape]

    def __init__(self, shapes: Sequence[Shape]) -> None:
        object.__setattr__(self, "shapes", shapes)

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        return _stacked([shape.surface.normals for shape in self.shapes], (256, 256, 3), np.float32)

    @cached_property
    def mask(self) -> BoolArray:
        return _stacked([shape.surface.mask for shape in self.shapes], (256, 256), np.bool_)


def from_positions(maps: NDArray[np.float32], seen: NDArray[np.float32] | None = None) -> Estimate:
    """What maps (N, S, S, 3) of crops of S pixels say. A map that is no face has an empty mask.

    `seen` is (N, S, S), as of `position.skin`.
    """
    return ShapeEstimate(
        [
            SkinShape(
                position.skin(texels, None if seen is None else seen[index]),
                Place.of_crop(len(texels)),
                texels,
            )
            for index, texels in enumerate(maps)
        ]
    )


def doubts(skin: Skin, angles: tuple[float, float, float]) -> Iterator[str]:
    """What is not to be relied on, for what the shape itself tells."""
    outer = skin_mesh().outer
    if skin.covered is not None:
        covered = skin.covered[outer].mean()
        if covered > _COVERED:
            yield f"{100 * covered:.0f} % of the face is covered: what lies under is a guess"
    if skin.visible[outer].mean() < _FEW:
        yield "little of the face is seen: most of its shape is a guess"
    if abs(angles[0]) > _TURNED:
        yield f"the face is turned away by {abs(angles[0]):.0f} degrees: its far side is a guess"


def check_eye_distance(distance: float) -> None:
    """Raises ValueError for millimetres that no person's pupils are apart."""
    least, most = EYE_DISTANCES
    if not least <= distance <= most:
        raise ValueError(f"eyes are {least:g} to {most:g} mm apart, not {distance:g}")


def to_photo(points: FloatArray, crop: Crop) -> NDArray[np.float64]:
    """Crop pixel x, y and z (..., 3) to those of the photo."""
    return np.concatenate([crop.to_photo(points[..., :2]), points[..., 2:] * crop.scale], -1)


def _of_crop(crop: Crop) -> Similarity:
    """From camera space in the crop's pixels to that in the photo's: y is up in both."""
    turn = np.eye(3)
    turn[:2, :2] = crop.rotation * [[1, -1], [-1, 1]]
    x, y = crop.matrix[:, 2]
    return Similarity(crop.scale, turn, np.array([x, -y, 0.0]))


def _stacked(arrays: Sequence[NDArray[Any]], shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    return np.stack(arrays) if len(arrays) else np.zeros((0, *shape), kind)
