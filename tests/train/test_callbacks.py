"""What happens beside the steps."""

import os
from pathlib import Path

import pytest

pytest.importorskip("lightning")

from facerelief.files import temporary_path
from facerelief.train.callbacks import Checkpoint


def test_two_trainings_save_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second saves while the first does: each writes its own, and the last whole one stays."""
    saver, number = Checkpoint(tmp_path / "last.ckpt"), os.getpid()
    left = temporary_path(tmp_path / "last.ckpt")
    left.write_bytes(b"of a training that was killed, and had this process's number")

    class Trainer:
        def __init__(self, content: bytes, other: "Trainer | None" = None) -> None:
            self.content, self.other = content, other

        def save_checkpoint(self, path: Path) -> None:
            path.write_bytes(self.content)
            if self.other:
                monkeypatch.setattr(os, "getpid", lambda: number + 1)
                saver.save(self.other)
                monkeypatch.setattr(os, "getpid", lambda: number)
                assert (tmp_path / "last.ckpt").read_bytes() == self.other.content

    saver.save(Trainer(b"first", Trainer(b"second")))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("last.ckpt", b"first")]


def test_a_checkpoint_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"before")

    class Full:
        def save_checkpoint(self, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        Checkpoint(tmp_path / "last.ckpt").save(Full())
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("last.ckpt", b"before")]
