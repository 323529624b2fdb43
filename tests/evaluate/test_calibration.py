"""Fitting what a network's expected error is worth: known numbers come back, and are kept."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import facerelief as fr
import tiny_system
from facerelief.cli import app
from facerelief.evaluate import EvaluationError, calibration
from facerelief.evaluate.calibration import Pictures
from facerelief.samples.files import to_files
from facerelief.samples.shards import SampleFolders
from painted_heads import head


def pictures(scale: float, power: float, soft: float, white: float) -> Pictures:
    """Two hundred whose errors follow a calibration, by Rayleigh's distribution."""
    g = np.random.default_rng(4)
    own = g.uniform(4, 30, (200, 100))
    cues = np.stack([g.uniform(0, 0.4, 200), g.uniform(0, 1, 200)], axis=-1)
    mean = scale * own**power * np.exp(cues @ [soft, white])[:, None]
    errors = g.rayleigh(mean / np.sqrt(np.pi / 2))
    ways = np.where(np.arange(200) % 2, "blurred", calibration.AS_IT_IS)
    return Pictures(ways, errors, own, cues)


def test_numbers_that_are_known_come_back() -> None:
    found = calibration.fit(pictures(0.8, 1.1, 1.5, 0.3))
    assert (found.scale, found.power) == pytest.approx((0.8, 1.1), rel=0.1)
    assert (found.soft, found.white) == pytest.approx((1.5, 0.3), abs=0.1)
    report = calibration.report_of(pictures(0.8, 1.1, 1.5, 0.3), found)
    for row in (*report["ways"].values(), *report["deciles"]):
        assert row["calibrated"] == pytest.approx(row["true"], rel=0.05)
    assert report["ways"]["blurred"]["own"] < report["ways"]["blurred"]["true"] - 3
    assert report["ranking"]["calibrated"] < report["ranking"]["own"] < 0.9


def test_nothing_makes_an_expected_error_fall() -> None:
    found = calibration.fit(pictures(1.0, 1.0, -1.0, -0.5))
    assert found.soft == found.white == 0


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    files = [to_files(head(yaw)) for yaw in (0, 10, 20, -10, -20, 15)]
    SampleFolders(folder).write(range(len(files)), files)
    return folder


def test_a_file_is_calibrated_by_heads(heads: Path, tmp_path: Path) -> None:
    path = tiny_system.build(tmp_path / "tiny.onnx")
    done = CliRunner().invoke(app, ["calibrate", str(path), str(heads), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fr.load(path).entry.calibration == json.dumps(said["calibration"])
    # Asked again it says the same: what is fitted is the network's own.
    again = CliRunner().invoke(app, ["calibrate", str(path), str(heads), "--json"])
    assert json.loads(again.stdout) == said
    table = CliRunner().invoke(app, ["calibrate", str(path), str(heads)]).stdout
    assert "| as it is |" in table and "ranking" in table


def test_a_name_is_calibrated_in_the_catalogue(heads: Path, tiny_catalogue: Path) -> None:
    file = tiny_catalogue / "catalogue.json"
    before = file.read_text()
    try:
        done = CliRunner().invoke(app, ["calibrate", "tiny", str(heads), "--json"])
        assert done.exit_code == 0, done.output
        numbers = json.loads(done.stdout)["calibration"]
        assert json.loads(file.read_text())["systems"]["tiny"]["calibration"] == numbers
        assert fr.load("tiny").entry.calibration == numbers
    finally:
        file.write_text(before)


def test_what_cannot_be_calibrated(heads: Path, tmp_path: Path) -> None:
    plain = fr.load(tiny_system.build(tmp_path / "plain.onnx", expected_error=False))
    with pytest.raises(EvaluationError, match="plain expects no error"):
        calibration.calibrate(plain, heads)
    tiny = fr.load(tiny_system.build(tmp_path / "tiny.onnx"))
    with pytest.raises(EvaluationError, match="too few heads"):
        calibration.calibrate(tiny, heads, limit=3)
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(
        app, ["calibrate", str(tmp_path / "tiny.onnx"), str(tmp_path / "empty")]
    )
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1
