"""Skin colours lie where measured ones do, and textures come apart into what made them."""

import numpy as np
import pytest

from facerelief.synth.skin.colour import Palette, decode, encode, separate, skin_colour

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def test_more_melanin_is_darker_and_more_blood_is_darker() -> None:
    tone, flush = np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 21), indexing="ij")
    luminance = skin_colour(tone, flush) @ LUMINANCE
    assert (np.diff(luminance, axis=0) < 0).all()
    assert (np.diff(luminance, axis=1) < 0).all()


def test_skin_is_redder_than_green_and_greener_than_blue() -> None:
    tone, flush = np.meshgrid(np.linspace(0, 1, 41), np.linspace(0.1, 1, 21), indexing="ij")
    red, green, blue = np.moveaxis(skin_colour(tone, flush), -1, 0)
    assert (red > green).all() and (green > blue).all()
    assert red.max() < 1 and blue.min() > 0


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65, written out."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ linear / to_xyz.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    ("tone", "low", "high"),
    [  # about what Xiao et al. (2017) measured on cheeks and foreheads of four ethnic groups
        (0.08, (62, 8, 10), (77, 20, 20)),
        (0.30, (52, 9, 13), (67, 20, 24)),
        (0.90, (24, 9, 12), (42, 20, 25)),
    ],
)
def test_colours_lie_where_measured_skin_does(
    tone: float, low: tuple[float, ...], high: tuple[float, ...]
) -> None:
    for flush in (0.35, 0.45):
        colour = lab(skin_colour(tone, flush))
        assert (colour > low).all() and (colour < high).all(), colour


def test_encoding_and_decoding_undo_each_other() -> None:
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(decode(encode(values)), values, atol=1e-9)


def test_the_table_holds_the_model() -> None:
    g = np.random.default_rng(0)
    tone, flush = g.uniform(size=(2, 500)).astype(np.float32)
    fast = Palette.build()(tone.copy(), flush.copy())
    slow = encode(skin_colour(tone, flush)).T
    assert np.abs(fast - slow).max() < 2.5 / 255
    outside = Palette.build()(np.full(1, 7, np.float32), np.full(1, -7, np.float32))
    np.testing.assert_allclose(outside[:, 0], encode(skin_colour(1, 0)), atol=1e-4)


@pytest.mark.parametrize("tone", [0.15, 0.5, 0.85])
def test_a_texture_comes_apart_into_its_pigments(tone: float) -> None:
    g = np.random.default_rng(1)
    more_tone, more_flush = np.clip(0.05 * g.normal(size=(2, 64, 64)), -0.12, 0.12)
    shade = 0.1 * g.normal(size=(64, 64))
    linear = skin_colour(tone + more_tone, 0.4 + more_flush) * np.exp(shade)[..., None]
    rgb = np.round(encode(linear) * 255).astype(np.uint8)
    parts = separate(rgb, np.ones((64, 64), bool))
    assert parts.typical == pytest.approx((tone, 0.4), abs=0.05)
    for found, truth in ((parts.flush, more_flush), (parts.tone, more_tone), (parts.shade, shade)):
        slope, _ = np.polyfit(truth.ravel(), found.ravel(), 1)
        assert 0.6 < slope < 1.3
