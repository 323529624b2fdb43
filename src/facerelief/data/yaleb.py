"""Extended Yale Database B (cropped): people under 64 calibrated lights, and their normals.

Georghiades et al. 2001, Lee et al. 2005. Research use only: weights that saw it are research tier.
One file ``yaleBxx/yaleBxx_P00A{azimuth}E{elevation}.png`` a photograph, 168 x 192 grey, linear.
"""

import json
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from facerelief.cache import cached, digest
from facerelief.geometry import integrate, photometric_stereo
from facerelief.geometry.light import direction
from facerelief.geometry.photometric_stereo import near_light_photometric_stereo

HEIGHT, WIDTH = 192, 168
PIXEL_SIZE = 0.863  # mm
LIGHT_DISTANCE = 2000.0  # mm: the residual of photometric stereo is lowest near it
SUBSET_LIMITS = (12.0, 25.0, 50.0, 77.0)  # degrees off the camera axis: upper ends of S1 to S4
PADDED = 200  # side of the black square that a photograph is centred on before it is resized

# Photographs that are almost black where the light should reach: failed flashes.
_FAILED = {(f"yaleB{number}", 95, 0) for number in (35, 36, 37, 39)}
_LIGHT = re.compile(r"_P00A([+-]\d+)E([+-]\d+)\.png$")


@dataclass(frozen=True)
class Person:
    """All photographs of one person."""

    name: str
    images: np.ndarray  # (K, 192, 168) uint8, linear
    azimuth: np.ndarray  # (K,) degrees, as in the file names: positive lights the picture's left
    elevation: np.ndarray  # (K,) degrees

    @cached_property
    def directions(self) -> np.ndarray:
        """(K, 3) unit vectors towards the lights, camera space."""
        return direction(self.azimuth, self.elevation)

    @cached_property
    def subsets(self) -> np.ndarray:
        """(K,) int, 1 to 5: the database's subset by the light's angle off the camera axis."""
        off_axis = np.degrees(np.arccos(np.clip(self.directions[:, 2], -1, 1)))
        # File names round the angles; half a degree keeps a light in the subset it is known for.
        return np.searchsorted(np.asarray(SUBSET_LIMITS) + 0.5, off_axis) + 1


@dataclass(frozen=True)
class GroundTruth:
    """Measured surface of one person."""

    normals: np.ndarray  # (192, 168, 3) float32, unit, camera space
    albedo: np.ndarray  # (192, 168) float32
    mask: np.ndarray  # (192, 168) bool: pixels whose normal can be trusted


def load_splits(root: Path) -> dict[str, list[str]]:
    """Names of the people: ``train`` (21), ``val`` (3), ``test`` (6)."""
    return json.loads((Path(root) / "yaleb" / "splits.json").read_text())


def load_person(root: Path, name: str) -> Person:
    """Every usable photograph of a person, in the order of the file names.

    Raises:
        FileNotFoundError: there is no such person under ``root/yaleb``.
    """
    folder = Path(root) / "yaleb" / name
    images, lights = [], []
    for path in sorted(folder.glob("*_P00A*E*.png")):
        match = _LIGHT.search(path.name)
        if not match:
            continue
        azimuth, elevation = int(match[1]), int(match[2])
        if (name, azimuth, elevation) in _FAILED:
            continue
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("L")))
        lights.append((azimuth, elevation))
    if not images:
        raise FileNotFoundError(f"no photographs of {name} in {folder}")
    angles = np.asarray(lights, np.float64)
    return Person(name, np.stack(images), angles[:, 0], angles[:, 1])


def measure(person: Person) -> GroundTruth:
    """Normals by near-light photometric stereo over S1 to S4.

    Values of 12 and below are shadow, of 250 and above saturated; both are left out.
    """
    used = person.subsets <= 4
    images = person.images[used]
    result = near_light_photometric_stereo(
        images,
        person.directions[used],
        valid=(images > 12) & (images < 250),
        light_distance=LIGHT_DISTANCE,
        pixel_size=PIXEL_SIZE,
    )
    return GroundTruth(result.normals, result.albedo, result.mask())


def load_ground_truth(person: Person, cache: Path | None = None) -> GroundTruth:
    """`measure`, kept in ``cache`` under a name that changes with the photographs."""
    if cache is None:
        return measure(person)
    code = (sys.modules[__name__], integrate, photometric_stereo)
    key = f"{person.name}_{digest(person.images, *code)}"
    return GroundTruth(**cached(Path(cache), key, lambda: vars(measure(person))))


def pad(array: np.ndarray) -> np.ndarray:
    """(..., 192, 168) to (..., 200, 200), centred on zeros: the design's crop, nearly."""
    top, left = (PADDED - HEIGHT) // 2, (PADDED - WIDTH) // 2
    padding = [(0, 0)] * (array.ndim - 2) + [(top, top), (left, left)]
    return np.pad(array, padding)


def crop_image(image: np.ndarray, size: int = 256) -> np.ndarray:
    """(192, 168) uint8 photograph to the (size, size, 3) uint8 crop that a network takes."""
    resized = Image.fromarray(pad(image)).resize((size, size), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(resized)[..., None], 3, -1)


def crop_truth(truth: GroundTruth, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Normals (size, size, 3) and mask (size, size) of the crop.

    Only trusted normals are interpolated; a pixel is trusted when half its support is.
    """
    weight = _resize(pad(truth.mask.astype(np.float32)), size)
    channels = [
        _resize(pad(np.where(truth.mask, truth.normals[..., i], 0).astype(np.float32)), size)
        for i in range(3)
    ]
    normals = np.stack(channels, -1)
    length = np.linalg.norm(normals, axis=-1)
    mask = (weight > 0.5) & (length > 1e-3)
    normals = np.where(mask[..., None], normals / np.maximum(length, 1e-6)[..., None], 0)
    return normals.astype(np.float32), mask


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    resized = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized)
