"""The path tracer against what is known of spheres, and against the quick renderer."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from facerelief.geometry.camera import Perspective
from facerelief.geometry.environment import map_directions
from facerelief.geometry.head import builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.render.fine_mesh import bilinear, fine_mesh
from facerelief.render.renderer import render as render_quickly
from facerelief.render.scene import Film, Lamp, Lighting, Material, Part, Scene
from facerelief.samples.rendering import Rendering
from facerelief.synth.setting.camera import rotation_matrix

pytest.importorskip("mitsuba", reason="needs the extra synth")
trimesh = pytest.importorskip("trimesh")

from facerelief.render import mitsuba  # noqa: E402

DARK = np.zeros((16, 32, 3), np.float32)


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


def sphere_part(displacement: np.ndarray | None = None, subdivisions: int = 4) -> Part:
    """A ball of 80 mm; v is 0 at its lowest point and u a turn about the axis y."""
    ball = trimesh.creation.icosphere(subdivisions, 80)
    corners = ball.vertices[ball.faces].reshape(-1, 3) / 80
    u, v = np.arctan2(corners[:, 0], corners[:, 2]) / (2 * np.pi) + 0.5, corners[:, 1] / 2 + 0.5
    u = u.reshape(-1, 3)
    u += (u < u.max(1, keepdims=True) - 0.5) * 1.0  # triangles across the seam
    texture = np.full((64, 64, 4), 255, np.uint8)
    return Part(
        "skin",
        np.array(ball.vertices, np.float32),
        np.array(ball.faces, np.int32),
        np.stack([u.ravel(), v], 1).astype(np.float32),
        np.arange(len(corners), dtype=np.int32).reshape(-1, 3),
        Material(texture, displacement),
    )


def scene(*parts: Part, size: int = 48, lighting: Lighting, **changes) -> Scene:
    """Off the picture's middle, so that no axis can be mistaken for another."""
    made = Scene(
        seed=5,
        size=size,
        parts=parts,
        rotation=np.eye(3, dtype=np.float32),
        translation=np.array([30, -10, -700], np.float32),
        camera=Perspective(size * 3.5, (size * 0.4, size * 0.45)),
        lighting=lighting,
        background=np.full((size, size, 3), 128, np.uint8),
        film=Film(),
        landmarks=np.array([[0, 0, 80], [0, 0, -80]] * 34, np.float32),
    )
    return replace(made, **changes)


def head_scene(size: int) -> Scene:
    """A head with relief and a two-coloured skin, turned, under a sky, a window and a lamp."""
    head, rng = builtin_head(), np.random.default_rng(0)
    vertices = head.vertices(rng.normal(0, 0.7, 10))
    skin = head.regions["skin"][head.triangles].all(1)
    assert head.uv is not None and head.uv_triangles is not None
    texture = np.full((256, 256, 4), (200, 150, 125, 255), np.uint8)
    texture[:128, :, 1] = 170
    # Coarser than a pixel, which the quick renderer averages over.
    relief = gaussian_filter(rng.normal(size=(512, 512)), 11)
    relief = (relief / relief.std() * 0.15).astype(np.float32)
    material = Material(texture, relief)
    part = Part("skin", vertices, head.triangles[skin], head.uv, head.uv_triangles[skin], material)
    sky = np.full((32, 64, 3), 0.25, np.float32)
    sky[:12] += (0.3, 0.4, 0.6)
    sky[10:18, 40:50] += (6, 5, 4)
    towards = np.array([-0.6, 0.5, 0.62]) / np.linalg.norm([-0.6, 0.5, 0.62])
    lamp = Lamp(towards.astype(np.float32), np.array([2.2, 2, 1.8], np.float32), 3)
    landmarks = vertices[np.flatnonzero(head.regions["skin"])[:: len(vertices) // 70][:68]]
    return Scene(
        seed=3,
        size=size,
        parts=(part,),
        rotation=rotation_matrix(25, -5, 8).astype(np.float32),
        translation=np.array([12, -20, -900], np.float32),
        camera=Perspective(size * 3.9, (size * 0.52, size * 0.45)),
        lighting=Lighting(sky, (lamp,)),
        background=np.full((size, size, 3), 90, np.uint8),
        film=Film(exposure=0.6),
        landmarks=landmarks.astype(np.float32),
    )


@pytest.fixture(scope="module")
def both() -> tuple[Rendering, Rendering]:
    """A head by the quick renderer and by Mitsuba."""
    drawn = head_scene(96)
    return render_quickly(drawn), mitsuba.render(drawn, 16)


def inside(both: tuple[Rendering, Rendering]) -> np.ndarray:
    return binary_erosion(both[0].mask & both[1].mask, iterations=2)


def test_both_renderers_see_the_same_pixels(both: tuple[Rendering, Rendering]) -> None:
    quick, careful = both
    assert quick.mask.mean() > 0.3
    assert (quick.mask != careful.mask).mean() < 0.01
    assert not careful.occluder.any()
    # The relief moves outlines a little, and a landmark on one of them may be seen by one alone.
    assert (quick.landmarks_visible != careful.landmarks_visible).sum() <= 2
    np.testing.assert_allclose(quick.landmarks, careful.landmarks, atol=1e-3)


def test_both_renderers_give_the_same_normals(both: tuple[Rendering, Rendering]) -> None:
    quick, careful = both
    seen = inside(both)
    relief = angle(quick.normals, quick.normals_smooth)[seen]
    smooth = angle(quick.normals_smooth, careful.normals_smooth)[seen]
    detail = angle(quick.normals, careful.normals)[seen]
    assert np.median(smooth) < 0.2 and smooth.mean() < 1
    assert np.median(detail) < 0.5 and detail.mean() < 1
    assert detail.mean() < 0.6 * relief.mean()  # the relief itself is the same


def test_both_renderers_give_the_same_depth_and_albedo(both: tuple[Rendering, Rendering]) -> None:
    quick, careful = both
    seen = inside(both)
    assert np.median(np.abs(quick.depth - careful.depth)[seen]) < 0.3  # mm; the relief's height
    assert np.abs(quick.albedo.astype(int) - careful.albedo)[seen].mean() < 2


def test_both_renderers_give_the_same_light(both: tuple[Rendering, Rendering]) -> None:
    quick, careful = (gaussian_filter(r.shading.astype(float), (2, 2, 0)) for r in both)
    seen = binary_erosion(inside(both), iterations=3)
    np.testing.assert_allclose(quick[seen].mean(0), careful[seen].mean(0), rtol=0.05)
    assert np.corrcoef(quick[seen].ravel(), careful[seen].ravel())[0, 1] > 0.95
    quick, careful = (gaussian_filter(r.photo.astype(float), (2, 2, 0)) for r in both)
    assert np.abs(quick - careful)[seen].mean() < 12


def test_geometry_of_a_ball_is_exact() -> None:
    drawn = scene(sphere_part(subdivisions=5), lighting=Lighting(DARK + 1))
    found = mitsuba.render(drawn, 1)
    centres = np.arange(48) + 0.5
    x, y = np.meshgrid(centres, centres)
    rays = drawn.camera.unproject(np.stack([x, y, np.full_like(x, -1)], -1))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    middle = drawn.translation.astype(float)
    along = rays @ middle
    reach = 80**2 - (middle @ middle - along**2)
    exact = reach > 0
    # The mesh lies within its sphere: only at the rim may it miss.
    assert (found.mask & ~exact).sum() == 0 and (exact & ~found.mask).sum() <= 0.02 * exact.sum()
    points = rays * (along - np.sqrt(np.where(exact, reach, 0)))[..., None]
    core = binary_erosion(exact, iterations=3)
    assert angle(found.normals, (points - middle) / 80)[core].max() < 0.2
    assert np.abs(found.depth + points[..., 2])[core].max() < 0.3
    np.testing.assert_array_equal(found.landmarks_visible, [True, False] * 34)


def test_the_sky_is_where_the_scene_says() -> None:
    """Radiance 1 + a . d, linear in the direction d, shades a white ball 1 + 2/3 a . n."""
    slope = np.array([[0.9, 0, 0], [0, 0.9, 0], [0, 0, 0.9]]).T  # red from x, green y, blue z
    sky = (1 + map_directions(64, 128) @ slope).astype(np.float32)
    found = mitsuba.render(scene(sphere_part(), lighting=Lighting(sky)), 128)
    core = binary_erosion(found.mask, iterations=2)
    expected = 1 + 2 / 3 * found.normals @ slope
    error = gaussian_filter(found.shading.astype(float) - expected, (1, 1, 0))[core]
    assert np.abs(error.mean(0)).max() < 0.02 and np.abs(error).max() < 0.12


@pytest.mark.parametrize("radius", [0.0, 5.0])
def test_lamps_shine_from_where_the_scene_says(radius: float) -> None:
    towards = np.array([-0.6, 0.48, 0.64])
    lamp = Lamp(towards.astype(np.float32), np.array([3, 2, 1], np.float32), radius)
    found = mitsuba.render(scene(sphere_part(), lighting=Lighting(DARK, (lamp,))), 16)
    cosine = found.normals @ towards
    core = binary_erosion(found.mask, iterations=2) & (np.abs(cosine) > 0.15)
    expected = np.clip(cosine, 0, None)[..., None] * lamp.colour / np.pi
    np.testing.assert_allclose(found.shading.astype(float)[core], expected[core], atol=0.02)


def card(alpha: int, x: tuple[float, float], z: float) -> Part:
    """A flat square of hair with the same alpha everywhere on its left half, none on its right."""
    vertices = np.array([[x[0], -60, z], [x[1], -60, z], [x[1], 60, z], [x[0], 60, z]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    texture = np.zeros((64, 64, 4), np.uint8)
    texture[:, :32, 3] = alpha
    return Part("hair", vertices, triangles, uv, triangles, Material(texture))


def test_hair_occludes_where_its_texture_is_and_nowhere_else() -> None:
    light = Lighting(DARK + 1)
    bare = mitsuba.render(scene(sphere_part(), lighting=light), 4)
    drawn = scene(sphere_part(), card(255, (-40, 40), 100), lighting=light)
    found = mitsuba.render(drawn, 4)
    left = drawn.camera.project(np.array([[-40.0, 0, 100], [0, 0, 100]]) + drawn.translation)
    columns = np.arange(48) + 0.5
    expected = (columns > left[0, 0]) & (columns < left[1, 0])
    middle = int(drawn.camera.project(drawn.translation)[1])
    np.testing.assert_array_equal(found.occluder[middle], bare.mask[middle] & expected)
    np.testing.assert_array_equal(found.mask | found.occluder, bare.mask)
    np.testing.assert_array_equal(found.normals, bare.normals)  # known behind the hair too
    assert (found.shading[found.occluder] == 0).all()
    faint = mitsuba.render(scene(sphere_part(), card(60, (-40, 40), 100), lighting=light), 4)
    assert not faint.occluder.any()


def test_light_comes_through_the_holes_of_textures() -> None:
    """A lamp behind a card: its opaque half throws a shadow, its empty half throws none."""
    towards = np.array([0, 0.6, 0.8], np.float32)
    light = Lighting(DARK, (Lamp(towards, np.full(3, np.pi, np.float32), 0.5),))
    part = card(255, (-60, 60), 0)
    # Between the ball and the lamp, above the camera's view of the ball.
    moved = part.vertices @ np.diag([1, 0.6, 1]).astype(np.float32) + towards * 200
    shadow = mitsuba.render(scene(sphere_part(), replace(part, vertices=moved), lighting=light), 16)
    lit = mitsuba.render(scene(sphere_part(), lighting=light), 16)
    ratio = (shadow.shading[..., 0].astype(float) + 1e-3) / (lit.shading[..., 0] + 1e-3)
    x = shadow.normals[..., 0]
    bright = binary_erosion(shadow.mask, iterations=2) & (lit.normals @ towards > 0.95)
    assert ratio[bright & (x < -0.15)].max() < 0.1
    assert ratio[bright & (x > 0.15)].min() > 0.9


def test_a_scene_gives_the_same_bytes_again() -> None:
    drawn = scene(sphere_part(), card(200, (-40, 40), 100), lighting=Lighting(DARK + 1), size=32)
    first, second = mitsuba.render(drawn, 4), mitsuba.render(drawn, 4)
    np.testing.assert_array_equal(first.photo, second.photo)
    np.testing.assert_array_equal(first.shading, second.shading)


def test_relief_of_a_fine_mesh_tilts_normals_by_its_slope() -> None:
    """Waves along the meridians: d(y) = A sin(k y) has the slope A k cos(k y) in y."""
    amplitude, waves = 0.5, 6
    v = 1 - (np.arange(512) + 0.5) / 512
    relief = np.repeat(amplitude * np.sin(2 * np.pi * waves * v)[:, None], 512, 1)
    part = sphere_part(relief.astype(np.float32))
    drawn = scene(part, lighting=Lighting(DARK + 1), size=256)
    mesh = fine_mesh(part, drawn)
    assert len(mesh.triangles) >= 16 * len(part.triangles)
    y = mesh.smooth[:, 1]
    away = np.abs(y) < 0.8
    # grad y on a unit sphere is the unit vector e_y made tangent; per mm it is 1 / 80.
    tangent = np.array([0, 1, 0]) - y[:, None] * mesh.smooth
    k = np.pi * waves  # of y, since v = (y + 1) / 2
    slope = amplitude * k * np.cos(k * (y + 1)) / 80
    expected = mesh.smooth - slope[:, None] * tangent
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    steep = angle(expected, mesh.smooth)[away]
    assert steep.max() > 5
    assert angle(mesh.normals, expected)[away].mean() < 0.1 * steep.mean()
    height = np.linalg.norm(mesh.vertices - drawn.translation, axis=1)
    flat = np.linalg.norm(part.vertices[part.triangles].mean(1), axis=1).min()
    assert height.max() > 80 + 0.9 * amplitude and height.min() > flat - 1.1 * amplitude


def test_meshes_without_relief_stay_as_they_are() -> None:
    part = sphere_part(subdivisions=2)
    mesh = fine_mesh(part, scene(part, lighting=Lighting(DARK)))
    assert len(mesh.triangles) == len(part.triangles)
    corners = mesh.vertices[mesh.triangles] - [30, -10, -700]
    np.testing.assert_allclose(corners, part.vertices[part.triangles], atol=1e-4)
    np.testing.assert_allclose(mesh.uv[mesh.triangles], part.uv[part.uv_triangles])
    expected = vertex_normals(part.vertices, part.triangles)[part.triangles]
    np.testing.assert_allclose(mesh.normals[mesh.triangles], expected, atol=1e-5)


def test_bilinear_reads_centres_and_between() -> None:
    texture = np.arange(12.0).reshape(3, 4, 1)
    uv = np.array([[0.125, 5 / 6], [0.25, 5 / 6], [0.125, 4 / 6], [-1, 2], [2, -1]])
    np.testing.assert_allclose(bilinear(texture, uv)[:, 0], [0, 0.5, 2, 0, 11])
