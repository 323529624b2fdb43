"""Pictures of scenes whose light and shape are known from theory."""

from dataclasses import replace

import numpy as np
import pytest
from tests.render.scenes import DISTANCE, RADIUS, SIZE, ball, lamp, plain, scene, sheet, sky

from facerelief.geometry.light import srgb_to_linear
from facerelief.render.renderer import render
from facerelief.render.scene import Cutout, Film, Lighting


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos((a * b).sum(-1).clip(-1, 1)))


def sphere_normals() -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) of the ball in the middle by intersecting rays, and where it is, borders apart."""
    made = scene()
    steps = np.arange(SIZE) + 0.5
    x, y = np.meshgrid(steps, steps)
    rays = made.camera.unproject(np.stack([x, y, np.full_like(x, -1.0)], -1))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = -DISTANCE * rays[..., 2]
    inside = along**2 - (DISTANCE**2 - RADIUS**2)
    hit = rays * (along - np.sqrt(inside.clip(0)))[..., None] + (0, 0, DISTANCE)
    return hit / RADIUS, inside > (0.2 * RADIUS) ** 2


def test_normals_and_depth_of_a_ball() -> None:
    made, (normals, inside) = render(scene()), sphere_normals()
    assert degrees(made.normals, normals)[inside].max() < 0.3
    assert np.abs(made.depth - (DISTANCE - RADIUS * normals[..., 2]))[inside].max() < 0.3
    assert made.mask[inside].all() and not made.occluder.any()
    assert np.isnan(made.depth[~made.mask]).all() and not made.normals[~made.mask].any()


def test_a_lamp_shades_by_the_cosine() -> None:
    direction = np.array([0.6, 0.3, 0.74])
    light = Lighting(sky(0.0), (lamp(tuple(direction)),))
    made, (normals, inside) = render(scene(lighting=light)), sphere_normals()
    cosine = (normals @ (direction / np.linalg.norm(direction))).clip(0)
    # At the ball's own terminator the map cannot tell light from shadow.
    clear = inside & (np.abs(normals @ direction) > 0.25)
    off = np.abs(made.shading.astype(float) - cosine[..., None])[clear]
    assert np.quantile(off, 0.99) < 0.003 and off.max() < 0.1
    shown = srgb_to_linear(made.photo / 255.0)[..., 1]
    assert np.abs(shown - cosine)[clear].max() < 0.05


def test_even_sky_lights_a_convex_thing_evenly() -> None:
    made, (_, inside) = render(scene(lighting=Lighting(sky()))), sphere_normals()
    assert np.abs(made.shading.astype(float)[inside] - 1).max() < 0.08


def test_a_ball_throws_a_shadow() -> None:
    light = Lighting(sky(0.0), (lamp((1, 0, 1)),))
    parts = (sheet(-60, half=90), ball(20, at=(20, 0, 20)))
    made = render(scene(*parts, lighting=light))
    centre, row = SIZE / 2, SIZE // 2
    # Light comes from the right at 45 degrees: a ball 80 mm above throws its shadow 80 mm left.
    shadow = int(centre + (20 - 80) * SIZE / 200)
    lit = made.shading.astype(float)[row, :, 0]
    assert lit[shadow] < 0.05 < 0.6 < lit[int(centre + 70 * SIZE / 200)]
    without = render(scene(*parts, lighting=replace(light, shadows=False)))
    assert without.shading.astype(float)[row, shadow, 0] > 0.65


def test_the_sky_is_dim_in_a_corner() -> None:
    """Ambient occlusion: under a wide lid close above it, a sheet is dark."""
    lid = replace(sheet(0, half=45), kind="hat")
    black = plain((0, 0, 0, 255))  # which throws no light back
    floor = sheet(-20, half=90, material=black)
    open_sky = render(scene(floor, lighting=Lighting(sky())))
    covered = render(scene(floor, lid, lighting=Lighting(sky())))
    middle = np.s_[SIZE // 2 - 4 : SIZE // 2 + 4, SIZE // 2 - 4 : SIZE // 2 + 4]
    assert open_sky.shading[middle].mean() > 0.85
    # A disc of that size would leave cos^2(atan(45 / 20)) = 0.165 of the light, a square less.
    assert 0.05 < covered.shading[middle].mean() < 0.22
    assert covered.occluder[middle].all() and not covered.mask[middle].any()


def test_displacement_tilts_normals_by_its_slope() -> None:
    half, height, waves = 60.0, 0.8, 3
    u = (np.arange(512) + 0.5) / 512
    relief = np.tile(height * np.sin(2 * np.pi * waves * u), (512, 1)).astype(np.float32)
    made = render(scene(sheet(0, half, material=plain(displacement=relief))))
    x = (np.arange(SIZE) + 0.5 - SIZE / 2) / SIZE * 200
    slope = height * np.pi * waves / half * np.cos(2 * np.pi * waves * (x / half + 1) / 2)
    expected = np.stack([-slope, np.zeros(SIZE), np.ones(SIZE)], -1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    row = SIZE // 2
    inside = np.abs(x) < 50
    assert np.abs(slope).max() > 0.1
    assert degrees(made.normals[row], expected)[inside].max() < 0.7
    assert degrees(made.normals_smooth[row], np.array([0, 0, 1.0]))[inside].max() < 0.1


def test_upward_relief_faces_up() -> None:
    """v runs up: displacement that grows with v tilts the normal down."""
    ramp = np.repeat(np.linspace(6, 0, 64, dtype=np.float32)[:, None], 64, 1)  # row 0 is v = 1
    made = render(scene(sheet(0, 60, material=plain(displacement=ramp))))
    assert made.normals[SIZE // 2, SIZE // 2, 1] < -0.03


def test_layers_are_composed_by_their_alpha() -> None:
    light = Lighting(sky(0.0), (lamp((0, 0, 1)),), shadows=False)
    red = sheet(20, 30, kind="glasses", material=plain((255, 0, 0, 128)))
    blue = sheet(40, 30, kind="glasses", material=plain((0, 0, 255, 64)))
    made = render(scene(sheet(0, 60), red, blue, lighting=light))
    centre = srgb_to_linear(made.photo[SIZE // 2, SIZE // 2] / 255)
    # What a layer sends back of light from the front: its wrapped response.
    own = 0.35 / 2 + 0.65
    a, b = 128 / 255, 64 / 255
    expected = [(1 - b) * (a * own + (1 - a)), (1 - b) * (1 - a), b * own + (1 - b) * (1 - a)]
    assert np.abs(centre - expected).max() < 0.02
    assert made.occluder[SIZE // 2, SIZE // 2]  # 62 in 100 are hidden
    assert made.mask[SIZE // 2, SIZE // 2 + 20]


def test_a_decal_colours_and_hides_nothing() -> None:
    brow = sheet(2, 30, kind="brow", material=plain((0, 0, 0, 255)))
    made = render(scene(sheet(0, 60), brow))
    assert made.albedo[SIZE // 2, SIZE // 2].max() == 0
    assert made.mask[SIZE // 2, SIZE // 2] and not made.occluder.any()


def test_cutouts_hide() -> None:
    picture = np.zeros((SIZE, SIZE, 4), np.uint8)
    picture[:, : SIZE // 2] = (10, 200, 30, 255)
    made = render(scene(cutouts=(Cutout(picture),)))
    assert (made.photo[:, : SIZE // 2] == (10, 200, 30)).all()
    assert not made.mask[:, : SIZE // 2].any() and made.occluder[SIZE // 2, SIZE // 2 - 5]
    assert made.mask[SIZE // 2, SIZE // 2 + 5]


def test_landmarks_and_whether_they_are_seen() -> None:
    points = np.array([[0, 0, RADIUS], [0, 0, -RADIUS], [30, 40, 62.45]], np.float32)
    landmarks = np.tile(points, (23, 1))[:68]
    made = render(scene(landmarks=landmarks))
    assert made.landmarks[0] == pytest.approx([SIZE / 2, SIZE / 2], abs=1e-3)
    x, y = made.landmarks[2] - SIZE / 2
    scale = scene().camera.focal / (DISTANCE - 62.45)
    assert (x, y) == pytest.approx((30 * scale, -40 * scale), abs=1e-3)
    assert made.landmarks_visible[:3].tolist() == [True, False, True]


def test_position_map_says_where_texels_are() -> None:
    made = render(scene())
    rows, columns = made.position.shape[:2]
    # The middle of the layout faces the viewer.
    x, y, z = made.position[rows // 2, columns // 2]
    assert (x, y) == pytest.approx((SIZE / 2, SIZE / 2), abs=1)
    assert z == pytest.approx(RADIUS * scene().camera.focal / DISTANCE, rel=0.01)


def test_gloss_is_where_the_mirror_says() -> None:
    light = Lighting(sky(0.0), (lamp((1, 0, 1)),))
    black = plain((0, 0, 0, 255), specular=0.05, roughness=0.3)
    made = render(scene(ball(material=black), lighting=light))
    row, column = np.unravel_index(made.photo.sum(-1).argmax(), (SIZE, SIZE))
    half = np.array([np.sin(np.radians(22.5)), 0, np.cos(np.radians(22.5))])
    assert degrees(made.normals[row, column], half) < 5


def test_a_scene_gives_the_same_bytes() -> None:
    made = scene(film=Film(noise=0.05, blur=0.5, jpeg=60))
    assert render(made).photo.tobytes() == render(made).photo.tobytes()
