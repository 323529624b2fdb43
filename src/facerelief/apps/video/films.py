"""Pictures to films: parts that can be put together, and the sound of the film they came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerelief.apps.video.reading import import_av
from facerelief.encode import MARK

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

#: The container of parts: it keeps any time base, and starts at any time.
PART = ".nut"
#: What films are compressed with, the first that there is, and how: as good as it looks. Without
#: pictures that refer to later ones parts can follow each other.
_CODECS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"crf": "18", "preset": "superfast", "bf": "0"}),
    ("mpeg4", {"qscale": "3", "bf": "0"}),
)
_BT709, _LIMITED = 1, 1  # FFmpeg's numbers of the colour space and range that are written
#: Containers of whole films, the first that holds the sound, too.
CONTAINERS = (".mp4", ".mkv")


class PartWriter:
    """One part of a film, whole when it is closed. Raises OSError where it cannot be written."""

    def __init__(
        self, path: Path, time_base: Fraction, rate: Fraction, threads: int | None = None
    ) -> None:
        self._av = import_av()
        self._container: OutputContainer = self._av.open(str(path), "w", format=PART[1:])
        self._time_base, self._rate, self._threads = time_base, rate, threads
        self._stream: Any = None

    def put(self, pixels: NDArray[np.uint8], pts: int) -> None:
        """The next picture (H, W, 3), at `pts` in units of the time base.

        Odd sides get one more row or column, as films want even ones.
        """
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        if self._stream is None:
            self._stream = self._begin(*pixels.shape[:2])
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", src_color_range="JPEG", dst_color_range="MPEG",
            dst_colorspace="ITU709",
        )  # fmt: skip
        frame.pts, frame.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _begin(self, height: int, width: int) -> Any:
        name, options = next(
            (codec for codec in _CODECS if codec[0] in self._av.codecs_available), _CODECS[-1]
        )
        stream: Any = self._container.add_stream(name, rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.options = options
        context.time_base = self._time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        if self._threads:
            context.thread_count = self._threads
        return stream


def join(
    parts: Sequence[Path], source: str | None, out: Path, end: float | None = None
) -> tuple[Path, list[str]]:
    """Put parts together, with the sound of the film at `source`, as a film called `out`.

    Of the sound what begins before `end`, in seconds by the film's clock, if that is given. Nothing
    is compressed again. `out` has no ending yet; what is returned has that of the first container
    that can hold the sound, and what people should know. Raises OSError.
    """
    for ending in CONTAINERS:
        path, is_last = out.with_name(out.name + ending), ending == CONTAINERS[-1]
        try:
            had_sound = _join(parts, source, path, end)
        except ValueError:
            if not is_last:
                continue
            _join(parts, None, path, None)
            return path, ["its sound fits into no container, and was left out"]
        other = ending != CONTAINERS[0] and had_sound
        return path, [f"MP4 cannot hold its sound: written as {ending[1:].upper()}"] * other
    raise AssertionError("there is a last container")


def _join(parts: Sequence[Path], source: str | None, path: Path, end: float | None) -> bool:
    """Whether there was sound. Raises ValueError where the container cannot hold it."""
    av = import_av()
    with ExitStack() as stack:
        films = [stack.enter_context(av.open(str(part))) for part in parts]
        sound = None if source is None else stack.enter_context(av.open(source))
        audio = sound.streams.audio[0] if sound is not None and sound.streams.audio else None
        target = stack.enter_context(av.open(str(path), "w"))
        target.metadata["comment"] = MARK["Software"]
        video = target.add_stream_from_template(films[0].streams.video[0])
        streams: list[Iterator[tuple[float, Packet, Stream]]] = [_packets(films, video)]
        if audio is not None:
            try:
                streams.append(_packets([sound], target.add_stream_from_template(audio), "audio"))
                target.start_encoding()
            except (av.error.FFmpegError, ValueError) as error:
                raise ValueError(f"{path.suffix}: no {audio.codec_context.name}") from error
        for time, packet, stream in merge(*streams, key=lambda one: one[0]):
            if stream is not video and end is not None and time >= end:
                continue
            packet.stream = stream
            target.mux(packet)
    return audio is not None


def _packets(
    films: Sequence[Any], stream: Stream, kind: str = "video"
) -> Iterator[tuple[float, Packet, Stream]]:
    """The packets of one kind, with their times in seconds, and where they go."""
    av = import_av()
    for film in films:
        packets = film.demux(getattr(film.streams, kind)[0])
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                return  # the sound of a film that is cut off
            if packet is None:
                break
            if packet.dts is not None:
                yield float(packet.dts * packet.time_base), packet, stream
