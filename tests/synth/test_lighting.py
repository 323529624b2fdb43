"""Random light is of a known strength, and from where it says."""

import numpy as np
import pytest

pytest.importorskip("torch")

from facerelief.geometry.environment import map_directions
from facerelief.render.illumination import illumination
from facerelief.render.scene import Lighting
from facerelief.synth.setting.lighting import draw_lighting, take_suns


def test_a_surface_before_the_camera_is_lit_about_as_a_photographer_would() -> None:
    strengths = []
    for seed in range(60):
        light, name = draw_lighting(np.random.default_rng(seed), {})
        assert name.split()[0] in ("sky", "lamps", "flash")
        found = illumination(light, "cpu")
        irradiance = (found.directions[:, 2].clamp_min(0)[:, None] * found.colours).sum(0)
        strengths.append(float(irradiance[1]) / np.pi)
    assert max(strengths) < 1.6 and np.median(strengths) > 0.4


def test_panoramas_are_used_where_there_are_any() -> None:
    given = {"room": np.full((128, 256, 3), 2.0, np.float16)}
    names = {draw_lighting(np.random.default_rng(s), given)[1].split()[1] for s in range(20)}
    assert names == {"room", "made"}


@pytest.mark.parametrize(
    ("row", "column", "direction"),
    [(0, 0, (0, 1, 0)), (15, 16, (0, 0, -1)), (15, 24, (1, 0, 0)), (15, 0, (0, 0, 1))],
)
def test_a_bright_spot_lights_from_its_side(
    row: int, column: int, direction: tuple[float, ...]
) -> None:
    """The middle column is where the camera looks; columns run to its right."""
    sky = np.zeros((32, 32, 3), np.float32)
    sky[row : row + 2, column] = 100
    found = illumination(Lighting(sky), "cpu")
    mean = (found.directions * found.colours[:, :1]).sum(0)
    assert float(mean @ mean.new_tensor(direction)) > 0.9 * float(mean.norm())


def test_all_of_the_sky_is_counted() -> None:
    """An even sky's light adds up to 4 pi times its radiance."""
    found = illumination(Lighting(np.ones((32, 64, 3), np.float32)), "cpu")
    assert float(found.colours[:, 0].sum()) == pytest.approx(4 * np.pi, rel=1e-3)
    assert np.linalg.norm(map_directions(32, 64), axis=-1) == pytest.approx(1)


def test_a_sun_becomes_a_lamp_and_no_light_is_lost() -> None:
    sky = np.full((64, 128, 3), 0.5, np.float32)
    sky[20:22, 96:98] = (4000, 3000, 2000)
    rest, suns = take_suns(sky)
    assert len(suns) == 1 and suns[0].radius < 4
    assert suns[0].direction == pytest.approx(
        map_directions(64, 128)[20:22, 96:98].mean((0, 1)), abs=0.01
    )
    before = illumination(Lighting(sky), "cpu").colours.sum(0)
    after = illumination(Lighting(rest, tuple(suns)), "cpu").colours.sum(0)
    assert after.numpy() == pytest.approx(before.numpy(), rel=1e-3)


def test_an_overcast_sky_has_no_sun() -> None:
    up = map_directions(64, 128)[..., 1:2] * 0.5 + 0.5
    _, suns = take_suns((up * np.ones(3)).astype(np.float32))
    assert not suns
