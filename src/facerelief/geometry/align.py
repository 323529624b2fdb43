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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, lapack
from scipy.spatial.transform import Rotation

from facerelief.geometry.anchors import Anchors
from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.morphable import MorphableModel

FloatArray = NDArray[np.floating[Any]]
DoubleArray = NDArray[np.float64]

#: Fewer landmarks than this do not fix a pose and a shape.
LEAST_POINTS = 6

# Tukey's constant for Cauchy weights: 95 % efficient where the noise is Gaussian after all.
_CAUCHY = 2.385
# Beyond this the fitted face looks away from the camera, as it does for mirrored points.
_FURTHEST_TURN = 115.0  # degrees


class AlignmentError(ValueError):
    """Landmarks that no face explains; the text says why."""


@dataclass(frozen=True)
class FitOptions:
    """How much is believed of landmarks and of priors. Lengths are mm on the face.

    The defaults suit MediaPipe's points, whose errors are smooth: they regress to its mean face.
    """

    identity: int = 60  # coefficients of the identity that are fitted
    noise: float = 2.0  # standard deviation of what a landmark errs on its own
    displacement: float = 3.0  # and of what it shares with its neighbours; 0 for none
    displacement_length: float = 30.0  # over which that changes
    depth_ratio: float = 2.5  # how much larger both are in depth, where landmarks have one
    identity_deviation: float = 1.0  # of the prior on identity; below 1 is stiffer
    expression_deviation: float = 0.15  # of the prior on expression weights, about neutral
    distance: float = 1000.0  # of the camera, where the focal length is not known
    distance_deviation: float = 0.5  # of its logarithm
    rounds: int = 3  # of reweighting, each with two steps of Gauss-Newton
    displace: bool = True  # whether the shared error moves the vertices


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
        pose = _starting_pose(self._mean[used], observed[used] - centre, depth[used])
        problem = _Problem(self, observed - centre, depth, importance, perspective, focal)
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
        self, problem: _Problem, state: _State, robust: DoubleArray, centre: DoubleArray
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


@dataclass(frozen=True, eq=False)
class _State:
    """What is solved for."""

    rotation: DoubleArray  # (3, 3)
    shift: DoubleArray  # (2,) mm, x and y of the head's origin in camera space
    log_scale: float  # photo pixels a mm at the head's origin
    log_distance: float  # mm, of the camera; unused by parallel rays
    depth: float  # mm, where the landmarks' depth has its origin
    coefficients: DoubleArray  # (C,)


_POSE = 8  # parameters before the coefficients: turn, shift, log scale, log distance, depth


class _Problem:
    """Residuals and their derivatives for one face."""

    def __init__(
        self,
        aligner: Aligner,
        observed: DoubleArray,
        depth: DoubleArray,
        importance: DoubleArray,
        perspective: bool,
        focal: float | None,
    ) -> None:
        if focal is not None and not (np.isfinite(focal) and focal > 0):
            raise ValueError(f"a focal length must be positive, got {focal}")
        self.mean, self.basis, self.options = aligner._mean, aligner._basis, aligner.options
        self.shared, self.k = aligner._shared, aligner.n_identity
        self.observed, self.depth, self.importance = observed, depth, importance
        self.perspective, self.focal = perspective, focal
        self.has_depth = bool(np.isfinite(depth[importance > 0]).all())

    def points(self, state: _State) -> DoubleArray:
        """(N, 3) landmarks in the camera's axes, mm, about the head's origin."""
        shape = self.mean + (state.coefficients @ self.basis).T
        return np.asarray(shape @ state.rotation.T)

    def scale(self, state: _State) -> float:
        """Photo pixels a mm at the head's origin."""
        return float(np.exp(state.log_scale))

    def camera(
        self, state: _State, centre: DoubleArray
    ) -> tuple[Perspective | WeakPerspective, DoubleArray]:
        """The camera of a photo whose principal point is `centre`, and the head's translation."""
        scale, middle = self.scale(state), (float(centre[0]), float(centre[1]))
        if not self.perspective:
            return WeakPerspective(scale, middle), np.array([*state.shift, 0.0])
        distance = float(np.exp(state.log_distance))
        return Perspective(scale * distance, middle), np.array([*state.shift, -distance])

    def residuals(self, state: _State) -> DoubleArray:
        """(N, 3) observed less predicted, photo pixels; zero for what is not observed."""
        turned, scale = self.points(state), self.scale(state)
        zoom = scale * self._nearness(turned, state)[:, None]
        predicted = zoom * (turned[:, :2] + state.shift) * (1, -1)
        deep = self.depth + scale * (turned[:, 2] - state.depth)
        deep = np.nan_to_num(deep) if self.has_depth else np.zeros(len(turned))
        return np.column_stack([self.observed - predicted, deep]) * (self.importance > 0)[:, None]

    def precision(self, robust: DoubleArray) -> DoubleArray:
        """(N, N) inverse covariance, mm^-2, of the landmarks' errors; zero for unused ones."""
        weight = self.importance * robust
        used = weight > 1e-6
        noise = np.diag(self.options.noise**2 / weight[used])
        result = np.zeros_like(self.shared)
        upper = lapack.dpotri(cholesky(self.shared[np.ix_(used, used)] + noise), overwrite_c=True)[
            0
        ]
        result[np.ix_(used, used)] = np.triu(upper) + np.triu(upper, 1).T
        return result

    def solve(self, start: tuple[DoubleArray, DoubleArray, float]) -> tuple[_State, DoubleArray]:
        """The state, and the Cauchy weights (N,) that it ends with."""
        rotation, shift, scale = start
        distance = self.options.distance if self.focal is None else self.focal / scale
        shape = np.zeros(self.basis.shape[1])
        state = _State(rotation, shift, np.log(scale), np.log(distance), 0.0, shape)
        # Pose and camera first: shape would otherwise explain a pose that is still far off.
        for _ in range(4):
            weight = self.importance * self._robust(state) / self.options.noise**2
            state = self._step(state, np.diag(weight), with_shape=False)
        for _ in range(self.options.rounds):
            precision = self.precision(self._robust(state))
            for _ in range(2):
                state = self._step(state, precision, with_shape=True)
        return state, self._robust(state)

    def _nearness(self, turned: DoubleArray, state: _State) -> DoubleArray:
        """(N,) how much larger a point appears than at the head's origin."""
        if not self.perspective:
            return np.ones(len(turned))
        distance = np.exp(state.log_distance)
        return distance / np.maximum(distance - turned[:, 2], 0.05 * distance)

    def _robust(self, state: _State) -> DoubleArray:
        size = np.linalg.norm(self.residuals(state)[:, :2], axis=1) / self.scale(state)
        used = self.importance > 0
        # Never stricter than the errors that landmarks are known to have.
        known = np.hypot(self.options.noise, self.options.displacement)
        spread = max(0.85 * float(np.median(size[used])), known)
        weight: DoubleArray = np.where(used, 1 / (1 + (size / (_CAUCHY * spread)) ** 2), 0)
        return weight

    def _step(self, state: _State, precision: DoubleArray, with_shape: bool) -> _State:
        """One step of Gauss-Newton under the landmarks' `precision` (N, N)."""
        turned = self.points(state)
        motion = self._motion(turned, state.rotation, with_shape)
        near = self._nearness(turned, state)
        placed = (turned[:, :2] + state.shift).T
        distance = np.exp(state.log_distance)
        slope = near / distance if self.perspective else np.zeros_like(near)
        residual = (self.residuals(state) / self.scale(state) * (1, -1, 1)).T
        size = motion.shape[1]
        hessian, gradient = np.zeros((size, size)), np.zeros(size)
        for axis in range(2):
            design = near * (motion[axis] + placed[axis] * slope * motion[2])
            design[5] = near * placed[axis]
            if self.perspective:  # the scale is kept at the origin: farther away is flatter
                design[6] = -near * near * placed[axis] * turned[:, 2] / distance
            weighted = design @ precision
            hessian += weighted @ design.T
            gradient += weighted @ residual[axis]
        if self.has_depth:
            design = -motion[2]
            design[5], design[7] = state.depth - turned[:, 2], 1
            weighted = design @ precision / self.options.depth_ratio**2
            hessian += weighted @ design.T
            gradient += weighted @ residual[2]
        self._add_priors(hessian, gradient, state)
        return self._move(state, hessian, gradient)

    def _motion(self, turned: DoubleArray, rotation: DoubleArray, with_shape: bool) -> DoubleArray:
        """(3, P, N): how x, y and z (mm, the camera's axes) of the landmarks go with parameters."""
        x, y, z = turned.T
        motion = np.zeros((3, _POSE, len(turned)))
        motion[1, 0], motion[2, 0] = -z, y
        motion[0, 1], motion[2, 1] = z, -x
        motion[0, 2], motion[1, 2] = -y, x
        motion[0, 3] = motion[1, 4] = 1
        if not with_shape:
            return motion
        return np.concatenate([motion, np.tensordot(rotation, self.basis, axes=1)], axis=1)

    def _add_priors(self, hessian: DoubleArray, gradient: DoubleArray, state: _State) -> None:
        options, shapes = self.options, len(hessian) - _POSE
        if not self.perspective:
            hessian[6, 6] += 1
        elif self.focal is None:
            tightness = 1 / options.distance_deviation**2
            hessian[6, 6] += tightness
            gradient[6] += tightness * (np.log(options.distance) - state.log_distance)
        else:  # the focal length, scale * distance, is known
            hessian[5:7, 5:7] += 1e6
            gradient[5:7] += 1e6 * (np.log(self.focal) - state.log_scale - state.log_distance)
        hessian[7, 7] += 1e-6
        deviation = np.full(shapes, float(options.identity_deviation))
        deviation[self.k :] = options.expression_deviation
        index = np.arange(_POSE, len(hessian))
        hessian[index, index] += deviation**-2
        gradient[_POSE:] -= state.coefficients[:shapes] / deviation**2

    def _move(self, state: _State, hessian: DoubleArray, gradient: DoubleArray) -> _State:
        """Take the step; expression weights that would leave [0, 1] stop at the bound."""
        coefficients, first = state.coefficients, _POSE + self.k
        step, free = np.zeros(len(hessian)), np.ones(len(hessian), bool)
        for _ in range(4):
            rest = gradient[free] - hessian[np.ix_(free, ~free)] @ step[~free]
            step[free] = cho_solve(cho_factor(hessian[np.ix_(free, free)]), rest)
            wanted = coefficients[self.k :][: len(step[first:])] + step[first:]
            inside = np.clip(wanted, 0, 1)
            if np.allclose(inside, wanted, atol=1e-9):
                break
            step[first:] += inside - wanted
            free[first:] &= np.isclose(inside, wanted, atol=1e-9)
        moved = coefficients.copy()
        moved[: len(step) - _POSE] += step[_POSE:]
        moved[self.k :] = moved[self.k :].clip(0, 1)
        # Far from the solution the linear step overshoots.
        turn = step[:3] * min(1, 0.5 / max(float(np.linalg.norm(step[:3])), 1e-12))
        return _State(
            rotation=Rotation.from_rotvec(turn).as_matrix() @ state.rotation,
            shift=state.shift + step[3:5],
            log_scale=state.log_scale + float(np.clip(step[5], -0.5, 0.5)),
            log_distance=state.log_distance + float(np.clip(step[6], -0.3, 0.3)),
            depth=state.depth + step[7],
            coefficients=moved,
        )


def _starting_pose(
    model: DoubleArray, observed: DoubleArray, depth: DoubleArray
) -> tuple[DoubleArray, DoubleArray, float]:
    """Rotation, shift (mm) and scale by an affine camera, robustly, then the nearest rotation."""
    known = np.isfinite(depth).all()
    target = observed * (1, -1)
    middle = model.mean(axis=0)
    weight = np.ones(len(model))
    design = np.column_stack([model - middle, np.ones(len(model))])
    for _ in range(10):
        root = np.sqrt(weight)[:, None]
        affine = np.linalg.lstsq(design * root, target * root, rcond=None)[0]
        size = np.linalg.norm(target - design @ affine, axis=1)
        spread = 1.2 * np.median(size)
        if not spread > 0:
            break
        weight = 1 / (1 + (size / (_CAUCHY * spread)) ** 2)
    x, y = affine[:3].T
    scale = float((np.linalg.norm(x) + np.linalg.norm(y)) / 2)
    rows = np.stack([x, y, np.cross(x, y) / max(scale, 1e-12)])
    if known:
        # Depth settles what two nearly flat views leave open.
        shape = np.column_stack([target, -depth])
        shape = shape - np.average(shape, axis=0, weights=weight)
        rows = (weight[:, None] * shape).T @ (model - np.average(model, axis=0, weights=weight))
    u, _, vt = np.linalg.svd(rows)
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    rotation = u @ vt
    return rotation, affine[3] / scale - (rotation @ middle)[:2], scale
