"""Labelled photographs: labels read, the right face taken, frames kept, means and their errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from facerelief.data import facemesh
from facerelief.detect import Detection
from facerelief.evaluate import groups, predictions, run_groups
from facerelief.evaluate.groups import AGES, Found, Groups, Labelled, Row
from facerelief.evaluate.predictors import Predictor
from facerelief.geometry.normals import angular_error, rotate_in_plane
from facerelief.types import Crop, Estimate

SIZE = 256


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("26_1_3_20170104.jpg.chip.jpg", ("20–39", "female", "Indian")),
        ("1_0_2_20161219.jpg", ("0–2", "male", "Asian")),
        ("100_0_0_20170112213001988.jpg.chip.jpg", ("60 and over", "male", "White")),
        ("61_1_20170109142408075.jpg.chip.jpg", None),  # as some of the set: no ancestry
        ("61_2_0_20170109.jpg", None),
        ("portrait.jpg", None),
    ],
)
def test_labels(name: str, expected: tuple[str, str, str] | None) -> None:
    assert groups.parse_labels(name) == expected


def test_every_age_has_one_group() -> None:
    found = [groups.parse_labels(f"{age}_0_0_1.jpg") for age in range(AGES[-1][1] + 1)]
    assert all(found) and len({labels[0] for labels in found if labels}) == len(AGES)
    ages = list(dict.fromkeys(labels[0] for labels in found if labels))
    assert ages == ["0–2", "3–12", "13–19", "20–39", "40–59", "60 and over"]


def face_at(x: float, y: float, scale: float = 20.0) -> Detection:
    points = np.array([[-1, -1], [1, -1], [0, 0], [-0.8, 1], [0.8, 1]]) * scale + (x, y)
    return Detection((x - 40, y - 50, x + 40, y + 50), 0.9, points)


def test_the_labelled_face_is_the_one_in_the_middle() -> None:
    middle, corner = face_at(105, 95), face_at(30, 30)
    assert groups.middle_face([corner, middle], (200, 200)) is middle
    assert groups.middle_face([corner], (400, 400)) is None
    assert groups.middle_face([], (200, 200)) is None


def test_mesh_normals_follow_the_crop() -> None:
    """A bump of 468 points: cropped askew, its normals turn with the crop's frame."""
    rng = np.random.default_rng(0)
    plane = rng.uniform(-60, 60, (facemesh.SKIN_POINTS, 2))
    height = 40 * np.exp(-((plane - (15, 10)) ** 2).sum(axis=1) / 900)
    points = np.column_stack([plane + 100, -height]).astype(np.float32)  # smaller is nearer
    triangles = facemesh.triangulate(points.astype(float))
    straight, turned = Crop((100, 100), 160), Crop((100, 100), 160, 90)
    normals, mask = groups.mesh_normals(points, triangles, straight)
    other, other_mask = groups.mesh_normals(points, triangles, turned)
    assert mask.mean() > 0.3 and np.ptp(normals[mask][:, 0]) > 0.5
    # What is at the right of the straight crop is at the top of the one turned by 90 degrees: back.
    back = np.rot90(rotate_in_plane(other, 90), 1)
    both = mask & np.rot90(other_mask, 1)
    assert both.sum() > 0.98 * mask.sum()
    assert np.median(angular_error(back[both], normals[both])) < 0.1


def found_face(tilt: float) -> Found:
    normals = np.zeros((SIZE, SIZE, 3), np.float32)
    normals[:128] = (np.sin(np.radians(tilt)), 0, np.cos(np.radians(tilt)))
    inside = np.ones((SIZE, SIZE), bool)
    inside[:, :64] = False
    return Found(np.zeros((SIZE, SIZE, 3), np.uint8), inside, normals)


def ahead(crops: np.ndarray) -> Estimate:
    """Everything faces the camera; it expects 40 degrees outside the photo and 8 in it."""
    normals = np.zeros((*crops.shape[:3], 3), np.float32)
    normals[..., 2] = 1
    expected = np.full(crops.shape[:3], 8, np.float32)
    expected[:, :, :64] = 40
    return Estimate(normals, np.ones(crops.shape[:3], bool), expected)


PHOTOS = [Labelled(f"{i}.jpg", "20–39", "male", "White") for i in range(3)]


def test_what_a_network_makes_of_faces_found_or_not(tmp_path: Path) -> None:
    def measure(faces: list[Found | None]) -> list[Row]:
        protocol, batch = Groups(), list(zip(PHOTOS, faces, strict=False))
        names, crops = protocol.pictures(batch)
        answers = protocol.answers(crops, Predictor("p", ahead))
        for name, answer in zip(names, answers, strict=True):
            predictions.write(tmp_path, name, answer, half=False)
        return protocol.score(tmp_path, batch)

    rows = measure([found_face(5), None, found_face(12)])
    assert [row.found for row in rows] == [True, False, True]
    assert rows[0].disagreement == pytest.approx(5, abs=1e-3)
    assert rows[2].disagreement == pytest.approx(12, abs=1e-3)
    assert rows[0].expected_error == 8 and rows[1].expected_error is None
    assert measure([None]) == [Row(PHOTOS[0], False)]


def test_means_and_standard_errors() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    rows = [Row(PHOTOS[0], True, float(v), None) for v in values] + [Row(PHOTOS[0], False)] * 100
    figures = groups.summarise(rows)
    assert figures["photographs"] == 500 and figures["disagreement"] is None
    assert figures["detected"]["mean"] == pytest.approx(0.8)
    assert figures["detected"]["error"] == pytest.approx(np.sqrt(0.8 * 0.2 / 500), rel=0.01)
    assert figures["expected_error"]["mean"] == pytest.approx(values.mean(), abs=1e-3)
    assert figures["expected_error"]["error"] == pytest.approx(2 / 20, rel=0.15)
    assert figures["expected_error"]["count"] == 400


def test_groups_are_in_order_and_whole() -> None:
    labels = [
        ("60 and over", "male", "other"),
        ("3–12", "female", "White"),
        ("13–19", "male", "Asian"),
    ]
    rows = [Row(Labelled("x", *label), True, 5.0, 6.0) for label in labels for _ in range(2)]
    table = Groups().tabulate(rows)
    assert list(table["age"]) == ["3–12", "13–19", "60 and over"]
    assert list(table["sex"]) == ["male", "female"]
    assert list(table["ancestry"]) == ["White", "Asian", "other"]
    for kind in ("age", "sex", "ancestry"):
        assert sum(group["photographs"] for group in table[kind].values()) == 6


def test_run_on_photographs(
    data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    every = groups.labelled_photos(data_root)
    assert len(every) == 1500
    monkeypatch.setattr(groups, "labelled_photos", lambda root: every[::300])
    results = run_groups(["default"], tmp_path, threads=1)
    assert results["photographs"] == 5
    (figures,) = results["systems"].values()
    assert figures["all"]["detected"]["mean"] >= 0.6
    assert 2 < figures["all"]["expected_error"]["mean"] < 40
    assert 2 < figures["all"]["disagreement"]["mean"] < 25  # frames mixed up give far more
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert (tmp_path / "results.md").read_text() == Groups.table(results)
    assert len((tmp_path / "photographs.csv").read_text("utf-8").splitlines()) == 6


def test_no_labelled_photographs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="labels"):
        groups.labelled_photos(tmp_path)
