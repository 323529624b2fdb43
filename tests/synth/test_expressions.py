"""Random expressions are ones that faces can make."""

import numpy as np

from facerelief.synth.setting.expressions import draw_expression

NAMES = (
    "mouthSmileLeft", "mouthSmileRight", "jawOpen", "eyeLookOutLeft", "eyeLookInRight",
    "eyeLookInLeft", "eyeLookOutRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp",
)  # fmt: skip


def drawn(neutral: float) -> dict[str, np.ndarray]:
    g = np.random.default_rng(0)
    weights = np.stack([draw_expression(g, NAMES, neutral) for _ in range(500)])
    assert weights.min() >= 0 and weights.max() <= 1
    return dict(zip(NAMES, weights.T, strict=True))


def test_neutral_heads_only_look_and_blink() -> None:
    weights = drawn(1.0)
    assert not weights["mouthSmileLeft"].any() and not weights["jawOpen"].any()
    assert weights["eyeLookOutLeft"].any()


def test_eyes_look_the_same_way() -> None:
    weights = drawn(0.5)
    assert (weights["eyeLookOutLeft"] == weights["eyeLookInRight"]).all()
    assert not (weights["eyeLookOutLeft"] * weights["eyeLookInLeft"]).any()


def test_smiles_are_about_even() -> None:
    weights = drawn(0.0)
    left, right = weights["mouthSmileLeft"], weights["mouthSmileRight"]
    both = (left > 0.3) & (right > 0.3)
    assert both.mean() > 0.1
    assert np.abs(left - right)[both].mean() < 0.25
