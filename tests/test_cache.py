"""What is kept: made once by whoever comes first, whole, and again where it was damaged."""

import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from facerelief import cache

# A process that makes an entry slowly and says so in a file beside it.
SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from facerelief.cache import cached

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def make():
    with open(folder / "made.txt", "a") as file:
        file.write("x")
    time.sleep(seconds)
    return {"numbers": np.arange(5)}

assert cached(folder / "entries", "slow", make)["numbers"].tolist() == [0, 1, 2, 3, 4]
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACERELIEF_CACHE", str(tmp_path / "cache"))


def counted(value: int = 7) -> tuple[Callable[[], dict[str, np.ndarray]], list[int]]:
    calls: list[int] = []

    def make() -> dict[str, np.ndarray]:
        calls.append(value)
        return {"a": np.full(3, value), "names": np.array(["x", "yy"])}

    return make, calls


def start(tmp_path: Path, seconds: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path), str(seconds)])


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    make, calls = counted()
    for _ in range(3):
        found = cache.cached(tmp_path / "deep" / "er", "one", make)
        assert found["a"].tolist() == [7, 7, 7] and found["names"].tolist() == ["x", "yy"]
    assert len(calls) == 1
    assert [p.name for p in (tmp_path / "deep" / "er").iterdir()] == ["one.npz"]
    cache.cached(tmp_path / "deep" / "er", "two", make)
    assert len(calls) == 2


def test_of_processes_that_start_together_one_works(tmp_path: Path) -> None:
    several = [start(tmp_path, 0.5) for _ in range(4)]
    assert [process.wait(60) for process in several] == [0, 0, 0, 0]
    assert (tmp_path / "made.txt").read_text() == "x"


def test_a_killed_maker_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    process = start(tmp_path, 60)
    waiting = start(tmp_path, 0)  # comes second or first; both end well
    deadline = time.monotonic() + 60
    while not (tmp_path / "made.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert waiting.wait(60) == 0
    assert [p.name for p in (tmp_path / "entries").iterdir()] == ["slow.npz"]


def test_what_killed_makers_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / ".big.0123.partial").mkdir()
    (tmp_path / ".other.0123.partial").mkdir()  # somebody may be at it
    rows = lambda: ({"a": np.full(2, i)} for i in range(3))  # noqa: E731
    found = cache.cached_rows(tmp_path, "big", ["a"], rows, 3)
    assert found["a"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert {p.name for p in tmp_path.iterdir()} == {"big", ".other.0123.partial", "cache"}


@pytest.mark.parametrize("damage", ["short", "empty", "text", "flipped"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    make, calls = counted()
    cache.cached(tmp_path, "one", make)
    file = tmp_path / "one.npz"
    content = bytearray(file.read_bytes())
    content[140] ^= 1  # of an array's values or header; the checksum tells
    changed = {"short": content[:200], "empty": b"", "text": b"hello", "flipped": content}
    file.write_bytes(bytes(changed[damage]))
    assert cache.cached(tmp_path, "one", make)["a"].tolist() == [7, 7, 7]
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_damaged_rows_are_made_again(tmp_path: Path, damage: str) -> None:
    calls = []

    def rows() -> Iterator[dict[str, np.ndarray]]:
        calls.append(1)
        yield from ({"a": np.full(100, i), "b": np.float32(i)} for i in range(4))

    first = cache.cached_rows(tmp_path, "big", ("a", "b"), rows, 4)
    assert first["b"].tolist() == [0, 1, 2, 3] and not first["a"].flags.writeable
    file = tmp_path / "big" / "a.npy"
    content = file.read_bytes()
    file.unlink()
    if damage == "short":
        file.write_bytes(content[:-8])
    again = cache.cached_rows(tmp_path, "big", ("a", "b"), rows, 4)
    assert np.array_equal(again["a"], np.arange(4)[:, None].repeat(100, 1)) and len(calls) == 2


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.kept(tmp_path / "entries" / "one", fail, Path.read_text)
    assert not list((tmp_path / "entries").iterdir())
    found = cache.kept(tmp_path / "entries" / "one", lambda p: p.write_text("all"), Path.read_text)
    assert found == "all"


def test_a_digest_changes_with_content_and_code_but_not_with_comments(tmp_path: Path) -> None:
    def module(text: str) -> types.ModuleType:
        cache._code.cache_clear()
        path = tmp_path / f"code{len(list(tmp_path.iterdir()))}.py"
        path.write_text(text)
        made = types.ModuleType(path.stem)
        made.__file__ = str(path)
        return made

    numbers = np.arange(6, dtype=np.int32)
    digests = {
        cache.digest(*parts)
        for parts in (
            [numbers], [numbers.reshape(2, 3)], [numbers.astype(np.int64)], [numbers[:0]],
            ["ab", "c"], ["a", "bc"], [b"abc"], [module("x = 1\n")], [module("x = 2\n")],
            [numbers > 2], [np.array(["ab", "c"])],
        )
    }  # fmt: skip
    assert len(digests) == 11
    assert cache.digest("ab") == cache.digest(b"ab")
    assert cache.digest(numbers[::2]) == cache.digest(numbers[::2].copy())
    assert cache.digest(module("x = 1  # one\n")) == cache.digest(module("x = 1\n"))
