"""Cross-modal: deactivable skips, the order of the turns, ablations, published sizes."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.skips import deactivable_skip  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems.cross_modal import ARCHITECTURES, PaperDecoder  # noqa: E402
from network_checks import multiply_accumulates, parameters, sample, terms_of, train  # noqa: E402


def network(preset: str = "compact", **options: object) -> torch.nn.Module:
    if preset == "compact":
        options["pretrained"] = False
    torch.manual_seed(0)
    return build("cross_modal", preset, **options)


def test_paper_preset_has_the_published_parameters() -> None:
    """35.2 M are those of all four networks; a photo passes E_I and D_N alone."""
    full = network("paper")
    assert parameters(full) == 35_271_814
    assert parameters(full) == pytest.approx(35.2e6, rel=0.003)
    assert parameters(full.encoder) + parameters(full.normal_decoder) == 19_557_763


def test_paper_preset_has_the_true_multiply_accumulates() -> None:
    """The authors' network decodes a picture too whenever it estimates normals: 42 of 49 G."""
    full = network("paper").eval()
    needed = multiply_accumulates(full)
    code = torch.zeros(1, 512, 8, 8)
    assert needed == pytest.approx(28.42, abs=0.01)
    assert needed + multiply_accumulates(full.image_decoder, code) == pytest.approx(42.33, abs=0.01)


def test_a_skip_takes_the_maximum_with_the_last_channels_alone() -> None:
    decoded, encoded = torch.randn(2, 10, 4, 4), torch.randn(2, 3, 4, 4)
    joined = deactivable_skip(decoded, encoded)
    assert torch.equal(joined[:, :7], decoded[:, :7])
    assert torch.equal(joined[:, 7:], torch.maximum(decoded[:, 7:], encoded))
    assert deactivable_skip(decoded, None) is decoded


@pytest.mark.parametrize("preset", ["paper", "compact"])
def test_without_skips_normals_do_not_see_the_pictures_features(preset: str) -> None:
    system = network(preset).eval()
    image, other = torch.rand(2, 1, 3, 64, 64)
    features, others = system.encoder(image), system.encoder(other)
    code = features[-1]
    active = system.decode_normals(image, [*features[:-1], code]).normals
    swapped = system.decode_normals(other, [*others[:-1], code]).normals
    assert not torch.allclose(active, swapped, atol=1e-4)
    # The same decoder, its skips deactivated: the code is all that it sees.
    off = system.outputs.interpret(system.normal_decoder(code)).normals
    assert off.shape == active.shape and not torch.allclose(off, active, atol=1e-4)
    normals = sample().normals
    found = system.autoencode_normals(normals)
    assert torch.equal(found.normals, system.autoencode_normals(normals).normals)
    gradients = torch.autograd.grad(
        found.normals.sum(), list(system.encoder.parameters()), allow_unused=True
    )
    assert all(gradient is None for gradient in gradients)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("preset", ["paper", "compact"])
def test_every_architecture_learns(preset: str, name: str) -> None:
    system = network(preset, architecture=name)
    totals = train(system, sample(), 6)
    assert totals[-1] < totals[0]
    normals = system.eval()(sample().image).normals
    assert torch.allclose(normals.norm(dim=1), torch.ones(2, 64, 64), atol=1e-4)
    parts = ARCHITECTURES[name]
    assert (system.normal_encoder is not None) == parts.normal_encoder
    assert (system.image_decoder is not None) == parts.image_decoder


def test_batches_of_one_kind_take_the_papers_turns() -> None:
    system = network()
    pairs = replace(sample(), weak=torch.zeros(2, dtype=torch.bool))
    kinds = {
        "pairs": (pairs, ["normals", "cosine"]),
        "pictures": (replace(pairs, weak=torch.ones(2, dtype=torch.bool)), ["cosine"]),
        "normals": (replace(pairs, pictured=torch.zeros(2, dtype=torch.bool)), ["normals"]),
    }
    for batch, expected in kinds.values():
        assert [next(iter(turn.terms)) for turn in system.turns(batch)] == expected
    both = list(system.turns(pairs))[1].terms
    assert {"image", "cosine"} <= both.keys()  # summed in one iteration
    assert float(terms_of(system, kinds["pictures"][0])["cosine"]) == 0


def test_pictures_alone_reach_no_normal_encoder_and_the_reverse() -> None:
    system = network()
    pairs = sample()
    (turn,) = system.turns(replace(pairs, pictured=torch.zeros(2, dtype=torch.bool)))
    turn.terms["normals"].backward()
    assert all(p.grad is None for p in system.encoder.parameters())
    assert all(p.grad is None for p in system.image_decoder.parameters())
    assert all(p.grad is not None for p in system.normal_encoder.parameters())


def test_autoencoded_normals_leave_the_decoders_statistics_alone() -> None:
    system = network()
    before = {k: v.clone() for k, v in system.normal_decoder.state_dict().items() if "running" in k}
    system.autoencode_normals(sample().normals)
    after = system.normal_decoder.state_dict()
    assert before and all(torch.equal(v, after[k]) for k, v in before.items())
    system(sample().image)
    after = system.normal_decoder.state_dict()
    assert not any(torch.equal(v, after[k]) for k, v in before.items())


def test_a_network_without_a_normal_encoder_says_so() -> None:
    with pytest.raises(ValueError, match="no normal encoder"):
        network(architecture="plain").autoencode_normals(sample().normals)
    with pytest.raises(ValueError, match="full, without_skips"):
        network(architecture="fuller")
    with pytest.raises(ValueError, match="resnet18, efficientnet-lite0"):
        build("cross_modal", "compact", backbone="vgg")


def test_deactivable_decoders_make_the_skips_channels_themselves() -> None:
    deactivable, standard = PaperDecoder(3, "deactivable"), PaperDecoder(3, "concatenated")
    for block, other in zip(deactivable.blocks, standard.blocks, strict=True):
        assert block[0].in_channels == other[0].in_channels
    made = [block[0].out_channels for block in deactivable.blocks[:-1]]
    plain = [block[0].out_channels for block in standard.blocks[:-1]]
    assert [a - b for a, b in zip(made, plain, strict=True)] == [128, 64, 64, 64]


def test_the_plain_network_is_a_unet() -> None:
    unet = build("unet", "compact", pretrained=False)
    assert parameters(unet) == parameters(network(architecture="plain"))
    assert set(terms_of(unet, sample())) == {"cosine", "angular", "mask", "weak"}
