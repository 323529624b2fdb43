"""Light: directions, shading, spherical harmonics and what a fit finds, on a sphere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import sph_harm_y

from facerelief.geometry.light import (
    COSINE_LOBE,
    SEVEN_LIGHTS,
    angles,
    direction,
    directional_to_sh,
    fit_directional,
    fit_sh,
    illuminate,
    linear_to_srgb,
    seven_lights,
    sh_basis,
    shade,
    shade_sh,
    srgb_to_linear,
)
from facerelief.geometry.normals import angular_error, normalise
from facerelief.types import Light

DTYPES = (np.float32, np.float64)


def grid(count=200):
    """Directions (count, 2 count, 3) all round, and the solid angle of each."""
    z, weight = np.polynomial.legendre.leggauss(count)
    turn = (np.arange(2 * count) + 0.5) / count * np.pi
    z, turn = np.meshgrid(z, turn, indexing="ij")
    ring = np.sqrt(1 - z**2)
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)
    return points, np.broadcast_to(weight[:, None] * np.pi / count, z.shape)


def test_directions_point_where_the_conventions_say():
    np.testing.assert_allclose(direction(0, 0), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(direction(90, 0), [-1, 0, 0], atol=1e-15)  # the picture's left
    np.testing.assert_allclose(direction(0, 90), [0, 1, 0], atol=1e-15)  # above
    np.testing.assert_allclose(direction(180, 0), [0, 0, -1], atol=1e-15)
    assert direction(np.zeros((4, 1)), np.zeros(5)).shape == (4, 5, 3)


def test_positive_azimuth_lights_the_left_and_positive_elevation_the_top(sphere):
    ball = sphere(32)
    left, above = (shade(ball.normals, direction(*a)) for a in ((60, 0), (0, 45)))
    assert left[:, :16].sum() > 2 * left[:, 16:].sum()
    assert above[:16].sum() > 2 * above[16:].sum()


@given(st.floats(-180, 180), st.floats(-89.9, 89.9))
def test_angles_undo_direction(azimuth, elevation):
    back = direction(*angles(direction(azimuth, elevation)))
    np.testing.assert_allclose(back, direction(azimuth, elevation), atol=1e-12)
    found_azimuth, found_elevation = angles(direction(azimuth, elevation))
    assert found_elevation == pytest.approx(elevation, abs=1e-6)
    assert (found_azimuth - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_seven_lights_are_those_of_the_papers():
    assert SEVEN_LIGHTS == ((0, 0), (-60, 0), (-30, 0), (30, 0), (60, 0), (0, -45), (0, 45))
    found = np.transpose(angles(seven_lights()))
    np.testing.assert_allclose(found, SEVEN_LIGHTS, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shading_of_a_sphere_is_the_cosine(sphere, dtype):
    ball = sphere(64)
    normals = ball.normals.astype(dtype)
    frontal = shade(normals, (0, 0, 1))
    assert frontal.dtype == dtype and frontal.shape == (64, 64)
    np.testing.assert_allclose(frontal, ball.depth / ball.radius * ball.mask, atol=1e-6)
    light = direction(50, 20)
    twin = [
        [max(sum(a * b for a, b in zip(n, light, strict=True)), 0) for n in row]
        for row in ball.normals
    ]
    np.testing.assert_allclose(shade(normals, light), twin, atol=1e-6)


def test_a_light_may_differ_from_pixel_to_pixel(sphere):
    ball = sphere(16)
    np.testing.assert_allclose(shade(ball.normals, ball.normals), ball.mask, atol=1e-12)


def test_the_basis_is_orthonormal():
    points, weight = grid()
    basis = sh_basis(points)
    gram = np.einsum("ija,ijb,ij->ab", basis, basis, weight)
    np.testing.assert_allclose(gram, np.eye(9), atol=1e-9)


def test_the_basis_spans_the_harmonics_of_scipy():
    points, _ = grid(6)
    polar, turn = np.arccos(points[..., 2]), np.arctan2(points[..., 1], points[..., 0])
    basis = sh_basis(points)
    for order, columns in ((0, [0]), (1, [1, 2, 3]), (2, [4, 5, 6, 7, 8])):
        # By the addition theorem, sums of squares over an order agree whatever the real form.
        twin = sum(
            sph_harm_y(order, m, polar, turn) * np.conj(sph_harm_y(order, m, 0.4, 1.0))
            for m in range(-order, order + 1)
        ).real
        pole = sh_basis(
            np.array([np.sin(0.4) * np.cos(1.0), np.sin(0.4) * np.sin(1.0), np.cos(0.4)])
        )
        np.testing.assert_allclose(basis[..., columns] @ pole[columns], twin, atol=1e-12)
    zonal = sph_harm_y(2, 0, polar, turn).real
    np.testing.assert_allclose(basis[..., 6], zonal, atol=1e-12)


def test_the_cosine_lobe_is_the_integral_over_the_hemisphere():
    points, weight = grid(400)
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=9)
    radiance = sh_basis(points) @ coefficients
    for normal in normalise(rng.normal(size=(5, 3))):
        irradiance = (radiance * shade(points, normal) * weight).sum()
        assert shade_sh(normal, coefficients) == pytest.approx(irradiance / np.pi, abs=2e-4)
    assert COSINE_LOBE.tolist() == [1, 2 / 3, 2 / 3, 2 / 3] + [0.25] * 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_light_from_everywhere_shades_everything_one(sphere, dtype):
    ball = sphere(16)
    even = np.eye(9)[0] * np.sqrt(4 * np.pi)
    shading = shade_sh(ball.normals.astype(dtype), even)
    assert shading.dtype == dtype
    np.testing.assert_allclose(shading, 1, rtol=1e-6)
    colours = shade_sh(ball.normals, even[:, None] * [1, 0.5, 0.25])
    np.testing.assert_allclose(colours, np.broadcast_to([1, 0.5, 0.25], (16, 16, 3)))


def test_second_order_is_close_to_a_direction(sphere):
    ball = sphere(64)
    light = direction(35, 25)
    gap = shade_sh(ball.normals, directional_to_sh(light, 2.0)) / 2 - shade(ball.normals, light)
    # 1/4 - 5/32 where the light grazes, by the series 1/4 + c/2 + 5/32 (3c^2 - 1) of max(c, 0).
    assert np.abs(gap[ball.mask]).max() <= 3 / 32 + 1e-9
    assert np.sqrt((gap[ball.mask] ** 2).mean()) < 0.04


def test_illuminate_adds_colour_and_ambient(sphere):
    ball = sphere(16)
    light = Light((0.0, 0.0, 1.0), colour=(1, 0.5, 0), ambient=(0, 0.1, 0.2))
    twin = shade(ball.normals, (0, 0, 1))[..., None] * [1, 0.5, 0] + [0, 0.1, 0.2]
    np.testing.assert_allclose(illuminate(ball.normals, light), twin)
    grey = np.arange(9.0)
    shading = shade_sh(ball.normals, grey)
    np.testing.assert_allclose(
        illuminate(ball.normals, Light(harmonics=grey)), np.stack([shading] * 3, -1)
    )
    colour = grey[:, None] * [1, 2, 3]
    np.testing.assert_allclose(
        illuminate(ball.normals, Light(harmonics=colour)), shading[..., None] * [1, 2, 3]
    )


def a_photo(ball, light):
    """A lit sphere with noise, brows of a third of the albedo, a highlight and a cast shadow."""
    rng = np.random.default_rng(0)
    albedo = np.ones(ball.mask.shape)
    albedo[20:24, 12:52] = 0.3
    photo = albedo * light + 0.005 * rng.normal(size=light.shape)
    photo[30:36, 30:34] = 1.5
    photo[44:52, 36:50] *= 0.2
    return photo


def test_fit_sh_finds_the_shading_again(sphere):
    ball = sphere(64)
    truth = directional_to_sh(direction(30, 40)) + np.eye(9)[0]
    shading = shade_sh(ball.normals, truth)
    exact = fit_sh(shading, ball.normals, ball.mask)
    np.testing.assert_allclose(
        shade_sh(ball.normals, exact)[ball.mask], shading[ball.mask], atol=1e-3
    )
    found = shade_sh(ball.normals, fit_sh(a_photo(ball, shading), ball.normals, ball.mask))
    assert np.abs(found - shading)[ball.mask].max() < 0.05
    # Without reweighting the brows alone spoil it.
    plain = fit_sh(a_photo(ball, shading), ball.normals, ball.mask, iterations=0)
    assert np.abs(shade_sh(ball.normals, plain) - shading)[ball.mask].max() > 0.1


def test_fit_sh_of_a_colour_photo_fits_each_colour(sphere):
    ball = sphere(32)
    truth = np.random.default_rng(0).normal(size=(9, 3)) * 0.1 + np.eye(9)[:, :1] * 3
    photo = shade_sh(ball.normals, truth)
    found = fit_sh(photo, ball.normals, ball.mask)
    assert found.shape == (9, 3)
    np.testing.assert_allclose(
        shade_sh(ball.normals, found)[ball.mask], photo[ball.mask], atol=1e-3
    )


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (70, 10), (-40, -30), (20, 60)])
def test_fit_directional_finds_direction_strength_and_ambient(sphere, azimuth, elevation):
    ball = sphere(64)
    truth = direction(azimuth, elevation)
    shading = 0.7 * shade(ball.normals, truth) + 0.1
    found = fit_directional(a_photo(ball, shading), ball.normals, ball.mask)
    assert angular_error(np.array(found.direction), truth) < 1
    assert found.colour[0] == pytest.approx(0.7, abs=0.02)
    assert found.ambient[0] == pytest.approx(0.1, abs=0.02)
    exact = fit_directional(shading, ball.normals, ball.mask)
    assert angular_error(np.array(exact.direction), truth) < 1e-3


def test_fit_directional_never_finds_negative_ambient_light(sphere):
    ball = sphere(64)
    photo = np.maximum(shade(ball.normals, direction(20, 30)) - 0.1, 0)
    found = fit_directional(photo, ball.normals, ball.mask)
    assert found.ambient == (0, 0, 0)
    assert angular_error(np.array(found.direction), direction(20, 30)) < 5


def test_fits_ignore_what_is_not_finite_or_outside(sphere):
    ball = sphere(32)
    photo = shade(ball.normals, direction(20, 10))
    photo[~ball.mask] = 9.0
    photo[10, 10] = np.nan
    normals = ball.normals.copy()
    normals[15, 15] = np.nan
    found = fit_directional(photo, normals, ball.mask)
    assert angular_error(np.array(found.direction), direction(20, 10)) < 1e-3
    assert np.isfinite(fit_sh(photo, normals, ball.mask)).all()


def test_fits_say_what_is_wrong(sphere):
    ball = sphere(8)
    photo = ball.normals[..., 2]
    with pytest.raises(ValueError, match="does not fit"):
        fit_sh(photo[1:], ball.normals)
    with pytest.raises(ValueError, match="mask"):
        fit_sh(photo, ball.normals, ball.mask[1:])
    with pytest.raises(ValueError, match="at least 9"):
        fit_sh(photo, ball.normals, np.zeros_like(ball.mask))
    with pytest.raises(ValueError, match="not to colours"):
        fit_directional(ball.normals, ball.normals)
    with pytest.raises(ValueError, match="no direction"):
        fit_directional(np.ones_like(photo), ball.normals)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gamma_goes_there_and_back_and_meets_the_standard(dtype):
    values = np.linspace(0, 1, 1001, dtype=dtype)
    linear = srgb_to_linear(values)
    assert linear.dtype == dtype
    np.testing.assert_allclose(linear_to_srgb(linear), values, atol=1e-6)
    assert srgb_to_linear(0.5) == pytest.approx(0.21404, abs=1e-5)
    assert (np.diff(linear) > 0).all()
