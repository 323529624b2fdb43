"""Landmarks: what is measured, by hand, and the protocol on a few faces."""

from pathlib import Path

import numpy as np
import pytest

import posed_heads
import tiny_system
from facerelief.evaluate import EvaluationError, landmarks, run_landmarks
from facerelief.geometry import landmark_schemes
from facerelief.geometry.skin_mesh import skin_mesh


def test_the_error_is_in_percent_of_the_box() -> None:
    true = np.array([[0, 0], [40, 90.0]])  # the root of its area is 60
    assert landmarks.normalised_error(true + np.array([0, 6]), true) == pytest.approx(10)
    deep = np.column_stack([true + np.array([3, 0]), [70, -9]])
    assert landmarks.normalised_error(deep, true) == pytest.approx(5)


def test_the_mean_head_is_cropped_like_everybody() -> None:
    points = landmarks.mean_head()
    low, high = points.min(0), points.max(0)
    assert (high - low).max() == pytest.approx(256 / 1.2, abs=0.1)
    assert (low + high) / 2 == pytest.approx([128, 128], abs=0.1)
    assert points[8, 1] > points[30, 1]  # y down


def test_a_mirrored_face_has_its_landmarks_in_another_order() -> None:
    order = landmark_schemes.mirrored("ibug68")
    assert np.array_equal(order[order], np.arange(68))
    assert [order[i] for i in (0, 8, 27, 36, 39, 48, 60)] == [16, 8, 27, 45, 42, 54, 64]


def test_every_range_of_yaw_counts_alike() -> None:
    def row(name: str, yaw: float | None, error: float) -> dict:
        return {"set": name, "yaw": yaw, "error": error}

    rows = [row("renderings", 5, 2.0), row("renderings", 20, 4.0), row("renderings", 40, 6.0),
            row("photographs", None, 7.0)]  # fmt: skip
    assert landmarks.summary(rows)["balanced"] is None
    found = landmarks.summary([*rows, row("renderings", 80, 9.0)])
    assert found["yaws"]["0 to 30"]["mean"] == 3 and found["yaws"]["60 to 90"]["count"] == 1
    assert found["balanced"] == pytest.approx(6)
    assert found["photographs"]["mean"] == 7 and found["300w_lp"] is None
    text = landmarks.Landmarks.table(
        {
            "faces": {"renderings": 4, "photographs": 1, "300w_lp": 0},
            "floors": ["mean-head"],
            "systems": {"mean-head": found},
        }
    )
    assert "| mean-head (floor) | 3.00 ± 1.00 | 6.00 ± 0.00 | 9.00 ± 0.00 | 6.00 |" in text


def test_a_few_faces(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from facerelief.synth.assets import Assets

    monkeypatch.setenv("FACERELIEF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Assets, "find", lambda folder: Assets(None))  # which take minutes to read
    # A head in the middle of its crop, as large as its neighbours'.
    mesh = skin_mesh()
    half = np.ptp(mesh.mean[mesh.landmarks, :2], axis=0).max() * 1.2 / 256
    network = posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map(scale=1 / half))
    found = run_landmarks([str(network)], tmp_path / "out", limit=3)
    assert found["faces"] == {"renderings": 3, "photographs": 3, "300w_lp": 3}
    floor, mesh_row, posed = (found["systems"][n] for n in ("mean-head", "facemesh", "posed"))
    assert mesh_row["photographs"]["mean"] < 6 < floor["photographs"]["mean"]
    assert all(value is None for value in mesh_row["yaws"].values())
    # The mean head, but for where it is: it answers alike.
    assert posed["300w_lp"]["mean"] < 2 * floor["300w_lp"]["mean"]
    assert (tmp_path / "out" / "faces.csv").read_text().count("posed,") == 9
    files = tmp_path / "out" / "predictions" / "posed"
    for path in (files / "300w_lp").rglob("*.npz"):  # as others may have found no face
        np.savez(path, landmarks=np.full((68, 2), np.nan))
    theirs = run_landmarks([str(files)], tmp_path / "theirs", limit=3)["systems"]["posed"]
    assert theirs["yaws"] == posed["yaws"] and theirs["photographs"] == posed["photographs"]
    assert theirs["300w_lp"] is None and theirs["missed"] == 3 and posed["missed"] == 0
    again = landmarks.rendered(data_root, 3)
    assert len(again) == 3 and all(face.points.shape == (68, 2) for face in again)
    for face in again:
        assert np.ptp(face.points, axis=0).max() == pytest.approx(256 / 1.2, abs=0.2)
    normals = str(tiny_system.build(tmp_path / "tiny.onnx"))
    with pytest.raises(EvaluationError, match="makes no position maps"):
        run_landmarks([normals], tmp_path / "none", limit=1)
