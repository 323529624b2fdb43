"""Coarse normals of a photograph without truth: those of a head fitted to its FaceMesh points.

Where the fit can be believed is told by a confidence in [0, 1]. It falls with the landmarks'
residuals, away from the landmarks, where the surface turns from the camera, where the picture does
not have the colour of the face's skin (hair, clothes) and where FaceMesh's own mesh disagrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from facerelief.cache import cached, digest
from facerelief.data import facemesh
from facerelief.data.ict import registered_ict
from facerelief.easing import smooth_step
from facerelief.geometry import align, anchor_refinement
from facerelief.geometry.align import Aligner, Alignment, FitOptions
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import angular_error, normalise
from facerelief.geometry.raster import rasterise

OUTLINE_WEIGHT = 0.1  # of FaceMesh's outline, whose points are not always the same skin
#: Where hair may lie over the skin, or the skin is no face: there the colour is tested.
COVERED_REGIONS = ("forehead", "ears", "neck", "scalp")
#: What a few parameters do not describe; its normals are believed by half.
VAGUE_REGIONS = (
    *("mouth_inside", "nostrils", "eyelids", "lips_upper", "lips_lower"),
    *("teeth_upper", "teeth_lower", "tongue"),
)
_REACH = 15.0  # mm from a landmark over which it vouches for the surface
_RESIDUAL = 3.0  # mm of landmark residual that cost 40 % of the confidence
_DISAGREEMENT = 25.0  # degrees between the fit and FaceMesh's mesh that cost as much
_FACES = 180  # from which the places of the landmarks are found


@dataclass(frozen=True, eq=False)
class Surface:
    """What a fitted head says of a picture's pixels."""

    normals: np.ndarray  # (S, S, 3) float32, camera space; zero where there is no head
    confidence: np.ndarray  # (S, S) float32 in [0, 1]
    head: np.ndarray  # (S, S) bool: the fitted head, bald


class HeadFitter:
    """Fits a head with FaceMesh's points, photo after photo.

    Args:
        head: the built-in head, with any bases.
        anchors: FaceMesh's 468 points of the skin on it.
        triangles: FaceMesh's, for its own normals.
    """

    def __init__(
        self,
        head: BuiltinHead,
        anchors: Anchors,
        triangles: np.ndarray,
        options: FitOptions | None = None,
    ) -> None:
        self.head, self.triangles = head, triangles
        self.aligner = Aligner(head, anchors, options)
        self.weights = np.ones(facemesh.SKIN_POINTS)
        self.weights[list(facemesh.OUTLINE)] = OUTLINE_WEIGHT
        places = anchors.of(head.mean)
        squared = ((head.mean[:, None] - places.astype(np.float32)) ** 2).sum(axis=-1)
        near = np.exp(-squared / (2 * _REACH**2))
        self._near = near / np.maximum(near.sum(axis=1, keepdims=True), 1e-6)
        reach = np.minimum(1.3 * near.max(axis=1), 1)
        reach[_any(head, VAGUE_REGIONS)] *= 0.5
        self._reach = reach
        self._covered = _any(head, COVERED_REGIONS).astype(np.float32)
        self._solid = ~_any(head, ("lashes",))

    def fit(self, points: np.ndarray) -> Alignment:
        """The head in a photo, from its (468 or 478, 3) FaceMesh points. Raises AlignmentError."""
        return self.aligner.fit(points[: facemesh.SKIN_POINTS], self.weights)

    def surface(
        self, alignment: Alignment, points: np.ndarray, picture: np.ndarray, matrix: np.ndarray
    ) -> Surface:
        """Normals and confidence in a square `picture` (S, S, 3) uint8 cut out of the photo.

        Args:
            alignment: the head in the photo. points: (468 or 478, 3) that it was fitted to.
            matrix: (2, 3), takes photo pixels (x, y, 1) to the picture's; a similarity that does
                not turn.
        """
        size = len(picture)
        screen = alignment.projected.copy()
        screen[:, :2] = screen[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        raster = rasterise(
            screen,
            self.head.triangles,
            (size, size),
            perspective=alignment.camera.perspective,
            cull_back_faces=True,
        )
        normals = vertex_normals(alignment.camera_vertices, self.head.triangles)
        local = self._near @ (alignment.residuals / alignment.scale).astype(np.float32)
        believed = self._reach / (1 + 0.66 * (local / _RESIDUAL) ** 2) * alignment.confidence
        drawn = raster.interpolate(
            np.column_stack([normals, believed, self._covered, self.core(normals)])
        )
        unit = normalise(drawn[..., :3]).astype(np.float32)
        confidence = drawn[..., 3] * smooth_step(unit[..., 2], 0.1, 0.35)

        moved = np.column_stack(
            [points[:, :2] @ matrix[:, :2].T + matrix[:, 2], points[:, 2] * matrix[0, 0]]
        )
        theirs, inside = facemesh.smooth_normals(moved, self.triangles, size)
        angle = np.nan_to_num(angular_error(unit, theirs))
        confidence = confidence / (1 + 0.66 * (np.where(inside, angle, 0) / _DISAGREEMENT) ** 2)
        skin = skin_likeness(picture, drawn[..., 5] > 0.5)
        confidence = confidence * (1 - drawn[..., 4] * (1 - skin))
        return Surface(unit, confidence.astype(np.float32).clip(0, 1), raster.mask)

    def core(self, normals: np.ndarray) -> np.ndarray:
        """(V,) 1 where skin is surely seen: cheeks and nose that face the camera."""
        regions = _any(self.head, ("cheeks", "nose")) & ~_any(self.head, VAGUE_REGIONS)
        return (regions & (normals[:, 2] > 0.4)).astype(np.float32)


def head_fitter(root: Path, cache: Path, options: FitOptions | None = None) -> HeadFitter:
    """The fitter for photos under the data folder `root`; its parts are kept under `cache`.

    The head has ICT-FaceKit's identities where `root` holds them, else its own.
    """
    head = training_head(root, cache)
    paths, points = facemesh.stored_points(root)
    mean = facemesh.mean_face(points[::12])
    anchors = facemesh_anchors(head, paths, points, mean, cache)
    return HeadFitter(head, anchors, facemesh.triangulate(mean), options)


def facemesh_anchors(
    head: BuiltinHead, paths: list[str], points: np.ndarray, mean: np.ndarray, cache: Path
) -> Anchors:
    """Where FaceMesh's 468 points of the skin lie on a head, as faces in open photos show it.

    That depends on the head's mean shape as well as on the landmarks: it is found in a minute
    (`geometry.anchor_refinement`), and kept under `cache`.

    Args:
        paths, points: of all photos (`facemesh.stored_points`). mean: (468, 3), their mean face.
    """
    start = Anchors.on_triangles(
        head.triangles,
        head.facemesh_triangles[: facemesh.SKIN_POINTS],
        head.facemesh_barycentrics[: facemesh.SKIN_POINTS],
    )
    usable = np.flatnonzero([path.split("/")[0] in facemesh.WHOLE_SOURCES for path in paths])
    faces = points[usable[:: max(len(usable) // _FACES, 1)], : facemesh.SKIN_POINTS]

    def refined() -> dict[str, np.ndarray]:
        fitter = HeadFitter(head, start, facemesh.triangulate(mean))
        anchors = anchor_refinement.refine_anchors(
            fitter.aligner, faces, fitter.weights, facemesh.mirrored(mean)
        )
        return {"vertices": anchors.vertices, "weights": anchors.weights}

    key = digest(*head_arrays(head), faces, align, anchor_refinement)
    found = cached(cache / "align", f"facemesh_anchors_{key}", refined)
    return Anchors(found["vertices"], found["weights"])


def training_head(root: Path, cache: Path) -> BuiltinHead:
    """The head whose identities are most like people's: scan-made where the data has them."""
    try:
        return registered_ict(root, cache)
    except FileNotFoundError:
        return builtin_head()


def head_arrays(head: BuiltinHead) -> tuple[np.ndarray, ...]:
    """What a fitted head depends on."""
    return head.mean, head.triangles, head.identity, head.expression, head.uv, head.uv_triangles


def skin_likeness(picture: np.ndarray, core: np.ndarray) -> np.ndarray:
    """(S, S) in [0, 1]: whether colours of `picture` (S, S, 3) uint8 are those of `core`'s.

    `core` (S, S) bool is skin. Colours are compared by their logarithmic chromaticity and, since
    hair has the hue of skin more often than its brightness, by their brightness, each in robust
    standard deviations. All 1 where the core is too small to tell.
    """
    if np.count_nonzero(core) < 50:
        return np.ones(core.shape, np.float32)
    smooth = gaussian_filter(picture.astype(np.float32), (1, 1, 0)) + 8
    r, g, b = np.moveaxis(np.log(smooth), -1, 0)
    features = np.stack([r - g, b - g, (r + g + b) / 3], axis=-1)
    middle = np.median(features[core], axis=0)
    spread = 1.4826 * np.median(np.abs(features[core] - middle), axis=0)
    # Shading makes skin darker from place to place, hardly bluer.
    spread = np.maximum(spread, (0.05, 0.06, 0.3))
    squared = (((features - middle) / spread) ** 2).sum(axis=-1)
    likeness: np.ndarray = 1 / (1 + (squared / 8) ** 2)
    return likeness.astype(np.float32)


def _any(head: BuiltinHead, names: tuple[str, ...]) -> np.ndarray:
    """(V,) bool: in one of the regions."""
    return np.any([head.regions[name] for name in names], axis=0)
