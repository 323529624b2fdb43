"""What a teacher says of photographs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import network_checks  # noqa: E402
from facerelief.data import taught_photos  # noqa: E402
from facerelief.data.photos import PIXELS, SURFACE_PIXELS  # noqa: E402
from facerelief.data.sample import Sample  # noqa: E402
from facerelief.data.taught_photos import View, label  # noqa: E402
from facerelief.runtime import load  # noqa: E402


class Teacher:
    """Says that a surface leans to where a crop is brighter, as far as `doubt` tells it apart."""

    def __init__(self, doubt: float = 0.0) -> None:
        self.doubt, self.asked = doubt, 0

    def estimate_crops(self, crops: list[np.ndarray]) -> SimpleNamespace:
        self.asked += 1
        shape = (len(crops), 256, 256)
        normals = np.zeros((*shape, 3), np.float32)
        x = np.linspace(-0.5, 0.5, 256, dtype=np.float32)
        normals[..., 0] = x + self.doubt * (-1) ** self.asked
        normals[..., 2] = 1
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        mask = np.zeros(shape, bool)
        mask[:, 64:192, 64:192] = True
        return SimpleNamespace(normals=normals, mask=mask)


def test_views_are_laid_over_one_another() -> None:
    pictures = np.full((2, PIXELS, PIXELS, 3), 90, np.uint8)
    surface = label(Teacher(), pictures, (View(1.0, 1.0),)) / 127
    assert surface.shape == (2, SURFACE_PIXELS, SURFACE_PIXELS, 6)
    middle = SURFACE_PIXELS // 2
    inside = int(SURFACE_PIXELS / 1.5)  # of the crop
    left = middle - inside // 2 + 4
    assert surface[0, middle, left, 0] == pytest.approx(-0.43, abs=0.03)
    assert surface[0, middle, middle, :3] == pytest.approx((0, 0, 1), abs=0.02)
    face = surface[0, ..., 4]
    assert face.sum() == pytest.approx((inside / 2) ** 2, rel=0.05)
    assert np.all(surface[0, ..., 3][face > 0] > 0.99)  # one view agrees with itself
    # Beyond the crop nothing is known, which is not the same as no face.
    assert surface[0, 3, 3, 5] == 1 and surface[0, middle, left, 5] == 0


def test_where_views_disagree_a_teacher_is_not_believed() -> None:
    pictures = np.full((1, PIXELS, PIXELS, 3), 90, np.uint8)
    views = (View(1.0, 1.0), View(1.0, 0.5))
    believed = [label(Teacher(doubt), pictures, views)[0, 80, 80, 3] / 127 for doubt in (0, 0.15)]
    assert believed[0] > 0.99 and believed[1] == pytest.approx(np.exp(-((8.5 / 8) ** 2)), abs=0.05)


def test_labels_are_samples_with_measured_normals(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Photos:
        def __init__(self, root: Path, cache: Path, sources: list[str], truth: str) -> None:
            assert truth == "aligned"
            g = np.random.default_rng(0)
            self.pictures = g.integers(0, 255, (6, PIXELS, PIXELS, 3), np.uint8)
            self.chosen = torch.tensor([1, 4])

        def batch(self, count: int, size: int, g: torch.Generator) -> Sample:
            return replace(network_checks.sample(count, size), weak=torch.ones(count).bool())

    monkeypatch.setattr(taught_photos, "Photos", Photos)
    made = taught_photos.TaughtPhotos(data_root, tmp_path, "casfne_compact", ["fairface"])
    assert made.photos.pictures.shape[0] == 2 and made.photos.chosen.tolist() == [0, 1]
    assert made.photos.surfaces.shape == (2, SURFACE_PIXELS, SURFACE_PIXELS, 6)
    expected = label(load("casfne_compact"), made.photos.pictures)
    np.testing.assert_array_equal(made.photos.surfaces, expected)
    batch = made.batch(3, 64, torch.Generator())
    assert not batch.weak.any() and batch.estimated.all()  # as measured, but for the errors
