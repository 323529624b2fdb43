"""Mixed photographs are photographs of the mixed surface."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.data import face_bank, yaleb  # noqa: E402
from facerelief.data.additive_light import (  # noqa: E402
    AdditiveLight,
    MixRange,
    ReliefRange,
    TurnRange,
    environment_weights,
)
from facerelief.data.augment import WarpRange  # noqa: E402
from facerelief.data.face_bank import FaceBank  # noqa: E402
from facerelief.geometry.light import direction  # noqa: E402
from facerelief.nn.losses import angle, normalize  # noqa: E402

H, W = yaleb.HEIGHT, yaleb.WIDTH
LIGHTS = torch.from_numpy(
    np.stack([direction(a, e) for a in (-20.0, 0.0, 20.0) for e in (-20.0, 0.0, 20.0)])
).float()


def ellipsoid(x_radius: float, y_radius: float, depth: float) -> torch.Tensor:
    """(3, H, W) unit normals of an ellipsoid that fills the picture."""
    x = (torch.arange(W) + 0.5 - W / 2) / x_radius
    y = (H / 2 - torch.arange(H) - 0.5) / y_radius
    y, x = torch.meshgrid(y, x, indexing="ij")
    z = (1 - x**2 - y**2).clamp_min(0.05).sqrt()
    return normalize(torch.stack([x / x_radius, y / y_radius, z / depth])[None])[0]


@pytest.fixture(scope="module")
def bank() -> FaceBank:
    """Three ellipsoids of different albedo under lights that reach everywhere."""
    shapes = [ellipsoid(130, 150, 60), ellipsoid(150, 130, 90), ellipsoid(140, 140, 40)]
    albedo = [0.5, 0.9, 0.7]
    scaled = torch.stack([n * a for n, a in zip(shapes, albedo, strict=True)])
    images = torch.einsum("kc,pchw->pkhw", LIGHTS, scaled)
    assert images.min() > 0  # nothing lies in shadow, so that light and shape are both linear
    known = torch.ones(3, 1, H, W)
    return FaceBank(
        images.flatten(2),
        torch.ones(3, len(LIGHTS), dtype=torch.bool),
        torch.cat([scaled, known], 1),
        torch.ones(len(LIGHTS), dtype=torch.long),
        LIGHTS,
    )


@pytest.fixture
def source(bank: FaceBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AdditiveLight:
    monkeypatch.setattr(face_bank, "load", lambda *_: bank)
    return AdditiveLight(
        tmp_path, ["a", "b", "c"], mix=MixRange(probability=1.0), relief=ReliefRange(probability=0)
    )


def error_of_photometric_stereo(source: AdditiveLight, seed: int) -> torch.Tensor:
    """Degrees, at the trusted pixels of one draw, between the normals that its pictures under each
    light give and the normals that the sample says."""
    source._expose = lambda image, adjust, g: image  # type: ignore[method-assign]
    pictures = []
    for one in torch.eye(len(LIGHTS)):
        weights = one[:, None].expand(-1, 3)
        source._weights = lambda present, g, w=weights: (w, False)  # type: ignore[method-assign]
        picture, surface = source._draw(torch.Generator().manual_seed(seed))
        pictures.append(picture[0])
    found = torch.linalg.lstsq(LIGHTS, torch.stack(pictures).flatten(1)).solution
    error = torch.rad2deg(angle(normalize(found.view(1, 3, H, W)), surface[None, :3]))[0, 0]
    trusted = surface[3] > 0.5
    assert trusted.any()
    return error[trusted]


def test_a_mixture_is_the_photograph_of_its_normals(source: AdditiveLight) -> None:
    """Photometric stereo on mixed pictures gives the normals that the sample says."""
    for seed in range(6):
        assert error_of_photometric_stereo(source, seed).max() < 0.1


def test_shares_sum_to_one(source: AdditiveLight) -> None:
    g = torch.Generator().manual_seed(0)
    for number in (1, 2, 3):
        for _ in range(8):
            shares = source._shares(number, g)
            assert shares.shape == (number, H, W)
            assert torch.allclose(shares.sum(0), torch.ones(H, W), atol=1e-5)


def test_a_new_relief_is_photographed_anew(source: AdditiveLight) -> None:
    """Photometric stereo on the reshaded pictures gives the flattened normals."""
    source.relief = ReliefRange(probability=1.0, overall=0.2, local=0.2)
    for seed in range(4):
        # The floor that keeps shadows dark bends the shading a little.
        assert error_of_photometric_stereo(source, seed).mean() < 3
    plain = ReliefRange(probability=0.0)
    source.relief = plain
    _, flat = source._draw(torch.Generator().manual_seed(0))
    source.relief = ReliefRange(probability=1.0, overall=0.0, local=0.5)
    _, bent = source._draw(torch.Generator().manual_seed(0))
    assert torch.rad2deg(angle(flat[None, :3], bent[None, :3])).mean() > 3


def test_batches_are_samples(source: AdditiveLight) -> None:
    sample = source.batch(5, 64, torch.Generator().manual_seed(1))
    assert sample.image.shape == (5, 3, 64, 64)
    assert sample.image.min() >= 0 and sample.image.max() <= 1
    length = sample.normals.norm(dim=1, keepdim=True)
    assert torch.allclose(length, sample.normals_mask, atol=1e-4)
    assert not sample.weak.any() and (sample.face_mask <= sample.face_known).all()


def test_heads_are_turned_where_it_is_asked_for(source: AdditiveLight) -> None:
    def lean() -> torch.Tensor:
        sample = source.batch(8, 64, torch.Generator().manual_seed(1))
        length = sample.normals.norm(dim=1, keepdim=True)
        assert torch.allclose(length, sample.normals_mask, atol=1e-4)
        return sample.normals[:, 1].sum((1, 2)) / sample.normals_mask.sum((1, 2, 3))

    source.warp = WarpRange(rotation=0)
    straight = lean()
    source.turn = TurnRange(pitch=12, yaw=0)
    assert lean().std() > 2 * straight.std()


def test_environments_weigh_every_light_with_what_comes_from_there(tmp_path: Path) -> None:
    weights = environment_weights(LIGHTS.numpy(), tmp_path, turns=2)
    assert weights.shape == (4, len(LIGHTS), 3)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum((1, 2)), torch.tensor(3.0), atol=1e-4)


def test_the_bank_holds_the_photographs(data_root: Path, tmp_path: Path) -> None:
    bank = face_bank.load(data_root, ["yaleB12", "yaleB20"], tmp_path)
    person = yaleb.load_person(data_root, "yaleB12")
    assert bank.present.sum(1).tolist() == [len(person.images), 64]
    for light in torch.nonzero(bank.present[0]).flatten().tolist()[::9]:
        row = int(np.argmax(person.directions @ bank.directions[light].numpy()))
        picture = (bank.images[0, light].view(H, W) * 255).round().byte().numpy()
        assert np.array_equal(picture, person.images[row])
        assert bank.subsets[light] == person.subsets[row]
    # The albedo is in the pictures' units.
    frontal = int(torch.argmax(bank.directions[:, 2]))
    shading = (bank.surface[1, :3] * bank.directions[frontal].view(3, 1, 1)).sum(0)
    trusted = bank.surface[1, 3] > 0.5
    ratio = shading[trusted] / bank.images[1, frontal].view(H, W)[trusted].clamp_min(0.05)
    assert ratio.median() == pytest.approx(1, abs=0.1)
