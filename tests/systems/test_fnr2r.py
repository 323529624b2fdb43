"""FNR2R and HFN: stages, encoders, steering, published sizes."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.losses import normalize  # noqa: E402
from facerelief.nn.vgg import VGG  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems.fnr2r_networks import (  # noqa: E402
    FUSIONS,
    NORMAL_ENCODERS,
    NormalEncoder,
    Steering,
)
from network_checks import multiply_accumulates, parameters, sample, terms_of, train  # noqa: E402


def network(preset: str = "compact", **options: object) -> torch.nn.Module:
    if preset == "compact":
        options["pretrained"] = False
    torch.manual_seed(0)
    return build("fnr2r", preset, **options)


def exemplar(size: int = 64) -> torch.Tensor:
    return normalize(torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3)))


def test_paper_preset_has_the_true_counts() -> None:
    """Published: 82.9 M and 90 G. What the public code holds is 76.7 M."""
    system = network("paper")
    assert parameters(system) == 76_728_198
    assert parameters(system.coarse) == 54_417_411
    assert multiply_accumulates(system) == pytest.approx(38.58, abs=0.01)
    # Convolution modules alone, transposed ones at their output, two operations each: 91.7 G.
    grey, image = torch.rand(1, 1, 256, 256), torch.rand(1, 3, 256, 256)
    charged = multiply_accumulates(system.coarse, grey, at_output=True)
    steered = sum(
        layer.weight.numel() * side**2 / 1e9
        for layer, side in zip(
            (block.steering.layer for block in system.refinement.up),
            (16, 32, 64, 128, 256), strict=True,
        )
    )  # fmt: skip
    charged += multiply_accumulates(system.refinement, image, image) - steered
    assert 2 * charged == pytest.approx(90, rel=0.02)


def test_hfn_has_the_true_counts() -> None:
    """Published: 126.4 M, and 152 G here but 234 G in Cas-FNE's table II of the same authors."""
    system = network("hfn")
    assert parameters(system) == 118_279_814
    assert multiply_accumulates(system) == pytest.approx(87.2, abs=0.1)
    # The public code keeps two convolutions of VGG-19 that it never runs, and a PatchGAN.
    unused = 2 * (512 * 512 * 9 + 512)
    assert parameters(system) + unused + 2_764_737 == pytest.approx(126.4e6, rel=0.006)


@pytest.mark.parametrize("preset", ["compact", "hfn", "paper"])
def test_coarse_maps_come_from_the_grey_picture(preset: str) -> None:
    system = network(preset, stage="coarse").eval()
    size = 64 if preset == "compact" else 256
    image = torch.rand(1, 3, size, size)
    grey = image.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    with torch.no_grad():
        a, b = system(image).normals, system(grey).normals
    assert torch.allclose(a, b, atol=1e-4)
    assert torch.allclose(a.norm(dim=1), torch.ones(1, size, size), atol=1e-4)


@pytest.mark.parametrize("discriminator", ["patch", "self-attention"])
def test_the_coarse_stage_learns_against_either_discriminator(discriminator: str) -> None:
    system = network(stage="coarse", discriminator=discriminator, weights={"adversarial": 1e-3})
    before = {k: v.clone() for k, v in system.refinement.state_dict().items()}
    totals = train(system, sample(4), 6)
    assert system.players == ("estimator", "discriminator") and totals[-1] < totals[0]
    assert all(torch.equal(v, before[k]) for k, v in system.refinement.state_dict().items())


@pytest.mark.parametrize(
    ("encoder", "fusion"),
    [("fpn", fusion) for fusion in FUSIONS] + [("vgg", "modulated"), ("dc", "modulated")],
)
def test_the_refined_stage_learns_from_photographs_alone(encoder: str, fusion: str) -> None:
    system = network(stage="refined", normal_encoder=encoder, fusion=fusion)
    coarse = {k: v.clone() for k, v in system.coarse.state_dict().items()}
    batch = sample()
    blind = replace(batch, normals=-batch.normals, normals_mask=0 * batch.normals_mask)
    assert set(terms_of(system, batch)) == {"exemplar"}
    assert terms_of(system, batch)["exemplar"] == terms_of(system, blind)["exemplar"]
    totals = train(system, batch, 6)
    assert totals[-1] < totals[0]
    assert all(torch.equal(v, coarse[k]) for k, v in system.coarse.state_dict().items())
    assert len(system(batch.image).stages) == 2


def test_the_target_is_the_exemplar() -> None:
    system = network(stage="refined")
    batch = sample()
    found = system(batch.image)
    off = 1 - (found.normals * found.earlier[0].normals).sum(1)
    expected = float(off.mean())
    assert float(terms_of(system, batch)["exemplar"]) == pytest.approx(expected, abs=1e-5)
    both = network(stage="refined", weights={"measured": 1.0})
    assert set(terms_of(both, batch)) == {"exemplar", "measured"}


@pytest.mark.parametrize("preset", ["paper", "hfn"])
def test_paper_refinements_learn(preset: str) -> None:
    refinement = network(preset).refinement
    image, target = torch.rand(2, 3, 64, 64), exemplar()
    optimizer = torch.optim.Adam(refinement.parameters(), 1e-4)
    totals = []
    for _ in range(3):
        off = (1 - (normalize(torch.tanh(refinement(image, target))) * target).sum(1)).mean()
        optimizer.zero_grad()
        off.backward()
        optimizer.step()
        totals.append(off.item())
    assert totals[-1] < totals[0]


def test_the_exemplar_steers_the_fine_map_through_a_short_vector() -> None:
    refinement = network().refinement
    assert refinement.normal_encoder(exemplar()).shape == (2, 128)
    image = torch.rand(2, 3, 64, 64)
    for gain in (0.0, 1.0):  # steering sets in from nothing
        with torch.no_grad():
            refinement.gains.fill_(gain)
            a, b = (refinement(image, normals) for normals in (exemplar(), exemplar().flip(2)))
        assert ((a - b).abs().max() > 1e-3) == (gain > 0)


@pytest.mark.parametrize("kind", NORMAL_ENCODERS)
def test_encoders_give_one_vector_a_map(kind: str) -> None:
    encoder = NormalEncoder(kind, vector=24, width=8, vgg=8).eval()
    assert encoder(exemplar()).shape == (2, 24)


@pytest.mark.parametrize("kind", FUSIONS)
def test_steering_keeps_the_shape(kind: str) -> None:
    x, vector = torch.randn(2, 8, 5, 7), torch.randn(2, 6)
    layer = Steering(kind, 8, 6)
    assert layer(x, vector).shape == x.shape
    assert not torch.allclose(layer(x, vector), layer(x, -vector))


def test_a_frozen_vgg_learns_nothing_and_the_perceptual_loss_needs_it(tmp_path: Path) -> None:
    torch.save(VGG("vgg19").state_dict(), tmp_path / "vgg19.pth")
    file = str(tmp_path / "vgg19.pth")
    options = {"normal_encoder": "vgg", "distance": "smooth_l1"}
    system = network(**options, vgg=file, weights={"perceptual": 1.0})
    assert {"perceptual", "exemplar"} == terms_of(system, sample()).keys()
    frozen = {id(p) for p in system.refinement.normal_encoder.vgg.parameters()}
    assert frozen and not frozen & {id(p) for p in system.parameters_of("estimator")}
    with pytest.raises(ValueError, match="VGG-19 file"):
        network("hfn", weights={"perceptual": 1.0})
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not a torchvision checkpoint of vgg19"):
        VGG("vgg19", checkpoint=tmp_path / "other.pth")


@pytest.mark.parametrize("detail", [False, True])
def test_a_warm_nr_net_begins_as_cp_net(detail: bool) -> None:
    grey = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    image = grey.expand(-1, 3, -1, -1)
    for warm in (False, True):
        system = network(warm=warm, detail=detail).eval()
        if detail:
            torch.nn.init.normal_(system.coarse.decoder.detail.head.weight)
        system.begin()
        with torch.no_grad():
            found = system(image)
        same = torch.allclose(found.normals, found.earlier[0].normals, atol=1e-5)
        assert same == warm
    # A copy: CP-Net stays as it is while NR-Net learns.
    learning = {id(parameter) for parameter in system.refinement.parameters()}
    assert not any(id(parameter) in learning for parameter in system.coarse.parameters())
    with pytest.raises(ValueError, match="warm start"):
        network("paper", warm=True)


def test_unknown_names_list_the_valid_ones() -> None:
    for option, value, message in (
        ("normal_encoder", "swin", "vgg, dc, fpn"),
        ("stage", "third", "coarse, refined"),
        ("discriminator", "none", "patch, self-attention"),
        ("fusion", "sum", "modulated, adain, cat"),
    ):
        with pytest.raises(ValueError, match=message):
            network(**{option: value})
