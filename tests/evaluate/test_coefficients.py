"""Scores of coefficients: from files, by names, and of what nothing is known."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.coefficients import EXPRESSIONS
from facerelief.evaluate import predictions
from facerelief.evaluate.coefficients import Coefficients, KnownHead, correlation, summary
from facerelief.evaluate.predictions import EvaluationError
from facerelief.evaluate.predictors import Predictor
from facerelief.reconstruction import from_positions


def heads(count: int = 6) -> list[KnownHead]:
    g = np.random.default_rng(0)
    crop = np.zeros((256, 256, 3), np.uint8)
    return [
        KnownHead(
            f"{i}", crop, 20.0 * i, g.random(52).astype(np.float32),
            g.normal(size=80).astype(np.float32),
        )
        for i in range(count)
    ]  # fmt: skip


def test_what_is_right_correlates_and_what_is_always_the_same_does_not(tmp_path: Path) -> None:
    known, protocol = heads(), Coefficients(tmp_path)
    for head in known:
        right = {"expression": head.expression, "identity": head.identity}
        predictions.write(tmp_path / "right", head.name, right)
        wrong = {"expression": np.full(52, 0.5), "identity": head.identity + 1}
        predictions.write(tmp_path / "wrong", head.name, wrong)
    right, wrong = (
        protocol.tabulate(protocol.score(tmp_path / name, known)) for name in ("right", "wrong")
    )
    assert right["all"]["correlation"] == pytest.approx(1)
    assert right["all"]["movements"]["jawOpen"] == pytest.approx(1)
    assert right["all"]["shape"]["mean"] == right["all"]["difference"]["mean"] == 0
    assert right["frontal"]["count"] == 2 and right["turned"]["count"] == 4
    assert wrong["all"]["movements"]["eyeBlink"] == 0 and wrong["all"]["shape"]["mean"] > 3
    off = np.mean([np.abs(head.expression - 0.5).mean() for head in known])
    assert wrong["all"]["difference"]["mean"] == pytest.approx(100 * off, rel=1e-3)
    systems = {"right": right, "wrong": wrong}
    text = protocol.table({"systems": systems, "floors": [], "heads": 6})
    assert all(name in text for name in EXPRESSIONS)


def test_names_that_never_vary_have_no_correlation() -> None:
    assert correlation(np.arange(3.0), np.zeros(3)) is None
    assert correlation(np.zeros(3), np.arange(3.0)) == 0
    assert summary([])["shape"] is None and summary([])["correlation"] is None


def test_others_predictions_are_checked(tmp_path: Path) -> None:
    known, protocol = heads(1), Coefficients(tmp_path)
    for arrays, problem in (
        ({"expression": np.zeros(51), "identity": np.zeros(80)}, "expression must be"),
        ({"expression": np.zeros(52)}, "identity must be"),
        ({"expression": np.full(52, np.nan), "identity": np.zeros(80)}, "expression must be"),
    ):
        predictions.write(tmp_path, "0", arrays)
        with pytest.raises(EvaluationError, match=problem):
            protocol.score(tmp_path, known)
    maps = Predictor("maps", lambda crops: from_positions(np.zeros((len(crops), 256, 256, 3))))
    with pytest.raises(EvaluationError, match="maps makes no coefficients"):
        list(protocol.answers([np.zeros((256, 256, 3), np.uint8)], maps))
