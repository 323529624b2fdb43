"""A part of `trial.py`, which `make fuzz` runs over thousands."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from broken_pictures import write
from trial import SLOW, read, run


@pytest.mark.parametrize("seed", [1, 2])
def test_broken_pictures_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for path in write(tmp_path, 300, seed):
        word, seconds = read(path)
        counts[word] += 1
        assert seconds < SLOW
    assert set(counts) == {"read", "refused"} and min(counts.values()) > 50, counts


def test_broken_pictures_are_all_reported(tiny_folder: Path, tmp_path: Path) -> None:
    paths = list(write(tmp_path, 60, seed=3))
    counts = run(paths, tmp_path / "out", ["--system", str(tiny_folder / "tiny.onnx")])
    assert counts.pop("CLI: files") == 60 and not any(counts.values()), counts
