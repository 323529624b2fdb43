"""Fitting a morphable model to landmarks of a photo: pose, camera, identity, expression, the rest.

Gauss-Newton on everything at once, a Gaussian prior on the coefficients (identity is in standard
deviations, expression in weights from 0 to 1), Cauchy weights on the landmarks. What neighbouring
landmarks have in common beyond the linear model is a Gaussian process over the surface (Luethi et
al., "Gaussian process morphable models", PAMI 2018): the fit allows for it (generalised least
squares), and its posterior mean is a smooth displacement of the vertices that decays to nothing
away from the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import DoubleArray, FloatArray
from facerelief.geometry.alignment_solver import FitOptions, Problem, State, starting_pose
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.morphable import MorphableModel

#: Fewer landmarks than this do not fix a pose and a shape.
LEAST_POINTS = 6

# Beyond this the fitted face looks away from the camera, as it does for mirrored points.
_FURTHEST_TURN = 115.0  # degrees


class AlignmentError(ValueError):
    """Landmarks that no face explains; the text says why."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A head in a photo: camera point = rotation @ head point + translation, then the camera."""

    vertices: NDArray[np.float32]  # (V, 3) head space, mm: model and displacement
    identity: NDArray[np.float32]  # (k,) standard deviations
    expression: NDArray[np.float32]  # (E,) in [0, 1]
    displacement: NDArray[np.float32]  # (V, 3) head space, mm
    rotation: NDArray[np.float64]  # (3, 3) head space to camera space
    translation: NDArray[np.float64]  # (3,) mm
    camera: Perspective | WeakPerspective
    residuals: NDArray[np.float64]  # (N,) photo pixels, of the model without the displacement
    weights: NDArray[np.float64]  # (N,) in [0, 1]: what the robust fit thinks of each landmark
    scale: float  # photo pixels a mm at the head
    confidence: float  # in [0, 1]: 1 where all landmarks are explained within their noise

    @property
    def camera_vertices(self) -> NDArray[np.float64]:
        """(V, 3) camera space, mm."""
        return self.vertices @ self.rotation.T + self.translation

    @property
    def projected(self) -> FloatArray:
        """(V, 3) photo pixel x, y and camera z: what the rasterisers take."""
        return self.camera.project(self.camera_vertices)


class Aligner:
    """Fits one model by one scheme of landmarks, face after face.

    Args:
        model: any morphable model.
        anchors: where the scheme's N landmarks are on it.
        options: see `FitOptions`.

    Raises:
        ValueError: too few anchors, or anchors that name no vertex.
    """

    def __init__(
        self, model: MorphableModel, anchors: Anchors, options: FitOptions | None = None
    ) -> None:
        self.model, self.anchors, self.options = model, anchors, options or FitOptions()
        if len(anchors) < LEAST_POINTS:
            raise ValueError(f"a fit needs at least {LEAST_POINTS} landmarks, got {len(anchors)}")
        if anchors.vertices.min() < 0 or anchors.vertices.max() >= len(model.mean):
            raise ValueError(f"anchors name vertices outside 0..{len(model.mean) - 1}")
        self.n_identity = min(self.options.identity, len(model.identity))
        self._mean = anchors.of(model.mean)  # (N, 3)
        basis = [anchors.of(model.identity[: self.n_identity]), anchors.of(model.expression)]
        self._basis = np.ascontiguousarray(np.concatenate(basis).transpose(2, 0, 1))  # (3, C, N)
        self._shared = self._covariance(self._mean)  # (N, N)

    @cached_property
    def _spread(self) -> NDArray[np.float32]:
        """(V, N): carries the displacement from the anchors to every vertex."""
        return self._covariance(self.model.mean).astype(np.float32)

    def fit(
        self,
        points: ArrayLike,
        weights: ArrayLike | None = None,
        photo_size: tuple[int, int] | None = None,
        focal: float | None = None,
        perspective: bool = True,
    ) -> Alignment:
        """The head that explains landmarks best.

        Args:
            points: (N, 2) photo pixels, or (N, 3) with a depth in the same scale, smaller nearer
                and of unknown origin, as MediaPipe gives it. NaN for a landmark not seen.
            weights: (N,) in [0, 1], how much each counts; all 1 when None.
            photo_size: (height, width), whose middle is the principal point. None, as for a
                picture cut out of another, takes the middle of the landmarks.
            focal: pixels, if known. Otherwise it follows from `FitOptions.distance`, loosely.
            perspective: False for parallel rays.

        Raises:
            AlignmentError: too few landmarks, all in one place, mirrored, or not of a face.
            ValueError: shapes that do not fit; weights outside [0, 1]; a focal length that is not
                positive.
        """
        observed, depth, importance = self._check(points, weights)
        used = importance > 0
        low, high = observed[used].min(axis=0), observed[used].max(axis=0)
        centre = (low + high) / 2 if photo_size is None else np.array(photo_size[::-1]) / 2
        pose = starting_pose(self._mean[used], observed[used] - centre, depth[used])
        problem = Problem(
            self._mean, self._basis, self._shared, self.n_identity, self.options,
            observed - centre, depth, importance, perspective, focal,
        )  # fmt: skip
        state, robust = problem.solve(pose)
        return self._result(problem, state, robust, centre)

    def _check(
        self, points: ArrayLike, weights: ArrayLike | None
    ) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """Observed (N, 2), depth (N,) with NaN for none, and importance (N,)."""
        given, count = np.asarray(points, np.float64), len(self.anchors)
        if given.ndim != 2 or given.shape[1] not in (2, 3) or len(given) != count:
            raise ValueError(f"points must be ({count}, 2) or ({count}, 3), got {given.shape}")
        importance = np.ones(count) if weights is None else np.array(weights, np.float64)
        if importance.shape != (count,):
            raise ValueError(f"weights must be ({count},), got {importance.shape}")
        if not ((importance >= 0) & (importance <= 1)).all():
            raise ValueError("weights must be in [0, 1]")
        observed = given[:, :2].copy()
        seen = np.isfinite(observed).all(axis=1)
        importance[~seen], observed[~seen] = 0, 0
        usable = int(np.count_nonzero(importance))
        if usable < LEAST_POINTS:
            raise AlignmentError(f"{usable} usable landmarks; a fit needs {LEAST_POINTS}")
        spread = np.linalg.svd(observed[seen] - observed[seen].mean(axis=0), compute_uv=False)
        if spread[1] <= 1e-3 * spread[0] or spread[1] < 1e-6:
            raise AlignmentError("the landmarks lie on a line or in one place")
        depth = given[:, 2].copy() if given.shape[1] == 3 else np.full(count, np.nan)
        depth[~seen] = np.nan
        return observed, depth, importance

    def _result(
        self, problem: Problem, state: State, robust: DoubleArray, centre: DoubleArray
    ) -> Alignment:
        scale, used = problem.scale(state), problem.importance > 0
        residual = np.where(used[:, None], problem.residuals(state)[:, :2], 0)
        size = np.linalg.norm(residual, axis=1)
        # Landmarks that err as they are known to give 1; twice that gives a quarter.
        known = 2 * (self.options.noise**2 + self.options.displacement**2)
        share = problem.importance * np.minimum((size / scale) ** 2, 16 * known)
        excess = share.sum() / problem.importance.sum() / known
        confidence = float(1 / (1 + max(excess - 1, 0)))
        turn = np.degrees(np.arccos(np.clip(state.rotation[2, 2], -1, 1)))
        if turn > _FURTHEST_TURN:
            raise AlignmentError("the landmarks are mirrored, or those of a head seen from behind")
        extent = np.ptp(self._mean[used], axis=0).max()
        if not np.median(size[used]) < 0.08 * extent * scale:
            raise AlignmentError("the landmarks do not look like a face of this scheme")
        k = self.n_identity
        # Isotropic, so it may be solved in the photo's axes; depth stays as it is.
        pull = problem.precision(robust) @ (residual / scale * (1, -1))
        displacement = np.zeros_like(self.model.mean)
        if self.options.displace and self.options.displacement > 0:
            displacement = self._spread @ (pull @ state.rotation[:2]).astype(np.float32)
        shape = [part if len(part) else None for part in np.split(state.coefficients, [k])]
        vertices = self.model.vertices(*shape)
        camera, translation = problem.camera(state, centre)
        return Alignment(
            vertices=(vertices + displacement).astype(np.float32),
            identity=state.coefficients[:k].astype(np.float32),
            expression=state.coefficients[k:].astype(np.float32),
            displacement=displacement,
            rotation=state.rotation,
            translation=translation,
            camera=camera,
            residuals=size,
            weights=robust,
            scale=scale,
            confidence=confidence,
        )

    def _covariance(self, places: FloatArray) -> DoubleArray:
        """(P, N) covariance, mm^2, of the displacement at `places` (P, 3) and at the anchors."""
        squared = (
            (places**2).sum(axis=1)[:, None]
            + (self._mean**2).sum(axis=1)
            - 2 * places @ self._mean.T
        )
        length = self.options.displacement_length
        return self.options.displacement**2 * np.exp(-np.maximum(squared, 0) / (2 * length**2))


def fit(
    model: MorphableModel,
    points: ArrayLike,
    correspondence: Anchors | ArrayLike,
    weights: ArrayLike | None = None,
    *,
    photo_size: tuple[int, int] | None = None,
    focal: float | None = None,
    perspective: bool = True,
    options: FitOptions | None = None,
) -> Alignment:
    """Fit `model` to the landmarks of one face; `correspondence` are anchors or vertex indices.

    For many faces make an `Aligner` once. Arguments, result and errors are those of `Aligner.fit`.
    """
    anchors = (
        correspondence
        if isinstance(correspondence, Anchors)
        else Anchors.at_vertices(correspondence)
    )
    return Aligner(model, anchors, options).fit(points, weights, photo_size, focal, perspective)
