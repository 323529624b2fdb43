"""Values that mean something else than 8-bit sRGB are read as what they are, or refused."""

import struct
from pathlib import Path

import numpy as np
import png
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from facerelief.images import load_photo
from facerelief.inputs import PhotoError

RAMP = np.linspace(0, 255, 32).astype(np.uint8)
GREY = np.tile(RAMP, (20, 1))
RGB = np.dstack([GREY, GREY[:, ::-1], np.full_like(GREY, 60)])


def patched(path: Path, tag: int, old: int, new: int) -> Path:
    """A TIFF with another value of a tag."""
    before, after = (struct.pack("<HHII", tag, 3, 1, value) for value in (old, new))
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after))
    return path


def swapped_profile() -> bytes:
    """sRGB with red and green in each other's place."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))
    for tag in (b"XYZ", b"TRC"):
        profile = profile.replace(b"r" + tag, b"?" + tag).replace(b"g" + tag, b"r" + tag)
        profile = profile.replace(b"?" + tag, b"g" + tag)
    return profile


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_profiles_are_applied(name: str, tmp_path: Path) -> None:
    options = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(RGB).save(tmp_path / name, icc_profile=swapped_profile(), **options)
    seen = load_photo(tmp_path / name).astype(int)
    assert np.abs(seen - RGB[..., [1, 0, 2]]).max() <= 3


def test_profiles_that_change_nothing(tmp_path: Path) -> None:
    """sRGB itself, nonsense, and one of another kind of picture."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"nonsense", swapped_profile()[:200]):
        Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
        np.testing.assert_array_equal(load_photo(tmp_path / "a.png"), RGB)
    Image.fromarray(GREY).save(tmp_path / "g.png", icc_profile=swapped_profile())
    np.testing.assert_array_equal(load_photo(tmp_path / "g.png")[..., 0], GREY)


def test_transparent_pictures_with_a_profile(tmp_path: Path) -> None:
    alpha = np.full((20, 32, 1), 255, np.uint8)
    alpha[:, :5] = 0
    image = Image.fromarray(np.dstack([RGB, alpha]))
    image.save(tmp_path / "a.png", icc_profile=swapped_profile())
    seen = load_photo(tmp_path / "a.png").astype(int)
    assert (seen[:, :5] == 255).all()
    assert np.abs(seen - RGB[..., [1, 0, 2]])[:, 5:].max() <= 3


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_fewer_bits_in_sixteen(bits: int, name: str, tmp_path: Path) -> None:
    values = np.rint(GREY / 255 * (2**bits - 1)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    assert np.abs(load_photo(tmp_path / name)[..., 0].astype(int) - GREY).max() <= 1


def test_fewer_bits_in_sixteen_of_colours_are_refused(tmp_path: Path) -> None:
    for bits in (12, 16):
        rows = (RGB.astype(np.uint16) << (bits - 8)).reshape(20, -1)
        with (tmp_path / "a.png").open("wb") as file:
            png.Writer(32, 20, greyscale=False, bitdepth=16).write(file, rows)
        if bits == 16:
            np.testing.assert_array_equal(load_photo(tmp_path / "a.png"), RGB)
        else:
            with pytest.raises(PhotoError, match="12 bits or fewer in 16"):
                load_photo(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.bool_])
def test_white_is_zero(kind: type, tmp_path: Path) -> None:
    values = {np.uint8: GREY, np.uint16: GREY * np.uint16(257), np.bool_: GREY > 99}[kind]
    Image.fromarray(values).save(tmp_path / "a.tif")
    black = load_photo(tmp_path / "a.tif")
    white = load_photo(patched(tmp_path / "a.tif", 262, 1, 0))
    np.testing.assert_array_equal(white, 255 - black)


def test_lab(tmp_path: Path) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    there = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    smooth = np.clip(RGB, 60, 190)
    ImageCms.applyTransform(Image.fromarray(smooth), there).save(tmp_path / "a.tif")
    assert np.abs(load_photo(tmp_path / "a.tif").astype(int) - smooth).max() <= 8


@pytest.mark.parametrize("value", [1.5, 1000.0, np.nan, -0.5])
def test_floats_of_unknown_range_are_refused(value: float, tmp_path: Path) -> None:
    values = GREY.astype(np.float32) / 255
    values[3, 4] = value
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match=r"a\.tif: (float )?values"):
        load_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("deep", [False, True])
def test_linear_light(deep: bool, tmp_path: Path) -> None:
    """A PNG whose gAMA is 1: what has half the light is 188 of 255."""
    values = np.full((20, 20), 32768 if deep else 128, np.uint16 if deep else np.uint8)
    info = PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100_000))
    Image.fromarray(values).save(tmp_path / "a.png", pnginfo=info)
    assert abs(int(load_photo(tmp_path / "a.png")[0, 0, 0]) - 188) <= 1


@pytest.mark.parametrize("bits", [8, 16])
def test_planes_one_after_another(bits: int, tmp_path: Path) -> None:
    """A TIFF with PlanarConfiguration 2."""
    kind = "<u2" if bits == 16 else "u1"
    planes = [np.ascontiguousarray(RGB[..., c]).astype(kind) for c in range(3)]
    data = b"".join(((p * 257) if bits == 16 else p).astype(kind).tobytes() for p in planes)
    size = len(data) // 3
    entries = [
        (256, 3, 1, 32), (257, 3, 1, 20), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 3, 206), (277, 3, 1, 3), (278, 3, 1, 20), (279, 4, 3, 218), (284, 3, 1, 2),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    content = b"II*\0\x08\0\0\0" + directory
    content = content.ljust(200, b"\0") + struct.pack("<3H", *[bits] * 3)
    content += struct.pack("<3I", *(230 + size * c for c in range(3)))
    content += struct.pack("<3I", *[size] * 3) + data
    (tmp_path / "a.tif").write_bytes(content)
    if bits == 8:
        np.testing.assert_array_equal(load_photo(tmp_path / "a.tif"), RGB)
    else:  # Pillow takes each for two
        with pytest.raises(PhotoError, match="16 bits, its colours one after another"):
            load_photo(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("beginning", "word"),
    [(b"\0\0\0\x18ftypheic", "facerelief.heif"), (b"\xff\x0a\x7f", "JPEG XL.*djxl")],
)
def test_formats_that_need_something_are_named(
    beginning: bytes, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facerelief.photo_files.formats", lambda: ["JPEG", "PNG"])
    (tmp_path / "a.heic").write_bytes(beginning + bytes(100))
    with pytest.raises(PhotoError, match=word):
        load_photo(tmp_path / "a.heic")


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    smooth = Image.fromarray(RGB).resize((128, 80), Image.Resampling.BICUBIC)
    heif.from_pillow(smooth).save(tmp_path / "a.heic", quality=95)
    assert np.abs(load_photo(tmp_path / "a.heic").astype(int) - np.asarray(smooth)).mean() < 4
