"""Photographs as training samples: where the face is, and roughly how it lies."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from facerelief.data import facemesh, photos
from facerelief.images import load_photo


@pytest.fixture(scope="module")
def teacher(data_root: Path) -> tuple[list[str], np.ndarray]:
    """Paths and FaceMesh points of every 40th photograph."""
    with np.load(data_root / "photos" / "facemesh478.npz") as stored:
        return [str(p) for p in stored["paths"][::40]], stored["points"][::40].astype(np.float32)


@pytest.fixture(scope="module")
def triangles(teacher: tuple[list[str], np.ndarray]) -> np.ndarray:
    return facemesh.triangulate(facemesh.mean_face(teacher[1]))


def test_test_people_and_a_twentieth_are_held_out(data_root: Path) -> None:
    held = photos.held_out_paths(data_root)
    others = [p for p in held if not p.startswith(("youtube", "helen"))]
    assert any(p.startswith("youtube") for p in held)
    assert 100 < len(others) < 400


def test_triangles_cover_the_face_once(triangles: np.ndarray, teacher) -> None:
    mean = facemesh.mean_face(teacher[1])
    assert set(triangles.ravel()) <= set(range(facemesh.SKIN_POINTS))
    a, b, c = (mean[triangles[:, i], :2] for i in range(3))
    (abx, aby), (acx, acy) = (b - a).T, (c - a).T
    area = abx * acy - aby * acx
    assert (area < 0).all()  # counter-clockwise for the viewer, y down


def test_a_prepared_photo_shows_the_face_and_its_normals(
    data_root: Path, teacher, triangles: np.ndarray
) -> None:
    paths, points = teacher
    for path, mesh in list(zip(paths, points, strict=True))[::25]:
        made = photos._prepare(load_photo(data_root / "photos" / path), mesh, triangles)
        picture, surface = made["pictures"], made["surfaces"]
        assert picture.shape == (photos.PIXELS, photos.PIXELS, 3) and picture.std() > 5
        mask = surface[..., 3] > 63
        length = np.linalg.norm(surface[mask][:, :3].astype(float) / 127, axis=-1)
        assert np.abs(length - 1).max() < 0.02
        # The crop with its margin: the face fills about half the picture, around its middle.
        assert 0.15 < mask.mean() < 0.6
        rows, columns = np.nonzero(mask)
        middle = photos.SURFACE_PIXELS / 2
        assert (
            abs(rows.mean() - middle) < 0.2 * middle and abs(columns.mean() - middle) < 0.3 * middle
        )
        # Seen by the camera: most of it faces the viewer.
        assert surface[mask][:, 2].mean() / 127 > 0.5


def test_points_are_those_of_facemesh_and_of_annotators(data_root: Path) -> None:
    paths, _ = facemesh.stored_points(data_root)
    points = photos._points(data_root, paths)
    assert points.shape == (len(paths), 68 + facemesh.SKIN_POINTS, 5)
    marked = points[:, 0, 3] > 0
    assert {path.split("/")[0] for path, one in zip(paths, marked, strict=True) if one} == {
        "youtube"
    }
    mesh, known = points[:, 68:, :3], points[..., 3:]
    # In the kept picture's pixels from its middle: brows above, chin below, the nose nearest.
    assert np.abs(mesh[..., :2]).max() < photos.PIXELS
    assert (mesh[:, 152, 1] > mesh[:, 10, 1]).mean() > 0.99
    assert (mesh[:, 4, 2] > mesh[:, [234, 454], 2].max(1)).mean() > 0.99
    # Both name the same places; outlines are believed less, depth of annotated points not at all.
    inner = list(range(17, 68))
    theirs = mesh[marked][:, np.array(facemesh.TO_68)[inner], :2]
    off = np.linalg.norm(points[marked][:, inner, :2] - theirs, axis=-1)
    assert np.median(off) < 0.03 * photos.PIXELS
    assert known[marked][:, :17, 0].max() < known[marked][:, 17:68, 0].min()
    assert not known[:, :68, 1].any() and known[:, 68:, 1].all()
    assert (known[:, 68 + facemesh.OUTLINE[0], 0] < known[:, 68 + 4, 0]).all()


def test_normals_of_a_mesh_are_camera_space(triangles: np.ndarray, teacher) -> None:
    """Left of the picture looks left, top looks up."""
    mean = facemesh.mean_face(teacher[1])
    scale = 100 / np.ptp(mean[:, :2], axis=0).max()
    normals, mask = facemesh.smooth_normals(mean * scale + (64, 64, 0), triangles, 128)
    columns = np.arange(128)[None, :, None] < 64
    rows = np.arange(128)[:, None, None] < 64
    left, right = (normals[mask & side[..., 0].repeat(128, 0)] for side in (columns, ~columns))
    top, bottom = (normals[mask & side[..., 0].repeat(128, 1)] for side in (rows, ~rows))
    assert left[:, 0].mean() < -0.1 and right[:, 0].mean() > 0.1
    assert top[:, 1].mean() > bottom[:, 1].mean() + 0.1
    assert (normals[mask][:, 2] > 0).mean() > 0.98


def test_points_that_turn_with_the_face_change_nothing_of_the_mean(teacher) -> None:
    points = teacher[1][:40].astype(np.float64)
    rng = np.random.default_rng(0)
    u, _, vt = np.linalg.svd(rng.normal(size=(40, 3, 3)))
    turned = points @ (u @ vt * np.sign(np.linalg.det(u @ vt))[:, None, None])
    a, b = facemesh.mean_face(points), facemesh.mean_face(turned)
    # Equal but for the turn of the whole.
    u, _, vt = np.linalg.svd(b.T @ a)
    assert np.allclose(b @ (u @ vt), a, atol=2e-3)


def test_of_two_that_start_together_one_prepares(tmp_path: Path) -> None:
    calls: list[int] = []

    def prepare(index: int) -> dict[str, np.ndarray]:
        calls.append(index)
        time.sleep(0.05)
        return {"pictures": np.full((4, 5, 3), index, np.uint8), "maps": np.full(2, -index)}

    names = ("pictures", "maps")
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(photos._prepared_once, tmp_path, "made", names, prepare, [3, 5])
            for _ in range(2)
        ]
        for one in both:
            pictures, maps = one.result()
    assert sorted(calls) == [3, 5]
    assert pictures[:, 0, 0, 0].tolist() == [3, 5]
    assert maps.tolist() == [[-3, -3], [-5, -5]]


def test_only_what_is_asked_for_is_prepared(data_root: Path, tmp_path: Path) -> None:
    paths, points = facemesh.stored_points(data_root)
    with pytest.raises(ValueError, match="no photographs of nowhere"):
        photos.Photos(data_root, tmp_path, ["nowhere"])
    train, held = (
        photos.Photos(data_root, tmp_path, ["houseclerk"], held_out=flag, positions=True)
        for flag in (False, True)
    )
    theirs = [path for path in paths if path.startswith("houseclerk/")]
    assert len(train.pictures) == len(theirs) == len(train.points)
    assert sorted([*train.chosen.tolist(), *held.chosen.tolist()]) == list(range(len(theirs)))
    assert len(list(tmp_path.iterdir())) == 1  # both read the same
    first = photos._kept_crop(points[paths.index(theirs[0])])
    assert np.array_equal(
        train.pictures[0], first.extract(load_photo(data_root / "photos" / theirs[0]))
    )
