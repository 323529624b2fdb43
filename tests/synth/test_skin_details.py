"""Relief in millimetres on the face: wavelengths, places, stamps."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from facerelief.geometry.head import builtin_head
from facerelief.synth.skin.details import scar, spot, window
from facerelief.synth.skin.map import SkinMap
from facerelief.synth.skin.noise import BANDS, SkinNoise
from facerelief.synth.skin.wrinkles import DRIVERS, Crease, profile, wrinkles

SIZE = 384


@pytest.fixture(scope="module")
def skin() -> SkinMap:
    return SkinMap(builtin_head(), SIZE)


@pytest.fixture(scope="module")
def noise(skin: SkinMap) -> SkinNoise:
    return SkinNoise(skin.position, skin.coarse)


def face(skin: SkinMap) -> np.ndarray:
    low, high = skin.landmarks[8, 1], skin.landmarks[24, 1] + 40
    y = skin.position[..., 1]
    result: np.ndarray = skin.mask & (skin.normal[..., 2] > 0.4) & (y > low) & (y < high)
    return result


@pytest.mark.parametrize("wavelength", [w for w in BANDS if w > 3])
def test_noise_has_its_wavelength_in_millimetres(
    skin: SkinMap, noise: SkinNoise, wavelength: float
) -> None:
    """A narrow band of waves in the plane has slopes of k / sqrt(2) along any line."""
    where = face(skin)
    where[:, -1] = False
    where[:, :-1] &= where[:, 1:]
    step = np.linalg.norm(np.diff(skin.position, axis=1, append=np.nan), axis=-1)
    found = []
    for seed in range(4):
        flat = np.zeros((SIZE, SIZE), np.float32)
        field = noise.add(np.random.default_rng(seed), wavelength, 1.0, flat)
        slope = np.diff(field, axis=1, append=np.nan)[where] / step[where]
        deviation = field[where].std()
        found.append(2 * np.pi * deviation / np.sqrt(2 * np.mean(slope**2)))
    assert np.mean(found) == pytest.approx(wavelength, rel=0.3)


def test_noise_is_normal_and_the_two_ways_to_draw_agree(noise: SkinNoise) -> None:
    index = np.arange(0, SIZE**2, 7, dtype=np.int32)
    for seed in range(5):
        field = np.zeros((SIZE, SIZE), np.float32)
        noise.add(np.random.default_rng(seed), 4.0, 0.5, field)
        few = noise.draw(np.random.default_rng(seed), 4.0, index)
        np.testing.assert_allclose(field.ravel()[index], 0.5 * few, atol=1e-5)
        assert 0.5 < few.std() < 1.6
    with pytest.raises(KeyError):
        noise.draw(np.random.default_rng(0), 5.0, index)


def test_texels_know_their_size(skin: SkinMap) -> None:
    """The texels of the face add up to the area of its triangles."""
    head = skin.head
    corners = head.mean[head.triangles]
    area = (
        np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        / 2
    )
    centre = corners.mean(axis=1)
    box = (
        (np.abs(centre[:, 0]) < 35) & (centre[:, 2] > 0) & (centre[:, 1] > 15) & (centre[:, 1] < 55)
    )
    place = skin.position
    inside = skin.mask & (np.abs(place[..., 0]) < 35) & (place[..., 2] > 0)
    inside &= (place[..., 1] > 15) & (place[..., 1] < 55)
    assert (skin.texel[inside] ** 2).sum() == pytest.approx(area[box].sum(), rel=0.3)


def test_lifted_points_lie_on_the_skin(skin: SkinMap) -> None:
    g = np.random.default_rng(0)
    points = skin.lift(np.column_stack([g.uniform(-40, 40, 50), g.uniform(20, 50, 50)]))
    distance, _ = cKDTree(skin.head.mean[skin.head.regions["skin"]]).query(points)
    assert distance.max() < 4  # between vertices


def test_strips_run_beside_their_curves_on_both_sides(skin: SkinMap) -> None:
    y = skin.landmarks[24, 1] + 15
    strip = skin.strip([(0.0, y), (15.0, y), (30.0, y)], 6.0)
    place = skin.position.reshape(-1, 3)[strip.index]
    assert strip.right.any() and (~strip.right).any()
    assert ((place[:, 0] < 0) == strip.right).all()
    # The curve runs to the subject's left, so its left is up; on the mirrored side too.
    clear = np.abs(strip.beside) > 1.5
    assert (np.sign(strip.beside[clear]) == np.sign(place[clear, 1] - y)).mean() > 0.97
    assert np.abs(strip.beside).max() <= 6.0 and strip.length == pytest.approx(30, rel=0.25)
    assert np.corrcoef(strip.along, np.abs(place[:, 0]))[0, 1] > 0.95


def test_every_wrinkle_lies_on_the_head_and_has_its_drivers(skin: SkinMap) -> None:
    lines = wrinkles(skin)
    assert {line.family for line in lines} == set(DRIVERS)
    for line in lines:
        crease = Crease(skin, line)
        height = np.zeros(SIZE**2, np.float32)
        steps = np.ones(128, np.float32)
        crease.press(height, steps, 0 * steps, 1.0)
        if line.family == "neck":  # the layout gives it texels too coarse for lines
            continue
        assert height.min() == pytest.approx(-1, abs=0.15), line
        pressed = (height.reshape(SIZE, SIZE) < -0.5) & skin.mask
        # Half the depth is reached 1.18 widths to either side, on both sides of the face.
        area = (skin.texel[pressed] ** 2).sum()
        assert area == pytest.approx(2 * 2.35 * line.width * crease.length, rel=0.45), line
        # A groove of depth 1 and width w is at most 0.61 / w steep.
        assert 0.61 * 1.25 * line.depth / (0.8 * line.width) < np.tan(np.radians(35)), line


def test_the_profile_is_a_groove_between_shoulders() -> None:
    for fold in (0.0, 0.8):
        relief = profile(fold)
        assert relief.min() == pytest.approx(-1, abs=0.2)
        assert abs(relief[0]) < 0.05 and abs(relief[-1]) < 0.05
        assert relief.max() > 0.19 + 0.5 * fold


def test_spots_and_scars_have_their_size_in_millimetres(skin: SkinMap) -> None:
    where = face(skin)
    texel = int(np.flatnonzero(where.ravel())[where.sum() // 2])
    place = window(skin, texel, 12.0)
    distance = np.linalg.norm(place.offset, axis=-1)
    dot = spot(place, 3.0)
    assert dot.max() == pytest.approx(1, abs=0.01)
    assert (dot[distance < 1.5] > 0.8).all() and (dot[distance > 5] < 0.05).all()
    along = np.cross(skin.normal.reshape(-1, 3)[texel], [0, 1, 0]).astype(np.float32)
    along /= np.linalg.norm(along)
    line = scar(place, along, 10.0, 0.8)
    ahead = np.abs(place.offset @ along)
    beside = np.sqrt(np.maximum(distance**2 - ahead**2, 0))
    assert (line[(ahead < 4) & (beside < 0.4)] > 0.8).all()
    assert (line[(ahead > 8) | (beside > 3.5)] < 0.1).all()
