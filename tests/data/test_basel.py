"""The Basel scans: frame, landmarks and face."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.data import basel
from facerelief.geometry.mesh import check_mesh, vertex_normals


@pytest.fixture(scope="module")
def scans(data_root: Path) -> list[basel.Scan]:
    return [basel.load_scan(data_root, name) for name in basel.scan_names(data_root)]


def test_five_people_of_one_topology(scans: list[basel.Scan]) -> None:
    assert len(scans) == 5
    for scan in scans:
        check_mesh(scan.vertices, scan.triangles)
        np.testing.assert_array_equal(scan.triangles, scans[0].triangles)
        assert scan.colours.shape == scan.vertices.shape and scan.colours.dtype == np.uint8


def test_landmarks_lie_where_they_are_called(scans: list[basel.Scan]) -> None:
    for scan in scans:
        points = scan.landmarks
        assert points.shape == (68, 3)
        jaw, brows, nose = points[:17], points[17:27], points[27:36]
        eyes, mouth = points[36:48], points[48:]
        assert (np.diff(jaw[:, 0]) > -3).all()  # from the picture's left on
        assert brows[:, 1].mean() > eyes[:, 1].mean() + 10 > nose[:, 1].mean() + 20
        assert nose[:, 1].mean() > mouth[:, 1].mean() + 15 > jaw[8, 1] + 30
        assert scan.vertices[:, 2].max() - points[30, 2] < 3  # the tip is foremost
        # Halves mirror each other: jaw, brows, outer and inner corners of eyes, of mouth.
        pairs = [(0, 16), (3, 13), (6, 10), (17, 26), (19, 24), (36, 45), (39, 42), (48, 54)]
        left, right = np.transpose(pairs)
        apart = points[left] * (-1, 1, 1) - points[right]
        assert np.abs(apart).max() < 14 and np.abs(apart).mean() < 4
        assert 80 < np.linalg.norm(points[36] - points[45]) < 110  # mm


def test_the_face_is_without_ears_and_neck(scans: list[basel.Scan]) -> None:
    for scan in scans:
        face = scan.vertices[scan.face]
        assert 0.25 < scan.face.mean() < 0.75
        chin = scan.landmarks[8]
        assert (np.linalg.norm(face - scan.landmarks[30], axis=1) < 95).all()
        assert face[:, 1].min() > chin[1] - 40
        normals = vertex_normals(scan.vertices, scan.triangles)[scan.face]
        assert normals[:, 2].mean() > 0.4  # out of the face


def test_no_scans(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Basel"):
        basel.scan_names(tmp_path)
