"""Pictures of scans in fixed poses under fixed lights, with their true normals.

Skin is matt: vertex colours, taken from sRGB to linear light, times the light that reaches the
vertex, lamps and sky with cast shadows (`geometry.shadows`); exposed, encoded and drawn through a
perspective camera 1 m away whose picture is the landmark crop. Behind is black. Every number that
is drawn comes from a fixed seed and is the same for every scan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial.transform import Rotation

from facerelief.cache import cached, digest
from facerelief.data import basel
from facerelief.data.basel import Scan
from facerelief.geometry import camera, light, mesh, raster, shadows
from facerelief.geometry.camera import Perspective
from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import Raster, rasterise
from facerelief.geometry.shadows import light_reaching
from facerelief.types import Crop

SIZE = 256  # pixels
DISTANCE = 1000.0  # mm, camera to the head's origin
SEED = 20240
YAWS = (-60, -30, 0, 30, 60)  # degrees; positive turns the face to the subject's left
RANDOM_POSES = 24  # of the papers' test, for each scan
LARGEST_ANGLE = 45.0  # degrees, of those
BORDER = 2  # pixels at the edge of the face that do not count

# Names of the groups that results are divided into: (angle off the camera axis, how many lights).
_LAMPS = {"frontal": (8.0, 1), "30°": (30.0, 2), "60°": (60.0, 2)}
_ENVIRONMENTS = 2
_FILL = 0.15  # radiance from everywhere, of a lamp of irradiance pi
_OVERSAMPLING = 2  # picture pixels are means of so many squared
_WHITE = 0.7  # linear value of the skin's brightest twentieth after exposure


@dataclass(frozen=True, eq=False)
class Light:
    """A lamp, a coloured sky, or both, in camera space."""

    group: str
    #: Irradiance over pi, linear RGB, of the lamp on a surface that faces it, and where it is.
    lamp: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    direction: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    fill: NDArray[np.float64] = field(default_factory=lambda: np.full(3, _FILL))  # RGB radiance
    #: Broad spots of the sky: direction, RGB radiance at their middle.
    spots: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...] = ()

    def radiance(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, 3) linear RGB that the sky sends from `directions` (K, 3), camera space."""
        total = np.broadcast_to(self.fill, directions.shape).copy()
        for middle, colour in self.spots:
            total += np.exp(4 * (directions @ middle - 1))[:, None] * colour
        return total


@dataclass(frozen=True, eq=False)
class Pose:
    """How a head is turned, and the lights that it is shown under."""

    protocol: str  # yaw or random
    group: str  # by which results are divided
    rotation: NDArray[np.float64]  # (3, 3), head space to camera space
    lights: tuple[Light, ...]


@dataclass(frozen=True, eq=False)
class Shown:
    """One scan in one pose, under each of its lights."""

    scan: str
    pose: Pose
    names: tuple[str, ...]  # of the pictures
    photos: NDArray[np.uint8]  # (L, 256, 256, 3)
    normals: NDArray[np.float32]  # (256, 256, 3) camera space, unit; zero off the face
    mask: NDArray[np.bool_]  # (256, 256), the face without its border


def poses() -> list[Pose]:
    """The protocol: five yaws under seven lights each, and random turns under one each.

    The latter follow Abrevaya et al., "Cross-modal Deep Face Normals with Deactivable Skip
    Connections" (CVPR 2020), who render the Florence scans turned about random axes by angles up
    to 45 degrees; they say nothing of their light, which is here half a lamp and half sky.
    """
    rng = np.random.default_rng(SEED)
    turns = [Rotation.from_euler("y", yaw, degrees=True).as_matrix() for yaw in YAWS]
    listed = [
        Pose("yaw", f"{yaw:+d}°" if yaw else "0°", turn, tuple(_lights(turn, rng)))
        for yaw, turn in zip(YAWS, turns, strict=True)
    ]
    for _ in range(RANDOM_POSES):
        axis, angle = normalise(rng.normal(size=3)), rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE)
        turn = Rotation.from_rotvec(np.radians(angle) * axis).as_matrix()
        band = "up to 22.5°" if abs(angle) < LARGEST_ANGLE / 2 else "up to 45°"
        lamp = _aside(rng.uniform(0, 45), turn, rng)
        mixed = Light(
            "mixed", _colour(rng, 0.5), lamp, _colour(rng, 0.15), (_spot(turn, rng, 0.6),)
        )
        listed.append(Pose("random", band, turn, (mixed,)))
    return listed


def show(scan: Scan, poses: Iterable[Pose]) -> Iterator[Shown]:
    """A scan in every one of `poses`."""
    normals = vertex_normals(scan.vertices, scan.triangles)
    albedo = srgb_to_linear(scan.colours / 255)
    sky = _even_directions(40)
    reaching = light_reaching(scan.vertices, scan.triangles, sky, pixel=2, lift=3)
    cosines = np.maximum(sky @ normals.T, 0)
    # Divided by what open sky would send, so that few directions give white exactly 1.
    weights = reaching * cosines / np.maximum(cosines.sum(axis=0), 1e-9)

    count: dict[str, int] = {}
    for pose in poses:
        points = scan.vertices @ pose.rotation.T - (0, 0, DISTANCE)
        lens = _lens(scan.landmarks @ pose.rotation.T - (0, 0, DISTANCE))
        drawn = rasterise(
            lens.project(points), scan.triangles, (_OVERSAMPLING * SIZE,) * 2, perspective=True
        )
        truth, mask = _truth(drawn, normals @ pose.rotation.T, scan.face)
        lamps = np.stack([one.direction @ pose.rotation for one in pose.lights])  # head space
        direct = light_reaching(scan.vertices, scan.triangles, lamps)
        direct = direct * np.maximum(lamps @ normals.T, 0)
        photos = []
        for one, lit in zip(pose.lights, direct, strict=True):
            irradiance = lit[:, None] * one.lamp + weights.T @ one.radiance(sky @ pose.rotation.T)
            photos.append(_develop(drawn.interpolate(albedo * irradiance), mask))
        first = count.get(pose.protocol, 0)
        count[pose.protocol] = first + len(photos)
        names = [f"{scan.name}_{pose.protocol}{first + i:03d}" for i in range(len(photos))]
        yield Shown(scan.name, pose, tuple(names), np.stack(photos), truth, mask)


def load(root: Path, name: str, cache: Path | None = None) -> list[Shown]:
    """A scan in every pose of the protocol, kept in `cache` under a digest of scan and code.

    Raises FileNotFoundError where the scan is missing.
    """
    scan, listed = basel.load_scan(root, name), poses()
    if cache is None:
        return list(show(scan, listed))

    def drawn() -> dict[str, NDArray[Any]]:
        contents: dict[str, NDArray[Any]] = {}
        for i, one in enumerate(show(scan, listed)):
            contents |= {f"names{i}": np.array(one.names), f"photos{i}": one.photos}
            contents |= {f"normals{i}": one.normals.astype(np.float16), f"mask{i}": one.mask}
        return contents

    code = (sys.modules[__name__], basel, camera, light, mesh, raster, shadows)
    key = digest(scan.vertices, scan.triangles, scan.colours, *code)
    stored = cached(cache, f"{name}_{key}", drawn)
    return [
        Shown(
            name, pose, tuple(stored[f"names{i}"].tolist()), stored[f"photos{i}"],
            normalise(stored[f"normals{i}"].astype(np.float32)), stored[f"mask{i}"],
        )
        for i, pose in enumerate(listed)
    ]  # fmt: skip


def in_picture(
    points: NDArray[np.float64], scan: Scan, rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points (N, 3) of a scan in head space: pixel x, y (down) and z (nearer larger) of `show`."""
    depth = np.array([0, 0, DISTANCE])
    lens = _lens(scan.landmarks @ rotation.T - depth)
    seen = lens.project(points @ rotation.T - depth) + depth
    return np.asarray(seen * (1, 1, lens.focal / DISTANCE) / _OVERSAMPLING)


def _lights(turn: NDArray[np.float64], rng: np.random.Generator) -> Iterator[Light]:
    for group, (angle, number) in _LAMPS.items():
        for _ in range(number):
            yield Light(group, _colour(rng, 1.0), _aside(angle, turn, rng))
    for _ in range(_ENVIRONMENTS):
        spots = tuple(_spot(turn, rng, strength) for strength in (2.0, 1.0, 0.5))
        yield Light("environment", fill=_colour(rng, 0.2), spots=spots)


def _aside(
    angle: float, turn: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A direction `angle` degrees off the camera axis, at most 75 off the face's own.

    Where none is so near to the face, the azimuth is turned to its side.
    """
    for _ in range(1000):
        azimuth = rng.uniform(0, 2 * np.pi)
        sine = np.sin(np.radians(angle))
        found = np.array(
            [sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(np.radians(angle))]
        )
        if found @ turn[:, 2] > np.cos(np.radians(75)):
            break
    return found


def _spot(
    turn: NDArray[np.float64], rng: np.random.Generator, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A broad light of the sky, mostly from before the face and above."""
    middle = rng.normal(size=3) + 0.8 * turn[:, 2] + (0, 0.5, 0)
    return middle / np.linalg.norm(middle), _colour(rng, strength)


def _colour(rng: np.random.Generator, strength: float) -> NDArray[np.float64]:
    """Linear RGB of mean `strength`, from bluish to reddish."""
    warmth = rng.uniform(-0.2, 0.1)
    return strength * np.array([1 + warmth, 1.0, 1 - warmth])


def _even_directions(count: int) -> NDArray[np.float64]:
    """(count, 3) unit vectors, evenly over the sphere: a Fibonacci lattice."""
    index = np.arange(count) + 0.5
    height, turn = 1 - 2 * index / count, np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=-1)


def _lens(landmarks: NDArray[np.float64]) -> Perspective:
    """The camera whose (oversampled) picture is the landmark crop."""
    ideal = Perspective(1.0, (0.0, 0.0)).project(landmarks)[:, :2]
    crop = Crop.from_landmarks(ideal, _OVERSAMPLING * SIZE)
    x, y = crop.to_crop((0.0, 0.0))
    return Perspective(1 / crop.scale, (float(x), float(y)))


def _truth(
    drawn: Raster, normals: NDArray[np.float64], face: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals and mask at the picture's own pixels, from the oversampled raster."""
    n = _OVERSAMPLING
    on_face = drawn.mask & face[drawn.triangles].all(axis=1)[drawn.triangle]
    fine = np.where(on_face[..., None], normalise(drawn.interpolate(normals)), 0)
    mask = on_face.reshape(SIZE, n, SIZE, n).all(axis=(1, 3))
    mask = binary_erosion(mask, np.ones((3, 3)), iterations=BORDER)
    mean = normalise(fine.reshape(SIZE, n, SIZE, n, 3).mean(axis=(1, 3)))
    return np.where(mask[..., None], mean, 0).astype(np.float32), mask


def _develop(radiance: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Exposed for the face, encoded; bytes at the picture's own pixels."""
    n = _OVERSAMPLING
    picture = radiance.reshape(SIZE, n, SIZE, n, 3).mean(axis=(1, 3))
    exposure = _WHITE / np.quantile(picture[mask].mean(axis=-1), 0.95)
    encoded = linear_to_srgb(np.clip(exposure * picture, 0, 1))
    return np.round(255 * encoded).astype(np.uint8)
