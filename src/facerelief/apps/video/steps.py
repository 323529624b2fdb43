"""A film as a stream of steps: each a picture, the faces in it, and later what is made of them.

The stages run in threads of their own, so that a picture is decoded and searched while a network
sees the one before it, and the one before that is compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.apps.video.reading import Frame
from facerelief.apps.video.smoothing import CropFilter, Steadiness
from facerelief.tracking import Tracker
from facerelief.types import Face, Place

T = TypeVar("T")

AHEAD = 4  # pictures that a stage may be ahead of the next
_PAUSE = 0.1  # seconds after which a waiting thread looks whether it is still wanted
_THUMB = (32, 24)
#: What counts as a cut: by so much is a picture unlike the one before, and by so many times more
#: than pictures were unlike the ones before them lately.
_UNLIKE, _TIMES, _RENEWED = 0.3, 3.0, 0.2


@dataclass(frozen=True, eq=False)
class Seen:
    """One face in one picture."""

    number: int  # who it is, from picture to picture
    raw: Place  # as it was found
    place: Place  # smoothed
    is_new: bool  # what comes before has nothing to do with it


@dataclass(eq=False)
class Step:
    """One picture on its way through the stages."""

    frame: Frame
    is_cut: bool
    seen: list[Seen]
    faces: list[Face] = field(default_factory=list)  # what a network says of each of `seen`
    values: list[dict[str, NDArray[Any]] | None] = field(
        default_factory=list
    )  # the same, in numbers
    #: Where work can go on from after this step: what the stages know. Of few steps.
    kept: dict[str, Any] | None = None


class Cuts:
    """Where a film goes on with another scene."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._usual = 0.0

    def __call__(self, picture: NDArray[np.uint8]) -> bool:
        """Whether the next picture is another scene. Light that flashes or fades is none."""
        image = Image.fromarray(picture).resize(_THUMB, Image.Resampling.BOX, reducing_gap=2.0)
        thumb = np.asarray(image, np.float32).ravel()
        thumb -= thumb.mean()
        thumb /= max(float(np.linalg.norm(thumb)), 1e-6)
        last, self._last = self._last, thumb
        if last is None:
            return False
        unlike = 1 - float(thumb @ last)
        is_cut = unlike > max(_UNLIKE, _TIMES * self._usual)
        self._usual += 0.0 if is_cut else _RENEWED * (unlike - self._usual)
        return is_cut

    def state(self) -> dict[str, Any]:
        return {"last": self._last, "usual": self._usual}

    def restore(self, state: dict[str, Any]) -> None:
        self._last, self._usual = state["last"], state["usual"]


class Places:
    """The first stage: pictures to steps, with the faces and their smoothed crops."""

    def __init__(self, tracker: Tracker, crop_scale: float = 1.0, smooth: bool = True) -> None:
        self.tracker, self.crop_scale, self.smooth = tracker, crop_scale, smooth
        self.steadiness = Steadiness()  # of crops: x, y and side in pixels of a crop of 256
        self._cuts = Cuts()
        self._filters: dict[int, tuple[CropFilter, int]] = {}  # with when it was used last

    def __call__(
        self, frames: Generator[Frame, None, None], is_kept: Callable[[int], bool]
    ) -> Generator[Step, None, None]:
        """Steps of frames; those of which `is_kept` is true tell what is known after them."""
        with closing(frames):
            for frame in frames:
                step = self._step(frame)
                if is_kept(frame.index):
                    step.kept = {"places": self.state()}
                yield step

    def _step(self, frame: Frame) -> Step:
        is_cut = self._cuts(frame.pixels)
        found = self.tracker(frame.pixels, frame.time, is_cut)
        if is_cut:
            self._filters.clear()
        before, self._filters = self._filters, {}
        seen = []
        for number, raw in found:
            filter, _ = before.get(number, (None, 0))
            filter = filter or CropFilter()  # one that was lost begins anew
            crop, is_new = filter(raw.crop, frame.time)
            self._filters[number] = (filter, frame.index)
            if is_new:
                self.steadiness.begin(number)
            pixels = 256 / filter.unit
            before_it, after_it = (
                np.array([*one.centre, one.side]) * pixels for one in (raw.crop, crop)
            )
            self.steadiness.see(number, before_it, after_it)
            place = replace(raw, crop=crop) if self.smooth else raw
            if self.crop_scale != 1:
                place = place.enlarged(self.crop_scale)
            seen.append(Seen(number, raw, place, is_new))
        return Step(frame, is_cut, seen)

    def state(self) -> dict[str, Any]:
        return {
            "tracker": self.tracker.state(),
            "cuts": self._cuts.state(),
            "steadiness": self.steadiness.state(),
            "filters": [
                [number, filter.state(), used] for number, (filter, used) in self._filters.items()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.tracker.restore(state["tracker"])
        self._cuts.restore(state["cuts"])
        self.steadiness.restore(state["steadiness"])
        self._filters = {
            number: (CropFilter.restored(told), used) for number, told, used in state["filters"]
        }


def ahead(
    items: Generator[T, None, None], most: int = AHEAD, newest: bool = False
) -> Generator[T, None, None]:
    """The same items, made in a thread of their own, at most so many before they are asked for.

    With `newest` items that nobody waits for make room for newer ones: for cameras. What `items`
    raises is raised here. Close the generator to stop the thread.
    """
    queue: Queue[tuple[str, Any]] = Queue(most)
    is_over = Event()

    def put(told: tuple[str, Any]) -> None:
        while not is_over.is_set():
            try:
                return queue.put(told, timeout=0.0 if newest else _PAUSE)
            except Full:
                if newest:
                    with suppress(Empty):
                        queue.get_nowait()

    def work() -> None:
        try:
            for item in items:
                put(("item", item))
                if is_over.is_set():
                    break
            put(("end", None))
        except BaseException as error:
            put(("error", error))
        finally:
            items.close()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = queue.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        is_over.set()
        thread.join()
