"""Every photo that a user may have gives (H, W, 3) uint8; everything else one clear line."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerelief import sampling
from facerelief.images import load_photo
from facerelief.inputs import PhotoError, expand_inputs, expand_trees
from facerelief.photo_files import MIN_SIDE
from facerelief.sampling import bilinear, resample

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 255, (24, 32, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ALPHA = RNG.integers(0, 255, (24, 32), dtype=np.uint8)


def save(folder: Path, name: str, image: Image.Image, **options) -> Path:
    image.save(folder / name, **options)
    return folder / name


def over_white(colour, alpha):
    alpha = alpha[..., None] / 255
    return np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds almost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def error_of(source) -> str:
    with pytest.raises(PhotoError) as caught:
        load_photo(source)
    text = str(caught.value)
    assert "\n" not in text
    assert text
    return text


def test_rgb_is_unchanged(tmp_path):
    path = save(tmp_path, "rgb.png", Image.fromarray(RGB))
    for source in (path, str(path), Image.fromarray(RGB), RGB):
        np.testing.assert_array_equal(load_photo(source), RGB)


def test_loaded_photos_can_be_written_to(tmp_path):
    for image in (Image.fromarray(RGB), Image.fromarray(GREY), Image.fromarray(GREY > 99)):
        assert load_photo(save(tmp_path, "a.png", image)).flags.writeable


@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 1)])
def test_grey_becomes_three_channels(shape, tmp_path):
    expected = np.stack(3 * [GREY], axis=-1)
    np.testing.assert_array_equal(load_photo(GREY.reshape(shape)), expected)
    path = save(tmp_path, "grey.png", Image.fromarray(GREY))
    np.testing.assert_array_equal(load_photo(path), expected)


def test_transparent_pixels_lie_over_white(tmp_path):
    rgba, grey_alpha = np.dstack([RGB, ALPHA]), np.dstack([GREY, ALPHA])
    for source in (rgba, save(tmp_path, "rgba.png", Image.fromarray(rgba, "RGBA"))):
        np.testing.assert_array_equal(load_photo(source), over_white(RGB, ALPHA))
    expected = np.repeat(over_white(GREY[..., None], ALPHA), 3, axis=-1)
    for source in (grey_alpha, save(tmp_path, "la.png", Image.fromarray(grey_alpha, "LA"))):
        np.testing.assert_array_equal(load_photo(source), expected)


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.fromarray(RGB).quantize(16)
    shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(load_photo(save(tmp_path, "p.png", image)), shown)
    path = save(tmp_path, "pt.png", image, transparency=3)
    hole = (np.asarray(image) == 3)[..., None]
    assert hole.any()
    np.testing.assert_array_equal(load_photo(path), np.where(hole, 255, shown))


def test_cmyk_jpeg(tmp_path):
    smooth = Image.fromarray(RGB).resize((8, 6)).resize((320, 240), Image.Resampling.BICUBIC)
    path = save(tmp_path, "cmyk.jpg", smooth.convert("CMYK"), quality=95)
    with Image.open(path) as image:
        assert image.mode == "CMYK"
    difference = load_photo(path).astype(int) - np.asarray(smooth)
    assert np.abs(difference).mean() < 3


def test_sixteen_bits_become_eight(tmp_path):
    deep = RNG.integers(0, 65535, (24, 32), dtype=np.uint16)
    expected = np.repeat(np.rint(deep / 257).astype(np.uint8)[..., None], 3, axis=-1)
    for source in (deep, save(tmp_path, "16.png", Image.fromarray(deep)), Image.fromarray(deep)):
        np.testing.assert_array_equal(load_photo(source), expected)
    path = save(tmp_path, "16.tif", Image.fromarray(deep))
    np.testing.assert_array_equal(load_photo(path), expected)


def test_bool_and_float_arrays():
    np.testing.assert_array_equal(load_photo(GREY > 99)[..., 1], np.where(GREY > 99, 255, 0))
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(load_photo((RGB / 255).astype(dtype)), RGB)


def test_float_tiff(tmp_path):
    for factor in (1, 255):
        values = (GREY / 255 * factor).astype(np.float32)
        path = save(tmp_path, "float.tif", Image.fromarray(values))
        np.testing.assert_array_equal(load_photo(path)[..., 0], GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation, tmp_path):
    """What a viewer shows, for each of the tag's eight values."""
    stored = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: np.rot90(a, 2).
        swapaxes(0, 1), 8: lambda a: np.rot90(a, -1),
    }[orientation](RGB)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, "turned.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(load_photo(path), RGB)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff"])
def test_broken_exif_is_ignored(exif, tmp_path):
    path = save(tmp_path, "exif.jpg", Image.fromarray(RGB), exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_photo(path).shape == RGB.shape


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp", "animated.png"])
def test_an_animation_gives_its_first_frame(name, tmp_path):
    colours = ((200, 30, 30), (30, 200, 30), (30, 30, 200))
    first, *others = (Image.new("RGB", (32, 24), colour) for colour in colours)
    path = save(tmp_path, name, first, save_all=True, append_images=others)
    with Image.open(path) as image:
        assert image.n_frames == 3
    assert np.abs(load_photo(path).astype(int) - colours[0]).max() < 12


def test_missing_file_and_folder(tmp_path):
    assert error_of(tmp_path / "none.jpg") == f"{tmp_path / 'none.jpg'}: no such file"
    assert error_of(tmp_path) == f"{tmp_path}: a folder in which no picture was found"


def test_empty_and_text_files(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert error_of(tmp_path / "empty.jpg").endswith("empty.jpg: an empty file")
    (tmp_path / "text.jpg").write_text("Dear Sir or Madam,\nhere is the photo.\n")
    assert error_of(tmp_path / "text.jpg").endswith("text.jpg: not a picture in a known format")


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif", "photo.bmp"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(name, part, tmp_path):
    noise = RNG.integers(0, 255, (200, 200, 3), dtype=np.uint8)
    path = save(tmp_path, name, Image.fromarray(noise))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    assert error_of(path).startswith(f"{path}: ")


def test_damaged_files_are_refused_or_read(tmp_path):
    """Whatever random bytes do to a decoder, no other exception comes out."""
    for form in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, form)
        for _ in range(15):
            data = bytearray(buffer.getvalue())
            for place in RNG.integers(0, len(data), 5):
                data[place] = RNG.integers(256)
            path = tmp_path / "damaged"
            path.write_bytes(data)
            try:
                assert load_photo(path).shape[2] == 3
            except PhotoError as error:
                assert "\n" not in str(error)


def test_too_small(tmp_path):
    path = save(tmp_path, "dot.png", Image.new("RGB", (1, 1)))
    assert error_of(path) == f"{path}: 1 x 1 pixels, a photo needs {MIN_SIDE} on each side"
    assert "1 x 1 pixels" in error_of(Image.new("RGB", (1, 1)))
    assert "400 x 2 pixels" in error_of(np.zeros((2, 400, 3), np.uint8))
    assert load_photo(np.zeros((MIN_SIDE, MIN_SIDE), np.uint8)).shape == (MIN_SIDE, MIN_SIDE, 3)


@pytest.mark.parametrize("size", [(30_000, 30_000), (14_000, 13_000)])
def test_decompression_bombs_are_not_opened(size, tmp_path):
    """Over Pillow's limit, and between ours and Pillow's rounding of it."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    assert error_of(path) == f"{path}: larger than 178 megapixels"


def test_big_cameras_pass_without_a_warning(tmp_path):
    """108 megapixels are declared; only the missing pixels are complained of."""
    path = tmp_path / "big.png"
    path.write_bytes(png_header(12_000, 9_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "broken picture" in error_of(path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((32, 32, 5), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
        np.zeros(32, np.uint8),
        np.zeros((32, 32, 3), np.int64),
        np.full((32, 32, 3), 255.0),
        np.full((32, 32, 3), np.nan),
        np.full((32, 32, 3), -0.5, np.float32),
    ],
)
def test_arrays_that_are_no_photo(array):
    assert error_of(array).startswith("the array: ")


def test_a_photo_error_is_a_value_error():
    assert issubclass(PhotoError, ValueError)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.JPG", "a.png", "c.webp", "notes.txt", ".hidden.jpg", "sub/d.jpg", "x[1].png"):
        (tmp_path / name).touch()
    return tmp_path


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def test_expand_a_folder(folder):
    assert names(expand_inputs([folder]), folder) == ["a.png", "b.JPG", "c.webp", "x[1].png"]


def test_expand_globs(folder):
    assert names(expand_inputs([f"{folder}/*.png"]), folder) == ["a.png", "x[1].png"]
    assert names(expand_inputs([f"{folder}/**/*.jpg"]), folder) == ["sub/d.jpg"]


def test_expand_files_as_they_are_named(folder):
    """A file counts whatever its suffix, and before any glob it might be."""
    inputs = [folder / "notes.txt", str(folder / "x[1].png")]
    assert names(expand_inputs(inputs), folder) == ["notes.txt", "x[1].png"]


def test_expand_keeps_what_stands_for_nothing(folder):
    (folder / "empty").mkdir()
    inputs = [f"{folder}/{name}" for name in ("none.jpg", "a.png", "*.gif", "empty")]
    assert names(expand_inputs(inputs), folder) == ["none.jpg", "a.png", "*.gif", "empty"]
    for path in (inputs[0], inputs[2], inputs[3]):
        assert error_of(path).startswith(path)


def test_expand_gives_each_file_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = expand_inputs(["b.JPG", folder, "./a.png", "*.webp"])
    assert [path.name for path in found] == ["b.JPG", "a.png", "c.webp", "x[1].png"]


def test_trees_keep_their_places_and_follow_links_no_round(folder):
    (folder / "sub" / "deep").mkdir()
    (folder / "sub" / "deep" / "e.heic").touch()
    (folder / "sub" / "round").symlink_to(folder)
    (folder / "sub" / "again.jpg").symlink_to(folder / "a.png")
    (folder / "linked").symlink_to(folder / "sub")  # which comes first: links are sorted, too
    found = expand_trees([folder, folder / "a.png", folder / "none.jpg"])
    assert {str(place): names(files, folder) for place, files in found.items()} == {
        ".": ["a.png", "b.JPG", "c.webp", "x[1].png", "none.jpg"],
        "linked": ["linked/d.jpg"],
        "linked/deep": ["linked/deep/e.heic"],
    }


@pytest.mark.parametrize("name", ["a" * 5000 + ".jpg", "null\0.jpg"])
def test_impossible_names_are_refused(name):
    assert error_of(expand_inputs([name])[0])


def test_resample_keeps_constants():
    """No gain and no loss in any turn and scale, away from the border."""
    image = np.full((90, 110, 2), 0.25, np.float64)
    for scale in (0.3, 1.0, 2.5):
        for angle in (0.0, 0.4, 2.0):
            c, s = scale * np.cos(angle), scale * np.sin(angle)
            matrix = np.array([[c, s, 55 - 10 * (c + s)], [-s, c, 45 - 10 * (c - s)]])
            result = resample(image, matrix, (20, 20))
            assert result.dtype == np.float32
            np.testing.assert_allclose(result, 0.25, atol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n{ } loop\n",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 40) + bytes(20) + b"%!PS-Adobe-3.0\n" * 9,
    ],
    ids=["eps", "binary"],
)
def test_postscript_is_not_run(data, tmp_path, monkeypatch):
    """It is a program: whatever it is called, Ghostscript is not started for it."""
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("was run"))
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    assert error_of(path) == f"{path}: not a picture in a known format"


BROKEN = {
    "ppm.jpg": b"P6\n",  # ValueError
    "letters.ppm": b"P6\nwide high\n255\n",
    "zlib.png": png_header(64, 64).replace(zlib.compress(bytes(1000)), b"x" * 17),
    "tiff.tif": b"II*\0\x08\0\0\0\xff\xff" + bytes(40),
    "gif.gif": b"GIF89a\x40\0\x40\0\x80\0\0",
    "bmp.bmp": b"BM" + struct.pack("<IHHII", 99, 0, 0, 54, 40) + b"\xff" * 36,
}


@pytest.mark.parametrize("name", BROKEN)
def test_no_other_exception_comes_out(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    assert error_of(path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "kind", [RuntimeError, struct.error, SyntaxError, OverflowError, zlib.error, MemoryError]
)
def test_whatever_a_decoder_raises(kind, tmp_path, monkeypatch):
    from PIL import ImageFile

    def broken(*_):
        raise kind("of all things\nand more")

    path = save(tmp_path, "a.png", Image.fromarray(RGB))
    monkeypatch.setattr(ImageFile.ImageFile, "load", broken)
    assert error_of(path).startswith(f"{path}: ")


def test_errors_show_no_codes_of_terminals(tmp_path):
    assert "\x1b" not in error_of(tmp_path / "\x1b[31mred\nline.jpg")


def test_looks_in_small_portions_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    places = RNG.uniform(-3, 35, (9, 14, 2))
    whole = bilinear(RGB, places)
    monkeypatch.setattr(sampling, "_LOOKS", 11)
    np.testing.assert_array_equal(bilinear(RGB, places), whole)
    assert bilinear(RGB, places[:0]).shape == (0, 14, 3)
    exact = bilinear(RGB, np.array([[3.5, 7.5], [20.0, 4.5]]))
    np.testing.assert_allclose(exact, [RGB[7, 3], RGB[4, 19:21].mean(axis=0)], atol=1e-4)
