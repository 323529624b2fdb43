"""All systems side by side: what they cost, and the files that are left."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import tiny_system  # noqa: E402
from facerelief import catalogue  # noqa: E402
from facerelief.evaluate import comparison, predictors  # noqa: E402
from facerelief.evaluate.costs import costs, count  # noqa: E402
from facerelief.evaluate.pictures import comparison_row, labelled  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from network_checks import multiply_accumulates  # noqa: E402


@pytest.mark.parametrize("name", ["unet", "fnr2r"])
def test_counts_are_those_of_the_network_that_was_exported(tmp_path: Path, name: str) -> None:
    system = build(name, "compact", pretrained=False).eval()
    facts = Provenance(name, "compact", "open", "nothing", "0")
    export(system, tmp_path / "network.onnx", facts)
    parameters, products = count(tmp_path / "network.onnx")
    assert products / 1e9 == pytest.approx(multiply_accumulates(system), rel=0.02)
    # Norms are folded into the kernels, and what only training needs is not there.
    kept = sum(p.numel() for p in system.parameters() if p.ndim > 1)
    assert kept <= parameters < 1.03 * kept


def test_a_network_without_weights_costs_time_alone(tmp_path: Path) -> None:
    found = costs(str(tiny_system.build(tmp_path / "tiny.onnx")))
    assert (found.parameters, found.multiply_accumulates) == (0, 0)
    assert 0 < found.cpu_ms < 1000 and found.gpu_ms is None


def test_all_is_everything_that_ships() -> None:
    names = predictors.expanded(["all", "default", "mine.onnx"], predictors.normal_systems)
    assert names == [*catalogue.systems(), "shape-from-shading", "mine.onnx"]


def test_rows_hold_photo_normals_shadings_and_error() -> None:
    normals = np.zeros((64, 64, 3), np.float32)
    normals[..., 2] = 1
    mask = np.ones((64, 64), bool)
    mask[:, :32] = False
    row = comparison_row(np.full((64, 64, 3), 9, np.uint8), normals, mask, np.full((64, 64), 90.0))
    assert row.shape == (64, 640, 3)
    cells = np.split(row, 10, axis=1)
    assert (cells[0] == 9).all() and (cells[1][:, :32] == 255).all()
    assert (cells[1][:, 32:] == (128, 128, 255)).all()
    assert (cells[2][:, 32:] == 255).all()  # lit from the front
    assert (cells[9][:, 32:] == (253, 231, 37)).all()
    assert labelled([row, row], ["a", "b"]).size == (320, 2 * (32 + 24))


def test_the_table_says_every_system_once() -> None:
    within = {"20": 80.0, "25": 90.0, "30": 95.0}
    figures = {"mean": 12.0, "std": 3.0, "within": within}
    seen = {"pooled": figures, "subsets": {"S1": {"mean": 11.0}, "S5": {"mean": None}}}
    cost = {"parameters": 3_400_000, "multiply_accumulates": 1_020_000_000, "cpu_ms": 21.0}
    systems = {
        "mean-map": {"costs": None, "yaleb": seen, "random": figures, "yaw": figures},
        "mine": {"costs": {**cost, "gpu_ms": None}, "yaleb": seen, "random": figures,
                 "yaw": figures},
        "posed-mean": {"costs": None, "yaleb": None, "random": figures, "yaw": figures},
    }  # fmt: skip
    counts = {"random": 5, "yaw": 7}
    text = comparison.markdown(
        {"systems": systems, "floors": ["mean-map", "posed-mean"], "photographs": 3,
         "pictures": counts}
    )  # fmt: skip
    assert "| mine | 12.00 ± 3.00 | 80.0 % | 90.0 % | 95.0 % | 11.00 | – |" in text
    assert "| mine | 3.4 M | 1.02 G | 21 |" in text and "GPU" not in text
    assert "| posed-mean (floor) | – |" in text
