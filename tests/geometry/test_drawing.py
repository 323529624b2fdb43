"""Matt meshes in pictures: a sphere whose every colour is known."""

import numpy as np
import pytest

from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.drawing import draw, sample_texture
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.head import builtin_head
from facerelief.geometry.light import directional_to_sh, shade_sh
from facerelief.geometry.skin_mesh import skin_mesh
from spheres import icosphere

SIZE = (48, 64)


def test_a_sphere_is_albedo_times_the_light_of_its_normals() -> None:
    vertices, triangles = icosphere(4)
    light = np.outer(directional_to_sh([0.6, 0, 0.8]), [1, 0.5, 0.25])
    albedo = np.tile([0.8, 0.4, 0.2], (len(vertices), 1))
    drawn = draw(vertices, triangles, WeakPerspective(20, (32, 24)), SIZE, light, albedo=albedo)
    y, x = np.mgrid[:48, :64] + 0.5
    x, y = (x - 32) / 20, (24 - y) / 20
    inside = x**2 + y**2 < 0.9
    normals = np.stack([x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], -1)
    assert np.abs(drawn.normals - normals)[inside].max() < 0.03
    expected = shade_sh(normals, light) * [0.8, 0.4, 0.2]
    assert np.abs(drawn.image - expected)[inside].max() < 0.03
    assert not drawn.image[~drawn.mask].any() and not drawn.normals[~drawn.mask].any()
    assert drawn.mask.sum() == pytest.approx(np.pi * 400, rel=0.02)


def test_a_texture_is_looked_up_where_the_surface_is() -> None:
    square = np.array([[-1, -1, -4], [1, -1, -4], [1, 1, -4], [-1, 1, -2.0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    uv = (square[:, :2][triangles] + 1) / 2
    ramp = np.stack(np.meshgrid((np.arange(32) + 0.5) / 32, (np.arange(32) + 0.5) / 32), -1)
    texture = np.concatenate([ramp, np.ones((32, 32, 1))], -1)  # u, 1 - v
    camera = Perspective(60, (32, 24))
    ambient = np.zeros((9, 3))
    ambient[0] = np.sqrt(4 * np.pi)  # shades everything 1
    drawn = draw(square, triangles, camera, SIZE, ambient, texture=texture, uv=uv)
    place = drawn.raster.interpolate(square)
    seen = drawn.mask & (np.abs(place[..., :2]) < 0.95).all(-1)
    assert seen.sum() > 300
    np.testing.assert_allclose(drawn.image[seen][:, 0], (place[seen][:, 0] + 1) / 2, atol=1e-9)
    np.testing.assert_allclose(drawn.image[seen][:, 1], (1 - place[seen][:, 1]) / 2, atol=1e-9)


def test_textures_go_on_at_their_edge() -> None:
    texture = np.arange(6.0).reshape(2, 3, 1)
    places = [[0, 1], [1, 1], [0, 0], [1, 0], [0.5, 0.5], [-3, 9]]
    found = sample_texture(texture, places)[:, 0]
    np.testing.assert_allclose(found, [0, 2, 3, 5, 2.5, 0])
    assert sample_texture(texture[:1, :1], [[0.3, 0.9]]) == [[0.0]]


def test_colours_are_said_once() -> None:
    vertices, triangles = icosphere(0)
    for wrong in ({}, {"albedo": vertices, "texture": 1}, {"texture": np.ones((2, 2, 3))}):
        with pytest.raises(ValueError, match="albedo, or a texture"):
            draw(vertices, triangles, WeakPerspective(), SIZE, np.zeros((9, 3)), **wrong)


def test_the_coarse_head_lies_on_the_smooth_one() -> None:
    coarse, fine = drawn_head(), drawn_head(fine=True)
    head = builtin_head(1, bases=False)
    assert coarse.triangles.max() < coarse.count < fine.count == len(head.mean)
    camera = WeakPerspective(0.5, (64, 64))
    light = np.zeros((9, 3))
    drawings = [
        draw(head.mean[: one.count], one.triangles, camera, (128, 128), light,
             albedo=np.ones((one.count, 3)))
        for one in (coarse, fine)
    ]  # fmt: skip
    both = drawings[0].mask & drawings[1].mask
    assert (drawings[0].mask ^ drawings[1].mask).mean() < 0.01
    gap = np.abs(drawings[0].raster.depth - drawings[1].raster.depth)[both]
    assert np.median(gap) < 0.15  # mm
    skins = [drawing.shows(one.skin) for drawing, one in zip(drawings, (coarse, fine), strict=True)]
    assert skins[0].sum() == pytest.approx(skins[1].sum(), rel=0.03)
    mirrored = head.mean[coarse.symmetry] * (-1, 1, 1)
    assert np.abs(mirrored - head.mean[: coarse.count]).max() < 1e-3


def test_skin_is_the_face_between_its_openings() -> None:
    fine, mesh = drawn_head(fine=True), skin_mesh()
    chosen = np.unique(fine.triangles[fine.skin])
    assert set(chosen) <= set(mesh.source[mesh.outer])
    assert len(chosen) > 0.9 * len(np.unique(mesh.source[mesh.outer]))
    eyes = builtin_head(1, bases=False).regions["eye_left"]
    assert not eyes[fine.triangles[fine.skin]].any()
    alone = drawn_head(fine=True, skin_only=True)
    assert alone.skin.sum() == fine.skin.sum() and len(alone.triangles) == len(alone.uv) == 34560
