"""Our PNG writer against readers that others wrote."""

import io
import sys

import numpy as np
import png
import pytest
from PIL import Image

from facerelief.encode import to_jpeg, to_png


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1), (300, 200, 3)])
def test_eight_bits_come_back(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Image.open(io.BytesIO(to_png(pixels, {"Author": "nobody, é"}))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["Author"] == "nobody, é"


@pytest.mark.parametrize("shape", [(5, 7, 3), (6, 4, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_sixteen_bits_come_back(shape: tuple[int, ...], order: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    content = to_png(np.array(pixels, order=order))  # type: ignore[call-overload]
    width, height, rows, info = png.Reader(bytes=content).read()
    assert (height, width, info["planes"], info["bitdepth"]) == (*shape, 16)
    np.testing.assert_array_equal(np.vstack(list(rows)).reshape(shape), pixels)


def test_pictures_come_back_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)  # importing it now fails
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    with Image.open(io.BytesIO(to_png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_jpeg_is_near() -> None:
    pixels = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 48, 3))
    with Image.open(io.BytesIO(to_jpeg(pixels))) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - pixels).max() < 8
