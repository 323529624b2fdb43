"""Discriminators of normal maps."""

import pytest

torch = pytest.importorskip("torch")

from facerelief.nn.discriminator import DISCRIMINATORS, SelfAttention  # noqa: E402


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_every_patch_has_a_verdict(kind: str) -> None:
    verdict = DISCRIMINATORS[kind](3, 16)(torch.randn(2, 3, 128, 128))
    assert verdict.shape[:2] == (2, 1) and verdict[0].numel() > 1


def test_attention_is_learned_from_none() -> None:
    layer, x = SelfAttention(16), torch.randn(2, 16, 6, 5)
    assert torch.equal(layer(x), x)
    torch.nn.init.ones_(layer.gamma)
    # The slow twin: every place's mixture of all places' values.
    query, key, value = (f(x).flatten(2) for f in (layer.query, layer.key, layer.value))
    expected = x.flatten(2).clone()
    for image in range(2):
        for place in range(30):
            weights = torch.softmax(query[image, :, place] @ key[image], 0)
            expected[image, :, place] += value[image] @ weights
    torch.testing.assert_close(layer(x).flatten(2), expected)


def test_attention_sees_far_places() -> None:
    layer = SelfAttention(16)
    torch.nn.init.ones_(layer.gamma)
    x = torch.randn(1, 16, 8, 8)
    moved = x.clone()
    moved[..., 7, 7] += 3
    assert (layer(x) - layer(moved))[..., 0, 0].abs().max() > 1e-4
