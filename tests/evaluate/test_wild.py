"""What normals explain of a photograph."""

from pathlib import Path

import numpy as np
import pytest

import tiny_system
from facerelief.evaluate import run_wild, wild
from facerelief.geometry.light import linear_to_srgb, shade
from facerelief.geometry.normals import normalise
from spheres import icosphere


@pytest.fixture
def ball() -> np.ndarray:
    normals, _ = icosphere(4)
    return normals[normals[:, 2] > 0.2]


def photograph(normals: np.ndarray, light: tuple[float, float, float]) -> np.ndarray:
    shades = 0.1 + 0.7 * shade(normals, normalise(np.array(light)))
    return np.rint(255 * linear_to_srgb(np.repeat(shades[:, None], 3, 1))).astype(np.uint8)


def test_true_normals_explain_a_shaded_ball_and_false_ones_do_not(ball) -> None:
    pixels = photograph(ball, (0.8, 0.3, 0.6))
    whole = wild.explained(pixels, ball)
    assert whole > 0.97  # a clamped cosine is not quite of second order
    flipped = wild.explained(pixels, ball * (1, -1, 1))
    shuffled = wild.explained(pixels, np.random.default_rng(0).permutation(ball))
    assert flipped == pytest.approx(whole)  # a mirrored light explains it
    assert shuffled < 0.1
    bent = normalise(ball + np.random.default_rng(0).normal(0, 0.3, ball.shape))
    assert shuffled < wild.explained(pixels, bent) < whole - 0.05


def test_a_photograph_of_one_brightness_is_explained_by_nothing(ball) -> None:
    assert wild.explained(np.full(ball.shape, 90, np.uint8), ball) == 0


def test_the_table_has_a_line_a_system() -> None:
    figure = {"mean": 71.234, "error": 0.5, "count": 3}
    system = {"explained": figure, "disagreement": figure, "expected_error": None}
    results = {"systems": {"facemesh": system, "mine": system}, "floors": ["facemesh"],
               "photographs": 3}  # fmt: skip
    text = wild.Wild.table(results)
    assert "| facemesh (floor) | 71.23 ± 0.50 % | 71.23 ± 0.50 | – |" in text
    assert "| mine |" in text


def test_a_few_photographs(data_root, tmp_path: Path, monkeypatch) -> None:
    mean = np.zeros((256, 256, 3), np.float32)
    mean[..., 2] = 1
    monkeypatch.setattr(wild.predictors, "training_mean", lambda root, cache: mean)
    network = str(tiny_system.build(tmp_path / "tiny.onnx"))
    found = run_wild([network], tmp_path / "out", limit=4)
    assert found["photographs"] == 4
    assert set(found["systems"]) == {"facemesh", "mean-map", "tiny"}
    mesh, floor = found["systems"]["facemesh"], found["systems"]["mean-map"]
    assert mesh["disagreement"]["mean"] == pytest.approx(0, abs=0.1)
    assert floor["explained"]["mean"] < 1 < mesh["explained"]["mean"]  # it is flat
    assert len((tmp_path / "out" / "photographs.csv").read_text().splitlines()) == 1 + 3 * 4
