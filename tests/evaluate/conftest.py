"""A scan that is a ball, so that every true normal and shade is known on paper."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.data import basel
from spheres import icosphere

RADIUS = 80.0  # mm


@pytest.fixture
def ball(monkeypatch: pytest.MonkeyPatch) -> basel.Scan:
    """White, centred on the origin; its landmarks lie within 50 degrees of its front."""
    vertices, triangles = icosphere(4, RADIUS)
    front = np.argsort(-vertices[:, 2])
    within = front[: np.count_nonzero(vertices[:, 2] > RADIUS * np.cos(np.radians(50)))]
    landmarks = within[np.linspace(0, len(within) - 1, 68).astype(int)]
    monkeypatch.setattr(basel, "LANDMARKS", tuple(landmarks.tolist()))
    monkeypatch.setattr(basel, "NOSE_TIP", int(front[0]))
    colours = np.full(vertices.shape, 255, np.uint8)
    return basel.Scan("ball", vertices, triangles.astype(np.int32), colours)


@pytest.fixture
def balls(ball: basel.Scan, tmp_path: Path) -> Path:
    """A data folder whose scans are the ball, a wider and a longer one."""
    folder = tmp_path / "data"
    (folder / "scans").mkdir(parents=True)
    for name, stretch in {"a": (1, 1, 1), "b": (1.2, 1, 1), "c": (1, 1.2, 1)}.items():
        arrays = {"vertices": ball.vertices * stretch, "faces": ball.triangles}
        np.savez(folder / "scans" / f"basel_{name}.npz", **arrays, colors=ball.colours)
    return folder
