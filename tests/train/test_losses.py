"""What `make smoke` asks of every training: its loss fell."""

import importlib.util
import json
from pathlib import Path

import pytest

_PATH = Path(__file__).parents[2] / "tools" / "check_losses.py"
_spec = importlib.util.spec_from_file_location("check_losses", _PATH)
assert _spec is not None and _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)


def summary(folder: Path, **loss: float) -> None:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"loss": loss}))


def test_a_loss_that_did_not_fall_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(tmp_path) == 1  # nothing was trained
    summary(tmp_path / "good", first=2.0, last=1.0)
    assert check.main(tmp_path) == 0 and "did not fall" not in capsys.readouterr().out
    for name, last in (("flat", 2.0), ("gone", float("nan"))):
        summary(tmp_path / name, first=2.0, last=last)
    summary(tmp_path / "none")
    assert check.main(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "did not fall" in line] == ["flat", "gone", "none"]


def test_phases_are_judged_one_by_one(tmp_path: Path) -> None:
    summary(tmp_path / "run", first=1.0, last=2.0)  # that of its last phase, with all its samples
    summary(tmp_path / "run" / "phase1", first=2.0, last=1.0)
    summary(tmp_path / "run" / "phase2", first=2.0, last=1.0)
    assert set(check.trainings(tmp_path)) == {"run/phase1", "run/phase2"}
    assert check.main(tmp_path) == 0
