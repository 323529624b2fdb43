"""Several far lights, environments, and the lights that a photograph shows."""

import numpy as np
import pytest

from facerelief.geometry.environment import environment_lights, map_directions, solid_angles, turned
from facerelief.geometry.horizon import Horizons
from facerelief.geometry.light import Light, direction, directional_to_sh, shade_sh
from facerelief.geometry.lights import Lights, even_directions, fit_lights, shade_lights
from facerelief.geometry.normals import angular_error


@pytest.fixture(scope="module")
def surface() -> tuple[np.ndarray, Horizons, np.ndarray]:
    centres = (np.arange(96) + 0.5) / 48 - 1
    x, y = np.meshgrid(centres, -centres)
    z = np.sqrt(np.clip(0.95 - x**2 - y**2, 0, None))
    normals = np.dstack([x, y, z]) / np.sqrt(0.95) * (z > 0)[..., None]
    mask = normals.any(axis=-1)
    return normals, Horizons.of_depth(np.where(mask, 0.0, np.nan)), mask


def test_even_directions_are_even() -> None:
    directions = even_directions(500)
    assert np.allclose(np.linalg.norm(directions, axis=-1), 1)
    assert np.abs(directions.mean(axis=0)).max() < 0.01
    assert np.allclose(directions.T @ directions / 500, np.eye(3) / 3, atol=0.01)


def test_one_lamp_is_found_as_one(surface) -> None:
    normals, horizons, mask = surface
    light = direction(50, -20)
    photo = (0.6 * np.maximum(normals @ light, 0) + 0.05)[..., None] * (0.8, 0.6, 0.5)
    found = fit_lights(photo, normals, horizons, mask)
    assert len(found.directions) == 1
    assert angular_error(found.directions[0], light) < 3
    shading = shade_lights(normals, horizons, found).colours
    bright = photo @ (0.2126, 0.7152, 0.0722)
    lit = mask & (normals @ light > 0.2)
    assert np.abs(shading[..., 0] - bright)[lit].max() < 0.05


def test_two_coloured_lights_stay_two(surface) -> None:
    normals, horizons, mask = surface
    red, blue = direction(60, 0), direction(-60, 0)
    photo = 0.4 * (
        np.maximum(normals @ red, 0)[..., None] * (1, 0.3, 0.3)
        + np.maximum(normals @ blue, 0)[..., None] * (0.3, 0.3, 1)
    )
    found = fit_lights(photo, normals, horizons, mask)
    assert len(found.directions) > 1
    shading = shade_lights(normals, horizons, found).colours
    left, right = shading[48, 20], shading[48, 75]
    assert left[0] > 1.5 * left[2] and right[2] > 1.5 * right[0]


def test_photos_without_light_are_told(surface) -> None:
    normals, horizons, mask = surface
    with pytest.raises(ValueError, match="too dark"):
        fit_lights(np.zeros((96, 96, 3)), normals, horizons, mask)
    with pytest.raises(ValueError, match="too little"):
        fit_lights(np.ones((96, 96, 3)), normals, horizons, mask)  # clipped


def test_harmonics_of_lights_and_lights_of_harmonics() -> None:
    normals = even_directions(200)
    one = Lights.of(Light(tuple(direction(30, 40)), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))
    expected = directional_to_sh(direction(30, 40), 0.5)
    assert np.allclose(one.harmonics[1:, 0], expected[1:])
    assert np.allclose(shade_sh(normals, one.harmonics)[..., 0],
                       shade_sh(normals, expected) + 0.2)  # fmt: skip
    back = Lights.of(Light(harmonics=one.harmonics))
    assert (back.colours >= 0).all() and (back.ambient >= 0).all()
    off = shade_sh(normals, back.harmonics) - shade_sh(normals, one.harmonics)
    assert np.abs(off).mean() < 0.03


def test_a_sun_in_an_environment_stays_where_it_is() -> None:
    sky = np.full((64, 128, 3), 0.02)
    places = map_directions(64, 128)
    sun = direction(-40, 35)
    at = np.unravel_index((places @ sun).argmax(), (64, 128))
    sky[at] = 2000.0
    lights = environment_lights(sky)
    bright = lights.colours.sum(axis=-1).argmax()
    assert angular_error(lights.directions[bright], places[at]) < 1
    power = (sky * solid_angles(64, 128)[..., None]).sum() / np.pi
    assert np.isclose(lights.colours.sum(), power)
    right = environment_lights(turned(sky, 90))
    bright = right.colours.sum(axis=-1).argmax()
    # The camera looks along -z: what is turned to its right goes from -z to +x, from +x to +z.
    x, y, z = places[at]
    assert angular_error(right.directions[bright], np.array([-z, y, x])) < 3


@pytest.mark.parametrize("shape", [(50, 100), (200, 400), (1000, 2000), (2, 4)])
def test_environments_of_any_size_keep_their_light(shape: tuple[int, int]) -> None:
    lights = environment_lights(np.ones((*shape, 3)))
    assert np.allclose(lights.colours.sum(axis=0), 4)  # irradiance 4 pi from all sides, over pi
