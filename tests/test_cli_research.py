"""The commands of the extra `train`: what they pass on, and how they fail."""

import importlib.util
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from facerelief.cli import app, protocols, research

SUMMARY = {"samples": 64, "seconds": 3.0, "figures": {"val/error": 12.5}}


def facerelief(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Records what `train` asks of the training instead of doing it."""
    import facerelief.train.phases

    recorded: list[dict[str, Any]] = []

    def run(config, out, overrides, max_time, resume, progress) -> dict[str, Any]:
        recorded.append(dict(locals(), recorded=None))
        return SUMMARY

    monkeypatch.setattr(facerelief.train.phases, "run", run)
    return recorded


def test_train_passes_everything_on(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    call = ("train", "a/b.yaml", "data.batch=4", "seed=7", "-o", tmp_path, "--max-time", "1h30m")
    result = facerelief(*call, "--resume")
    assert result.exit_code == 0 and "64 samples" in result.stdout and "12.5" in result.stdout
    (call,) = calls
    assert call["config"] == Path("a/b.yaml") and call["out"] == tmp_path
    assert call["overrides"] == ["data.batch=4", "seed=7"]
    assert call["max_time"] == timedelta(minutes=90) and call["resume"] and call["progress"]


def test_train_without_options(calls: list[dict[str, Any]]) -> None:
    assert json.loads(facerelief("train", "a/b.yaml", "--json").stdout) == SUMMARY
    (call,) = calls
    assert call["out"] == Path("runs/b") and call["overrides"] == []
    assert call["max_time"] is None and not call["resume"] and not call["progress"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1h1m1s", 3661)]
)
def test_durations(text: str, seconds: int) -> None:
    assert research.parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "90", "h", "1.5h", "2m1h", "soon"])
def test_what_is_no_duration_is_a_usage_error(text: str) -> None:
    result = facerelief("train", "a.yaml", f"--max-time={text}")
    assert result.exit_code == 2 and "max-time" in result.stderr


def test_bad_configurations_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("system: {name: casfne}\nsampels: 3\n")
    result = facerelief("train", path, "-o", tmp_path / "run")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "sampels" in result.stderr
    result = facerelief("train", tmp_path / "none.yaml", "-o", tmp_path / "run")
    assert result.exit_code in (1, 2) and result.stderr.count("\n") == 1
    assert "none.yaml" in result.stderr


def test_export_of_what_is_no_checkpoint(tmp_path: Path) -> None:
    call = ("export", tmp_path / "last.ckpt", "-o", tmp_path / "a.onnx", "--training-data", "none")
    result = facerelief(*call, "--tier", "open")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    result = facerelief(*call, "--tier", "free")
    assert result.exit_code == 2 and "open or research" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_torch_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        research, "find_spec", lambda name: None if name == "torch" else find_spec(name)
    )
    result = facerelief("train", "a.yaml")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and "pip install 'facerelief[train]'" in result.stderr


@pytest.mark.parametrize(("protocol", "lacks"), [("basel", "Basel"), ("groups", "labels"),
                                                 ("yaleb", "Yale")])  # fmt: skip
def test_evaluation_without_its_data_is_one_line(
    protocol: str, lacks: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", "")  # the option changes it: put back afterwards
    out = tmp_path / "out"
    call = ("evaluate", protocol, "--system", "default", "-o", out, "--data", tmp_path)
    result = facerelief(*call)
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert lacks in result.stderr and not list(out.rglob("*.json"))


def test_evaluation_passes_everything_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from facerelief import evaluate

    asked: dict[str, Any] = {}

    def run_basel(systems: list[str], out: Path, **options: Any) -> dict[str, Any]:
        asked.update(options, systems=systems)
        out.mkdir()
        (out / "results.md").write_text("A table.")
        return {"protocol": "basel"}

    monkeypatch.setattr(evaluate, "run_basel", run_basel)
    call = ("evaluate", "basel", "--system", "a", "--system", "b.onnx", "-o", tmp_path / "out")
    result = facerelief(*call, "--threads", "1", "--peer-python", "python9")
    assert result.exit_code == 0 and "A table." in result.stdout
    assert asked == {
        "systems": ["a", "b.onnx"],
        "threads": 1,
        "peer_python": Path("python9"),
        "progress": True,
    }
    result = facerelief(*call[:-1], tmp_path / "other", "--json")
    assert json.loads(result.stdout) == {"protocol": "basel"} and not asked["progress"]


def test_protocols_have_the_same_options_and_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from facerelief import evaluate

    heads = {"folder": tmp_path}
    own = {"yaleb": ("--split", "val"), "renderings": (tmp_path,), "coefficients": (tmp_path,)}
    passed = {"yaleb": {"split": "val"}, "renderings": heads, "coefficients": heads,
              "relight": {"split": "test"}}  # fmt: skip
    for name in protocols.COMMANDS:
        for word in ("--system", "--systems"):
            asked: dict[str, Any] = {}

            def run(systems: list[str], out: Path, asked=asked, **options: Any) -> dict[str, Any]:
                asked.update(options, systems=systems)
                return {}

            monkeypatch.setattr(evaluate, f"run_{name}", run)
            call = ("evaluate", name, *own.get(name, ()), word, "a", "-o", tmp_path, "--json")
            result = facerelief(*call, "--crops", tmp_path / "crops")
            assert result.exit_code == 0 and json.loads(result.stdout) == {}
            common = {"peer_python": None, "threads": None, "progress": False}
            assert asked == {**common, "systems": ["a"], "crops": tmp_path / "crops",
                             **passed.get(name, {})}  # fmt: skip
        result = facerelief("evaluate", name, *own.get(name, ()), "-o", tmp_path, "--json")
        assert result.exit_code == (0 if protocols.COMMANDS[name].optional else 2)
    assert asked["systems"] == ["a"]
