"""Coarse normals of fitted heads: believed where they can be, and only there."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from facerelief.data import facemesh, photos, positions, pseudo_normals
from facerelief.geometry.align import FitOptions
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.head import builtin_head
from facerelief.geometry.normals import angular_error
from facerelief.images import load_photo
from facerelief.types import Crop


@pytest.fixture(scope="module")
def stored(data_root: Path) -> tuple[list[str], np.ndarray]:
    with np.load(data_root / "photos" / "facemesh478.npz") as file:
        return [str(p) for p in file["paths"]], file["points"].astype(np.float32)


@pytest.fixture(scope="module")
def fitter(stored) -> pseudo_normals.HeadFitter:
    """With the built-in head and map, which need no cache."""
    head = builtin_head(1)
    anchors = Anchors.on_triangles(
        head.triangles, head.facemesh_triangles[:468], head.facemesh_barycentrics[:468]
    )
    triangles = facemesh.triangulate(facemesh.mean_face(stored[1][::40]))
    return pseudo_normals.HeadFitter(head, anchors, triangles, FitOptions(identity=20))


def test_the_outline_is_the_border_of_the_mesh(stored) -> None:
    mean = facemesh.mean_face(stored[1][::40])
    triangles = facemesh.triangulate(mean)
    edges = np.sort(np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    border = set(unique[count == 1].ravel().tolist())
    assert len(border & set(facemesh.OUTLINE)) > 30


def test_mirrored_points_are_each_others(stored) -> None:
    other = facemesh.mirrored(facemesh.mean_face(stored[1][::40]))
    assert (other[other] == np.arange(468)).all()
    assert other[10] == 10 and other[33] == 263 and other[61] == 291


def test_normals_lie_on_the_face_and_agree_with_facemesh(data_root: Path, stored, fitter) -> None:
    paths, points = stored
    index = paths.index(next(p for p in paths if p.startswith("webmorph")))
    photo = load_photo(data_root / "photos" / paths[index])
    crop = Crop(photos.landmark_crop(points[index]).centre, photo.shape[0] * 0.6, size=128)
    found = fitter.fit(points[index])
    seen = fitter.surface(found, points[index], crop.extract(photo), crop.inverse_matrix)
    assert seen.confidence.min() >= 0 and seen.confidence.max() <= 1
    assert (seen.confidence[~seen.head] == 0).all()
    length = np.linalg.norm(seen.normals, axis=-1)
    assert np.abs(length[seen.head] - 1).max() < 1e-4
    moved = np.column_stack([crop.to_crop(points[index][:, :2]), points[index][:, 2] / crop.scale])
    theirs, inside = facemesh.smooth_normals(moved, fitter.triangles, 128)
    believed = seen.confidence > 0.25  # the map is coarse before it is refined
    assert (believed & inside).sum() > 0.5 * inside.sum()
    assert angular_error(seen.normals, theirs)[believed & inside].mean() < 15
    # Hair, ears and shoulders are not believed.
    assert believed[~inside].mean() < 0.1


def test_landmarks_that_disagree_cost_confidence(stored, fitter, data_root: Path) -> None:
    paths, points = stored
    index = paths.index(next(p for p in paths if p.startswith("webmorph")))
    photo = load_photo(data_root / "photos" / paths[index])
    crop = Crop(photos.landmark_crop(points[index]).centre, photo.shape[0] * 0.6, size=128)
    bent = points[index].copy()
    cheek = np.linalg.norm(bent[:, :2] - bent[50, :2], axis=1) < 0.15 * np.ptp(bent[:, 1])
    bent[cheek, 1] -= 0.12 * np.ptp(bent[:, 1])
    surfaces = [
        fitter.surface(fitter.fit(p), p, crop.extract(photo), crop.inverse_matrix)
        for p in (points[index], bent)
    ]
    x, y = crop.to_crop(points[index][50, :2]).astype(int)
    near = np.s_[y - 3 : y + 4, x - 3 : x + 4]
    assert surfaces[1].confidence[near].mean() < 0.6 * surfaces[0].confidence[near].mean()


def test_hair_is_not_like_skin() -> None:
    g = np.random.default_rng(0)
    picture = np.full((64, 64, 3), (205, 160, 135), np.float32)
    picture *= np.linspace(0.75, 1.1, 64)[:, None]  # shading
    picture[:, 40:] = (50, 38, 32)  # hair
    picture[:10] = (90, 120, 200)  # the wall
    picture = (picture + g.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
    core = np.zeros((64, 64), bool)
    core[25:50, 5:30] = True
    likeness = pseudo_normals.skin_likeness(picture, core)
    assert likeness[15:60, 3:36].min() > 0.6
    assert likeness[15:, 45:].max() < 0.35 and likeness[:6, :36].max() < 0.3
    assert (pseudo_normals.skin_likeness(picture, np.zeros_like(core)) == 1).all()


def test_fitted_truth_is_for_open_photos_only(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fairface025, webmorph, houseclerk, congress only"):
        photos.Photos(data_root, tmp_path, ["ffhq"], truth="aligned")
    with pytest.raises(ValueError, match="fairface025, webmorph, houseclerk, congress only"):
        photos.Photos(data_root, tmp_path, truth="aligned")
    with pytest.raises(ValueError, match="unknown truth"):
        photos.Photos(data_root, tmp_path, ["fairface"], truth="guess")  # type: ignore[arg-type]


def test_a_prepared_photo_keeps_confidence_and_doubt(data_root: Path, stored, fitter) -> None:
    paths, points = stored
    index = paths.index(next(p for p in paths if p.startswith("webmorph")))
    photo = load_photo(data_root / "photos" / paths[index])
    made = photos._prepare_aligned(photo, points[index], fitter)
    picture, surface, position = made["pictures"], made["surfaces"], made["maps"]
    assert picture.shape == (photos.PIXELS, photos.PIXELS, 3)
    confidence, face, doubt = np.moveaxis(surface[..., 3:].astype(float) / 127, -1, 0)
    assert not ((face > 0.5) & (doubt > 0.5)).any()
    assert 0.1 < (face > 0.5).mean() < 0.5 and (doubt > 0.5).any()
    assert 0.2 < confidence[face > 0.5].mean() < 1
    # The map says where the landmarks are: the tip of the nose, FaceMesh's point 1.
    assert position.dtype == np.int16 and position[..., 3].min() > 50
    import torch

    maps = torch.from_numpy(position[..., :3].astype(np.float32)).permute(2, 0, 1)[None]
    nose = positions.landmarks(maps * photos.POSITION_STEP)[0, 30, :2].numpy()
    crop = photos._kept_crop(points[index])
    assert np.linalg.norm(crop.to_crop(points[index][1, :2]) - crop.size / 2 - nose) < 8
    # Points that no face has: the outline stays, nothing is believed.
    mirrored = points[index] * np.array([-1, 1, 1], np.float32) + (photo.shape[1], 0, 0)
    made = photos._prepare_aligned(photo, mirrored.astype(np.float32), fitter)
    assert not made["surfaces"][..., 3].any() and made["surfaces"][..., 4].any()
    assert not made["maps"].any()
