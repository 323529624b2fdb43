"""What photographs without truth teach."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from facerelief.data import augment  # noqa: E402
from facerelief.data.sample import Sample  # noqa: E402
from facerelief.nn.losses import normalize  # noqa: E402
from facerelief.train.consistency import ConsistencyConfig, consistency  # noqa: E402
from facerelief.train.systems.outputs import Prediction  # noqa: E402

SIZE = 48


class ColoursAreNormals(nn.Module):
    """Reads normals off colours: right for a picture of them, whatever its brightness."""

    def forward(self, image):  # type: ignore[no-untyped-def]
        return Prediction(normalize(image * 2 - 1), None, None, ())


class ColoursAreTurned(nn.Module):
    """An estimator that a mirror deceives: everything leans to the right."""

    def forward(self, image):  # type: ignore[no-untyped-def]
        normals = normalize(image * 2 - 1 + torch.tensor([0.8, 0.0, 0.0])[:, None, None])
        return Prediction(normals, None, None, ())


def even(weak: bool) -> Sample:
    """Pictures of a plate that faces the camera, painted with its normals' colours."""
    normals = torch.zeros(4, 3, SIZE, SIZE)
    normals[:, 2] = 1
    face = torch.zeros(4, 1, SIZE, SIZE)
    face[..., 8:-8, 8:-8] = 1
    yes = torch.ones(4, dtype=torch.bool)
    return Sample(normals / 2 + 0.5, normals, face, face, face, yes & weak, yes, ~yes)


def settings(flip: float) -> ConsistencyConfig:
    off = augment.PhotometricRange(*[0.0] * 9)
    return ConsistencyConfig(1.0, augment.WarpRange(stretch=0.0, flip=flip), off)


def term(system: nn.Module, weak: bool, flip: float) -> float:
    sample = even(weak)
    prediction = system(sample.image.requires_grad_())
    g = torch.Generator().manual_seed(0)
    found = consistency(system, sample, prediction, settings(flip), g)  # type: ignore[arg-type]
    found.backward()
    return float(found.detach())


def test_an_estimator_that_moves_with_the_picture_has_nothing_to_learn() -> None:
    assert term(ColoursAreNormals(), True, flip=0.5) < 1e-4


def test_one_that_does_not_has() -> None:
    assert term(ColoursAreTurned(), True, flip=1.0) > 0.1


def test_samples_with_a_truth_are_left_to_it() -> None:
    assert term(ColoursAreTurned(), False, flip=1.0) == 0
