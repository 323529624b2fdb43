"""The Extended Yale B adapter: lights as they are, faces as they are cropped."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.data import yaleb


@pytest.fixture(scope="module")
def person(data_root: Path) -> yaleb.Person:
    return yaleb.load_person(data_root, "yaleB12")


def test_the_splits_share_nobody(data_root: Path) -> None:
    splits = yaleb.load_splits(data_root)
    assert [len(splits[name]) for name in ("train", "val", "test")] == [21, 3, 6]
    assert len({person for people in splits.values() for person in people}) == 30


def test_positive_azimuth_lights_the_pictures_left(person: yaleb.Person) -> None:
    left, right = (person.images[person.azimuth == a].mean(0) for a in (70, -70))
    assert left[:, :60].mean() > 2 * left[:, -60:].mean()
    assert right[:, -60:].mean() > 2 * right[:, :60].mean()
    assert (person.directions[person.azimuth > 0][:, 0] < 0).all()


def test_subsets_go_by_the_angle(data_root: Path) -> None:
    """The database's own S3 has two lights more, which its rounded angles put at 51 degrees."""
    person = yaleb.load_person(data_root, "yaleB20")
    assert np.bincount(person.subsets, minlength=6)[1:].tolist() == [7, 12, 10, 16, 19]


def test_failed_flashes_are_left_out(data_root: Path) -> None:
    person = yaleb.load_person(data_root, "yaleB35")
    assert (95, 0) not in set(zip(person.azimuth, person.elevation, strict=True))


def test_a_person_who_is_not_there(data_root: Path) -> None:
    with pytest.raises(FileNotFoundError, match="yaleB99"):
        yaleb.load_person(data_root, "yaleB99")


def test_measured_normals_explain_the_photographs(person: yaleb.Person, tmp_path: Path) -> None:
    truth = yaleb.load_ground_truth(person, tmp_path)
    assert 0.6 < truth.mask.mean() < 1
    assert np.allclose(np.linalg.norm(truth.normals, axis=-1), 1, atol=1e-4)
    for index in np.flatnonzero(person.subsets == 2)[:4]:
        shading = np.maximum(truth.normals @ person.directions[index], 0) * truth.albedo
        photo = person.images[index].astype(float)
        lit = truth.mask & (photo > 20) & (photo < 240)
        assert np.corrcoef(shading[lit], photo[lit])[0, 1] > 0.9
    (stored,) = tmp_path.glob("*.npz")
    again = yaleb.load_ground_truth(person, tmp_path)
    assert np.array_equal(again.normals, truth.normals) and list(tmp_path.glob("*")) == [stored]


def test_the_crop_keeps_the_picture_in_the_middle() -> None:
    image = np.full((yaleb.HEIGHT, yaleb.WIDTH), 200, np.uint8)
    crop = yaleb.crop_image(image)
    assert crop.shape == (256, 256, 3) and crop.dtype == np.uint8
    lit = crop[..., 0] > 100
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    assert abs(rows.mean() - 127.5) < 0.6 and abs(columns.mean() - 127.5) < 0.6
    assert lit.mean() == pytest.approx(yaleb.HEIGHT * yaleb.WIDTH / yaleb.PADDED**2, abs=0.01)


def test_untrusted_normals_never_leak_into_the_crop() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(yaleb.HEIGHT, yaleb.WIDTH, 3)).astype(np.float32)
    mask = np.zeros((yaleb.HEIGHT, yaleb.WIDTH), bool)
    mask[60:120, 50:110] = True
    normals[mask] = (0, 0.6, 0.8)
    truth = yaleb.GroundTruth(normals, np.ones(mask.shape, np.float32), mask)
    cropped, known = yaleb.crop_truth(truth)
    assert np.allclose(cropped[known], (0, 0.6, 0.8), atol=1e-5)
    assert not cropped[~known].any()
