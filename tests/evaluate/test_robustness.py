"""Spoiled photographs: each way spoils what it says, and every system is scored on all of them."""

from pathlib import Path

import numpy as np
import pytest

import tiny_system
from facerelief.cache import cache_folder
from facerelief.evaluate import EvaluationError, robustness, run_robustness
from facerelief.evaluate.robustness import CONDITIONS
from facerelief.evaluate.yaleb import load_subject


@pytest.fixture
def crop() -> np.ndarray:
    return np.random.default_rng(1).integers(100, 140, (256, 256, 3)).astype(np.uint8)


@pytest.fixture
def face() -> np.ndarray:
    y, x = np.indices((256, 256)) - 127.5
    return (x / 80) ** 2 + (y / 100) ** 2 < 1


def spoil(way, crop, face, seed=0):
    return way(crop, face, np.random.default_rng(seed))


def test_far_and_blurred_faces_lose_their_detail(crop, face) -> None:
    for way, left in (
        (robustness.low_resolution(64), 1 / 4),
        (robustness.low_resolution(16), 1 / 16),
        (robustness.blurred(8), 1 / 16),
    ):
        found, seen = spoil(way, crop, face)
        assert found.shape == crop.shape and found.dtype == np.uint8 and (seen == face).all()
        assert found.mean() == pytest.approx(crop.mean(), abs=1)  # no shift of the level
        assert found.std() < 1.2 * left * crop.std()


def test_noise_and_exposure_are_as_strong_as_they_say(crop, face) -> None:
    flat = np.full_like(crop, 128)
    assert spoil(robustness.noisy(10), flat, face)[0].std() == pytest.approx(10, rel=0.02)
    assert (spoil(robustness.exposed(1 / 16), flat, face)[0] == 8).all()
    assert (spoil(robustness.exposed(4), flat, face)[0] == 255).all()
    worse = [abs(spoil(robustness.jpeg(q), crop, face)[0] - 1.0 * crop).mean() for q in (90, 5)]
    assert 0 < worse[0] < worse[1]


def test_an_occluder_hides_its_share_and_nothing_else(crop, face) -> None:
    shares = []
    for seed in range(60):
        found, seen = spoil(robustness.occluded(0.25), crop, face, seed)
        hidden = face & ~seen
        shares.append(hidden.sum() / face.sum())
        assert (found[seen] == crop[seen]).all()
        assert (found[hidden] != crop[hidden]).any(axis=-1).mean() > 0.9
        assert 100 < found[hidden].mean() < 155  # neither dark nor bright
    assert shares == pytest.approx([0.25] * 60, abs=0.01)


def test_the_table_has_a_line_a_condition() -> None:
    def figures(mean, missed=0, expected=None):
        own = None if expected is None else {"mean": expected}
        return {"mean": mean, "missed": missed, "images": 4, "expected_error": own}

    systems = {
        "mean-map": {"conditions": {"JPEG": figures(15.0), "Noise": figures(15.1)}},
        "mine": {"conditions": {"JPEG": figures(10, 0, 9.0), "Noise": figures(None, 4)}},
    }
    text = robustness.Robustness.table({"systems": systems, "floor": "mean-map", "people": 2})
    assert "| Photograph | mean-map (floor) | mine |" in text
    assert "| JPEG | 15.00 | 10.00 (9.0) |" in text
    assert "| Noise | 15.10 | –, 100 % missed |" in text


def test_one_person_through_some_conditions(data_root, tmp_path: Path, monkeypatch) -> None:
    names = ("As photographed", "Light beyond (S5)", "Half occluded", "JPEG, quality 5")
    chosen = [condition for condition in CONDITIONS if condition.name in names]
    monkeypatch.setattr(robustness, "CONDITIONS", chosen)
    monkeypatch.setattr(robustness.yaleb, "load_splits", lambda root: {"test": ["yaleB11"]})
    mean = np.zeros((256, 256, 3), np.float32)
    mean[..., 2] = 1
    monkeypatch.setattr(robustness.predictors, "training_mean", lambda root, cache: mean)
    network = str(tiny_system.build(tmp_path / "tiny.onnx"))
    systems = run_robustness([network], tmp_path / "out")["systems"]
    found, floor = (systems[name]["conditions"] for name in ("tiny", "mean-map"))
    assert list(found) == list(floor) == list(names)
    # The floor sees no picture: it is off alike however that is spoiled.
    assert floor["JPEG, quality 5"] == floor["As photographed"] != floor["Half occluded"]
    assert floor["Half occluded"]["pixels"] < 0.51 * floor["As photographed"]["pixels"]
    assert found["As photographed"]["images"] == 19  # of S1 and S2
    assert 0 < found["Light beyond (S5)"]["images"] <= 19
    assert (tmp_path / "out" / "pictures" / "yaleB11.png").exists()

    (tmp_path / "files").mkdir()
    with pytest.raises(EvaluationError, match="missing"):
        run_robustness([str(tmp_path / "files")], tmp_path / "other")


def test_what_is_drawn_at_random_is_drawn_alike(data_root) -> None:
    subject = load_subject(data_root, "yaleB11", cache_folder() / "yaleb")
    for condition in CONDITIONS[-12:]:
        (crops, seen), (again, likewise) = (
            robustness.spoiled(subject, condition) for _ in range(2)
        )
        assert np.array_equal(crops, again) and np.array_equal(seen, likewise)
