"""A part of `trial.py`, which `make fuzz` runs over thousands."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from broken_pictures import write
from odd_calls import arguments, conversions
from trial import SLOW, read, run

from facerelief import photo_files
from facerelief.images import open_photo, seen_at
from facerelief.inputs import PhotoError
from facerelief.photo_files import Picture


@pytest.mark.parametrize("seed", [1, 2])
def test_broken_pictures_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for path in write(tmp_path, 300, seed):
        word, seconds = read(path)
        counts[word] += 1
        assert seconds < SLOW
    assert set(counts) == {"read", "refused"} and min(counts.values()) > 50, counts


def test_broken_pictures_that_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every picture were one that is read in parts and sizes."""
    monkeypatch.setattr(photo_files, "WHOLE", 0)
    counts: Counter[str] = Counter()
    for path in write(tmp_path, 300, seed=4):
        for scale in (6.5, 3.0, 1.0):
            try:
                picture = open_photo(path)
                assert isinstance(picture, Picture)
                pixels, factor, (x, y) = seen_at(picture, scale)
                height, width = (-(-length // factor) for length in picture.shape[:2])
                assert pixels.shape == (height, width, 3) and max(x, y) <= 0
                assert picture[2:9, 3:7].shape == (7, 4, 3)
                counts["read"] += 1
            except PhotoError as error:
                assert str(error).startswith(f"{path}: ") and str(error).isprintable()
                counts["refused"] += 1
    assert min(counts.values()) > 100, counts


def test_broken_pictures_are_all_reported(tiny_folder: Path, tmp_path: Path) -> None:
    paths = list(write(tmp_path, 60, seed=3))
    counts = run(paths, tmp_path / "out", ["--system", str(tiny_folder / "tiny.onnx")])
    assert counts.pop("CLI: files") == 60 and not any(counts.values()), counts


def test_odd_calls(tiny_folder: Path, tmp_path: Path, astronaut: Path) -> None:
    counts = arguments(tmp_path, astronaut, tiny_folder / "tiny.onnx", 30, seed=5)
    assert counts.pop("done") and counts.pop("refused") > 3 and not any(counts.values()), counts


def test_broken_maps(tmp_path: Path) -> None:
    counts = conversions(tmp_path, 200, seed=6)
    assert counts.pop("done") > 5 and counts.pop("refused") > 50 and not any(counts.values()), (
        counts
    )
