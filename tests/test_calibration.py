"""Expected errors of bad pictures: what softness says, and what a calibration makes of it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import facerelief as fr
import tiny_system
from facerelief import catalogue
from facerelief.calibration import KNEE, Calibration, cues
from facerelief.doubts import of_error, of_picture, softness, whiteness
from facerelief.export import tell

SHARP = np.random.default_rng(2).integers(60, 160, (256, 256, 3)).astype(np.uint8)
ALL = np.ones((256, 256), bool)


@pytest.fixture(scope="module")
def face(astronaut: Path) -> Image.Image:
    """The astronaut's face as a crop."""
    with Image.open(astronaut) as photo:
        return photo.convert("RGB").crop((150, 30, 300, 180)).resize((256, 256))


def blurred(face: Image.Image, sigma: float) -> np.ndarray:
    return np.asarray(face.filter(ImageFilter.GaussianBlur(sigma)))


def test_softness_grows_with_blur_and_with_distance(face: Image.Image) -> None:
    by_blur = [softness(blurred(face, sigma)) for sigma in (0, 3, 6, 12)]
    by_size = [softness(np.asarray(face.resize((s, s)).resize((256, 256)))) for s in (96, 32, 16)]
    assert by_blur == sorted(by_blur) and by_size == sorted(by_size)
    assert by_blur[0] < KNEE + 0.05 and 0.75 < by_blur[3] <= 1 and by_size[2] > 0.75


def test_softness_is_one_for_ramps_and_less_than_nothing_for_noise() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, 0).repeat(3, 2)
    assert softness(ramp) == pytest.approx(1, abs=1e-3)
    assert softness(np.full_like(ramp, 90)) == 1  # nothing is told apart
    assert softness(SHARP) == pytest.approx(-1, abs=0.1)  # means of n pixels: contrast 1 / sqrt(n)


def test_softness_bears_exposure_and_noise(face: Image.Image) -> None:
    sharp = np.asarray(face)
    assert softness(sharp // 4) == pytest.approx(softness(sharp), abs=0.05)
    noise = np.random.default_rng(0).normal(0, 10, sharp.shape)
    soft = blurred(face, 8)
    noisy = np.clip(soft + noise, 0, 255).astype(np.uint8)
    assert softness(noisy) > softness(sharp) + 0.1


def test_softness_looks_at_the_face_alone(face: Image.Image) -> None:
    half = np.where(np.arange(256)[:, None, None] < 128, blurred(face, 8), SHARP)
    upper = ALL & (np.arange(256)[:, None] < 128)
    assert (
        softness(half, upper) == pytest.approx(softness(blurred(face, 8), upper), abs=0.05)
        and softness(half, ~upper) < 0
    )


def test_white_is_white_in_all_colours() -> None:
    red = np.zeros((256, 256, 3), np.uint8)
    red[..., 0] = 255
    assert whiteness(red) == 0 and whiteness(np.full_like(red, 252)) == 1
    half = np.where(ALL[..., None] & (np.arange(256)[:, None, None] < 64), 255, red)
    assert whiteness(half) == 0.25 and whiteness(half, ALL & (half[..., 1] > 0)) == 1


def test_a_calibration_is_monotone(face: Image.Image) -> None:
    mends = Calibration(0.9, 1.05, 1.2, 0.3)
    own = np.linspace(0, 60, 65536, dtype=np.float32).reshape(1, 256, 256)
    sharp, soft = np.asarray(face), blurred(face, 8)
    (first,), (second,), (white,) = (
        mends.applied(own, one[None], ALL[None]) for one in (sharp, soft, np.full_like(soft, 255))
    )
    assert (np.diff(first.ravel()) >= 0).all() and (second >= first).all() and second.max() <= 90
    expected = 0.9 * own[0] ** 1.05 * np.exp(1.2 * cues(sharp, ALL)[0])
    np.testing.assert_allclose(first[1:], expected[1:], rtol=1e-4)
    assert white[10, 10] > first[10, 10]
    np.testing.assert_allclose(Calibration().applied(own, sharp[None], ALL[None]), own, atol=2e-3)


@pytest.mark.parametrize(
    "said",
    [
        "nonsense", "[1, 2]", "{}", '{"scale": 1, "power": 1, "soft": -1, "white": 0}',
        '{"scale": 1, "power": NaN, "soft": 0, "white": 0}', "[" * 5000,
        '{"scale": 1, "power": "1", "soft": 0, "white": 0}',
        '{"scale": 1, "power": 1e300, "soft": 0, "white": 0}',
    ],
)  # fmt: skip
def test_a_network_with_a_bad_calibration_is_refused_in_a_line(said: str, tmp_path: Path) -> None:
    path = tiny_system.build(tmp_path / "tiny.onnx")
    tell(path, calibration=said)
    with pytest.raises(fr.WeightsError, match=r"tiny\.onnx: its calibration: ") as caught:
        fr.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_or_an_entry_may_carry_one(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = SHARP[None]
    plain = fr.load(tiny_system.build(tmp_path / "tiny.onnx")).estimate_crops(crops)
    mends = Calibration(2.0, 1.0, 0.0, 0.0)
    tell(tmp_path / "tiny.onnx", calibration=json.dumps(asdict(mends)))
    told = fr.load(tmp_path / "tiny.onnx")
    assert told.entry.training_data == ("nothing", "at all")  # what it said before stays
    np.testing.assert_allclose(
        told.estimate_crops(crops).expected_error, 2 * plain.expected_error, rtol=1e-3
    )
    np.testing.assert_allclose(told.answers(crops)["expected_error"], plain.expected_error)
    np.testing.assert_array_equal(told.estimate_crops(crops).normals, plain.normals)

    folder = tmp_path / "weights"
    shutil.copytree(tiny_folder, folder)
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    catalogue.note_calibration("default", asdict(mends))
    np.testing.assert_allclose(
        fr.load("tiny").estimate_crops(crops).expected_error, 2 * plain.expected_error, rtol=1e-3
    )


def test_what_is_no_network_cannot_be_told(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"not a network at all")
    with pytest.raises(ValueError, match="not an ONNX network"):
        tell(path, calibration="{}")
    assert path.read_bytes() == b"not a network at all"


def test_warnings_say_what_the_expected_error_says(face: Image.Image) -> None:
    assert list(of_picture(np.asarray(face), 150)) == []
    assert "blurred" in next(of_picture(blurred(face, 8), 150))
    assert "overexposed" in list(of_picture(np.full((256, 256, 3), 255, np.uint8), 150))[-1]
    expected = np.full((256, 256), 10.0)
    assert list(of_error(expected, ALL)) == [] == list(of_error(2 * expected, ~ALL))
    assert list(of_error(2 * expected, ALL)) == ["the normals are expected to be off by 20 degrees"]


def test_faces_of_blurred_and_tiny_photos_expect_more(astronaut: Path) -> None:
    photo = Image.open(astronaut).convert("RGB")
    (good,) = fr.load(threads=1)(photo)
    assert good.warnings == ()
    means = []
    for spoilt in (photo.filter(ImageFilter.GaussianBlur(5)), photo.resize((64, 64))):
        places = fr.find(photo, threads=1)
        scale = spoilt.width / photo.width
        place = places[0]
        crop = fr.Crop(tuple(scale * np.array(place.crop.centre)), scale * place.crop.side)
        moved = fr.types.Place(crop, place.box, 1.0, place.points, spoilt.size[::-1])
        (face,) = fr.load(threads=1).estimate(spoilt, [moved])
        assert face.warnings
        means.append(face.expected_error[face.mask].mean())
    assert min(means) > 1.25 * good.expected_error[good.mask].mean()
