"""Skins lifted from photographs: what was painted on a head is found again on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from facerelief.data import facemesh, pseudo_normals
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.camera import Perspective
from facerelief.geometry.head import builtin_head
from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.synth.skin import lifted

SIZE = 256


@dataclass(frozen=True)
class Painted:
    """A head with a known skin, photographed."""

    lifter: lifted.Lifter
    albedo: np.ndarray  # (S, S, 3) linear
    photo: np.ndarray
    points: np.ndarray  # (478, 3)


@pytest.fixture(scope="module")
def painted() -> Painted:
    head = builtin_head(1)
    marks = Anchors.on_triangles(
        head.triangles, head.facemesh_triangles, head.facemesh_barycentrics
    )
    # Any triangles over the landmarks will do.
    seen = marks.of(head.mean)[:468] * (1, -1, -1)
    fitter = pseudo_normals.HeadFitter(head, marks[:468], facemesh.triangulate(seen))
    lifter = lifted.Lifter(fitter, SIZE)
    # Skin with a redder left cheek, brown brows and red lips.
    albedo = np.tile(np.array([0.42, 0.24, 0.16]), (SIZE, SIZE, 1))
    place = lifter.map.position
    cheek = np.exp(-((place - (45, -40, 60)) ** 2).sum(axis=-1) / (2 * 18**2))
    albedo *= 1 + cheek[..., None] * np.array([0.1, -0.3, -0.3])
    brows = lifter.map.from_vertices(head.regions["brow_left"] | head.regions["brow_right"])
    albedo[brows > 0.5] = (0.06, 0.04, 0.03)
    camera = Perspective(1400.0, (250.0, 250.0))
    vertices = head.mean + np.array([0, 15, -900], np.float32)
    raster = rasterise(camera.project(vertices), head.triangles, (500, 500), perspective=True)
    corners = head.uv[head.uv_triangles[raster.triangle]]
    u, v = np.moveaxis(np.einsum("hwk,hwkc->hwc", raster.barycentrics, corners), -1, 0)
    column, row = (np.clip(t * SIZE, 0, SIZE - 1).astype(int) for t in (u, 1 - v))
    normals = normalise(raster.interpolate(vertex_normals(vertices, head.triangles)))
    light = 0.5 + 0.6 * (normals @ normalise([0.5, 0.3, 0.8])).clip(0)
    linear = np.where(raster.mask[..., None], albedo[row, column] * light[..., None], 0.6)
    photo = np.rint(255 * linear_to_srgb(linear.clip(0, 1))).astype(np.uint8)
    at = marks.of(vertices)
    points = camera.project(at)
    points[:, 2] = -(at[:, 2] + 900) * 1400 / 900
    return Painted(lifter, albedo, photo, points.astype(np.float32))


def test_a_painted_skin_comes_back(painted: Painted) -> None:
    skin = painted.lifter.lift(painted.photo, painted.points)
    assert skin is not None and skin.albedo.shape == (SIZE, SIZE, 3)
    assert skin.albedo.dtype == np.uint8
    face = painted.lifter._plain & (skin.seen > 0.8)
    assert face.sum() > 2000
    found = np.log(srgb_to_linear(skin.albedo[face] / 255.0))
    truth = np.log(painted.albedo[face])
    gap = found - truth
    # Exposure, and the hue of the light, no photograph tells; differences it does.
    gap -= np.median(gap, axis=0)
    assert np.abs(gap).mean() < 0.06
    # The shading is gone: the lit side is not lighter than the other.
    right, left = (gap[side].mean() for side in _sides(painted, face))
    assert abs(left - right) < 0.05


def _sides(painted: Painted, face: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = painted.lifter.map.position[..., 0][face]
    return x < -10, x > 10


def test_what_is_not_seen_is_skin_all_the_same(painted: Painted) -> None:
    skin = painted.lifter.lift(painted.photo, painted.points)
    assert skin is not None
    neck = painted.lifter.map.from_vertices(painted.lifter.fitter.head.regions["neck"]) > 0.5
    colour = np.median(skin.albedo[neck & painted.lifter.map.mask], axis=0)
    plain = np.median(skin.albedo[painted.lifter._plain], axis=0)
    assert np.abs(colour - plain).max() < 25
    assert skin.seen[neck & painted.lifter.map.mask].max() < 0.1


def test_a_hidden_half_comes_from_the_other(painted: Painted) -> None:
    lifter = painted.lifter
    weight = (lifter.map.position[..., 0] < 0).astype(np.float32) * lifter.map.mask
    albedo = np.log(painted.albedo).astype(np.float32)
    whole, seen = lifter._complete(albedo, weight)
    left = lifter._plain & (lifter.map.position[..., 0] > 5)
    assert seen[left].min() > 0.9
    assert np.abs(whole - albedo[:, ::-1])[left].mean() < 0.02


def test_bad_photographs_are_left_out(painted: Painted) -> None:
    lift = painted.lifter.lift
    mouth = painted.points.copy()
    mouth[14, 1] += 30
    assert lift(painted.photo, mouth) is None
    glasses = painted.photo.copy()
    top, bottom = painted.points[[168, 5], 1].astype(int)
    glasses[top:bottom, 150:350] = (10, 10, 30)
    assert lift(glasses, painted.points) is None
    hair = painted.photo.copy()
    hair[: int(painted.points[105, 1]) - 8] = (30, 22, 20)
    assert lift(hair, painted.points) is None
    mirrored = painted.points * np.array([-1, 1, 1], np.float32) + (500, 0, 0)
    assert lift(painted.photo, mirrored.astype(np.float32)) is None


def test_a_cast_is_taken_off_and_brightness_kept() -> None:
    typical = np.log(np.array([0.42, 0.24, 0.16]))
    cast = np.array([0.3, -0.1, -0.2])
    plain, tinted = typical + lifted._cast(typical), typical + cast + lifted._cast(typical + cast)
    assert np.abs(plain - tinted).max() < 0.12
    assert abs(lifted._cast(typical + cast).mean()) < 1e-6


def test_open_studio_photographs_only(data_root: Path, tmp_path: Path) -> None:
    paths = lifted.open_portraits(data_root)
    assert len(paths) > 200 and all(path.startswith("webmorph/") for path in paths)
    credit = lifted.attribution(data_root)
    assert all("CC" in name for name in credit) and sum(credit.values()) == 714
    assert lifted.open_portraits(tmp_path) == {}
    assert lifted.lifted_skins(tmp_path, tmp_path, builtin_head()).shape == (0, 512, 512, 3)
