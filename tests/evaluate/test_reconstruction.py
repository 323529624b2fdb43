"""The error of shapes: none for the same face in another place, what it should be for others."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import posed_heads
from facerelief.catalogue import WeightsError
from facerelief.data import basel
from facerelief.data.basel import Scan
from facerelief.evaluate import EvaluationError, run_p2p, run_reconstruction
from facerelief.evaluate.basel_pictures import in_picture
from facerelief.evaluate.p2p import PointToPoint
from facerelief.evaluate.reconstruction import (
    INNER,
    Reconstruction,
    distances,
    error,
    mean_head,
    ratio,
    summary,
    turned,
)
from facerelief.geometry.skin_mesh import skin_mesh


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch) -> Scan:
    """The mean head as a scan of itself."""
    mesh = skin_mesh()
    monkeypatch.setattr(basel, "LANDMARKS", tuple(mesh.landmarks.tolist()))
    monkeypatch.setattr(basel, "NOSE_TIP", int(mesh.landmarks[30]))
    colours = np.full(mesh.mean.shape, 180, np.uint8)
    return Scan("head", mean_head().astype(float), mesh.triangles, colours)


def test_place_size_and_turn_do_not_count(scan: Scan) -> None:
    assert error(mean_head(), scan) < 0.01
    turn = Rotation.from_euler("xyz", (20, -50, 10), degrees=True)
    assert error(0.7 * turn.apply(mean_head()) + (40, -20, 300), scan) < 0.05


def test_distances_are_in_percent_of_the_eyes(scan: Scan) -> None:
    """A face that is inflated about its axis: known distances, less what laying it on takes off."""
    eyes = np.linalg.norm(np.subtract(*scan.landmarks[[36, 45]]))
    wide = mean_head() * (1.08, 1, 1)
    assert 0.5 < error(wide, scan) < 100 * 0.08 * 60 / eyes
    rough = mean_head() + np.random.default_rng(0).normal(0, 1, mean_head().shape)
    # Points find a nearer place on a rough surface than that of their own vertex: under 1 mm.
    assert 0.2 < error(rough, scan) < 100 * 1 / eyes
    assert error(wide * 3, scan) == pytest.approx(error(wide, scan), rel=0.02)


def test_scans_are_shown_turned(scan: Scan) -> None:
    shown = list(turned(scan, [(0, 0), (60, 0), (-60, 0)]))
    assert [one.yaw for one in shown] == [0, 60, -60]
    front, right, left = (one.crop.astype(int) for one in shown)
    assert front.shape == (256, 256, 3)
    assert np.abs(front - front[:, ::-1]).mean() < 8  # a symmetric head under a middle lamp
    assert np.abs(right - left[:, ::-1]).mean() < 8 < np.abs(right - left).mean()


def test_summaries() -> None:
    rows = [{"yaw": yaw, "error": abs(yaw) / 10} for yaw in (0, 20, -20, 60, -60)]
    found = summary(rows)
    assert found["frontal"]["mean"] == pytest.approx(4 / 3, abs=1e-3)
    assert found["yaws"]["60"]["mean"] == found["large"]["mean"] == 6
    assert found["yaws"]["40"] is None
    assert ratio(found) == pytest.approx(6 / (4 / 3), rel=1e-3)
    assert ratio(summary(rows[:3])) is None  # nothing of large poses is known


def test_a_run_from_photos_to_tables(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", str(tmp_path))
    monkeypatch.setattr(basel, "scan_names", lambda root: ["head"])
    monkeypatch.setattr(basel, "load_scan", lambda root, name: scan)
    good = posed_heads.network(tmp_path / "good.onnx", posed_heads.uv_map(yaw=30))
    out = tmp_path / "out"
    results = run_reconstruction([str(good)], out, limit=1)
    assert results["pictures"] == 1 and results["systems"]["good"]["all"]["mean"] < 0.2
    assert json.loads((out / "results.json").read_text()) == results
    assert "| good |" in (out / "results.md").read_text()
    assert (out / "pictures.csv").read_text().count("\n") == 3
    assert results["systems"]["good"]["missed"] == 0

    # What others write: the same mesh, and one without landmarks, which starts from the pose.
    one = next(iter(turned(scan, Reconstruction.poses[:1])))
    there = in_picture(mean_head().astype(float), scan, one.rotation)
    askew = Rotation.from_euler("xyz", (4, -6, 3), degrees=True).apply(there - 128)
    trimesh = pytest.importorskip("trimesh")
    (tmp_path / "theirs").mkdir()
    mesh = trimesh.Trimesh(askew + np.array([131, 125, 500]), skin_mesh().triangles, process=False)
    mesh.export(tmp_path / "theirs" / f"{one.name}.obj")
    folders = [str(out / "predictions" / "good"), str(tmp_path / "theirs")]
    again = run_reconstruction(folders, tmp_path / "again", limit=1)["systems"]
    assert again["good"]["all"] == results["systems"]["good"]["all"]
    assert again["theirs"]["all"]["mean"] < 0.4  # its lens has a perspective, the scan none
    with pytest.raises(EvaluationError, match="makes no position maps"):
        run_reconstruction(["casfne_compact"], out, limit=1)


def test_distances_are_in_the_scans_millimetres(scan: Scan) -> None:
    """A bump that is known, in a mesh of another size."""
    mesh, head = skin_mesh(), mean_head().astype(float)
    triangles = mesh.triangles[mesh.face_triangles]
    cheek = head - head[mesh.landmarks[30]] - (45, -10, -30)
    bump = np.exp(-(cheek**2).sum(1) / 2 / 12**2)
    raised = head + 6 * bump[:, None] * (0, 0, 1)
    small = distances(0.5 * raised, scan, triangles, 0.5 * raised[mesh.landmarks], INNER)
    assert 3 < small.max() < 6.5 and np.median(small) < 0.3
    flat = distances(0.5 * head, scan, triangles, 0.5 * head[mesh.landmarks], INNER)
    assert np.quantile(flat, 0.98) < 0.05  # the scan goes on where the mesh ends


def test_relief_stands_beside_the_same_pictures_without(
    scan: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACERELIEF_DATA", str(tmp_path))
    monkeypatch.setattr(basel, "scan_names", lambda root: ["head"])
    monkeypatch.setattr(basel, "load_scan", lambda root, name: scan)
    posed_heads.network(tmp_path / "good.onnx", posed_heads.uv_map())
    system = str(tmp_path / "good.onnx")
    results = run_p2p([system, f"{system}+shading"], tmp_path / "out", limit=2)
    coarse, fine = (results["systems"][name] for name in ("good", "good+shading"))
    assert results["yaws"] == [0, 60] and len(fine["errors"]) == 2
    assert coarse["all"]["mean"] < 0.1 and coarse["large"] is not None
    assert fine["errors"] != coarse["errors"] and fine["all"]["mean"] < 0.4
    rows = (tmp_path / "out" / "results.md").read_text().splitlines()
    added = np.mean(np.subtract(fine["errors"], coarse["errors"]))
    (row,) = (row for row in rows if row.startswith("| good+shading"))
    assert f"{added:.2f} ±" in row.rsplit("|", 2)[1]
    (row,) = (row for row in rows if row.startswith("| good |"))
    assert not row.rsplit("|", 2)[1].strip()
    with pytest.raises(WeightsError, match=r"none\.onnx: cannot read"):
        run_p2p([f"{system}+{tmp_path}/none.onnx"], tmp_path / "no")


def test_the_papers_poses_are_small_and_large_ones() -> None:
    yaws = {abs(yaw) for yaw, _ in PointToPoint.poses}
    assert yaws == {0, 20, 60, 80} and len(PointToPoint.poses) == 7
    assert len(Reconstruction.poses) == 36
