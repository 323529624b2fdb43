"""The solver behind `facerelief.geometry.align`: Gauss-Newton on pose, camera and shape at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, lapack
from scipy.spatial.transform import Rotation

from facerelief.arrays import DoubleArray
from facerelief.geometry.camera import Perspective, WeakPerspective

# Tukey's constant for Cauchy weights: 95 % efficient where the noise is Gaussian after all.
_CAUCHY = 2.385


@dataclass(frozen=True)
class FitOptions:
    """How much is believed of landmarks and of priors. Lengths are mm on the face.

    The defaults suit MediaPipe's points, whose errors are smooth: they regress to its mean face.
    They were chosen on renderings, by `benchmarks/alignment.py`.
    """

    identity: int = 60  # coefficients of the identity that are fitted
    noise: float = 2.0  # standard deviation of what a landmark errs on its own
    displacement: float = 5.0  # and of what it shares with its neighbours; 0 for none
    displacement_length: float = 30.0  # over which that changes
    depth_ratio: float = 2.5  # how much larger both are in depth, where landmarks have one
    identity_deviation: float = 1.0  # of the prior on identity; below 1 is stiffer
    expression_deviation: float = 0.15  # of the prior on expression weights, about neutral
    distance: float = 1000.0  # of the camera, where the focal length is not known
    distance_deviation: float = 0.5  # of its logarithm
    rounds: int = 3  # of reweighting, each with two steps of Gauss-Newton
    displace: bool = True  # whether the shared error moves the vertices


@dataclass(frozen=True, eq=False)
class State:
    """What is solved for."""

    rotation: DoubleArray  # (3, 3)
    shift: DoubleArray  # (2,) mm, x and y of the head's origin in camera space
    log_scale: float  # photo pixels a mm at the head's origin
    log_distance: float  # mm, of the camera; unused by parallel rays
    depth: float  # mm, where the landmarks' depth has its origin
    coefficients: DoubleArray  # (C,)


_POSE = 8  # parameters before the coefficients: turn, shift, log scale, log distance, depth


class Problem:
    """Residuals and their derivatives for one face.

    Args:
        mean: (N, 3) mm, the landmarks on the mean head.
        basis: (C, 3, N) how they move with identity, then expression.
        shared: (N, N) covariance of what neighbouring landmarks err together, mm^2.
        identities: how many of the coefficients are identity.
        observed: (N, 2) pixels about the principal point. depth: (N,) NaN where unknown.
        importance: (N,) weights, 0 for a landmark that is left out.
        focal: pixels, or None for one that is fitted.
    """

    def __init__(
        self,
        mean: DoubleArray,
        basis: DoubleArray,
        shared: DoubleArray,
        identities: int,
        options: FitOptions,
        observed: DoubleArray,
        depth: DoubleArray,
        importance: DoubleArray,
        perspective: bool,
        focal: float | None,
    ) -> None:
        if focal is not None and not (np.isfinite(focal) and focal > 0):
            raise ValueError(f"a focal length must be positive, got {focal}")
        self.mean, self.basis, self.shared = mean, basis, shared
        self.k, self.options = identities, options
        self.observed, self.depth, self.importance = observed, depth, importance
        self.perspective, self.focal = perspective, focal
        self.has_depth = bool(np.isfinite(depth[importance > 0]).all())

    def points(self, state: State) -> DoubleArray:
        """(N, 3) landmarks in the camera's axes, mm, about the head's origin."""
        shape = self.mean + (state.coefficients @ self.basis).T
        return np.asarray(shape @ state.rotation.T)

    def scale(self, state: State) -> float:
        """Photo pixels a mm at the head's origin."""
        return float(np.exp(state.log_scale))

    def camera(
        self, state: State, centre: DoubleArray
    ) -> tuple[Perspective | WeakPerspective, DoubleArray]:
        """The camera of a photo whose principal point is `centre`, and the head's translation."""
        scale, middle = self.scale(state), (float(centre[0]), float(centre[1]))
        if not self.perspective:
            return WeakPerspective(scale, middle), np.array([*state.shift, 0.0])
        distance = float(np.exp(state.log_distance))
        return Perspective(scale * distance, middle), np.array([*state.shift, -distance])

    def residuals(self, state: State) -> DoubleArray:
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

    def solve(self, start: tuple[DoubleArray, DoubleArray, float]) -> tuple[State, DoubleArray]:
        """The state, and the Cauchy weights (N,) that it ends with."""
        rotation, shift, scale = start
        distance = self.options.distance if self.focal is None else self.focal / scale
        shape = np.zeros(self.basis.shape[1])
        state = State(rotation, shift, np.log(scale), np.log(distance), 0.0, shape)
        # Pose and camera first: shape would otherwise explain a pose that is still far off.
        for _ in range(4):
            weight = self.importance * self._robust(state) / self.options.noise**2
            state = self._step(state, np.diag(weight), with_shape=False)
        for _ in range(self.options.rounds):
            precision = self.precision(self._robust(state))
            for _ in range(2):
                state = self._step(state, precision, with_shape=True)
        return state, self._robust(state)

    def _nearness(self, turned: DoubleArray, state: State) -> DoubleArray:
        """(N,) how much larger a point appears than at the head's origin."""
        if not self.perspective:
            return np.ones(len(turned))
        distance = np.exp(state.log_distance)
        return distance / np.maximum(distance - turned[:, 2], 0.05 * distance)

    def _robust(self, state: State) -> DoubleArray:
        size = np.linalg.norm(self.residuals(state)[:, :2], axis=1) / self.scale(state)
        used = self.importance > 0
        # Never stricter than the errors that landmarks are known to have.
        known = np.hypot(self.options.noise, self.options.displacement)
        spread = max(0.85 * float(np.median(size[used])), known)
        weight: DoubleArray = np.where(used, 1 / (1 + (size / (_CAUCHY * spread)) ** 2), 0)
        return weight

    def _step(self, state: State, precision: DoubleArray, with_shape: bool) -> State:
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

    def _add_priors(self, hessian: DoubleArray, gradient: DoubleArray, state: State) -> None:
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

    def _move(self, state: State, hessian: DoubleArray, gradient: DoubleArray) -> State:
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
        return State(
            rotation=Rotation.from_rotvec(turn).as_matrix() @ state.rotation,
            shift=state.shift + step[3:5],
            log_scale=state.log_scale + float(np.clip(step[5], -0.5, 0.5)),
            log_distance=state.log_distance + float(np.clip(step[6], -0.3, 0.3)),
            depth=state.depth + step[7],
            coefficients=moved,
        )


def starting_pose(
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
