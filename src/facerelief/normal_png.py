"""Normal maps as PNG: 8 or 16 bits, alpha is the mask, and the text says in which frame they are.

A value is round((n + 1) / 2 * 255), or 65535 for 16 bits. Pixels without a normal are transparent
and hold the colour of a surface that faces the viewer, so that programs which ignore alpha or
filter across the edge see nothing odd.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.arrays import BoolArray, FloatArray
from facerelief.encode import MARK, to_png
from facerelief.geometry.normals import decode, encode
from facerelief.inputs import PhotoError

#: The key of the PNG text that names the frame.
FRAME_KEY = "Normal frame"
MAX_PIXELS = 8192**2  # of a normal map that is read


@dataclass(frozen=True, eq=False)
class NormalMap:
    """What a normal-map PNG holds."""

    normals: NDArray[np.float32]  # (H, W, 3) unit
    mask: BoolArray  # (H, W), True where there is a normal
    frame: str | None  # as its text says; None where it does not
    bits: int  # 8 or 16
    alpha: NDArray[np.float32] | None = None  # (H, W) in [0, 1]; None where it is as the mask


def encode_png(
    normals: FloatArray, mask: BoolArray | FloatArray, frame: str, bits: int = 8
) -> bytes:
    """The PNG of `normals` (H, W, 3) already in `frame`, with `mask` (H, W) as alpha.

    A mask of floats is an alpha in [0, 1].
    """
    return to_png(to_pixels(normals, mask, bits), {FRAME_KEY: frame, **MARK})


def to_pixels(
    normals: FloatArray, mask: BoolArray | FloatArray, bits: int = 8
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The pixels (H, W, 4) of `encode_png`."""
    values = encode(normals, bits)
    most = np.iinfo(values.dtype).max
    pixels = np.empty((*mask.shape, 4), values.dtype)
    for channel in range(3):  # all three in one statement take four times as long
        pixels[..., channel] = values[..., channel]
    pixels[..., 3] = np.rint(mask * np.float32(most))
    whole = np.dtype(f"u{pixels.itemsize * 4}")
    background = np.append(encode((0, 0, 1), bits), values.dtype.type(0))
    np.copyto(pixels.view(whole)[..., 0], background.view(whole), where=pixels[..., 3] == 0)
    return pixels


def decode_png(path: Path) -> NormalMap:
    """Read a normal map from a PNG of 8 or 16 bits, with or without alpha.

    Raises PhotoError for a file that is no RGB or RGBA PNG, or for one of more than `MAX_PIXELS`.
    """
    import png

    try:
        content = path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        _check_size(content)
        width, height, rows, info = png.Reader(bytes=content).asDirect()
        pixels = np.vstack([np.asarray(row) for row in rows]).reshape(height, width, -1)
        frame = _text(content).get(FRAME_KEY)
    except Exception as error:  # both readers raise anything for parts that do not fit together
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"{path}: not a PNG that can be read ({reason})") from None
    if info["greyscale"]:
        raise PhotoError(f"{path}: a grey picture, not a normal map")
    bits = 16 if info["bitdepth"] > 8 else 8
    values = pixels[..., :3].astype(np.uint16 if bits == 16 else np.uint8)
    if pixels.shape[2] < 4:
        return NormalMap(decode(values), np.ones((height, width), np.bool_), frame, bits)
    most = 2**bits - 1
    mask = pixels[..., 3] > 0
    is_hard = (mask == (pixels[..., 3] == most)).all()
    alpha = None if is_hard else (pixels[..., 3] / most).astype(np.float32)
    return NormalMap(decode(values), mask, frame, bits, alpha)


def _check_size(content: bytes) -> None:
    """Raises ValueError for more pixels, or more data behind them, than fit into memory."""
    import png

    reader = png.Reader(bytes=content)
    reader.preamble()
    if reader.width * reader.height > MAX_PIXELS:
        raise ValueError(f"{reader.width} x {reader.height}, more than {MAX_PIXELS} pixels")
    room = 2 * reader.height * (8 * reader.width + 1)  # 4 channels of 16 bits, and interlacing
    data = zlib.decompressobj()
    for kind, part in reader.chunks():
        room -= len(data.decompress(part, room + 1)) if kind == b"IDAT" else 0
        if room < 0:
            raise ValueError("more data than pixels")


def _text(content: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        return {str(key): str(value) for key, value in image.info.items()}
