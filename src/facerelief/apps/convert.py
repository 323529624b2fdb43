"""A normal map from one frame to another, file to file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facerelief.arrays import FloatArray
from facerelief.files import write_files
from facerelief.geometry.normals import (
    FRAMES,
    convert,
    smooth,
    tangent_frames,
)
from facerelief.normal_png import NormalMap, decode_png, encode_png

#: Pixels of the Gaussian whose low frequencies are the surface that detail is relative to.
SMOOTHING = 8.0


def convert_file(
    source: Path,
    out: Path,
    to: str,
    from_: str | None = None,
    reference: Path | None = None,
    bits: int | None = None,
) -> None:
    """Write the normal map `source` as the PNG `out` in the frame `to`; the alpha stays.

    `from_` None takes the frame that the PNG's text names; `bits` None keeps the depth. Tangent
    space is relative to the surface whose normal map is `reference`; without one, a map goes *to*
    tangent space relative to its own low frequencies, which leaves the detail.

    Raises ValueError for a call that makes no sense, PhotoError for a file that is no normal map,
    OSError where `out` cannot be written.
    """
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out}: a normal map is written as a PNG, so its name ends in .png")
    if bits not in (None, 8, 16):
        raise ValueError(f"a normal map has 8 or 16 bits, not {bits}")
    read = decode_png(source)
    start = _frame(from_ or read.frame, source)
    frames = None
    if "tangent" in (start, to) and start != to:
        frames = tangent_frames(_surface(source, read, start, reference))
    converted = convert(read.normals, start, to, frames)
    alpha = read.mask if read.alpha is None else read.alpha
    write_files({out: encode_png(converted, alpha, to, bits or read.bits)})


def _frame(name: str | None, path: Path) -> str:
    if name is None:
        raise ValueError(f"{path} does not say its frame: give --from {' | '.join(FRAMES)}")
    return name


def _surface(source: Path, read: NormalMap, frame: str, reference: Path | None) -> FloatArray:
    """Normals (H, W, 3), in our frame, of the surface that tangent space is relative to."""
    if reference is not None:
        base = decode_png(reference)
        if base.mask.shape != read.mask.shape:
            raise ValueError(f"{reference} and {source} differ in size")
        normals = convert(base.normals, _frame(base.frame or "opengl", reference), "opengl")
        return np.where(base.mask[..., None], normals, 0)
    if frame == "tangent":
        raise ValueError("from tangent space needs --reference, the normal map it is relative to")
    return smooth(convert(read.normals, frame, "opengl"), read.mask, SMOOTHING)
