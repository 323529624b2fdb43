"""Cast shadows of height fields."""

import numpy as np
import pytest

from facerelief.geometry.horizon import Horizons
from facerelief.geometry.light import direction


def wall(height: float = 20.0) -> np.ndarray:
    """(60, 60) flat but for a wall along columns 27 to 30."""
    depth = np.zeros((60, 60))
    depth[:, 27:31] = height
    return depth


def test_a_wall_throws_a_shadow_as_long_as_its_height() -> None:
    horizons = Horizons.of_depth(wall(), lift=0)
    lit = horizons.reaching(direction(45, 0), softness=2)  # from the picture's left
    row = lit[30]
    assert (row[:27] == 1).all()  # between light and wall
    assert (row[32:46] == 0).all() and (row[52:] == 1).all()


def test_a_light_above_all_horizons_throws_no_shadow() -> None:
    lit = Horizons.of_depth(wall(5)).reaching((0, 0, 1), softness=2)
    assert (lit == 1).all()


def test_what_is_not_there_neither_throws_nor_gets_shadows() -> None:
    depth = wall()
    depth[:, 27:] = np.nan
    lit = Horizons.of_depth(depth).reaching(direction(-30, 0), softness=2)
    assert (lit == 1).all()


@pytest.mark.parametrize("azimuth", [20.0, 107.0, -133.0])
def test_as_marching_along_the_ray_says(azimuth: float) -> None:
    """A slow twin: every pixel of the way, bilinear."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    rng = np.random.default_rng(0)
    depth = gaussian_filter(rng.normal(size=(50, 50)), 3) * 60
    angle = np.radians(azimuth)
    light = np.array([np.cos(angle), np.sin(angle), 0.4])
    light /= np.linalg.norm(light)
    lit = Horizons.of_depth(depth, compass=128, reach=1.5).reaching(light, softness=0.01) > 0.5
    rows, columns = np.indices(depth.shape, dtype=float)
    free = np.ones(depth.shape, bool)
    for step in np.arange(1, 75, 0.5):
        y, x = rows - step * np.sin(angle), columns + step * np.cos(angle)
        inside = (x >= 0) & (x <= 49) & (y >= 0) & (y <= 49)
        there = map_coordinates(depth, [y, x], order=1, mode="nearest")
        free &= ~(inside & (there > depth + 0.5 + step * light[2] / np.hypot(*light[:2])))
    assert 0.2 < free.mean() < 0.95
    assert (lit == free).mean() > 0.96
