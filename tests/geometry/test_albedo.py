"""The colours of skin: what the file holds, as maps and at vertices."""

from pathlib import Path

import numpy as np
import pytest

import facerelief
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.head import builtin_head
from facerelief.geometry.uv import skin_layout

BASIS = albedo_basis()
HEAD = builtin_head(1, bases=False)


def test_the_file_is_small() -> None:
    path = Path(facerelief.__file__).parent / "weights" / "albedo.npz"
    assert path.stat().st_size < 3e6


def test_shapes() -> None:
    assert BASIS.components.shape == (80, 128, 128, 3)
    np.testing.assert_array_equal(BASIS.skin, skin_layout(1, 128).mask)
    assert BASIS.albedo().shape == (128, 128, 3)
    assert BASIS.albedo(np.zeros((2, 5, 7))).shape == (2, 5, 128, 128, 3)
    assert BASIS.vertex_albedo(np.zeros((2, 80))).shape == (2, len(HEAD.mean), 3)
    assert BASIS.albedo().dtype == BASIS.vertex_albedo().dtype == np.float32
    with pytest.raises(ValueError, match="80 coefficients, got 81"):
        BASIS.albedo(np.zeros(81))


def test_colours_are_linear_in_coefficients_until_they_are_clipped() -> None:
    rng = np.random.default_rng(0)
    few = 0.1 * rng.normal(size=12)
    moved = BASIS.mean + np.einsum("k,k...->...", few, BASIS.components[:12])
    np.testing.assert_allclose(BASIS.albedo(few), moved, atol=1e-5)
    far = BASIS.albedo(20 * rng.normal(size=(4, 80)))
    assert far.min() == 0 and far.max() == 1


def test_the_mean_is_skin_and_the_first_component_its_tone() -> None:
    cheeks = BASIS.vertex_albedo()[HEAD.regions["cheeks"]]
    red, green, blue = np.median(cheeks, axis=0)
    assert 0.8 > red > green > blue > 0.2
    steps = BASIS.components[0][BASIS.skin]
    assert (np.sign(steps) == np.sign(np.median(steps))).mean() > 0.95
    spread = np.sqrt((BASIS.components[:, BASIS.skin] ** 2).mean(axis=(1, 2)))
    assert spread[0] > 3 * spread[1] and (np.diff(spread[:20]) < 0.1 * spread[:19]).all()


def test_brows_are_dark_and_lips_red() -> None:
    colours = BASIS.vertex_albedo()
    plain = np.median(colours[HEAD.regions["cheeks"]], axis=0)
    brows = colours[HEAD.regions["brow_left"] | HEAD.regions["brow_right"]]
    lips = np.median(colours[HEAD.regions["lips_upper"]], axis=0)
    assert np.median(brows, axis=0).mean() < plain.mean() - 0.03
    assert lips[1] / lips[0] < plain[1] / plain[0] - 0.1


def test_vertices_have_the_colours_of_the_map() -> None:
    """On the skin, but for seams, whose vertices have several places in the layout."""
    count = np.bincount(HEAD.triangles.ravel(), minlength=len(HEAD.mean))
    corners = np.unique(np.stack([HEAD.triangles.ravel(), HEAD.uv_triangles.ravel()], 1), axis=0)
    vertices, places = np.unique(corners[:, 0], return_index=True)
    once = vertices[np.bincount(corners[:, 0], minlength=len(count))[vertices] == 1]
    once = once[HEAD.regions["face"][once]]
    uv = HEAD.uv[corners[places[np.searchsorted(vertices, once)], 1]]
    weights = np.random.default_rng(0).normal(size=80)
    found = sample_texture(BASIS.albedo(weights), uv)
    gap = np.abs(found - BASIS.vertex_albedo(weights)[once])
    assert len(once) > 5000 and np.quantile(gap, 0.99) < 0.01


def test_only_skin_varies_and_eyes_have_irises() -> None:
    mean, steps = BASIS.at_vertices
    for name in ("eye_left", "eye_right", "teeth_upper", "tongue"):
        inside = HEAD.regions[name] & (np.bincount(HEAD.triangles.ravel()) > 0)
        assert np.abs(steps[:, inside]).max() < 1e-3, name
    eye = np.flatnonzero(HEAD.regions["eye_left"])
    front = eye[HEAD.mean[eye, 2].argmax()]
    assert mean[front].max() < 0.1 < 0.7 < np.median(mean[eye], axis=0).min()


def test_what_lies_off_the_charts_has_the_colour_beside_it() -> None:
    off = ~BASIS.skin
    assert BASIS.mean[off].min() > 0.02 and np.isfinite(BASIS.components).all()
