"""Networks side by side: the mean of their answers, and of those for mirrored crops."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from facerelief import load
from facerelief.calibration import Calibration
from facerelief.cli import app
from facerelief.combine import combine
from facerelief.export import Provenance, export, tell
from facerelief.geometry.normals import angular_error, normalise
from facerelief.train.start import StartError
from facerelief.train.systems.base import build

MIRROR = np.array([-1, 1, 1], np.float32)
CROPS = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), np.uint8)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pair")
    for seed, tier in ((0, "open"), (1, "research")):
        torch.manual_seed(seed)
        system = build("casfne", "compact", pretrained=False, stages=0, widths=[16] * 4)
        data = f"data {seed},shared"
        export(system, folder / f"{seed}.onnx", Provenance("casfne", "compact", tier, data, "0"))
    return [folder / "0.onnx", folder / "1.onnx"]


def test_the_mean_is_what_the_networks_say(pair: list[Path], tmp_path: Path) -> None:
    combine(pair, tmp_path / "both.onnx")
    found = load(tmp_path / "both.onnx").estimate_crops(CROPS)
    total, error = np.zeros((2, 256, 256, 3)), []
    for path in pair:
        plain = load(path).estimate_crops(CROPS)
        turned = load(path).estimate_crops(np.ascontiguousarray(CROPS[:, :, ::-1]))
        total += plain.normals + turned.normals[:, :, ::-1] * MIRROR
        error += [plain.expected_error, turned.expected_error[:, :, ::-1]]
    assert angular_error(found.normals, normalise(total)).max() < 0.05
    assert np.allclose(found.expected_error, np.mean(error, 0), atol=0.02)


def test_a_mirrored_face_has_mirrored_normals(pair: list[Path], tmp_path: Path) -> None:
    combine(pair[:1], tmp_path / "one.onnx")
    estimator = load(tmp_path / "one.onnx")
    plain = estimator.estimate_crops(CROPS).normals
    turned = estimator.estimate_crops(np.ascontiguousarray(CROPS[:, :, ::-1])).normals
    assert angular_error(plain, turned[:, :, ::-1] * MIRROR).max() < 0.05


def test_alone_and_not_mirrored_it_is_the_network(pair: list[Path], tmp_path: Path) -> None:
    combine(pair[:1], tmp_path / "same.onnx", mirrored=False)
    same = load(tmp_path / "same.onnx").estimate_crops(CROPS)
    own = load(pair[0]).estimate_crops(CROPS)
    assert angular_error(same.normals, own.normals).max() < 0.02


def test_terms_are_the_strictest_and_weights_are_there_once(
    pair: list[Path], tmp_path: Path
) -> None:
    combine(pair, tmp_path / "both.onnx")
    said = {e.key: e.value for e in onnx.load(tmp_path / "both.onnx").metadata_props}
    assert said["tier"] == "research"
    assert said["training_data"] == "data 0,shared,data 1"
    size = (tmp_path / "both.onnx").stat().st_size
    assert size < 1.2 * sum(path.stat().st_size for path in pair)


def test_what_does_not_fit_is_one_line(pair: list[Path], tmp_path: Path) -> None:
    prnet = Path(load("prnet").entry.path)
    (tmp_path / "random.onnx").write_bytes(b"\x00\x01random")
    for other in (prnet, tmp_path / "random.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(StartError, match=other.name):
            combine([pair[0], other], tmp_path / "out.onnx")
    with pytest.raises(StartError):
        combine([], tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_pipe_is_one_line(pair: list[Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(StartError, match="not a file"):
        combine([pair[0], tmp_path / "pipe.onnx"], tmp_path / "out.onnx")


def test_a_calibration_of_one_is_not_the_wholes(pair: list[Path], tmp_path: Path) -> None:
    one = tmp_path / "one.onnx"
    one.write_bytes(pair[0].read_bytes())
    tell(one, calibration=json.dumps(asdict(Calibration(soft=2.0))))
    combine([one, pair[1]], tmp_path / "both.onnx")
    assert load(one).entry.calibration is not None
    assert load(tmp_path / "both.onnx").entry.calibration is None


def test_names_of_the_catalogue_do_too(tmp_path: Path) -> None:
    combine(["casfne_compact"], tmp_path / "own.onnx", mirrored=False)
    same, own = load(tmp_path / "own.onnx"), load("casfne_compact")
    normals = (one.estimate_crops(CROPS).normals for one in (same, own))
    assert angular_error(*normals).max() < 0.05
    with pytest.raises(StartError, match="nobody"):
        combine(["nobody"], tmp_path / "out.onnx")


def test_the_command(pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both.onnx"
    result = CliRunner().invoke(app, ["combine", *map(str, pair), "-o", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["networks"] == 2
    assert load(out).entry.tier == "research"
    bad = CliRunner().invoke(app, ["combine", str(tmp_path / "no.onnx"), "-o", str(out)])
    assert bad.exit_code == 1
    assert "no.onnx" in bad.stderr and bad.stderr.count("\n") == 1
