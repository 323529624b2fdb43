"""The schedule of the learning rate."""

import pytest

torch = pytest.importorskip("torch")

from facerelief.train.config import OptimizerConfig  # noqa: E402
from facerelief.train.module import Training  # noqa: E402
from facerelief.train.systems import build  # noqa: E402


def rates(settings: OptimizerConfig, *seen: int) -> list[float]:
    training = Training(build("prnet", "paper"), settings, samples=1000)
    found = []
    for samples in seen:
        training.samples_seen = samples
        found.append(training.rate())
    return found


def test_warm_up_and_cosine() -> None:
    start, middle, end = rates(OptimizerConfig(warmup=0.1, final=0.2), 50, 550, 1000)
    assert (start, middle, end) == pytest.approx((0.5, 0.6, 0.2))


def test_a_rate_that_is_halved_again_and_again() -> None:
    settings = OptimizerConfig(warmup=0, halve_every=300)
    assert rates(settings, 0, 299, 300, 599, 600, 900) == [1, 1, 0.5, 0.5, 0.25, 0.125]
