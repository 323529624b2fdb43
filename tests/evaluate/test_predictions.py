"""What others may hand in: read as documented, and refused in one line where it is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from facerelief.evaluate import EvaluationError, predictions
from facerelief.types import Crop

CROP = Crop((300, 200), 512)  # two photo pixels a crop pixel
MARKS = np.random.default_rng(0).uniform(20, 200, (68, 3)).astype(np.float32)
VERTICES = np.array([[0, 0, 0], [256, 0, 5], [0, 256, 5], [256, 256, 0]], np.float32)
TRIANGLES = np.array([[0, 2, 1], [1, 2, 3]])


def test_normals_are_halved_where_they_stay(tmp_path: Path) -> None:
    normals = np.full((4, 4, 3), 1 / 3, np.float32)
    expected = np.full((4, 4), 1 / 3, np.float32)
    for half, apart in ((True, 1e-4), (False, 0)):
        answer = {"normals": normals, "expected_error": expected}
        predictions.write(tmp_path, "a/b.jpg", answer, half=half)
        for found, true in zip(
            predictions.read(tmp_path, "a/b.jpg", (4, 4)), (normals, expected), strict=True
        ):
            assert found.dtype == np.float32 and abs(found - true).max() <= apart
    with pytest.raises(EvaluationError, match=r"normals must be \(5, 4, 3\)"):
        predictions.read(tmp_path, "a/b.jpg", (5, 4))
    predictions.write(tmp_path, "none", {"landmarks": MARKS})
    with pytest.raises(EvaluationError, match="no normals"):
        predictions.read(tmp_path, "none", (4, 4))


def test_landmarks_of_crop_or_photo_in_either_format(tmp_path: Path) -> None:
    photo = CROP.to_photo(MARKS[:, :2])
    predictions.write(tmp_path, "npz", {"landmarks": MARKS})
    predictions.write(tmp_path, "photo", {"landmarks": photo, "pixels": np.array("photo")})
    (tmp_path / "own.json").write_text(json.dumps({"points": MARKS.tolist(), "scheme": "ibug68"}))
    content = {"landmarks": photo.tolist(), "pixels": "photo"}
    (tmp_path / "photos.json").write_text(json.dumps(content))
    for name in ("npz", "photo", "own", "photos"):
        found = predictions.read_landmarks(tmp_path, name, CROP)
        assert found is not None and found == pytest.approx(MARKS[:, :2], abs=1e-4)
    predictions.write(tmp_path, "missed", {"landmarks": MARKS * np.nan})
    assert predictions.read_landmarks(tmp_path, "missed", CROP) is None


@pytest.mark.parametrize(
    "content", ["[1, 2]", "{", '{"landmarks": [[1, 2]]}', '{"landmarks": "x"}']
)
def test_what_are_no_landmarks(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(EvaluationError, match=r"a\.json"):
        predictions.read_landmarks(tmp_path, "a", CROP)
    with pytest.raises(EvaluationError, match="missing"):
        predictions.read_landmarks(tmp_path, "b", CROP)


def test_meshes_in_every_format(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    photo = np.column_stack([CROP.to_photo(VERTICES[:, :2]), 2 * VERTICES[:, 2]])
    answer = {"vertices": VERTICES, "triangles": TRIANGLES}
    predictions.write(tmp_path, "npz", answer | {"landmarks": MARKS})
    predictions.write(tmp_path, "photo", answer | {"vertices": photo, "pixels": np.array("photo")})
    mesh = trimesh.Trimesh(VERTICES, TRIANGLES, process=False)
    for ending in ("obj", "ply"):
        mesh.export(tmp_path / f"{ending}.{ending}")
    with (tmp_path / "obj.obj").open("a") as file:
        file.write("mtllib ../nothing.mtl\n")
    for name in ("npz", "photo", "obj", "ply"):
        found = predictions.read_mesh(tmp_path, name, CROP)
        assert found is not None and np.array_equal(found.triangles, TRIANGLES)
        assert found.vertices == pytest.approx(VERTICES, abs=1e-4)
        assert (found.landmarks is not None) == (name == "npz")
    for broken in (
        {"triangles": TRIANGLES + 2},
        {"triangles": TRIANGLES / 1},
        {"vertices": MARKS.T},
    ):
        predictions.write(tmp_path, "broken", answer | broken)
        with pytest.raises(EvaluationError, match="triangles"):
            predictions.read_mesh(tmp_path, "broken", CROP)
    (tmp_path / "bad.ply").write_bytes(b"ply\nnonsense")
    with pytest.raises(EvaluationError, match="not a prediction"):
        predictions.read_mesh(tmp_path, "bad", CROP)
    predictions.write(tmp_path, "missed", answer | {"vertices": VERTICES * np.nan})
    assert predictions.read_mesh(tmp_path, "missed", CROP) is None
