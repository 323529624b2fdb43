"""Normal maps as PNG: round trips on a sphere, and files that others made."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerelief.apps.doctor import sphere
from facerelief.inputs import PhotoError
from facerelief.normal_png import FRAME_KEY, decode_png, encode_png


@pytest.mark.parametrize(("bits", "tolerance"), [(8, 0.6), (16, 0.003)])
def test_sphere_survives(tmp_path: Path, bits: int, tolerance: float) -> None:
    normals, mask = sphere(32)
    path = tmp_path / "sphere.png"
    path.write_bytes(encode_png(normals, mask, "directx", bits))
    back = decode_png(path)
    assert (back.frame, back.bits) == ("directx", bits)
    np.testing.assert_array_equal(back.mask, mask)
    chord = np.linalg.norm(back.normals - normals, axis=-1)[mask]
    assert np.degrees(chord.max()) < tolerance


def test_eight_bits_as_pillow_sees_them() -> None:
    """The published formula, read back without our code; alpha is the mask."""
    import io

    normals, mask = sphere(32)
    with Image.open(io.BytesIO(encode_png(normals, mask, "opengl"))) as image:
        pixels, text = np.asarray(image), image.info
    assert text[FRAME_KEY] == "opengl"
    expected = np.rint((normals + 1) / 2 * 255)
    np.testing.assert_array_equal(pixels[mask][:, :3], expected[mask])
    np.testing.assert_array_equal(pixels[..., 3] == 255, mask)
    np.testing.assert_array_equal(pixels[~mask][0], [128, 128, 255, 0])


def test_rgb_without_text_has_normals_everywhere_and_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.new("RGB", (5, 3), (255, 128, 128)).save(path)
    read = decode_png(path)
    assert read.mask.shape == (3, 5) and read.mask.all() and read.frame is None
    np.testing.assert_allclose(read.normals[0, 0], (1, 0, 0), atol=0.01)


def test_palette_png_is_read_by_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "palette.png"
    Image.new("RGB", (4, 4), (128, 255, 128)).quantize(4).save(path)
    np.testing.assert_allclose(decode_png(path).normals[0, 0], (0, 1, 0), atol=0.01)


def test_what_is_no_normal_map_says_so(tmp_path: Path) -> None:
    grey, text, missing = tmp_path / "grey.png", tmp_path / "text.png", tmp_path / "missing.png"
    Image.new("L", (4, 4)).save(grey)
    text.write_text("not a picture")
    truncated = tmp_path / "cut.png"
    normals, mask = sphere(32)
    truncated.write_bytes(encode_png(normals, mask, "opengl")[:-200])
    for path in (grey, text, missing, truncated):
        with pytest.raises(PhotoError, match=path.name) as caught:
            decode_png(path)
        assert "\n" not in str(caught.value)
