"""The protocol on scans: what is perfect scores 0, floors know what they may, groups add up."""

import json
from pathlib import Path

import numpy as np
import pytest

from facerelief.evaluate import EvaluationError, basel, predictions, run_basel
from facerelief.evaluate.basel import MEAN_MAP, POSED_MEAN, Basel
from facerelief.evaluate.basel_pictures import Light, Pose, Shown
from facerelief.geometry.normals import encode, normalise

SIZE = 256


def tilted(angle: float) -> np.ndarray:
    """(256, 256, 3) all facing `angle` degrees to the right."""
    radians = np.radians(angle)
    one = [np.sin(radians), 0, np.cos(radians)]
    return np.broadcast_to(np.array(one, np.float32), (SIZE, SIZE, 3)).copy()


def scan_of(name: str, angle: float) -> list[Shown]:
    """A flat face, seen in two poses of `yaw` and one of `random`; its photos show its normals."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[64:192, 64:192] = True
    shown = []
    for part, group, lights, turn in (
        ("yaw", "0°", ("frontal", "60°"), 0.0),
        ("yaw", "+60°", ("frontal", "60°"), 30.0),
        ("random", "up to 45°", ("mixed",), 10.0),
    ):
        pose = Pose(part, group, np.eye(3), tuple(Light(light) for light in lights))
        normals = tilted(angle + turn)
        names = tuple(f"{name}_{part}{group}{light}" for light in lights)
        photos = np.repeat(encode(normals)[None], len(lights), axis=0)
        shown.append(Shown(name, pose, names, photos, np.where(mask[..., None], normals, 0), mask))
    return shown


SCANS = {"a": scan_of("a", 0), "b": scan_of("b", 10), "c": scan_of("c", 20)}


def test_the_truth_scores_nothing_and_a_turn_its_angle(tmp_path: Path) -> None:
    for one in SCANS["b"]:
        for index, name in enumerate(one.names):
            predictions.write(tmp_path, name, {"normals": tilted(16 if index else 10)})
    scores = Basel().score(tmp_path, SCANS["b"])
    errors = {(s.part, s.pose, s.light): float(s.score.errors.mean()) for s in scores}
    expected = {
        ("yaw", "0°", "frontal"): 0,
        ("yaw", "0°", "60°"): 6,
        ("yaw", "+60°", "frontal"): 30,
        ("yaw", "+60°", "60°"): 24,
        ("random", "up to 45°", "mixed"): 10,
    }
    assert errors == pytest.approx(expected, abs=0.05)
    assert {s.score.known for s in scores} == {128 * 128}
    table = Basel().tabulate(scores)
    assert table["yaw"]["mean"] == pytest.approx(15, abs=0.05)
    assert table["yaw"]["within"]["20"] == pytest.approx(50)
    assert table["random"]["images"] == 1
    assert table["poses"]["yaw"]["+60°"]["mean"] == pytest.approx(27, abs=0.05)
    assert table["lights"]["60°"]["mean"] == pytest.approx(15, abs=0.05)
    assert list(table["lights"]) == ["frontal", "60°"]  # without those of the random poses
    assert table["scans"]["b"]["images"] == 5


def test_posed_mean_is_of_the_other_scans_in_the_same_pose(tmp_path: Path) -> None:
    for scan in SCANS.values():
        pictures = [picture for one in scan for picture in one.names]
        for picture, answer in zip(pictures, basel.posed_means(scan, SCANS), strict=True):
            predictions.write(tmp_path, picture, answer)
    for name, others in {"a": 15.0, "b": 10.0, "c": 5.0}.items():
        for one, turn in zip(SCANS[name], (0, 30, 10), strict=True):
            for picture in one.names:
                found, _ = predictions.read(tmp_path, picture, (SIZE, SIZE))
                x, _, z = normalise(found[one.mask].mean(axis=0))
                assert np.degrees(np.arctan2(x, z)) == pytest.approx(others + turn, abs=0.05)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_catalogue: Path) -> Path:
    """A data folder with three scans whose pictures are those above."""
    data = tmp_path / "data"
    (data / "scans").mkdir(parents=True)
    for name in SCANS:
        (data / "scans" / f"basel_{name}.npz").touch()
    monkeypatch.setenv("FACERELIEF_DATA", str(data))
    monkeypatch.setenv("FACERELIEF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(basel, "load", lambda root, name, cache: SCANS[name[-1]])
    return tmp_path


def test_everything_is_written(prepared: Path) -> None:
    out = prepared / "out"
    results = run_basel(["default"], out, threads=1)
    assert json.loads((out / "results.json").read_text()) == results
    assert results["floors"] == [POSED_MEAN]  # no Yale B in this folder
    assert results["pictures"] == {"yaw": 12, "random": 3}
    tiny = results["systems"]["tiny"]
    assert tiny["tier"] == "open" and tiny["yaw"]["mean"] < 0.5  # it reads the colours back
    assert tiny["yaw"]["coverage"] == 100
    posed = results["systems"][POSED_MEAN]
    assert posed["yaw"]["mean"] == pytest.approx(10, abs=0.1)  # 15, 0 and 15 degrees off
    assert len((out / "pictures.csv").read_text().splitlines()) == 1 + 2 * 15
    assert {path.name for path in (out / "pictures" / "tiny").iterdir()} == {
        f"basel_{name}.png" for name in SCANS
    }
    text = (out / "results.md").read_text()
    assert text == Basel.table(results)
    assert "| posed-mean (floor) | 10.0" in text and "| System | 0° | +60° |" in text


def test_names_that_floors_have(prepared: Path) -> None:
    for name in (POSED_MEAN, MEAN_MAP):
        (prepared / name).mkdir()
        with pytest.raises(EvaluationError, match="same name"):
            run_basel([str(prepared / name)], prepared / "out")


def test_predictions_that_are_missing(prepared: Path) -> None:
    (prepared / "mine").mkdir()
    with pytest.raises(EvaluationError, match="missing"):
        run_basel([str(prepared / "mine")], prepared / "out")


def test_no_scans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Basel"):
        run_basel(["default"], tmp_path / "out")
