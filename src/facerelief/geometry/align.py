"""Fitting a morphable model to landmarks of a photo: pose, camera, identity, expression, the rest.

Gauss-Newton on everything at once, a Gaussian prior on the coefficients (identity is in standard
deviations, expression in weights from 0 to 1), Cauchy weights on the landmarks. What the linear
model cannot explain is left to a smooth displacement, the posterior mean of a Gaussian process over
the surface (Luethi et al., "Gaussian process morphable models", PAMI 2018), which decays to nothing
away from the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.transform import Rotation

from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.morphable import MorphableModel

FloatArray = NDArray[np.floating[Any]]

#: Fewer landmarks than this do not fix a pose and a shape.
LEAST_POINTS = 6

# Tukey's constant for Cauchy weights: 95 % efficient where the noise is Gaussian after all.
_CAUCHY = 2.385
# Beyond this the fitted face looks away from the camera, as it does for mirrored points.
_FURTHEST_TURN = 115.0  # degrees


class AlignmentError(ValueError):
    """Landmarks that no face explains; the text says why."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points on a model's surface: where each landmark of a scheme lies."""

    vertices: NDArray[np.int32]  # (N, 3) corners of the triangle that a point is on
    weights: NDArray[np.float64]  # (N, 3) barycentric, sum 1

    @classmethod
    def at_vertices(cls, indices: ArrayLike) -> Anchors:
        """Anchors at vertices `indices` (N,)."""
        index = np.asarray(indices, np.int32)
        weights = np.zeros((len(index), 3))
        weights[:, 0] = 1
        return cls(np.repeat(index[:, None], 3, axis=1), weights)

    @classmethod
    def on_triangles(
        cls, triangles: ArrayLike, index: ArrayLike, barycentrics: ArrayLike
    ) -> Anchors:
        """Anchors on the triangles `index` (N,) of `triangles` (T, 3), `barycentrics` (N, 3)."""
        corners = np.asarray(triangles)[np.asarray(index)]
        return cls(corners.astype(np.int32), np.asarray(barycentrics, np.float64))

    def __len__(self) -> int:
        return len(self.vertices)

    def of(self, values: FloatArray) -> NDArray[np.float64]:
        """Values (..., V, C) of the vertices at the anchors (..., N, C)."""
        corners = values[..., self.vertices, :].astype(np.float64)
        return np.einsum("nk,...nkc->...nc", self.weights, corners)

    def __getitem__(self, chosen: Any) -> Anchors:
        return Anchors(self.vertices[chosen], self.weights[chosen])


@dataclass(frozen=True)
class FitOptions:
    """How much is believed of landmarks and of priors. Lengths are mm on the face."""

    identity: int = 60  # coefficients of the identity that are fitted
    noise: float = 2.0  # standard deviation of a landmark
    depth_noise: float = 12.0  # and of its depth, where there is one
    identity_deviation: float = 1.0  # of the prior on identity; below 1 is stiffer
    expression_deviation: float = 0.3  # of the prior on expression weights, about neutral
    distance: float = 1000.0  # of the camera, where the focal length is not known
    distance_deviation: float = 0.5  # of its logarithm
    displacement: float = 1.5  # standard deviation of the displacement; 0 for none
    displacement_length: float = 25.0  # over which the displacement changes
    iterations: int = 12


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
        self._basis = np.concatenate(basis)  # (C, N, 3)
        self._field: tuple[FloatArray, FloatArray] | None = None

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
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
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
        self, problem: _Problem, state: _State, robust: FloatArray, centre: FloatArray
    ) -> Alignment:
        scale, used = problem.scale(state), problem.importance > 0
        residual = np.where(used[:, None], problem.residuals(state)[:, :2], 0)
        size = np.linalg.norm(residual, axis=1)
        confidence = 0.0
        if scale > 0:
            share = problem.importance * np.minimum(size / scale, 4 * self.options.noise) ** 2
            spread = share.sum() / problem.importance.sum() / (2 * self.options.noise**2)
            confidence = float(1 / (1 + max(spread - 1, 0)))
        turn = np.degrees(np.arccos(np.clip(state.rotation[2, 2], -1, 1)))
        if turn > _FURTHEST_TURN:
            raise AlignmentError("the landmarks are mirrored, or those of a head seen from behind")
        extent = np.ptp(self._mean[used], axis=0).max()
        if not np.sqrt(np.average(size**2, weights=problem.importance)) < 0.15 * extent * scale:
            raise AlignmentError("the landmarks do not look like a face of this scheme")
        k = self.n_identity
        weights = problem.importance * robust
        displacement = self._displace(state.rotation, residual / scale, weights)
        vertices = self.model.vertices(state.coefficients[:k], state.coefficients[k:])
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

    def _displace(
        self, rotation: FloatArray, residual: FloatArray, weights: FloatArray
    ) -> NDArray[np.float32]:
        """(V, 3) mm, head space: the smooth field behind residuals (N, 2), mm on the photo.

        The process is isotropic, so it may be solved in the photo's axes; depth stays as it is.
        """
        options = self.options
        if options.displacement <= 0:
            return np.zeros_like(self.model.mean)
        if self._field is None:
            self._field = (
                self._covariance(self._mean),
                self._covariance(self.model.mean).astype(np.float32),
            )
        near, far = self._field
        used = weights > 1e-4
        noise = options.noise**2 / weights[used]
        factor = cho_factor(near[np.ix_(used, used)] + np.diag(noise))
        solved = cho_solve(factor, residual[used] * (1, -1))
        return (far[:, used] @ (solved @ rotation[:2]).astype(np.float32)).astype(np.float32)

    def _covariance(self, places: FloatArray) -> FloatArray:
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
    """What is solved for. Under perspective the camera is at `distance`."""

    rotation: FloatArray  # (3, 3)
    shift: FloatArray  # (2,) mm, x and y of the head's origin in camera space
    log_scale: float  # photo pixels a mm at the head's origin
    log_distance: float  # mm
    coefficients: FloatArray  # (C,)


class _Problem:
    """Residuals and their derivatives for one face."""

    def __init__(
        self,
        aligner: Aligner,
        observed: FloatArray,
        depth: FloatArray,
        importance: FloatArray,
        perspective: bool,
        focal: float | None,
    ) -> None:
        if focal is not None and not (np.isfinite(focal) and focal > 0):
            raise ValueError(f"a focal length must be positive, got {focal}")
        self.mean, self.basis, self.options = aligner._mean, aligner._basis, aligner.options
        self.observed, self.depth, self.importance = observed, depth, importance
        self.perspective, self.focal, self.k = perspective, focal, aligner.n_identity
        self.has_depth = np.isfinite(depth) & (importance > 0)

    def points(self, state: _State) -> FloatArray:
        """(N, 3) landmarks in the camera's axes, mm, about the head's origin."""
        shape = self.mean + np.tensordot(state.coefficients, self.basis, axes=1)
        return shape @ state.rotation.T

    def scale(self, state: _State) -> float:
        """Photo pixels a mm at the head's origin."""
        return float(np.exp(state.log_scale))

    def camera(
        self, state: _State, centre: FloatArray
    ) -> tuple[Perspective | WeakPerspective, FloatArray]:
        """The camera of a photo whose principal point is `centre`, and the head's translation."""
        scale, middle = self.scale(state), (float(centre[0]), float(centre[1]))
        if not self.perspective:
            return WeakPerspective(scale, middle), np.array([*state.shift, 0.0])
        distance = float(np.exp(state.log_distance))
        return Perspective(scale * distance, middle), np.array([*state.shift, -distance])

    def residuals(self, state: _State) -> FloatArray:
        """(N, 3) observed less predicted: photo pixels x and y, and depth (0 where unknown)."""
        turned = self.points(state)
        scale = self.scale(state)
        zoom = scale * self._nearness(turned, state)[:, None]
        predicted = zoom * (turned[:, :2] + state.shift) * (1, -1)
        deep = np.zeros(len(turned))
        if self.has_depth.any():
            known, share = self.has_depth, self.importance[self.has_depth]
            gap = self.depth[known] + scale * turned[known, 2]
            deep[known] = gap - np.average(gap, weights=share)
        return np.column_stack([self.observed - predicted, deep])

    def solve(self, start: tuple[FloatArray, FloatArray, float]) -> tuple[_State, FloatArray]:
        """The state, and the Cauchy weights (N,) that it ends with."""
        rotation, shift, scale = start
        distance = self.options.distance if self.focal is None else self.focal / scale
        state = _State(
            rotation, shift, np.log(scale), np.log(distance), np.zeros(len(self.basis))
        )
        robust = np.ones(len(self.mean))
        for step in range(self.options.iterations):
            # Pose and camera first: shape would otherwise explain a pose that is still far off.
            state = self._step(state, robust, with_shape=step >= 2)
            robust = self._robust(state)
        return state, robust

    def _nearness(self, turned: FloatArray, state: _State) -> FloatArray:
        """(N,) how much larger a point appears than at the head's origin."""
        if not self.perspective:
            return np.ones(len(turned))
        distance = np.exp(state.log_distance)
        return distance / np.maximum(distance - turned[:, 2], 0.05 * distance)

    def _robust(self, state: _State) -> FloatArray:
        size = np.linalg.norm(self.residuals(state)[:, :2], axis=1) / self.scale(state)
        used = self.importance > 0
        # Per axis; never stricter than the noise that landmarks are known to have.
        spread = max(1.2 * float(np.median(size[used])) / 1.4142, self.options.noise)
        weight: FloatArray = np.where(used, 1 / (1 + (size / (_CAUCHY * spread)) ** 2), 0)
        return weight

    def _step(self, state: _State, robust: FloatArray, with_shape: bool) -> _State:
        """One step of Gauss-Newton; parameters are turn, shift, log scale, log distance, shape."""
        options, scale = self.options, self.scale(state)
        turned = self.points(state)
        near = self._nearness(turned, state)
        placed = turned[:, :2] + state.shift
        count = len(turned)
        motion = np.zeros((3, 7, count))  # of (x, y, z) mm in the camera's axes
        x, y, z = turned.T
        motion[1, 0], motion[2, 0] = -z, y
        motion[0, 1], motion[2, 1] = z, -x
        motion[0, 2], motion[1, 2] = -y, x
        motion[0, 3] = motion[1, 4] = 1
        if with_shape:
            bend = np.einsum("ij,cnj->icn", state.rotation, self.basis)
            motion = np.concatenate([motion, bend], axis=1)
        distance = np.exp(state.log_distance)
        slope = near / distance if self.perspective else np.zeros(count)
        sides = [near * (motion[i] + placed[:, i] * slope * motion[2]) for i in range(2)]
        for i in range(2):
            sides[i][5] = near * placed[:, i]
            if self.perspective:  # scale kept at the origin: farther away is flatter
                sides[i][6] = -near * placed[:, i] * near * z / distance
        residual = self.residuals(state) / scale * (1, -1, 1)
        weight = np.sqrt(self.importance * robust) / options.noise
        rows = [sides[0] * weight, sides[1] * weight]
        right = [residual[:, 0] * weight, residual[:, 1] * weight]
        if self.has_depth.any():
            known, share = self.has_depth, self.importance[self.has_depth]
            deep = -motion[2][:, known]
            deep[5] = -z[known]
            deep = deep - np.average(deep, axis=1, weights=share)[:, None]
            weight = np.sqrt(share * robust[known]) / options.depth_noise
            rows.append(deep * weight)
            right.append(residual[known, 2] * weight)
        design, target = np.concatenate(rows, axis=1), np.concatenate(right)
        hessian, gradient = design @ design.T, design @ target
        self._add_priors(hessian, gradient, state)
        return self._move(state, hessian, gradient)

    def _add_priors(self, hessian: FloatArray, gradient: FloatArray, state: _State) -> None:
        options, shapes = self.options, len(hessian) - 7
        if self.perspective and self.focal is None:
            precision = 1 / options.distance_deviation**2
            hessian[6, 6] += precision
            gradient[6] += precision * (np.log(options.distance) - state.log_distance)
        elif self.perspective:  # the focal length, scale * distance, is known
            miss = np.log(self.focal) - state.log_scale - state.log_distance
            hessian[5:7, 5:7] += 1e6
            gradient[5:7] += 1e6 * miss
        else:
            hessian[6, 6] += 1
        deviation = np.full(shapes, float(options.identity_deviation))
        deviation[self.k :] = options.expression_deviation
        index = np.arange(7, len(hessian))
        hessian[index, index] += deviation**-2
        gradient[7:] -= state.coefficients[:shapes] / deviation**2

    def _move(self, state: _State, hessian: FloatArray, gradient: FloatArray) -> _State:
        """Take the step; expression weights that would leave [0, 1] stop at the bound."""
        coefficients = state.coefficients
        free = np.ones(len(hessian), bool)
        step = np.zeros(len(hessian))
        first = 7 + self.k
        for _ in range(4):
            rest = gradient[free] - hessian[np.ix_(free, ~free)] @ step[~free]
            step[free] = cho_solve(cho_factor(hessian[np.ix_(free, free)]), rest)
            if len(step) == 7:
                break
            bound = np.clip(coefficients[self.k :] + step[first:], 0, 1) - coefficients[self.k :]
            outside = np.abs(bound - step[first:]) > 1e-9
            if not (outside & free[first:]).any():
                break
            step[first:] = bound
            free[first:] &= ~outside
        # The last solve may have moved others past a bound.
        moved = coefficients.copy()
        if len(step) > 7:
            moved = moved + step[7:]
            moved[self.k :] = moved[self.k :].clip(0, 1)
        turn = step[:3] * min(1, 0.5 / max(float(np.linalg.norm(step[:3])), 1e-12))
        return _State(
            rotation=Rotation.from_rotvec(turn).as_matrix() @ state.rotation,
            shift=state.shift + step[3:5],
            log_scale=state.log_scale + float(np.clip(step[5], -0.5, 0.5)),
            log_distance=state.log_distance + float(np.clip(step[6], -0.3, 0.3)),
            coefficients=moved,
        )


def _starting_pose(
    model: FloatArray, observed: FloatArray, depth: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
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
        rows = (weight[:, None] * shape).T @ (
            model - np.average(model, axis=0, weights=weight)
        )
    u, _, vt = np.linalg.svd(rows)
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    rotation = u @ vt
    return rotation, affine[3] / scale - (rotation @ middle)[:2], scale
