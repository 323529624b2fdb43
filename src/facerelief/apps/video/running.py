"""One film from its pictures to its results, by a job that says what is made of them."""

from __future__ import annotations

import csv
import errno
import glob
import json
import os
from collections.abc import Callable, Collection, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facerelief import __version__
from facerelief.apps.photos import Outcome, Search, describe_model, to_json
from facerelief.apps.video.reading import Clip, import_av, opened
from facerelief.apps.video.steps import Places, Step, ahead
from facerelief.apps.video.work import Work, publish
from facerelief.inputs import PhotoError, in_line
from facerelief.runtime import Estimator
from facerelief.tracking import Tracker

PART = 60  # pictures of a part: what is done again at most after a run was killed
#: What every job writes, besides its own: the file's ending, and what it is.
BESIDE = {
    "faces": ("_faces.csv", "where each face is in each picture, before and after smoothing"),
    "json": ("_video.json", "pictures, faces, steadiness, model"),
}
_COLUMNS = (
    "picture", "seconds", "face", "score", "x0", "y0", "x1", "y1",
    "centre_x", "centre_y", "side", "angle",
    "raw_centre_x", "raw_centre_y", "raw_side", "raw_angle",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How a film is gone through."""

    search: Search = field(default_factory=Search)
    smooth: bool = True  # whether crops and answers are smoothed in time
    threads: int | None = None
    seconds: float | None = None  # of the film that are taken; None: all


class Job(Protocol):
    """What is made of a film. Its stages are called from several threads, each from one."""

    estimator: Estimator

    def key(self) -> dict[str, Any]:
        """What makes its results, for JSON: work of another key is begun anew."""

    def names(self, stem: str) -> list[str]:
        """The files and folders that it may write; those numbered by face by a pattern."""

    def see(self, steps: Generator[Step, None, None]) -> Generator[Step, None, None]:
        """The second stage: what its network says of the faces of steps."""

    def state(self) -> dict[str, Any]:
        """What `see` knows, for `restore`."""

    def restore(self, state: dict[str, Any]) -> None: ...

    def begin(self, work: Work, clip: Clip) -> None:
        """The next part begins."""

    def put(self, step: Step) -> None:
        """The third stage: the next step of the part."""

    def end(self) -> None:
        """The part's files are whole."""

    def finish(self, work: Work, clip: Clip, stem: str) -> tuple[dict[str, Path], list[str]]:
        """Its files in the work's folder by the names that they get; and what is to be noted."""

    def told(self) -> dict[str, Any]:
        """What the sidecar says of it."""


def process(
    source: str,
    stem: str,
    out: Path,
    job: Job,
    options: Options = Options(),
    progress: Callable[[int, int | None], None] = lambda done, expected: None,
) -> Outcome:
    """Do `job` on the film at `source`, into the folder `out`: all of it, or nothing yet.

    Work that was stopped goes on, and work that is done is not done again. `progress` is told how
    many pictures are done, and how many there are if that is known.
    """
    path = Path(source)
    try:
        with opened(source) as clip:
            return _process(clip, stem, out, job, options, progress)
    except PhotoError as error:
        return Outcome(path, error=str(error))
    except OSError as error:
        text = f"{source}: cannot write {out / stem}*: {error.strerror or error}"
        return Outcome(path, error=in_line(text))
    except Exception as error:  # whatever it is, the other films must not suffer for it
        text = f"{source}: {type(error).__name__}: {error}"
        return Outcome(path, error=in_line(text.partition("\n")[0]))


def _process(
    clip: Clip,
    stem: str,
    out: Path,
    job: Job,
    options: Options,
    progress: Callable[[int, int | None], None],
) -> Outcome:
    path, sidecar = Path(clip.source), out / f"{stem}{BESIDE['json'][0]}"
    key = _key(clip, job, options)
    before = _read(sidecar)
    if before is not None and before.get("key") == key and not clip.is_live:
        files = [out / name for name in before["files"]]
        if all(file.exists() for file in files):
            return Outcome(path, before["faces"], list(map(str, files)), note=_already(path, out))
    plain = glob.escape(stem)
    _check(out, [*job.names(plain), *(plain + ending for ending, _ in BESIDE.values())], before)
    work = Work(out / f".{stem}.work", key)
    search = options.search
    tracker = Tracker(search.max_faces, search.smallest, 1)
    places = Places(tracker, search.crop_scale, options.smooth)
    notes = []
    if work.state is not None:
        notes.append(f"went on after picture {work.frames}")
        places.restore(work.state["places"])
        job.restore(work.state["job"])
    if work.is_whole and work.state is not None:
        clip.notes, clip.end = work.state["notes"], work.state["end"]
    else:
        try:
            _go_on(clip, work, places, job, options, progress)
        except PhotoError:
            if not work.parts:  # nothing to go on with
                work.remove()
            raise
    made, more = job.finish(work, clip, stem)
    faces = _join_tables(work, made, stem)
    notes += [*clip.notes, *more]
    said = {
        "video": {"path": clip.source, "pictures": work.frames, "rate": float(clip.rate)},
        "faces": faces,
        "steadiness": {**_steadiness(places), **job.told()},
        "smoothed": options.smooth,
        "notes": notes,
        **describe_model(job.estimator),
        "files": sorted(made),
        "key": key,
    }
    said_at = work.folder / "said.json"
    said_at.write_bytes(to_json(said))
    publish({new: out / name for name, new in made.items()} | {said_at: sidecar})
    work.remove()
    note = in_line(f"{path}: {'; '.join(notes)}") if notes else None
    files = [str(out / name) for name in sorted(made)] + [str(sidecar)]
    return Outcome(path, faces, files, note=note)


def _go_on(
    clip: Clip,
    work: Work,
    places: Places,
    job: Job,
    options: Options,
    progress: Callable[[int, int | None], None],
) -> None:
    """All pictures from where the work is on, part after part."""
    frames = clip.frames(work.frames, options.seconds)

    def is_kept(index: int) -> bool:
        return (index + 1) % PART == 0 and not clip.is_live

    steps = ahead(job.see(ahead(places(ahead(frames, newest=clip.is_live), is_kept))))
    done, table = work.frames, None
    try:
        with closing(steps):
            for step in steps:
                if table is None:
                    table = _Table(work.part("faces", ".csv"))
                    job.begin(work, clip)
                job.put(step)
                table.put(step)
                done += 1
                progress(done, clip.expected)
                if step.kept is not None:
                    job.end()
                    table.close()
                    table = None
                    work.keep(done, step.kept)
    except BaseException as error:
        if not (isinstance(error, KeyboardInterrupt) and clip.is_live and done):
            if table is not None:
                table.close()
            raise  # but of a camera, which ends in no other way
    if table is not None:
        job.end()
        table.close()
    known = {"places": places.state(), "job": job.state()}
    work.keep(done, {**known, "notes": clip.notes, "end": clip.end}, is_whole=True)


class _Table:
    """A part of `_faces.csv`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")

    def put(self, step: Step) -> None:
        for seen in step.seen:
            crop, raw = seen.place.crop, seen.raw.crop
            row = [seen.raw.score, *seen.raw.box, *crop.centre, crop.side, crop.angle]
            row += [*raw.centre, raw.side, raw.angle]
            values = (f"{value:.3f}" for value in row)
            self._rows.writerow([step.frame.index, f"{step.frame.time:.6f}", seen.number, *values])

    def close(self) -> None:
        self._file.close()


def _join_tables(work: Work, made: dict[str, Path], stem: str) -> list[dict[str, Any]]:
    """Puts `_faces.csv` together, among `made`; gives what is to be said of each face."""
    whole = work.folder / "faces.csv"
    faces: dict[int, dict[str, Any]] = {}
    with open(whole, "w", newline="", encoding="utf-8") as file:
        file.write(",".join(_COLUMNS) + "\n")
        for part in work.all("faces", ".csv"):
            for line in part.read_text("utf-8").splitlines(keepends=True):
                file.write(line)
                picture, _, face = line.split(",", 3)[:3]
                said = faces.setdefault(
                    int(face), {"face": int(face), "first": int(picture), "pictures": 0}
                )
                said["last"], said["pictures"] = int(picture), said["pictures"] + 1
    made[stem + BESIDE["faces"][0]] = whole
    return [faces[number] for number in sorted(faces)]


def _steadiness(places: Places) -> dict[str, Any]:
    """Of the crops: pixels of a crop of 256, and pictures."""
    return {"crop": measured(places.steadiness, 3)}


def measured(steadiness: Any, digits: int) -> dict[str, Any] | None:
    """What a sidecar says of steadiness, before and after smoothing."""
    if steadiness.jitter is None:
        return None
    before, after = (round(value, digits) for value in steadiness.jitter)
    lag = steadiness.lag
    return {"jitter_raw": before, "jitter": after, "lag": None if lag is None else round(lag, 2)}


def _key(clip: Clip, job: Job, options: Options) -> dict[str, Any]:
    """All that a result depends on."""
    found = None if clip.is_live else Path(clip.source).stat()
    return {
        "path": os.path.abspath(clip.source),
        "bytes": found and found.st_size,
        "changed": found and found.st_mtime_ns,
        "search": asdict(options.search),
        "smooth": options.smooth,
        "seconds": options.seconds,
        "model": job.estimator.entry.sha256,
        "job": job.key(),
        "by": [__version__, import_av().__version__, np.__version__],
    }


def _already(path: Path, out: Path) -> str:
    return in_line(f"{path}: done already, in {out}")


def _read(sidecar: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(sidecar.read_bytes())
        if "facerelief" in said and all(isinstance(name, str) for name in said["files"]):
            return dict(said)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _check(out: Path, names: Collection[str], before: dict[str, Any] | None) -> None:
    """Raises FileExistsError for what is there and no earlier run has written."""
    known = set() if before is None else {*before["files"]}
    for pattern in names:
        for path in out.glob(pattern):
            if path.name not in known and not (before and path.name.endswith(BESIDE["json"][0])):
                text = f"{path} is not facerelief's; move it, or choose another folder"
                raise FileExistsError(errno.EEXIST, text)
