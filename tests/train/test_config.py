"""Whatever a configuration says, it is used as it is or refused in one line."""

import os
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("lightning")

from typer.testing import CliRunner

from facerelief.cli import app
from facerelief.train.config import ConfigError, load_phases

GOOD = (
    "system: {name: unet, options: {pretrained: false}}\nsamples: 4\n"
    "data: {size: 32, batch: 2, workers: 0, sources: [{name: photos}]}\n"
)
BOMB = "a0: &a0 [lol, lol, lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
MERGE = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
)

TEXTS: dict[str, bytes] = {
    "binary": b"\x80\x03\xff\x00" * 50,
    "zeros": bytes(1000),
    "recursive list": b"system: &a [*a]\n",
    "recursive mapping": b"&a {system: *a}\n",
    "alias bomb": (GOOD + BOMB).encode(),
    "merge bomb": (GOOD + MERGE).encode(),
    "deep": b"[" * 30_000,
    "large": b"# x\n" * 30_000,
    "date": b"system: 2024-13-45\n",
    "python": b"system: !!python/object/apply:os.system [true]\n",
    "digits": b"samples: " + b"9" * 9000,
    "many phases": (GOOD + "phases: [" + "{}, " * 1000 + "{}]").encode(),
    "phases of numbers": (GOOD + "phases: [1]").encode(),
    "based on itself in turn": b"base: odd.yaml\n",
    "keys of all kinds": b"{1: 2, a: 3, [1]: 4}\n",
    "keys of two kinds": b"{1: 2, a: 3}\n",
}


def refused(path: Path, *overrides: str) -> str:
    """The one line in which a configuration is refused."""
    began = time.process_time()  # a busy machine does not count
    with pytest.raises(ConfigError) as raised:
        load_phases(path, list(overrides))
    assert time.process_time() - began < 8
    text = str(raised.value)
    assert text.isprintable() and len(text) < 800 + len(str(path))
    return text


@pytest.mark.parametrize("name", TEXTS)
def test_odd_files_are_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(TEXTS[name])
    assert "odd.yaml" in refused(path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "zero.yaml"):
        assert "not a file" in refused(tmp_path / name)


OVERRIDES = (
    "data.batch=0", "data.batch=-1", "data.batch=true", "data.batch=2.5", "data.size=0",
    "data.size=-32", "samples=0", "samples=-5", "samples=many", "data.workers=-1",
    "data.repeat=-1", "optimizer.learning_rate=-1", "optimizer.learning_rate=.inf",
    "optimizer.learning_rate=.nan", "optimizer.betas=[0.9]", "optimizer.betas=[a, b]",
    "optimizer.betas=3", "optimizer.warmup=1", "optimizer.clip=-1", "ema=2", "ema=-1", "seed=-1",
    "seed=99999999999", "validate_every=0", "data.sources=[]", "data.sources=3",
    "data.sources=[3]", "data.sources.0.share=-1", "data.sources.0.options=[1]",
    "data.sources.0.options={1: 2}", "system.options=3", "system.name=[a]", "precision=3",
    "start_from=3", "start_parts=[a]", "start_parts={a: 1}", "data.validation=3",
    "consistency.weight=a", "data.\u00b2=3", "data.sources.\u00b2=3", "=3", "seed", "seed=[",
    "a..b=1", "seed=\x1b[31m", "data.sources." + "9" * 5000 + "=1", "phases.9=1",
    "seed=" + "[" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("override", OVERRIDES)
def test_odd_overrides_are_one_line(tmp_path: Path, override: str) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert len(load_phases(path)) == 1
    refused(path, override)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.size=4096", "data.batch=5"],
        ["data.batch=100000"],
        ["data.size=256", "data.batch=1024", "data.workers=4"],
    ],
)
def test_batches_have_a_bounded_size(tmp_path: Path, overrides: list[str]) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    fits = ["data.size=256", "data.batch=1024", "data.workers=3"]
    assert load_phases(path, fits)[0].data.batch == 1024
    with pytest.raises(ConfigError, match=r"good\.yaml: data: .* are too much: one has"):
        load_phases(path, overrides)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("casfne", "{width: 100000}", "weights, more than 500000000"),
        ("casfne", "{widths: [100000, 100000, 100000, 100000]}", "weights, more than 500000000"),
        ("casfne", "{width: 1000000000000000}", "system: "),
    ],
)
def test_networks_have_a_bounded_size(
    tmp_path: Path, name: str, options: str, message: str
) -> None:
    """It is not made first: that took all memory there was."""
    from facerelief.train.experiment import _system

    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    preset = "compact" if "widths" in options else "paper"
    changes = [f"system.name={name}", f"system.preset={preset}", f"system.options={options}"]
    (phase,) = load_phases(path, changes)
    with pytest.raises(ConfigError, match=message) as caught:
        _system(phase)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_a_validation_has_a_bounded_size() -> None:
    from facerelief.data.sources import build_validation

    with pytest.raises(ValueError, match="1000000 pictures of 256 x 256 to validate with"):
        build_validation("renderings", 256, 16, {"folder": "nowhere", "count": 1_000_000})


@pytest.mark.parametrize(
    "override",
    [
        "system.name=nobody",
        "system.preset=nothing",
        "system.options={widths: a}",
        "system.options={no_such: 1}",
        "data.sources.0.name=nobody",
        "data.sources.0.options={no_such: 1}",
        "start_from=nobody",
    ],
)
def test_odd_options_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", "")  # the option changes it: put back afterwards
    path = tmp_path / "good.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(GOOD)))
    call = ["train", str(path), override, "-o", str(tmp_path / "run"), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, call)
    assert result.exit_code in (1, 2) and result.stderr.count("\n") == 1, result.output
    assert not isinstance(result.exception, Exception)
