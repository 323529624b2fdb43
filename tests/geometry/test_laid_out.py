"""Coarse faces laid out with their photo: light and albedo are found, slopes are told, halves."""

import numpy as np
import pytest

import laid_heads
from facerelief.geometry.laid_out import (
    CHANNELS,
    SIZE,
    displaced_normals,
    duals,
    lay_out,
    skin_weights,
)
from facerelief.geometry.light import shade_sh
from facerelief.geometry.normals import normalise
from facerelief.geometry.shading_detail import NoLightError

PLACE = np.arange(SIZE, dtype=float)


@pytest.fixture(scope="module")
def frontal():
    return lay_out(laid_heads.picture(), laid_heads.skin())


def test_a_smooth_head_is_drawn_as_its_picture_shows_it(frontal) -> None:
    seen = frontal.visible > 0.9
    assert 0.3 < seen.mean() < 0.7 and not frontal.visible[skin_weights(SIZE) == 0].any()
    gap = np.abs(frontal.rendering - frontal.photo)[seen]
    assert np.median(gap) < 0.01 and np.quantile(gap, 0.95) < 0.05
    ours, true = (
        shade_sh(frontal.normals[seen], x).mean(1) for x in (frontal.light, laid_heads.LIGHT)
    )
    assert np.corrcoef(ours, true)[0, 1] > 0.98
    assert frontal.maps.shape == (SIZE, SIZE, sum(CHANNELS.values()))
    assert not frontal.maps[frontal.visible == 0].any()


def test_slopes_say_what_a_small_relief_does_to_the_light(frontal) -> None:
    seen = (frontal.visible > 0.9) & (np.abs(frontal.slopes) < 1.9).all(-1)
    relief = laid_heads.bumps(0.02)
    dy, dx = np.gradient(relief)
    raised = displaced_normals(relief, frontal.position, frontal.normals)
    lights = [shade_sh(n, frontal.light.mean(1)) for n in (raised, frontal.normals)]
    told = frontal.slopes[..., 0] * dx + frontal.slopes[..., 1] * dy
    change = (np.log(np.maximum(lights[0], 0.05)) - np.log(np.maximum(lights[1], 0.05)))[seen]
    assert np.corrcoef(told[seen], change)[0, 1] > 0.99
    assert np.std(told[seen] - change) < 0.1 * np.std(change)


def test_a_slope_on_a_plane_turns_its_normals() -> None:
    """Texels of 2 mm; rows go down, y up."""
    column, row = np.meshgrid(PLACE, PLACE)
    position = np.stack([2 * column, -2 * row, 0 * row], -1)
    normals = np.broadcast_to(np.array([0.0, 0.0, 1.0]), position.shape)
    right, down = duals(position, normals)
    np.testing.assert_allclose(right[5, 5], (0.5, 0, 0), atol=1e-12)
    np.testing.assert_allclose(down[5, 5], (0, -0.5, 0), atol=1e-12)
    raised = displaced_normals(0.6 * column - 0.2 * row, position, normals)
    np.testing.assert_allclose(
        raised, np.broadcast_to(normalise(np.array([-0.3, -0.1, 1])), raised.shape)
    )


def test_a_relief_on_a_sphere_is_that_of_the_raised_sphere() -> None:
    theta, phi = np.meshgrid(0.3 + PLACE / 300, 1.0 + PLACE / 300)
    unit = np.stack([np.cos(theta) * np.sin(phi), np.cos(phi), np.sin(theta) * np.sin(phi)], -1)
    relief = 0.3 * np.sin(12 * theta) * np.sin(9 * phi)
    raised = unit * (100 + relief)[..., None]
    dy, dx = np.gradient(raised, axis=(0, 1))
    true = normalise(np.cross(dx, dy))
    true *= np.sign((true * unit).sum(-1, keepdims=True))
    found = displaced_normals(relief, 100 * unit, unit)
    angles = np.degrees(np.arccos(np.clip((found * true).sum(-1), -1, 1)))
    assert np.degrees(np.arccos(np.clip((unit * true).sum(-1), -1, 1))).mean() > 1
    assert angles.mean() < 0.03
    np.testing.assert_allclose(displaced_normals(0 * relief + 3, unit, unit), unit, atol=1e-12)


def test_texels_without_area_have_no_slopes() -> None:
    position = np.zeros((8, 8, 3))
    normals = np.broadcast_to(np.array([0.0, 0.0, 1.0]), position.shape)
    assert not np.any(duals(position, normals))


def test_the_farther_half_is_the_mirrored_nearer_one(frontal) -> None:
    assert not frontal.turned
    turned = lay_out(laid_heads.picture(50), laid_heads.skin(50))
    assert turned.turned
    whole = turned.mirrored()
    nearer = (
        slice(None, SIZE // 2)
        if turned.visible[:, : SIZE // 2].sum() > turned.visible[:, SIZE // 2 :].sum()
        else slice(SIZE // 2, None)
    )
    np.testing.assert_array_equal(whole.texels[:, nearer], turned.maps[:, nearer])
    signs = np.array([1, 1, 1, 1, 1, 1, -1, 1, 1])
    np.testing.assert_array_equal(whole.texels[:, ::-1] * signs, whole.texels)
    assert whole.invented.any() and not whole.invented[:, nearer].any()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_light_is_fitted_to_black_and_to_clipped_photos(value: float) -> None:
    with pytest.raises(NoLightError, match="too dark, too bright or too small"):
        lay_out(np.full((256, 256, 3), value), laid_heads.skin())


def test_painted_skin_counts_less() -> None:
    whole, bare = skin_weights(SIZE), skin_weights(SIZE, painted=False)
    assert set(np.unique(whole)) == {0, 1} and (bare <= whole).all()
    assert 0.6 < bare.sum() / whole.sum() < 0.95
    np.testing.assert_allclose(whole, whole[:, ::-1])
