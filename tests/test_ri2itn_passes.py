"""Scores of relief networks beside each other: true displacements, and what the table says."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from facerelief.data.sample import Layouts, Sample
from facerelief.train.systems.ri2itn_losses import Relief


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module("ri2itn_passes")


def test_true_slopes_integrate_to_the_relief_that_they_are_of(benchmark: ModuleType) -> None:
    # A cylinder of 60 mm, its texels 1.5 mm wide and 1 mm high, under a bump of one mm.
    size = 64
    down, right = torch.meshgrid(*[torch.arange(size) - size / 2.0] * 2, indexing="ij")
    angle = 1.5 * right / 60
    normals = torch.stack([torch.sin(angle), torch.zeros_like(angle), torch.cos(angle)])
    position = 60 * normals - torch.stack([0 * down, down, 0 * down])
    bump = torch.exp(-(right**2 + down**2) / 100)
    layouts = Layouts(position[None], normals[None], torch.zeros(1, 9, 3))
    known = torch.ones(1, 1, size, size)
    known[..., :5] = 0
    raised = Relief(bump[None, None], layouts).normals
    batch = Sample(torch.zeros(1, 9, size, size), raised, known, known, known,
                   torch.tensor([False]), torch.tensor([True]), torch.tensor([False]),
                   layouts=layouts)  # fmt: skip
    found = benchmark.true_displacements(batch)[0]
    assert np.isnan(found[:, :5]).all()
    inside = np.isfinite(found)
    assert inside[:, 5:].all()
    wanted = bump.numpy() - bump.numpy()[inside].mean()
    assert np.abs(found - wanted)[inside].max() < 0.03


def test_rows_are_compared_face_by_face(benchmark: ModuleType) -> None:
    easy, hard = np.array([1.0, 2.0, 9.0]), np.array([0.9, 1.9, 8.9])
    rows = {"coarse": {"photo": hard}, "t = 1": {"photo": easy}}
    told = benchmark.summary(rows, "t = 1")
    change = told["coarse"]["photo"]["change"]
    assert change["mean"] == pytest.approx(-0.1) and change["error"] < 1e-6
    assert told["t = 1"]["photo"]["change"] is None
    known = {"error": hard, "displacement": np.array([np.nan, 0.1, 0.3]), "photo": hard}
    lines = {
        "renderings": benchmark.summary({"coarse": known, "t = 1": known}, "t = 1"),
        "photographs": told,
    }
    result = {"seconds": 340, "heads": 300, "size": 128, "against": "t = 1", "lines": lines,
              "samples": {"t = 1": 800}, "costs": {"t = 1": 0.05}}  # fmt: skip
    text = importlib.import_module("shape_tables").ri2itn_passes_markdown(result)
    assert "| t = 1 | 800 | 3.900 |  | 0.200 |  | 3.900 |  | 4.000 |  | 0.050 |" in text
    assert "-0.100 ± 0.000" in text and "3 renderings and 3 photographs" in text
