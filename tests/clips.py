"""Films for tests: a photo that is moved along a known path, with noise and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
RATE = 30
Path2 = Callable[[float], tuple[float, float]]


def still(seconds: float) -> tuple[float, float]:
    return 0.0, 0.0


def pictures(
    count: int,
    size: tuple[int, int] = (320, 240),
    path: Path2 = still,
    noise: float = 0.0,
    seed: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """(height, width, 3) of the astronaut, who is at `path` (pixels right and down) by seconds."""
    width, height = size
    photo = Image.open(ASTRONAUT).convert("RGB").resize((height, height), Image.Resampling.BOX)
    random = np.random.default_rng(seed)
    for index in range(count):
        right, down = path(index / RATE)
        matrix = (1, 0, -(width - height) / 2 - right, 0, 1, -down)
        image = photo.transform(
            size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(90, 90, 90)
        )
        pixels = np.asarray(image, np.float32)
        if noise:
            pixels = pixels + random.normal(0, noise, pixels.shape)
        yield np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound: str | None = None,
    seconds: float = 1.0,
    times: Sequence[int] | None = None,
    turned: int = 0,
    **options: Any,
) -> Path:
    """A film at `path`. `times` are milliseconds of the frames; `turned` degrees that players turn
    it by, counter-clockwise.
    """
    with av.open(str(path), "w") as film:
        stream = None
        tone = None
        for index, frame in enumerate(frames):
            if stream is None:
                stream = film.add_stream(codec, rate=RATE)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pixels
                stream.codec_context.options = {"crf": "12", "preset": "ultrafast", **options}
                if times is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                if turned:
                    stream.set_display_rotation(turned)
                if sound:
                    tone = film.add_stream(sound, rate=44100, layout="mono", bit_rate=64000)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            film.mux(stream.encode(picture))
        if stream is not None:
            film.mux(stream.encode(None))
        if tone is not None:
            _sing(film, tone, seconds)
    return path


def sing(path: Path, seconds: float, codec: str = "aac") -> Path:
    """A file with sound alone."""
    with av.open(str(path), "w") as film:
        _sing(film, film.add_stream(codec, rate=44100, layout="mono"), seconds)
    return path


def _sing(film: Any, tone: Any, seconds: float) -> None:
    count = round(44100 * seconds)
    change = av.AudioResampler(tone.codec_context.format.name, "mono", 44100)
    for start in range(0, count, 1024):
        number = np.arange(start, min(start + 1024, count))
        wave = (0.3 * np.sin(2 * np.pi * 440 * number / 44100)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, start
        for part in change.resample(frame):
            film.mux(tone.encode(part))
    film.mux(tone.encode(None))


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as film:
        return [float(frame.pts * frame.time_base) for frame in film.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    """The packets of a film's sound, as they are compressed."""
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]
