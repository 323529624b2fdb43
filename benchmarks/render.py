"""Are rendered truths true, how many heads are rendered a second, and does memory stay flat?

    FACERELIEF_DATA=... python benchmarks/render.py [--only PARTS] [--heads N] [--seconds S]
        [--samples N]

PARTS are some of truth, speed and memory; the last figures of the others are kept.

Truth: every pixel's ray is cast into the same mesh by Embree (through trimesh), which shares no
code with the rasteriser. Normals are compared a pixel away from outlines and from borders between
parts; a landmark is compared with the ray, a tenth of a pixel apart, that meets the surface nearest
to its vertex.
Speed and memory: `facerelief synth`'s own worker processes, everything on, 256 x 256.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Generator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from rich.progress import track
from scipy.ndimage import binary_erosion
from tables import read, write

from facerelief.cli.common import cores
from facerelief.geometry.mesh import vertex_normals
from facerelief.render.renderer import render
from facerelief.render.scene import FACE_KINDS, Scene
from facerelief.samples.rendering import Rendering
from facerelief.synth.assets import Assets
from facerelief.synth.draw import Heads, SynthOptions
from facerelief.synth.produce import produce, random_heads

PARTS = ("truth", "speed", "memory")


def main() -> None:
    """Measure and write results/render.json and its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--heads", type=int, default=40, help="whose truth is checked")
    parser.add_argument("--seconds", type=float, default=60, help="that speed is measured for")
    parser.add_argument("--samples", type=int, default=10_000, help="to watch the memory over")
    options = parser.parse_args()
    assets = Assets.find()
    result: dict[str, Any] = read("render") or {}
    if "truth" in options.only or "truth" not in result:
        result["truth"] = truth(assets, options.heads)
    if "speed" in options.only or "speed" not in result:
        result["speed"] = speed(assets, options.seconds)
    if "memory" in options.only:
        result["memory"] = memory(assets, options.samples)
    write("render", result)


def truth(assets: Assets, count: int) -> dict[str, Any]:
    """Share of pixels within half a degree of the cast normals, and landmarks' distances."""
    heads = Heads(assets, SynthOptions(displacement=False, lifted=False, occluders=False), seed=1)
    within: list[NDArray[np.bool_]] = []
    distances: list[NDArray[np.floating]] = []
    for index in track(range(count), "casting rays"):
        scene = heads.scene(index)
        made = render(scene)
        normals, mesh, interior = cast(scene)
        compared = interior & made.mask
        off = np.degrees(np.arccos((normals * made.normals_smooth).sum(-1).clip(-1, 1)))
        within.append((off < 0.5)[compared])
        distances.append(landmark_distances(scene, made, mesh))
    landmarks = np.concatenate(distances)
    return {
        "heads": count,
        "pixels": int(sum(map(len, within))),
        "within_half_a_degree": float(np.concatenate(within).mean()),
        "landmarks": len(landmarks),
        "landmark_mean_pixels": float(landmarks.mean()),
        "landmark_99th_pixels": float(np.quantile(landmarks, 0.99)),
        "landmarks_within_a_quarter": float((landmarks < 0.25).mean()),
    }


def cast(scene: Scene) -> tuple[NDArray[np.float64], trimesh.Trimesh, NDArray[np.bool_]]:
    """Normals (H, W, 3) in camera space that rays through the pixels meet, the mesh that they meet,
    and where they meet one part with all of their neighbours."""
    parts = [part for part in scene.parts if part.kind in FACE_KINDS]
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    moved = [p.vertices @ scene.rotation.T.astype(float) + scene.translation for p in parts]
    vertices = np.concatenate(moved)
    triangles = np.concatenate([p.triangles + s for p, s in zip(parts, starts, strict=False)])
    kinds = np.repeat(np.arange(len(parts)), [len(part.triangles) for part in parts])
    normals = np.concatenate(
        [vertex_normals(v, p.triangles) for v, p in zip(moved, parts, strict=True)]
    )
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    steps = np.arange(scene.size) + 0.5
    pixels = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    points, rays, hit = rays_through(pixels, scene, mesh)
    shares = trimesh.triangles.points_to_barycentric(vertices[triangles[hit]], points)
    met = np.einsum("pc,pck->pk", shares, normals[triangles[hit]])
    met /= np.linalg.norm(met, axis=1, keepdims=True)
    shape = (scene.size, scene.size)
    full = np.zeros((scene.size**2, 4))
    full[rays] = np.column_stack([met, kinds[hit] + 1.0])
    part = full[:, 3].reshape(shape)
    interior = np.zeros(shape, bool)
    for kind in range(1, len(parts) + 1):
        interior |= binary_erosion(part == kind)
    return full[:, :3].reshape(*shape, 3), mesh, interior


def rays_through(
    pixels: NDArray[np.float64], scene: Scene, mesh: trimesh.Trimesh
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Points (P, 3) that rays through `pixels` (N, 2) meet first, and which ray and triangle."""
    towards = scene.camera.unproject(np.column_stack([pixels, np.full(len(pixels), -1.0)]))
    points, rays, hit = mesh.ray.intersects_location(
        np.zeros_like(towards), towards, multiple_hits=False
    )
    return points, rays, hit


def landmark_distances(scene: Scene, made: Rendering, mesh: trimesh.Trimesh) -> NDArray[np.float64]:
    """(L,) pixels from a seen landmark to the nearest of the rays about it that hits its vertex.

    A landmark whose vertex no ray comes nearer than a millimetre is behind something.
    """
    camera = scene.landmarks @ scene.rotation.T.astype(float) + scene.translation
    steps = np.linspace(-1, 1, 21)  # pixels
    offsets = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    found = []
    for landmark, pixel in zip(
        camera[made.landmarks_visible], made.landmarks[made.landmarks_visible], strict=True
    ):
        points, rays, _ = rays_through(pixel + offsets, scene, mesh)
        if len(points) == 0:
            continue
        distance = np.linalg.norm(points - landmark, axis=1)
        if distance.min() < 1:
            # Of rays that come equally near, the one that the picture says.
            close = distance < distance.min() + 0.02
            found.append(np.linalg.norm(offsets[rays[close]], axis=1).min())
    return np.array(found)


def speed(assets: Assets, seconds: float) -> dict[str, Any]:
    """Heads a second of the worker processes, drawn alone and with all of their files."""
    make = partial(random_heads, assets, SynthOptions(), 2, "torch", 1)
    return {
        "cores": cores(),
        "rendered_a_second": _rate(produce(make, range(1_000_000), cores(), ()), seconds),
        "written_a_second": _rate(produce(make, range(1_000_000), cores()), seconds),
    }


def _rate(samples: Generator[Any, None, None], seconds: float) -> float:
    """How many come a second once the processes have started, and have read what they use."""
    with closing(samples):
        for _ in range(25 * cores()):
            next(samples)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            next(samples)
            count += 1
        return count / (time.perf_counter() - began)


def memory(assets: Assets, count: int) -> dict[str, Any]:
    """Resident MB of one process after each tenth of `count` samples."""
    draw = random_heads(assets, SynthOptions(), 2, "torch", 1)
    resident = []
    for index in track(range(count), "watching memory"):
        draw(index)
        if (index + 1) % (count // 10) == 0:
            resident.append(_resident())
    return {"samples": count, "megabytes": resident}


def _resident() -> float:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
