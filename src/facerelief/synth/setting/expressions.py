"""Random expressions in ARKit's names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Faces as people make them: names and the range of their weights. Left and right go together but
# for a small difference.
_FACES: dict[str, dict[str, tuple[float, float]]] = {
    "smile": {"mouthSmile": (0.2, 0.9), "cheekSquint": (0, 0.6), "eyeSquint": (0, 0.4)},
    "laugh": {
        "mouthSmile": (0.5, 1), "jawOpen": (0.1, 0.5), "mouthUpperUp": (0.1, 0.6),
        "cheekSquint": (0.3, 0.9), "eyeSquint": (0.1, 0.7), "mouthLowerDown": (0, 0.4),
    },
    "speak": {
        "jawOpen": (0.05, 0.4), "mouthFunnel": (0, 0.5), "mouthUpperUp": (0, 0.3),
        "mouthLowerDown": (0, 0.5),
    },
    "surprise": {
        "browInnerUp": (0.3, 1), "browOuterUp": (0.3, 1), "eyeWide": (0.2, 1), "jawOpen": (0, 0.7),
    },
    "anger": {
        "browDown": (0.4, 1), "noseSneer": (0, 0.6), "mouthPress": (0, 0.7), "eyeSquint": (0, 0.5),
    },
    "sadness": {"browInnerUp": (0.3, 1), "mouthFrown": (0.3, 1), "mouthShrugLower": (0, 0.5)},
    "disgust": {"noseSneer": (0.4, 1), "mouthUpperUp": (0.2, 0.8), "browDown": (0, 0.7)},
    "pout": {"mouthPucker": (0.3, 1), "mouthFunnel": (0, 0.4)},
    "puff": {"cheekPuff": (0.3, 1), "mouthPress": (0, 0.6)},
}  # fmt: skip


def draw_expression(
    g: np.random.Generator, names: tuple[str, ...], neutral: float
) -> NDArray[np.float32]:
    """(E,) weights in [0, 1] for the expressions `names`.

    Neutral, the gaze and the lids apart, with probability `neutral`; else a face that people make,
    a random mixture of a few movements, or both. Names that a model lacks are left out.
    """
    weights = dict.fromkeys(names, 0.0)

    def add(name: str, value: float) -> None:
        for side in ("", "Left", "Right"):
            if name + side in weights:
                jitter = 1.0 if side == "" else g.uniform(0.75, 1.2)
                weights[name + side] = float(np.clip(weights[name + side] + value * jitter, 0, 1))

    if g.random() >= neutral:
        if g.random() < 0.75:
            face = _FACES[str(g.choice(list(_FACES)))]
            for name, (low, high) in face.items():
                add(name, g.uniform(low, high))
        if g.random() < 0.4:
            for name in g.choice(names, min(int(g.integers(1, 5)), len(names)), replace=False):
                if not name.startswith("eye") and name != "tongueOut":
                    weights[str(name)] = float(np.clip(weights[str(name)] + g.beta(1.2, 2.5), 0, 1))
    if "mouthClose" in weights:
        # It closes the lips over an open jaw: more than the jaw's own weight pulls them through.
        weights["mouthClose"] = min(weights["mouthClose"], weights.get("jawOpen", 0.0))
    _gaze(g, weights)
    if g.random() < 0.06:
        add("eyeBlink", g.uniform(0.5, 1))
    else:
        add("eyeBlink", g.beta(1, 8) * 0.5)
    return np.array(list(weights.values()), np.float32)


def _gaze(g: np.random.Generator, weights: dict[str, float]) -> None:
    """Both eyes look the same way."""
    right, up = np.clip(g.normal(0, (0.25, 0.15)), -1, 1)  # the picture's right
    looks = {
        "eyeLookOutLeft": right, "eyeLookInRight": right, "eyeLookInLeft": -right,
        "eyeLookOutRight": -right, "eyeLookUpLeft": up, "eyeLookUpRight": up,
        "eyeLookDownLeft": -up, "eyeLookDownRight": -up,
    }  # fmt: skip
    for name, value in looks.items():
        if name in weights:
            weights[name] = float(max(value, 0))
