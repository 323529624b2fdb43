"""Detail of the full picture over a map of its half."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from facerelief.nn.light_decoder import Detail, enlarged  # noqa: E402
from facerelief.train.systems import build  # noqa: E402

SYSTEMS = {"unet": {}, "cross_modal": {}, "casfne": {"stages": 1}, "fnr2r": {"stage": "coarse"}}


def test_a_packed_map_is_enlarged_as_the_map_is() -> None:
    plain = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    packed = enlarged(F.pixel_unshuffle(plain, 2))
    assert packed.shape == (2, 12, 16, 16)
    wanted = F.interpolate(plain, scale_factor=2.0, mode="bilinear")
    assert torch.allclose(F.pixel_shuffle(packed, 2), wanted)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_network_with_detail_begins_with_what_it_made_of_the_half(name: str) -> None:
    """So that a training at half size goes on at full size without loss."""
    torch.manual_seed(0)
    options = {"pretrained": False, **SYSTEMS[name]}
    plain = build(name, "compact", **options).eval()
    detailed = build(name, "compact", detail=True, **options).eval()
    missing, unexpected = detailed.load_state_dict(plain.state_dict(), strict=False)
    assert missing and all("detail." in key for key in missing) and not unexpected
    image = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        half = plain(F.avg_pool2d(image, 2))
        full = detailed(image)
    assert full.normals.shape == (2, 3, 128, 128)
    logits = F.interpolate(half.mask_logits, scale_factor=2.0, mode="bilinear")
    assert torch.allclose(full.mask_logits, logits, atol=1e-4)
    # Detail then reads every pixel of the picture.
    part = next(m for m in detailed.modules() if isinstance(m, Detail))
    torch.nn.init.normal_(part.head.weight)
    dotted = image.clone()
    dotted[..., ::2, ::2] += 0.1
    dotted[..., 1::2, ::2] -= 0.1  # the mean of two by two stays
    with torch.no_grad():
        assert (detailed(dotted).normals - detailed(image).normals).abs().max() > 1e-3
        assert torch.allclose(plain(F.avg_pool2d(dotted, 2)).normals, half.normals, atol=1e-3)


def test_normals_that_are_autoencoded_get_no_detail() -> None:
    torch.manual_seed(0)
    system = build("cross_modal", "compact", detail=True, pretrained=False).eval()
    normals = F.normalize(torch.rand(2, 3, 64, 64) - 0.5, dim=1)
    with torch.no_grad():
        before = system.autoencode_normals(normals).normals
        torch.nn.init.normal_(system.normal_decoder.detail.head.weight)
        after = system.autoencode_normals(normals).normals
    assert before.shape == normals.shape and torch.equal(before, after)
    assert build("cross_modal", "compact", detail=True, architecture="without_skips",
                 pretrained=False).normal_decoder.detail is None  # fmt: skip


@pytest.mark.parametrize("name", SYSTEMS)
def test_published_networks_see_the_whole_picture(name: str) -> None:
    with pytest.raises(ValueError, match="detail"):
        build(name, "paper", detail=True)
