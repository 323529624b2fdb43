"""Pictures of errors, for the output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facerelief.evaluate import predictions
from facerelief.geometry.normals import angular_error, encode
from facerelief.pictures import ERROR_SCALE, colour_error, shading_row

COLUMNS = ("photo", "estimate", "truth", "error", "expected error")

_LINE = 24  # pixels, of text
_LEGEND = 40  # pixels, of the colour scale with its degrees

#: The name of a picture, what it shows, and its true normals where they are known.
Shown = tuple[str, NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]


def draw_sheets(out: Path, name: str, folders: Mapping[str, Path], shown: Sequence[Shown]) -> None:
    """``pictures/SYSTEM/NAME.png``: what each system's files say of some pictures."""
    for label, folder in folders.items():
        rows = []
        for picture, crop, truth, mask in shown:
            normals, expected = predictions.read(folder, picture, mask.shape)
            rows.append(row(crop, normals, expected, truth, mask))
        path = out / "pictures" / label / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet(rows).save(path)


def row(
    crop: NDArray[np.uint8],
    normals: NDArray[np.float32],
    expected: NDArray[np.float32] | None,
    truth: NDArray[np.float32],
    mask: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """(H, 5 W, 3): one photo under COLUMNS; white where there is nothing to show."""
    known, answered = mask[..., None], normals.any(axis=-1, keepdims=True)
    error = np.nan_to_num(angular_error(normals, truth))
    blank = np.full_like(crop, 255)
    cells = [
        crop,
        np.where(answered, encode(normals), 255),
        np.where(known, encode(truth), 255),
        np.where(known & answered, colour_error(error), 255),
        blank if expected is None else np.where(known, colour_error(expected), 255),
    ]
    return np.hstack(cells).astype(np.uint8)


def sheet(rows: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Rows under their headings, over the colour scale of the errors."""
    stack = np.vstack(rows)
    height, width = stack.shape[:2]
    canvas = Image.new("RGB", (width, _LINE + height + _LEGEND), "white")
    canvas.paste(Image.fromarray(stack), (0, _LINE))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for index, heading in enumerate(COLUMNS):
        draw.text(((index + 0.5) * width / len(COLUMNS), _LINE / 2), heading, "black", font, "mm")

    left, length, top = width * 3 // len(COLUMNS), width * 2 // len(COLUMNS) - _LINE, _LINE + height
    scale = colour_error(np.linspace(0, ERROR_SCALE, length))
    canvas.paste(Image.fromarray(np.repeat(scale[None], 12, 0)), (left, top + 6))
    for degrees in range(0, int(ERROR_SCALE) + 1, 10):
        x = left + degrees / ERROR_SCALE * (length - 1)
        draw.text((x, top + 30), f"{degrees}°", "black", font, "mm" if degrees else "lm")
    return canvas


def comparison_row(
    crop: NDArray[np.uint8] | None,
    normals: NDArray[np.float32],
    mask: NDArray[np.bool_],
    error: NDArray[np.floating] | None,
) -> NDArray[np.uint8]:
    """(H, 10 W, 3): photo, normals, shadings under the seven lights, error; white for None."""
    known = mask[..., None]
    white = np.full((*mask.shape, 3), 255, np.uint8)
    shadings = np.repeat(shading_row(normals, mask)[..., None], 3, axis=-1)
    degrees = None if error is None else colour_error(np.nan_to_num(error))
    cells = [
        white if crop is None else crop,
        np.where(known, encode(normals), 255),
        np.where(np.tile(known, (1, 7, 1)), shadings, 255),
        white if degrees is None else np.where(known, degrees, 255),
    ]
    return np.hstack(cells).astype(np.uint8)


def labelled(rows: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> Image.Image:
    """Rows half their size, each under its name."""
    height, width = rows[0].shape[0] // 2, rows[0].shape[1] // 2
    canvas = Image.new("RGB", (width, len(rows) * (height + _LINE)), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for index, (pixels, name) in enumerate(zip(rows, names, strict=True)):
        top = index * (height + _LINE)
        draw.text((4, top + _LINE / 2), name, "black", font, "lm")
        canvas.paste(Image.fromarray(pixels).resize((width, height)), (0, top + _LINE))
    return canvas
