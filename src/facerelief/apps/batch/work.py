"""A group of photos to what is kept of them: faces are searched for photo by photo, and networks
look at the crops of several photos at a time. What is wrong with a photo stays with that photo.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from facerelief import __version__
from facerelief.apps.batch.items import Item
from facerelief.apps.budget import Budget
from facerelief.apps.photos import MEMORY, Search
from facerelief.catalogue import Entry
from facerelief.finding import find
from facerelief.images import Pixels
from facerelief.inputs import PhotoError, in_line
from facerelief.photo_files import Picture
from facerelief.runtime import BATCH, Estimator
from facerelief.types import Face, Place

#: What can be had of a face, and the system that says it where no other is named.
WHAT = {
    "normals": "default",
    "mesh": "prnet",
    "landmarks": "prnet",
    "coefficients": "full_pose",
}
DONE, NO_FACE, FAILED = "done", "no face", "failed"
_KEPT = 64 * 2**20  # bytes of photos that wait for their meshes, at which no more are read

T = TypeVar("T")
Kept = TypeVar("Kept", covariant=True)


@dataclass(frozen=True)
class Settings:
    """What a run makes of every photo: two runs into one place must agree in it."""

    what: tuple[str, ...] = ("normals",)  # of WHAT
    systems: tuple[str, ...] = ()  # names that take the place of WHAT's, where they can
    to: str = "folder"  # of sinks.FORMS
    search: Search = field(default_factory=Search)
    only: tuple[str, ...] = ("normal", "json")  # of apps.normals.OUTPUTS, in folders
    encoding: str = "png"  # of normals in tables: png or float16

    def described(self, entries: Mapping[str, Entry]) -> dict[str, Any]:
        """As JSON, with the networks that are meant: `entries` by what they say."""
        models = {what: f"{e.name} {e.sha256[:16]}" for what, e in entries.items()}
        said = {**asdict(self), "models": models, "facerelief": __version__}
        del said["systems"]
        normalised: dict[str, Any] = json.loads(json.dumps(said))
        return normalised


def fingerprint(described: Mapping[str, Any]) -> str:
    """16 digits for `Settings.described`."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def choose(settings: Settings, loader: Callable[[str], Estimator]) -> dict[str, Estimator]:
    """The system for each of `settings.what`; each is loaded once.

    Raises ValueError for a named system that says none of it, and what the loader raises.
    """
    named = [loader(name) for name in dict.fromkeys(settings.systems)]
    loaded: dict[str, Estimator] = {}
    chosen = {}
    for what in settings.what:
        fitting = [one for one in named if says(one.entry.kind, what)]
        # Shapes have normals, too, but who names one for its mesh does not mean its normals.
        fitting.sort(key=lambda one: what == "normals" and one.makes_shapes)
        only_shape = what == "normals" and fitting and fitting[0].makes_shapes
        if fitting and not (only_shape and len(settings.what) > 1):
            chosen[what] = fitting[0]
        else:
            name = WHAT[what]
            if name not in loaded:
                loaded[name] = loader(name)
            chosen[what] = loaded[name]
    for one in named:
        if one not in chosen.values():
            raise ValueError(f"{one.name} says nothing of {', '.join(settings.what)}")
    return chosen


def says(kind: str, what: str) -> bool:
    """Whether networks of a kind of `decoders.DECODERS` say `what` of a face."""
    return {
        "normals": True,
        "mesh": kind != "normals",
        "landmarks": kind != "normals",
        "coefficients": kind == "coefficients",
    }[what]


@dataclass(frozen=True, eq=False)
class Found:
    """One face of a photo, as every system sees it."""

    item: Item
    number: int  # from the largest face on
    faces: Mapping[str, Face]  # by what of it is wanted
    crop: NDArray[np.uint8]  # (256, 256, 3) RGB
    pixels: Pixels | None  # the photo, where the form needs it

    @property
    def place(self) -> Place:
        return next(iter(self.faces.values())).place


class Form(Protocol[Kept]):
    """What is kept of one face."""

    @property
    def needs_photos(self) -> bool:
        """Whether `Found.pixels` is wanted."""

    def __call__(self, found: Found) -> Kept: ...


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of one photo."""

    key: str
    status: str  # DONE, NO_FACE, FAILED
    made: tuple[T, ...] = ()  # one a face, the largest first
    reason: str | None = None  # one line, of those that failed

    def failed(self, reason: str) -> Result[T]:
        return Result(self.key, FAILED, (), in_line(reason))


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A photo whose faces are found."""

    item: Item
    places: list[Place]
    crops: list[NDArray[np.uint8]]
    pixels: Pixels | None


class Work(Generic[T]):
    """Makes results of items; several threads may call it at once."""

    def __init__(
        self, settings: Settings, estimators: Mapping[str, Estimator], form: Form[T], threads: int
    ) -> None:
        self._search, self._estimators, self._form = settings.search, estimators, form
        self._threads = threads
        self._budget = Budget(MEMORY)

    def __call__(self, items: Sequence[Item]) -> list[Result[T]]:
        """In the order of `items`."""
        done: dict[str, Result[T]] = {}
        waiting: list[_Waiting] = []
        for item in items:
            found = self._find(item)
            if isinstance(found, Result):
                done[item.key] = found
                continue
            waiting.append(found)
            kept = sum(
                3 * w.pixels.shape[0] * w.pixels.shape[1] for w in waiting if w.pixels is not None
            )
            if sum(len(one.places) for one in waiting) >= BATCH or kept > _KEPT:
                done |= self._made(waiting)
                waiting = []
        done |= self._made(waiting)
        return [done[item.key] for item in items]

    def _find(self, item: Item) -> _Waiting | Result[T]:
        bad: Result[T] = Result(item.key, FAILED)
        try:
            file = item.open()
            with self._budget.held(file.cost):
                return self._found(item, file.read())
        except PhotoError as error:
            return bad.failed(str(error))
        except MemoryError:
            return bad.failed(f"{item.source}: not enough memory")
        except Exception as error:  # whatever it is, the other photos must not suffer for it
            return bad.failed(_of(item, error))

    def _found(self, item: Item, photo: Pixels) -> _Waiting | Result[T]:
        search, (height, width) = self._search, photo.shape[:2]
        if search.is_crop:
            if height != width:
                text = f"{item.source}: {width} x {height} pixels, but a crop is a square"
                return Result(item.key, FAILED, (), in_line(text))
            places = [Place.of_crop(side=width)]
        else:
            places = find(
                photo,
                search.max_faces,
                self._threads,
                smallest=search.smallest,
                whole=search.whole,
                order=search.order,
            )
        if not places:
            return Result(item.key, NO_FACE)
        crops: list[Any] = [None] * len(places)
        # The largest first: small faces need a photo's full pixels, for which others make room.
        for index in sorted(range(len(places)), key=lambda index: -places[index].crop.side):
            crops[index] = places[index].crop.extract(photo)
        if isinstance(photo, Picture):
            if self._form.needs_photos:
                photo.keep(p.enlarged(2).crop.window(p.photo_size) for p in places)
            else:
                photo.release()
        return _Waiting(item, places, crops, photo if self._form.needs_photos else None)

    def _made(self, waiting: list[_Waiting]) -> dict[str, Result[T]]:
        """What the networks and the form make of the faces that wait, by the photo's key."""
        made: dict[str, list[T]] = {one.item.key: [] for one in waiting}
        failed: dict[str, str] = {}
        flat = [(one, number) for one in waiting for number in range(len(one.places))]
        for start in range(0, len(flat), BATCH):
            part = flat[start : start + BATCH]
            try:
                self._look(part, made, failed)
            except Exception:  # of one of them, perhaps: which one shows when each is alone
                for one, number in part:
                    self._alone(one, number, made, failed)
        return {
            key: Result(key, FAILED, (), failed[key]) if key in failed
            else Result(key, DONE, tuple(faces))
            for key, faces in made.items()
        }  # fmt: skip

    def _look(
        self, part: list[tuple[_Waiting, int]], made: dict[str, list[T]], failed: dict[str, str]
    ) -> None:
        crops = np.stack([one.crops[number] for one, number in part])
        estimates = {one: one.estimate_crops(crops) for one in set(self._estimators.values())}
        for index, (one, number) in enumerate(part):
            if one.item.key in failed or len(made[one.item.key]) > number:
                continue
            place, crop = one.places[number], crops[index]
            seen = {e: found.face(index, place, crop, e.name) for e, found in estimates.items()}
            faces = {what: seen[e] for what, e in self._estimators.items()}
            try:
                row = self._form(Found(one.item, number, faces, crop, one.pixels))
            except Exception as error:
                failed[one.item.key] = in_line(_of(one.item, error))
            else:
                made[one.item.key].append(row)

    def _alone(
        self, one: _Waiting, number: int, made: dict[str, list[T]], failed: dict[str, str]
    ) -> None:
        try:
            self._look([(one, number)], made, failed)
        except Exception as error:
            failed[one.item.key] = in_line(_of(one.item, error))


def groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive `items`, `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _of(item: Item, error: Exception) -> str:
    return f"{item.source}: {type(error).__name__}: {error}".partition("\n")[0]
