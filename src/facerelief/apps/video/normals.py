"""Films to normals: what `facerelief normals` makes of a film."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief import pictures
from facerelief.apps.video.films import CONTAINERS, PART, PartWriter, join
from facerelief.apps.video.reading import Clip
from facerelief.apps.video.running import measured
from facerelief.apps.video.smoothing import Steadiness, SurfaceFilter
from facerelief.apps.video.steps import Seen, Step, ahead
from facerelief.apps.video.work import Work
from facerelief.encode import MARK, to_png
from facerelief.geometry.matte import solid
from facerelief.normal_png import FRAME_KEY, to_pixels
from facerelief.photo_frame import to_photo_png
from facerelief.runtime import Estimator
from facerelief.types import Face, Surface

#: What can be written of a film: what is added to its name, and what it is.
VIEWS = {
    "side": ("_side", "film and normals side by side, with the film's sound"),
    "normals": ("_normals", "normals as colours, with the film's sound"),
    "frames": ("_frames", "a folder with a PNG of normals for each picture, over the picture"),
}
_Answered = tuple[Step, NDArray[np.float32], NDArray[np.float32]]  # with what `_answer` gives
_NOTHING = np.zeros((0, 1, 1, 3), np.float32), np.zeros((0, 1, 1), np.float32)
_EVERY = 8  # crop pixels from one to the next at which steadiness is measured


@dataclass(frozen=True)
class Options:
    """What to write."""

    views: tuple[str, ...] = ("side",)  # of VIEWS
    bits: int = 8  # of frames
    smooth: bool = True
    threads: int | None = None


class Normals:
    """The job (`running.Job`)."""

    def __init__(self, estimator: Estimator, options: Options = Options()) -> None:
        self.estimator, self.options = estimator, options
        self.steadiness = Steadiness()  # of normals; a unit is a radian
        self._filters: dict[int, SurfaceFilter] = {}
        self._films: dict[str, PartWriter] = {}
        self._folder = Path()

    def key(self) -> dict[str, Any]:
        return {"normals": sorted(self.options.views), "bits": self.options.bits}

    def names(self, stem: str) -> list[str]:
        return [
            stem + VIEWS[view][0] + ending
            for view in self.options.views
            for ending in ([""] if view == "frames" else CONTAINERS)
        ]

    def see(self, steps: Generator[Step, None, None]) -> Generator[Step, None, None]:
        # The network has a thread to itself, since it is what takes longest.
        with closing(ahead(self._answered(steps))) as answered:
            for step, normals, likely in answered:
                step.faces = self._faces(step, normals, likely)
                if step.kept is not None:
                    step.kept["job"] = self.state()
                yield step

    def _answered(self, steps: Generator[Step, None, None]) -> Generator[_Answered, None, None]:
        with closing(steps):
            for step in steps:
                pixels = step.frame.pixels
                crops = [seen.place.crop.extract(pixels) for seen in step.seen]
                yield step, *(self._answer(np.stack(crops)) if crops else _NOTHING)

    def _faces(
        self, step: Step, normals: NDArray[np.float32], likely: NDArray[np.float32]
    ) -> list[Face]:
        before, self._filters = self._filters, {}
        return [
            self._face(step, seen, normals[index], likely[index], before)
            for index, seen in enumerate(step.seen)
        ]

    def _answer(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Normals (N, S, S, 3), and how likely each pixel shows a face (N, S, S)."""
        answers = self.estimator.answers(crops)
        if self.estimator.entry.kind == "normals":
            return answers["normals"], answers["mask"]  # which is made solid when it is smooth
        said = self.estimator.decode(answers)
        return said.normals, said.mask.astype(np.float32)

    def _face(
        self,
        step: Step,
        seen: Seen,
        normals: NDArray[np.float32],
        likely: NDArray[np.float32],
        before: dict[int, SurfaceFilter],
    ) -> Face:
        known = None if seen.is_new else before.get(seen.number)
        filter = self._filters[seen.number] = known or SurfaceFilter()
        smooth, smooth_likely = filter(normals, likely, step.frame.time)
        if known is None:
            self.steadiness.begin(seen.number)
        part = slice(_EVERY // 2, None, _EVERY)
        self.steadiness.see(
            seen.number, normals[part, part], smooth[part, part], smooth_likely[part, part] > 0.5
        )
        if self.options.smooth:
            normals, likely = smooth, smooth_likely
        mask = solid(likely) & seen.place.crop.inside(seen.place.photo_size)
        surface = Surface(normals, mask, None, (), likely)
        return Face(seen.place, surface, None, self.estimator.name)

    def state(self) -> dict[str, Any]:
        return {
            "steadiness": self.steadiness.state(),
            "filters": [[number, one.state()] for number, one in self._filters.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.steadiness.restore(state["steadiness"])
        self._filters = {number: SurfaceFilter.restored(told) for number, told in state["filters"]}

    def begin(self, work: Work, clip: Clip) -> None:
        self._films = {
            view: PartWriter(work.part(view, PART), clip.time_base, clip.rate, self.options.threads)
            for view in self.options.views
            if view != "frames"
        }
        self._folder = work.folder / "frames"
        if "frames" in self.options.views:
            self._folder.mkdir(exist_ok=True)

    def put(self, step: Step) -> None:
        pixels, pts = step.frame.pixels, step.frame.pts
        numbered = {seen.number: face for seen, face in zip(step.seen, step.faces, strict=True)}
        if "side" in self._films:
            beside = pictures.film_picture(pixels, numbered)
            self._films["side"].put(np.hstack([pixels, beside]), pts)
        if "normals" in self._films:
            flat = pictures.normals_picture(pixels.shape[:2], step.faces)
            self._films["normals"].put(flat, pts)
        if "frames" in self.options.views:
            content = _png(pixels.shape[:2], step.faces, self.options.bits)
            (self._folder / f"{step.frame.index:06}_normal.png").write_bytes(content)

    def end(self) -> None:
        for film in self._films.values():
            film.close()
        self._films = {}

    def finish(self, work: Work, clip: Clip, stem: str) -> tuple[dict[str, Path], list[str]]:
        made, notes = {}, []
        source = None if clip.is_live else clip.source
        for view in self.options.views:
            name = stem + VIEWS[view][0]
            if view == "frames":
                made[name] = work.folder / "frames"
                continue
            path, more = join(work.all(view, PART), source, work.folder / view, clip.end)
            made[name + path.suffix] = path
            notes += more
        return made, list(dict.fromkeys(notes))

    def told(self) -> dict[str, Any]:
        """Of the normals: degrees, and pictures."""
        said = measured(self.steadiness, 9)
        if said is None:
            return {"normals": None}
        degrees = {
            name: round(float(np.degrees(said[name])), 3) for name in ("jitter_raw", "jitter")
        }
        return {"normals": {**degrees, "lag": said["lag"]}}


def _png(size: tuple[int, int], faces: list[Face], bits: int) -> bytes:
    """The normals over the picture, with alpha; of no face nothing but transparent pixels."""
    if faces:
        return to_photo_png(faces, bits=bits)
    nothing = to_pixels(np.zeros((*size, 3), np.float32), np.zeros(size, np.float32), bits)
    return to_png(nothing, {FRAME_KEY: "opengl", **MARK})
