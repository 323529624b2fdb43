"""A photo of which a part changes keeps all the rest."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from facerelief.images import load_photo
from facerelief.inputs import PhotoError
from facerelief.photo_files import PhotoFile
from facerelief.retouch import retouched
from test_colour import swapped_profile

HERE = (slice(10, 20), slice(30, 44))  # rows and columns that change, of the upright photo
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(60, 190, (48, 64, 4), np.uint8) | np.array([0, 0, 0, 128], np.uint8)
EXIF = Image.Exif()
EXIF[315] = "somebody"


def change(amount: float = 20) -> list:
    return [(HERE, np.full((10, 14, 3), amount, np.float32))]


def written(image: Image.Image, path: Path, suffix: str = ".png", **options) -> Image.Image:
    image.save(path, **options)
    made = Image.open(io.BytesIO(retouched(PhotoFile(path), change(), suffix)))
    made.load()
    return made


def inside(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[HERE] = True
    return mask


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_modes_and_all_pixels_outside_stay(mode: str, suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kept = {"icc_profile": profile if "RGB" in mode else None, "dpi": (300, 300), "exif": EXIF}
    made = written(image, tmp_path / f"a{suffix}", suffix, **kept)
    old, new = np.asarray(image), np.asarray(made)
    assert made.mode == mode and made.info.get("icc_profile") == kept["icc_profile"]
    assert made.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
    assert made.getexif()[315] == "somebody"
    mask = inside(old.shape)
    np.testing.assert_array_equal(new[~mask], old[~mask])
    if mode[-1] == "A":  # the change is that of what is seen over white
        np.testing.assert_array_equal(new[..., -1], old[..., -1])
    change_seen = load_photo(made).astype(int) - load_photo(image)
    assert np.abs(change_seen[mask] - 20).max() <= 1


def test_sixteen_bits_of_grey_stay(tmp_path: Path) -> None:
    values = RNG.integers(20_000, 50_000, (48, 64), np.uint16)
    made = written(Image.fromarray(values), tmp_path / "a.png")
    mask, new = inside(values.shape), np.asarray(made)
    assert made.mode == "I;16"
    np.testing.assert_array_equal(new[~mask], values[~mask])
    np.testing.assert_array_equal(new[mask], values[mask] + 20 * 257)


def test_values_are_those_of_the_profile(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS[..., :3])
    made = written(image, tmp_path / "a.png", icc_profile=swapped_profile())
    old, new = np.asarray(image), np.asarray(made)
    mask = inside(old.shape)
    assert made.info["icc_profile"] == swapped_profile()
    np.testing.assert_array_equal(new[~mask], old[~mask])
    seen = load_photo(made).astype(int) - load_photo(tmp_path / "a.png")
    assert abs(seen[mask].mean() - 20) < 3


def test_a_format_without_profiles_gets_srgb(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS[..., :3])
    made = written(image, tmp_path / "a.png", ".bmp", icc_profile=swapped_profile())
    mask = inside(COLOURS.shape)
    np.testing.assert_array_equal(np.asarray(made)[~mask], load_photo(tmp_path / "a.png")[~mask])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_turned_photos_change_where_they_are_to(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    """PNG becomes upright, since few heed its EXIF; JPEG stays as it lies, with its tag."""
    grey = Image.fromarray(np.full((64, 64), 100, np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    exif[315] = "somebody"
    made = written(grey, tmp_path / "a.jpg", suffix, exif=exif, quality=100)
    assert made.getexif().get(274, 1) == (1 if suffix == ".png" else orientation)
    assert made.getexif()[315] == "somebody"
    change_seen = load_photo(made)[..., 0].astype(int) - load_photo(tmp_path / "a.jpg")[..., 0]
    assert np.abs(change_seen - 20 * inside((64, 64))).max() <= 2


def test_a_jpeg_keeps_its_tables(astronaut: Path) -> None:
    """What has been through them once comes out again nearly as it was."""
    content = retouched(PhotoFile(astronaut), change(), ".jpg")
    made, old = Image.open(io.BytesIO(content)), Image.open(astronaut)
    assert made.quantization == old.quantization
    mask = np.zeros(old.size[::-1], bool)
    mask[:40, :80] = True
    difference = np.abs(load_photo(made).astype(int) - load_photo(astronaut))[~mask]
    assert difference.mean() < 0.5


@pytest.mark.parametrize("mode", ["P", "1", "CMYK"])
def test_other_modes_look_as_before(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS[..., :3]).convert(mode)
    made = written(image, tmp_path / "a.tif")
    old, new = load_photo(tmp_path / "a.tif"), load_photo(made)
    np.testing.assert_array_equal(new[~inside(old.shape)], old[~inside(old.shape)])


def test_transparency_of_a_palette_becomes_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS[..., :3]).quantize(16)
    made = written(image, tmp_path / "a.png", transparency=3)
    assert made.mode == "RGBA"
    hidden = np.asarray(image) == 3
    np.testing.assert_array_equal(np.asarray(made)[..., 3] == 0, hidden)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="unknown file extension"):
        retouched(PhotoFile(tmp_path / "a.png"), [], ".xyz")
    file = PhotoFile(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    with pytest.raises(PhotoError):
        retouched(file, [], ".png")
