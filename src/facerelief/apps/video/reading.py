"""Films and cameras to upright pictures with their times, whatever made them (PyAV, FFmpeg)."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facerelief.apps.video import high_range
from facerelief.inputs import PhotoError
from facerelief.photo_files import check_size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: What counts as a film by its ending: everything else is a photo, or a camera.
SUFFIXES = frozenset(
    (
        ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
        ".mxf", ".nut", ".ogv", ".ts", ".webm", ".wmv",
    )
)  # fmt: skip
CAMERA = "camera:"
RATE = Fraction(30)  # pictures a second, of films and cameras that do not say it
_DECODERS = 2  # threads
#: FFmpeg's names of what reads cameras, and of the camera that has a number.
_CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}:none"),
    "win32": ("dshow", "video={}"),
}


class VideoError(PhotoError):
    """An input that is no usable film; its text is one line that names the input."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a film."""

    index: int  # from 0
    pts: int  # in units of the film's time base
    time: float  # seconds since the first picture
    pixels: NDArray[np.uint8]  # (H, W, 3) RGB, upright


def is_film(name: str) -> bool:
    """Whether an input is meant for a film or a camera."""
    return name.startswith(CAMERA) or Path(name).suffix.lower() in SUFFIXES


def import_av() -> Any:
    """PyAV, silent. Raises VideoError where it is not installed."""
    try:
        import av
    except ImportError:
        raise VideoError("films need PyAV: pip install 'facerelief[video]'") from None
    av.logging.set_level(av.logging.PANIC)
    return av


class Clip:
    """An open film or camera. Its pictures come once, from the first to the last."""

    def __init__(self, source: str, container: InputContainer, stream: VideoStream) -> None:
        self.source, self._container, self._stream = source, container, stream
        self.is_live = source.startswith(CAMERA)
        self.time_base = stream.time_base or Fraction(1, 90000)
        self.rate = stream.average_rate or stream.guessed_rate or RATE
        self.expected = stream.frames or None  # pictures, as the film itself says
        self.damaged = 0  # parts that could not be decoded
        self.notes: list[str] = []  # what people should know of it, one line each
        self.end: float | None = None  # seconds by its own clock; what comes later is not wanted
        self._size = (0, 0)  # width and height of pictures before they are turned upright

    def frames(self, first: int = 0, seconds: float | None = None) -> Generator[Frame, None, None]:
        """The pictures from number `first` on; the others are decoded, and left out.

        Of `seconds` at most, if that is given.

        Raises VideoError for a film without pictures, or with pictures that are too small or large.
        """
        last, start, index = None, 0, 0
        for index, frame in enumerate(_progressive(self._decoded())):
            pts = frame.pts
            if last is None:
                start = last = 0 if pts is None else pts
                self._measure(frame)
                if seconds is not None:
                    self.end = float(start * self.time_base) + seconds
            else:
                late = last + max(round(1 / (self.rate * self.time_base)), 1)
                last = late if pts is None else max(pts, last + 1)
            if self.end is not None and float(last * self.time_base) >= self.end:
                return
            if index >= first:
                yield Frame(index, last, float((last - start) * self.time_base), self._rgb(frame))
        if last is None:
            raise VideoError(f"{self.source}: there is no picture in it")
        self._judge(index + 1)

    def _judge(self, count: int) -> None:
        if self.damaged:
            self.notes.append(f"{self.damaged} damaged parts were left out")
        if self.expected and count < self.expected:
            self.notes.append(f"it ends early: {count} of {self.expected} pictures")

    def _decoded(self) -> Iterator[VideoFrame]:
        av = import_av()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self.damaged += 1
                return
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, ValueError):
                self.damaged += 1

    def _measure(self, frame: VideoFrame) -> None:
        """Every picture gets the size of the first one, with square pixels."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self._size = (max(round(frame.width * aspect), 1), frame.height)
        check_size(*self._size, self.source)

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(H, W, 3), upright."""
        width, height = self._size
        transfer = int(self._stream.codec_context.color_trc)
        is_plain = transfer not in high_range.TRANSFERS
        pixels: NDArray[Any] = frame.to_ndarray(
            format="rgb24" if is_plain else "rgb48le", width=width, height=height
        )
        if not is_plain:
            pixels = high_range.to_srgb(pixels, transfer)
        quarters = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def _progressive(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The same pictures; interlaced ones, whose lines are of two moments, become whole ones."""
    filter = None
    for frame in frames:
        if filter is None and frame.interlaced_frame:
            filter = _Deinterlacer(frame)
        if filter is None:
            yield frame
        else:
            yield from filter(frame)
    if filter is not None:
        yield from filter(None)


class _Deinterlacer:
    """FFmpeg's bwdif for pictures like the first: one of each; some come later than they go in."""

    def __init__(self, first: VideoFrame) -> None:
        self._time_base = first.time_base
        graph = self._graph = import_av().filter.Graph()
        like = graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format.name,
            time_base=first.time_base,
        )
        filter = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(like, filter, graph.add("buffersink")).configure()

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """The pictures that are ready once there is a `frame`, or no more."""
        self._graph.push(frame)
        while True:
            try:
                made = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            if made.pts is not None:  # in halves of the unit
                made.pts = round(made.pts * made.time_base / self._time_base)
            yield made


@contextmanager
def opened(source: str) -> Iterator[Clip]:
    """The film at the path `source`, or the camera that it names. Raises VideoError."""
    av = import_av()
    try:
        container = _open_camera(av, source) if source.startswith(CAMERA) else av.open(source)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: {_reason(source, error)}") from None
    with container:
        if not container.streams.video:
            sound = "sound alone, and no pictures" if container.streams.audio else "no pictures"
            raise VideoError(f"{source}: it holds {sound}")
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", _DECODERS
        yield Clip(source, container, stream)


def _open_camera(av: Any, source: str) -> Any:
    name = source.removeprefix(CAMERA)
    kind, place = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
    return av.open(place.format(name) if name.isdigit() else name, format=kind)


def _reason(source: str, error: Exception) -> str:
    if source.startswith(CAMERA):
        return f"there is no such camera ({getattr(error, 'strerror', None) or error})"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder"
    if isinstance(error, PermissionError):
        return "it cannot be read: permission denied"
    return "no film that can be read; it may be cut off or damaged"
