"""The values that the package hands round: frozen dataclasses, shapes and units beside each field.

Camera space is x right, y up, z towards the viewer; normals are unit float32. Pixel coordinates
are x right, y down, and the centre of the first pixel is (0.5, 0.5). Angles are in degrees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerelief.arrays import BoolArray, FloatArray
from facerelief.crops import CROP_MARGIN as CROP_MARGIN
from facerelief.crops import Crop as Crop
from facerelief.doubts import of_error, of_mask, of_picture
from facerelief.geometry.light import Light as Light

if TYPE_CHECKING:
    from facerelief.geometry.skin import Skin
    from facerelief.geometry.view import View

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: right-handed, y up, counter-clockwise seen from outside, millimetres."""

    vertices: FloatArray  # (V, 3) mm
    triangles: NDArray[np.integer[Any]]  # (T, 3) vertex indices
    normals: FloatArray | None = None  # (V, 3) unit
    uv: FloatArray | None = None  # (V, 2), v upwards
    colours: FloatArray | None = None  # (V, 3) RGB in [0, 1]
    # Whether the millimetres mean anything: not at all, by an assumed eye distance, or measured.
    scale: Literal["unknown", "assumed", "metric"] = "unknown"
    # Whose vertices these are, in order, if they are known ones: of landmark_schemes.TOPOLOGIES.
    topology: Literal["head", "skin", "face"] | None = None


@dataclass(frozen=True, eq=False)
class Place:
    """Where a face is in its photo."""

    crop: Crop
    box: tuple[float, float, float, float]  # x0, y0, x1, y1, photo pixels
    score: float  # the detector's confidence in [0, 1]
    points: FloatArray  # (5, 2) photo pixels: eyes, nose, mouth corners; picture's left first
    photo_size: tuple[int, int]  # height, width
    warnings: tuple[str, ...] = ()  # what is not to be relied on

    @classmethod
    def of_photo(cls, photo_size: tuple[int, int]) -> Place:
        """The whole of a photo in which no face was found: score 0, and no points."""
        height, width = photo_size
        crop = Crop((width / 2, height / 2), float(max(photo_size)))
        warning = "no face was found: the photo as a whole was taken for one"
        box = (0.0, 0.0, float(width), float(height))
        return cls(crop, box, 0.0, np.full((5, 2), np.nan), photo_size, (warning,))

    @classmethod
    def of_crop(cls, size: int = 256, side: int | None = None) -> Place:
        """That of a crop which is a photo of its own; its points are not known.

        The photo has `side` pixels a side where they are not the crop's `size`.
        """
        side = side or size
        crop = Crop((side / 2, side / 2), float(side), size=size)
        return cls(crop, (0, 0, side, side), 1.0, np.full((5, 2), np.nan), (side, side))

    def enlarged(self, factor: float) -> Place:
        """The same with a crop whose side is `factor` times as long: it shows more round the face.

        Raises ValueError for a factor that is not positive.
        """
        return replace(self, crop=replace(self.crop, side=factor * self.crop.side))


@dataclass(frozen=True, eq=False)
class Surface:
    """What a crop's pixels show of a face, in the crop's frame.

    Crops are of 256 x 256 pixels as networks answer, and of others where they are made finer.
    """

    normals: NDArray[np.float32]  # (256, 256, 3) unit
    mask: BoolArray  # (256, 256), True on the face
    expected_error: NDArray[np.float32] | None = None  # (256, 256) degrees
    warnings: tuple[str, ...] = ()  # what is not to be relied on
    # (256, 256) in [0, 1], how likely a pixel shows face; None where that is yes or no.
    probability: NDArray[np.float32] | None = None
    alpha: NDArray[np.float32] | None = None  # as the mask, soft at hair; None where there is none

    @property
    def opacity(self) -> FloatArray:
        """(256, 256) in [0, 1]: the alpha, or else the mask."""
        return self.mask.astype(np.float32) if self.alpha is None else self.alpha


class Shape(ABC):
    """A face in three dimensions, as it lies in its photo. Everything is made when asked for.

    A shape that has a `problem` is no face: only its skin, map and warnings mean anything.
    """

    place: Place
    skin: Skin  # its vertices in the crop, and which of them are seen
    coefficients: dict[str, FloatArray] | None  # of the model that made it, if one did
    view: View | None  # camera and light in the crop's frame, of systems that tell them

    @property
    @abstractmethod
    def surface(self) -> Surface:
        """The shape's normals, as the crop shows them."""

    @property
    @abstractmethod
    def mesh(self) -> Mesh:
        """In the head's own space, mm."""

    @property
    @abstractmethod
    def visible(self) -> BoolArray:
        """(V,) which of the mesh's vertices are seen in the photo."""

    @property
    @abstractmethod
    def invented(self) -> BoolArray:
        """(V,) which vertices the photo does not show, but their mirror images on the other side.

        What stands there in textures, and in relief that is mirrored, symmetry invented.
        """

    @property
    @abstractmethod
    def landmarks(self) -> NDArray[np.float32]:
        """(68, 3) photo pixels x, y (down), z (nearer is larger)."""

    @property
    @abstractmethod
    def landmarks_visible(self) -> BoolArray:
        """(68,)"""

    @property
    @abstractmethod
    def pose(self) -> NDArray[np.float64]:
        """(3, 4) camera from model: photo pixel = (x, -y) of pose @ (vertex, 1)."""

    @property
    @abstractmethod
    def turn(self) -> NDArray[np.float64]:
        """(3, 3) the mesh's space to the crop's camera space, without its size."""

    @abstractmethod
    def in_crop(self, vertices: FloatArray) -> FloatArray:
        """Places (..., 3) in the mesh's space, mm, as crop pixel x, y (down) and z.

        As the system's own camera shows them, with its perspective if it has any; z is nearer than
        the head's origin by so many pixels. `pose` is the nearest without perspective.
        """

    @property
    @abstractmethod
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch, roll, degrees: `geometry.similarity.Similarity.angles`."""

    @property
    @abstractmethod
    def position(self) -> NDArray[np.float32]:
        """(256, 256, 3) UV map of crop pixel x, y (down) and z (nearer is larger)."""

    @property
    @abstractmethod
    def depth(self) -> NDArray[np.float32]:
        """(256, 256) crop pixels, nearer is larger; NaN where there is no face."""

    @property
    @abstractmethod
    def warnings(self) -> tuple[str, ...]:
        """What is not to be relied on."""

    @property
    def problem(self) -> str | None:
        """Why it is no face, or None."""
        return self.skin.problem

    @abstractmethod
    def at(self, place: Place, picture: NDArray[np.uint8] | None = None) -> Shape:
        """That of a crop, in the photo that the crop was cut out of; `picture` is the crop's."""

    @property
    @abstractmethod
    def size(self) -> float:
        """Of the mesh, over that by the mean head's size or by its coefficients."""

    @property
    @abstractmethod
    def eye_distance(self) -> float:
        """From pupil to pupil of the mesh, mm."""

    @abstractmethod
    def whole(self) -> Shape:
        """The same with a neck and a scalp that fit the face."""

    @abstractmethod
    def metric(self, eye_distance: float) -> Shape:
        """The same with a mesh whose eyes are so far apart, mm. Raises ValueError."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a system says of N crops, each in its crop's frame."""

    normals: NDArray[np.float32]  # (N, 256, 256, 3) unit
    mask: BoolArray  # (N, 256, 256), True on the face
    expected_error: NDArray[np.float32] | None = None  # (N, 256, 256) degrees
    # Where a system makes them; its normals are then theirs. Each crop is a photo of its own.
    shapes: Sequence[Shape] | None = None
    probability: NDArray[np.float32] | None = None  # (N, 256, 256): see `Surface`

    def face(self, index: int, place: Place, picture: NDArray[np.uint8], model: str) -> Face:
        """The face of one crop, which was cut out at `place` of a photo."""
        if self.shapes is not None:
            shape = self.shapes[index].at(place, picture)
            return Face(place, shape.surface, shape, model)
        expected = None if self.expected_error is None else self.expected_error[index]
        mask = self.mask[index] & place.crop.inside(place.photo_size)
        warnings = (
            *of_picture(picture, place.crop.side, mask),
            *of_mask(mask),
            *(() if expected is None else of_error(expected, mask)),
        )
        likely = None if self.probability is None else self.probability[index]
        surface = Surface(self.normals[index], mask, expected, warnings, likely)
        return Face(place, surface, None, model)


class _Of(Generic[T]):
    """An attribute of one of a face's parts by its own name; `default` where there is no part."""

    def __init__(self, part: str, default: Any = None) -> None:
        self.part, self.default = part, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, face: Face, owner: type | None = None) -> T:
        part = getattr(face, self.part)
        value: T = self.default if part is None else getattr(part, self.name)
        return value


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photo: where it is, and what systems say of its surface and its shape.

    What these parts hold can be asked of the face itself. Of a face without a shape, and of one
    whose shape is no face, `mesh` and what else a shape tells are None.
    """

    place: Place
    surface: Surface
    shape: Shape | None
    model: str  # the name in the catalogue

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not to be relied on."""
        part = self.surface if self.shape is None else self.shape
        return (*self.place.warnings, *part.warnings)

    @property
    def sound(self) -> Shape | None:
        """The shape, if there is one and it is a face."""
        return None if self.shape is None or self.shape.problem is not None else self.shape

    def need_shape(self, purpose: str) -> Shape:
        """The shape. Raises ValueError where there is none, or it is no face."""
        if self.shape is None:
            raise ValueError(
                f"{purpose}: the face has no shape; systems that make position maps, such as "
                "prnet, give one"
            )
        if self.shape.problem is not None:
            raise ValueError(f"{purpose}: the face has no shape: {self.shape.problem}")
        return self.shape

    def whole(self) -> Face:
        """The same with a neck and a scalp that fit the face, in its mesh."""
        return replace(self, shape=None if self.shape is None else self.shape.whole())

    def metric(self, eye_distance: float) -> Face:
        """The same with a mesh in true millimetres, by the distance from pupil to pupil.

        A photo alone does not tell how large a head is: without this, the mean head's size is
        assumed. Raises ValueError for a distance outside `reconstruction.EYE_DISTANCES`.
        """
        return replace(self, shape=None if self.shape is None else self.shape.metric(eye_distance))

    crop = _Of[Crop]("place")
    box = _Of[tuple[float, float, float, float]]("place")
    score = _Of[float]("place")
    points = _Of[FloatArray]("place")
    photo_size = _Of[tuple[int, int]]("place")
    normals = _Of[NDArray[np.float32]]("surface")
    mask = _Of[BoolArray]("surface")
    expected_error = _Of[NDArray[np.float32] | None]("surface")
    skin = _Of["Skin | None"]("shape")
    position = _Of[NDArray[np.float32] | None]("shape")
    coefficients = _Of[dict[str, FloatArray] | None]("shape")
    view = _Of["View | None"]("sound")
    mesh = _Of[Mesh | None]("sound")
    visible = _Of[BoolArray | None]("sound")
    invented = _Of[BoolArray | None]("sound")
    landmarks = _Of[NDArray[np.float32] | None]("sound")
    landmarks_visible = _Of[BoolArray | None]("sound")
    pose = _Of[NDArray[np.float64] | None]("sound")
    angles = _Of[tuple[float, float, float] | None]("sound")
    depth = _Of[NDArray[np.float32] | None]("sound")
    eye_distance = _Of[float | None]("sound")

    def normals_in_photo(self) -> tuple[NDArray[np.float32], BoolArray]:
        """Normals (H, W, 3) in the photo's frame, and their mask (H, W); zero outside the mask."""
        normals = self.crop.rotate_normals_to_photo(self.normals).astype(np.float32)
        pasted, mask = self.crop.paste(normals, self.mask, self.photo_size)
        # Averages of unit vectors are shorter than one.
        inside = pasted[self.crop.window(self.photo_size)]
        length = np.sqrt(np.einsum("...i,...i", inside, inside))[..., None]
        np.divide(inside, length, out=inside, where=length > 0)
        return pasted, mask
