"""Faces from picture to picture of a film: who is who, by numbers that stay.

A face is looked for near its last place; where one is lost, and now and then, all of the picture is
searched. What a search finds is given to the tracks in the cheapest way together (Kuhn, "The
Hungarian method for the assignment problem", 1955), by where a track would be, by size and by
looks. A number is never given twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.crops import Crop
from facerelief.finding import find, follow
from facerelief.types import Place

EVERY = 15  # pictures from one search of all of them to the next
RETRY = 3  # the same, while a face that was there is missed, or there is none
LOST = 2.0  # seconds unseen after which a track ends
#: Of two boxes, from which on two tracks follow one face: intersection over union.
ONE_FACE = 0.4
_LOOK = 16  # pixels of a side of what a track remembers of a face's looks
_LEARNT = 0.1  # of them that each picture renews
_NEAR, _GROWS = 0.6, 1.5  # face sides that a face may be off its track; more for a second unseen
_SIZES = 1.7  # by which it may be larger or smaller
_LIKE = 0.6  # correlation of looks: a face that is less like may be somebody else after a cut
#: Weights of distance (face sides), of size (log ratio) and of looks (1 - correlation).
_COSTS = (1.0, 0.7, 1.0)


@dataclass
class Track:
    """One face, as long as it is known."""

    number: int
    place: Place  # where it was seen last
    look: NDArray[np.floating[Any]]  # (n,) unit: its colours, without their mean
    velocity: tuple[float, float] = (0.0, 0.0)  # photo pixels a second
    time: float = 0.0  # seconds, when it was seen last
    is_seen: bool = True

    def expected(self, time: float) -> tuple[float, float]:
        """Where its centre would be at `time`, photo pixels; a face soon stops."""
        unseen = min(time - self.time, 0.5)
        (x, y), (right, down) = self.place.crop.centre, self.velocity
        return x + unseen * right, y + unseen * down

    def see(self, place: Place, look: NDArray[np.float32], time: float) -> None:
        """It is at `place`."""
        step = time - self.time
        if step > 0:
            new = np.subtract(place.crop.centre, self.place.crop.centre) / step
            right, down = (np.asarray(self.velocity) + new) / 2
            self.velocity = float(right), float(down)
        learnt = self.look + _LEARNT * (look - self.look)
        self.look = learnt / max(float(np.linalg.norm(learnt)), 1e-6)
        self.place, self.time, self.is_seen = place, time, True


class Tracker:
    """The faces of a film, picture after picture."""

    def __init__(
        self,
        max_faces: int | None = None,
        smallest: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.max_faces, self.smallest, self.threads = max_faces, smallest, threads
        self._tracks: list[Track] = []
        self._next = 0
        self._since = EVERY  # pictures since the last search

    def __call__(
        self, picture: NDArray[np.uint8], time: float, is_cut: bool = False
    ) -> list[tuple[int, Place]]:
        """The numbers and places of the faces of the next picture, in the order of their numbers.

        `time` is in seconds. After a cut only a face that looks the same and is where it was keeps
        its number.
        """
        if is_cut:
            self._tracks = [track for track in self._tracks if track.is_seen]
        seen = [] if is_cut else [track for track in self._tracks if track.is_seen]
        self._since += 1
        were_missed = not seen or any(not track.is_seen for track in self._tracks)
        is_due = is_cut or self._since >= (RETRY if were_missed else EVERY)
        if not is_due:
            is_due = not self._follow(picture, seen, time)
        if is_due:
            self._since = 0
            places = find(
                picture, self.max_faces, self.threads, quick=False, smallest=self.smallest
            )
            looks = [look_of(picture, place) for place in places]
            self.assign(places, looks, time, is_cut)
        return [(track.number, track.place) for track in self._tracks if track.is_seen]

    def assign(
        self,
        places: Sequence[Place],
        looks: Sequence[NDArray[np.float32]],
        time: float,
        is_cut: bool = False,
    ) -> None:
        """Give what a search has found to the tracks, and begin new ones with the rest."""
        from scipy.optimize import linear_sum_assignment

        self._tracks = [track for track in self._tracks if time - track.time <= LOST]
        pairs = list(zip(places, looks, strict=True))
        costs = np.array(
            [
                [_cost(track, place, look, time, is_cut) for place, look in pairs]
                for track in self._tracks
            ]
        ).reshape(len(self._tracks), len(places))
        impossible = 1e6
        costs[~np.isfinite(costs)] = impossible
        rows, columns = linear_sum_assignment(costs)
        taken = {
            int(column): int(row)
            for row, column in zip(rows, columns, strict=True)
            if costs[row, column] < impossible
        }
        for track in self._tracks:
            track.is_seen = False
        for index, (place, look) in enumerate(pairs):
            if index in taken:
                self._tracks[taken[index]].see(place, look, time)
                continue
            self._tracks.append(Track(self._next, place, look, time=time))
            self._next += 1
        if is_cut:  # nobody comes back into another scene
            self._tracks = [track for track in self._tracks if track.is_seen]

    def _follow(self, picture: NDArray[np.uint8], seen: Sequence[Track], time: float) -> bool:
        """Look for tracks near their last places; False where one was lost."""
        places = follow(picture, [track.place for track in seen], self.threads)
        found = [
            (_cost(track, place, look, time, False), index, track, place, look)
            for index, (track, place) in enumerate(zip(seen, places, strict=True))
            if place is not None
            for look in (look_of(picture, place),)
        ]
        for track in seen:
            track.is_seen = False
        kept: list[Place] = []
        # Of several that follow one face, the one keeps it that is the likest.
        for _, _, track, place, look in sorted(found, key=lambda one: one[:2]):
            if not any(overlap(place.box, other.box) > ONE_FACE for other in kept):
                kept.append(place)
                track.see(place, look, time)
        return len(kept) == len(seen)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on from here."""
        tracks = [
            {
                "number": track.number,
                "look": track.look,
                "velocity": list(track.velocity),
                "time": track.time,
                "is_seen": track.is_seen,
                "place": _told(track.place),
            }
            for track in self._tracks
        ]
        return {"tracks": tracks, "next": self._next, "since": self._since}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a tracker gave its `state`."""
        self._tracks = [
            Track(
                told["number"],
                _place(told["place"]),
                told["look"],
                tuple(told["velocity"]),
                told["time"],
                told["is_seen"],
            )
            for told in state["tracks"]
        ]
        self._next, self._since = state["next"], state["since"]


def look_of(picture: NDArray[np.uint8], place: Place) -> NDArray[np.float32]:
    """(n,) what a face looks like: colours of a small picture, without their mean, unit length."""
    small = replace(place.crop, size=_LOOK).extract(picture).astype(np.float32)
    flat: NDArray[np.float32] = (small - small.mean(axis=(0, 1))).ravel()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (sum(areas) - width * height)


def _cost(
    track: Track, place: Place, look: NDArray[np.float32], time: float, is_cut: bool
) -> float:
    """How unlikely a face is to be a track's; infinite where it cannot be."""
    sides = place.crop.side, track.place.crop.side
    x, y = np.subtract(place.crop.centre, track.expected(time))
    distance = hypot(x, y) / (sum(sides) / 2)
    ratio = abs(log(sides[0] / sides[1]))
    unlike = 1 - float(look @ track.look)
    if is_cut:
        possible = distance < _NEAR / 2 and unlike < 1 - _LIKE
    else:
        possible = distance < _NEAR + _GROWS * (time - track.time)
    if not possible or ratio > log(_SIZES):
        return float("inf")
    return float(np.dot(_COSTS, (distance, ratio, unlike)))


def _told(place: Place) -> dict[str, Any]:
    crop = place.crop
    return {
        "centre": list(crop.centre),
        "side": crop.side,
        "angle": crop.angle,
        "box": list(place.box),
        "score": place.score,
        "points": place.points,
        "size": list(place.photo_size),
    }


def _place(told: dict[str, Any]) -> Place:
    crop = Crop(tuple(told["centre"]), told["side"], told["angle"])
    return Place(crop, tuple(told["box"]), told["score"], told["points"], tuple(told["size"]))
