"""Random people of MakeHuman's sliders, their principal components, and their expressions."""

from __future__ import annotations

import makehuman
import numpy as np
from head_topology import LEFT_EYE_JOINT, MM, RIGHT_EYE_JOINT, Topology
from scipy.spatial.transform import Rotation

# Standard deviations of local sliders, whose ends at -1 and 1 are caricatures, by how their names
# begin; the first that fits counts.
SPREADS = {
    "head-scale": 0.15, "head-back": 0.15, "head-age": 0.25, "head-fat": 0.2, "head-": 0.12,
    "ear-shape": 0.1, "ear": 0.16, "neck": 0.2, "measure": 0.1, "forehead": 0.2,
    "nose": 0.19, "mouth": 0.2,
    "eye-push": 0.12, "eye-scale": 0.15, "": 0.25,
}  # fmt: skip
# How far eyeLook* turns an eye at weight 1: about the axis (x, y, z), degrees, for the left eye.
GAZE = {
    "Up": ((-1, 0, 0), 22),
    "Down": ((1, 0, 0), 26),
    "In": ((0, -1, 0), 30),
    "Out": ((0, 1, 0), 30),
}
# MakeHuman's tongue shows between its lips, which do not quite meet: back and down, mm, and how
# much of mouthClose the neutral face gets.
TONGUE_BACK = (0, -4, -9)
# Room between lids and eyes: the balls' size, and how far back they go, mm.
EYE_SIZE, EYE_BACK = 0.99, 0.2
LIPS_CLOSED = 0.03
# Of the face unit closes the eye; all of it takes the upper lid 3 mm past the lower one.
BLINK = 0.78
# Of the difference between the same slider left and right.
ASYMMETRY = 0.06


class People:
    """Random neutral heads of one topology, in millimetres."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        # What the head and its place are made of: fewer than the body's.
        self.used = np.unique(
            np.concatenate([topology.vertices, topology.slide_to, LEFT_EYE_JOINT, RIGHT_EYE_JOINT])
        )
        self.number = np.full(makehuman.VERTICES, -1)
        self.number[self.used] = np.arange(len(self.used))
        self.points = makehuman.base_mesh().vertices[self.used]
        self.macro = makehuman.Macro(self.used)
        self.sliders = makehuman.local_sliders(self.used)

    def head(self, points: np.ndarray) -> np.ndarray:
        """(V, 3) mm of points or offsets (n, 3) at the `used` vertices of the base mesh."""
        t = self.topology
        by = t.slide_by[:, None]
        start, end = points[self.number[t.vertices]], points[self.number[t.slide_to]]
        return MM * ((1 - by) * start + by * end)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One random person (n, 3), MakeHuman's units: the macro's shape, the local offsets."""
        child = rng.random() < 0.08
        age = rng.uniform(0.0, 0.4) if child else rng.uniform(0.45, 1.0)
        ancestry = rng.dirichlet([0.6, 0.6, 0.6])
        male = rng.beta(0.4, 0.4)
        muscle, weight = rng.normal(0.5, 0.18, 2).clip(0, 1)
        shape = self.points + self.macro.offsets(male, age, muscle, weight, ancestry)
        points = np.zeros_like(shape)
        shared: dict[str, float] = {}
        for name, slider in self.sliders.items():
            side = name[:2] in ("l-", "r-")
            key = name[2:] if side else name
            if key not in shared:
                spread = next(s for start, s in SPREADS.items() if key.startswith(start))
                shared[key] = rng.normal(0, spread)
            value = shared[key] + (rng.normal(0, ASYMMETRY) if side else 0)
            if slider.low is None:
                value = max(value, 0)
            points = points + slider.offsets(float(np.clip(value, -1, 1)))
        return shape, points

    def principal_components(
        self, samples: int, components: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean (V, 3) and components (K, V, 3) scaled to standard deviations, mm.

        Every person comes with the mirror image, so the mean is symmetric and every component is
        symmetric or antisymmetric. The origin is midway between the eyes of the mean.
        """
        drawn = [self.draw(rng) for _ in range(samples)]
        # Sliders with one end would pull the mean their way: the middle stays with the macro.
        local_mean = np.mean([local for _, local in drawn], axis=0)
        heads = np.stack([self.centred(shape + local - local_mean) for shape, local in drawn])
        heads = heads.astype(np.float32)
        mirrored = heads[:, self.topology.symmetry] * np.array([-1, 1, 1], np.float32)
        mean = (heads.mean(0, dtype=np.float64) + mirrored.mean(0, dtype=np.float64)) / 2
        parts = []
        for sign in (1, -1):
            half = (heads + sign * mirrored) / 2 - (mean if sign > 0 else 0)
            flat = half.reshape(samples, -1).astype(np.float32)
            values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
            order = np.argsort(values)[::-1][:components]
            scale = np.sqrt(values[order].clip(1e-9) / samples)
            basis = (vectors[:, order].T @ flat) / np.sqrt(samples)  # eigenvalue's root: 1 sd
            parts.append((scale, basis.reshape(len(order), -1, 3)))
        scale = np.concatenate([part[0] for part in parts])
        basis = np.concatenate([part[1] for part in parts])
        # The components' lengths order them; both kinds compete.
        order = np.argsort(np.linalg.norm(basis, axis=(1, 2)))[::-1][:components]
        return self.settled(mean), basis[order]

    def settled(self, mean: np.ndarray) -> np.ndarray:
        """The mean (V, 3) with its mouth closed and a little room round its eyes."""
        mouth = mean + LIPS_CLOSED * self.expressions(mean)["mouthClose"]
        mouth[self.part(5)] += TONGUE_BACK
        for group in (1, 2):
            ball = self.part(group)
            centre = middle(mouth[ball])
            mouth[ball] = centre + EYE_SIZE * (mouth[ball] - centre) - [0, 0, EYE_BACK]
        return mouth

    def part(self, group: int) -> np.ndarray:
        """Vertices of one group of quads."""
        return np.unique(self.topology.quads[self.topology.groups == group])

    def centred(self, points: np.ndarray) -> np.ndarray:
        """The head (V, 3) mm with the point midway between the eyes at the origin."""
        left, right = self.number[LEFT_EYE_JOINT], self.number[RIGHT_EYE_JOINT]
        eyes = points[left].mean(0) + points[right].mean(0)
        return self.head(points - eyes / 2)

    def expressions(self, mean: np.ndarray) -> dict[str, np.ndarray]:
        """ARKit's 52 expressions, offsets (V, 3) mm, exact mirror images left and right.

        The face units shift the eyes where they should turn: ours turn about their centres. The
        tongue starts from further back.
        """
        units = {
            name: self.head(offsets) for name, offsets in makehuman.face_units(self.used).items()
        }
        mirrored = {
            name: offsets[self.topology.symmetry] * [-1, 1, 1] for name, offsets in units.items()
        }
        result = {name: (units[name] + mirrored[other_side(name)]) / 2 for name in units}
        for side in ("Left", "Right"):
            result[f"eyeBlink{side}"] *= BLINK
        result["tongueOut"][self.part(5)] -= TONGUE_BACK
        for group, side, sign in ((1, "Left", 1), (2, "Right", -1)):
            ball = self.part(group)
            points = mean[ball]
            centre = middle(points)
            for direction, (axis, angle) in GAZE.items():
                vector = np.radians(angle) * np.array(axis) * [1, sign, 1]
                turned = Rotation.from_rotvec(vector).apply(points - centre) + centre
                result[f"eyeLook{direction}{side}"][ball] = turned - points
        return result


def seat_eyes(
    topology: Topology, mean: np.ndarray, identity: np.ndarray, lids: np.ndarray
) -> np.ndarray:
    """The basis (K, V, 3) with every eye shifted and scaled as the lids round it move.

    MakeHuman's eyes do not follow all sliders, so that random people's would pierce their lids.
    Least squares over the lids' movement along the ball's normals, held to the eye's own motion.

    Args:
        lids: (V,) bool, visible lids of both eyes.
    """
    result = identity.copy()
    for group in (1, 2):
        ball = np.unique(topology.quads[topology.groups == group])
        centre = middle(mean[ball])
        points = mean[ball] - centre
        radius = np.ptp(points, axis=0) / 2
        near = np.flatnonzero(lids & (mean[:, 0] * centre[0] > 0))
        out = mean[near] - centre
        distance = np.linalg.norm(out, axis=1)
        gap = distance * (1 - 1 / np.linalg.norm(out / radius, axis=1))
        near, out = near[np.abs(gap) < 4], out[np.abs(gap) < 4]
        normal = out / np.linalg.norm(out, axis=1, keepdims=True)
        moves = np.c_[normal, (normal * out).sum(axis=1)]  # of a shift and a growth
        wanted = np.einsum("nd,knd->nk", normal, identity[:, near])
        own_shift = identity[:, ball].mean(axis=1)
        own_growth = np.einsum("knd,nd->k", identity[:, ball], points) / (points**2).sum()
        own = np.c_[own_shift, own_growth].T
        held = len(near) * np.diag([5e-4, 5e-4, 5e-4, 2e-3 * radius.mean() ** 2])
        change = np.linalg.solve(moves.T @ moves + held, moves.T @ (wanted - moves @ own))
        shift, growth = np.split((own + change).T, [3], axis=1)
        result[:, ball] = shift[:, None] + growth[:, None] * points
    return result


def middle(points: np.ndarray) -> np.ndarray:
    """(3,) the middle of the box round points (n, 3)."""
    return (points.min(axis=0) + points.max(axis=0)) / 2


def other_side(name: str) -> str:
    """``eyeBlinkRight`` of ``eyeBlinkLeft``; names without a side stay."""
    for here, there in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(here):
            return name.removesuffix(here) + there
    return name
