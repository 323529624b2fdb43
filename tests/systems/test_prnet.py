"""PRNet: the published network, the light one, and what they learn."""

from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

import network_checks  # noqa: E402
from facerelief.data import positions  # noqa: E402
from facerelief.data.sample import Sample, Shapes  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems.prnet import PRNet, dotted  # noqa: E402
from facerelief.train.systems.prnet_networks import Look, ResidualBlock, Transposed  # noqa: E402


def sample(size: int = 64) -> Sample:
    """Three mean heads that were moved: to the right, nearer, and nobody knows where."""
    mean = positions.mean_head(size)
    moved = torch.cat([mean + torch.tensor([0.2, 0, 0]).view(1, 3, 1, 1), 1.2 * mean, 3 * mean])
    known = torch.tensor([1.0, 0.5, 0.0])
    points = positions.points(moved)
    shapes = Shapes(moved, known, points, torch.zeros(3, points.shape[1], 2))
    return replace(network_checks.sample(3, size), shapes=shapes)


def compact(**options) -> PRNet:
    torch.manual_seed(0)
    return build("prnet", "compact", pretrained=False, **options)


def test_the_published_network() -> None:
    """13.35 M weights, 160 MB with Adam's two moments, as the paper says of its model."""
    system = build("prnet", "paper")
    assert network_checks.parameters(system) == 13_353_615
    assert 3 * 4 * network_checks.parameters(system) / 1e6 == pytest.approx(160, abs=0.5)
    assert network_checks.multiply_accumulates(system) == pytest.approx(4.129, abs=0.001)
    blocks = [m for m in system.modules() if isinstance(m, ResidualBlock)]
    ups = [m for m in system.modules() if isinstance(m, Transposed)]
    assert len(blocks) == 10 and len(ups) == 17
    with torch.no_grad():
        image = torch.rand(1, 3, 256, 256)
        assert system.network.encoder(image).shape == (1, 512, 8, 8)
        found = system(image).position
    assert found.shape == (1, 3, 256, 256) and found.abs().max() <= 1.1


def test_the_light_network_is_small_and_begins_with_the_mean_head() -> None:
    system = compact().eval()
    assert network_checks.parameters(system) < 5e6
    assert network_checks.multiply_accumulates(system) < 0.65
    with torch.no_grad():
        found = system(torch.rand(2, 3, 64, 64)).position
        large = system(torch.rand(2, 3, 64, 64), 128).position
    assert torch.allclose(found, positions.mean_head(64).expand(2, -1, -1, -1), atol=1e-6)
    assert torch.allclose(large, positions.mean_head(128).expand(2, -1, -1, -1), atol=1e-6)


def test_the_loss_goes_by_the_weight_mask_and_by_what_is_known() -> None:
    batch, system = sample(), compact(weights={"rest": 0.0}, looks=0)
    found = network_checks.terms_of(system, batch)["position"]
    mask = positions.weight_mask(64)
    off = (positions.mean_head(64) - batch.shapes.position).square().sum(1, keepdim=True)
    each = (off * mask).sum((1, 2, 3)) / mask.sum()
    assert each[0] == pytest.approx(0.04, rel=1e-3)
    assert found.item() == pytest.approx(((each[0] + 0.5 * each[1]) / 3).item(), rel=1e-4)
    # What nobody knows teaches nothing, and neither does what has no weight.
    changed = batch.shapes.position.clone()
    changed[2] += 9
    changed[:, :, mask[0, 0] == 0] += 9
    other = replace(batch, shapes=replace(batch.shapes, position=changed))
    again = network_checks.terms_of(system, other)["position"]
    assert again.item() == pytest.approx(found.item())
    flat = compact(weights={"focus": False})
    assert flat.texel_weights(64).unique().tolist() == [0, 1]
    whole = compact(weights={"rest": 0.5}).texel_weights(64).unique().tolist()
    assert whole == [0, 0.5, 3, 4, 16]


def test_every_map_is_taught_and_distances_may_count_too() -> None:
    batch, system = sample(), compact(looks=2).eval()
    once = network_checks.terms_of(compact(looks=0).eval(), batch)["position"].item()
    assert len(system(batch.image).earlier) == 2
    assert network_checks.terms_of(system, batch)["position"].item() == pytest.approx(3 * once)
    both = network_checks.terms_of(compact(looks=0, weights={"distance": 0.3}), batch)
    assert set(both) == {"position", "distance"}
    alone = compact(looks=0, weights={"position": 0.0, "distance": 1.0, "rest": 0.0})
    found = network_checks.terms_of(alone, batch)["distance"].item()
    mask = positions.weight_mask(64)
    off = (positions.mean_head(64) - batch.shapes.position).norm(dim=1, keepdim=True)
    each = (off * mask).sum((1, 2, 3)) / mask.sum()
    assert found == pytest.approx(((each[0] + 0.5 * each[1]) / 3).item(), rel=1e-3)


def test_points_of_photographs_teach_where_there_are_no_maps() -> None:
    batch = sample()
    none = torch.zeros(3)
    blank = replace(batch.shapes, position=torch.zeros_like(batch.shapes.position), known=none)
    system = compact(looks=0)
    untaught = network_checks.terms_of(system, replace(batch, shapes=blank))
    assert untaught["position"].item() == 0
    weights = torch.zeros_like(blank.points_known)
    weights[0, :68, 0] = 1  # moved by 0.2 to the right
    weights[1, 68:] = 1  # 1.2 times as large
    taught = replace(batch, shapes=replace(blank, points_known=weights))
    found = network_checks.terms_of(system, taught)["position"].item()
    larger = 0.2 * positions.points(positions.mean_head(64))[0, 68:]
    depth = larger[:, 2] - larger[:, 2].mean()
    expected = (0.2**2 + (larger[:, :2].square().sum(1) + depth.square()).mean().item()) / 3
    assert found == pytest.approx(expected, rel=1e-3)
    # Where depth begins is nobody's to say.
    shifted = blank.points + torch.tensor([0.0, 0.0, 5.0])
    other = replace(batch, shapes=replace(blank, points=shifted, points_known=weights))
    assert network_checks.terms_of(system, other)["position"].item() == pytest.approx(found)
    losses = network_checks.train(compact(), taught, 12)
    assert losses[-1] < 0.5 * losses[0]


def test_a_look_reads_features_where_the_map_says_that_its_texels_are() -> None:
    look = Look((4,)).eval()
    torch.nn.init.normal_(look.head.weight)
    mean = positions.mean_head(64)
    features = torch.zeros(1, 4, 16, 16)
    with torch.no_grad():
        plain, _ = look([features], mean)
        features[..., :8, :8] = 3  # one corner of the picture
        seen, _ = look([features], mean)
        away, _ = look([features], mean + torch.tensor([4.0, 0, 0]).view(1, 3, 1, 1))
        nowhere, _ = look(
            [torch.zeros_like(features)], mean + torch.tensor([4.0, 0, 0]).view(1, 3, 1, 1)
        )
    change = (seen - plain).abs().sum(1)[0]
    corner = (mean[0, :2] < -0.2).all(0)
    assert change[corner].mean() > 3 * change[(mean[0, :2] > 0.5).any(0)].mean()
    assert torch.equal(away, nowhere)


@pytest.mark.parametrize("preset", ["paper", "compact"])
def test_learns_where_heads_are(preset: str) -> None:
    torch.manual_seed(0)
    options = {} if preset == "paper" else {"pretrained": False}
    system, batch = build("prnet", preset, **options), sample()
    losses = network_checks.train(system, batch, 12)
    assert losses[-1] < 0.5 * losses[0]


def test_metrics_are_in_percent_of_the_landmarks_box() -> None:
    batch, system = sample(256), compact().eval()
    with torch.no_grad():
        figures = system.metrics(batch, system(batch.image))
    true = positions.landmarks(batch.shapes.position)[..., :2]
    box = (true.amax(1) - true.amin(1)).prod(-1).sqrt()
    assert figures["error"][0] == pytest.approx(100 * 0.2 / box[0].item(), rel=1e-3)
    assert figures["dense"][0] == pytest.approx(100 * 0.2 / box[0].item(), rel=1e-3)
    assert figures["error_depth"][0] == pytest.approx(figures["error"][0].item(), rel=1e-3)
    assert figures["error_depth"][1] > 1.01 * figures["error"][1]
    assert all(value[2].isnan() for value in figures.values())


def test_what_is_deployed_speaks_of_crop_pixels() -> None:
    system = compact().eval()
    crops = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    for size in (128, 256):
        deployed = system.deployed(size)
        assert deployed.outputs == ("position", "seen")
        with torch.no_grad():
            found, seen = deployed(crops)
        assert seen.shape == (2, 256, 256) and 0 <= seen.min() <= seen.max() <= 1
        expected = (positions.mean_head(256)[0] * 128).permute(1, 2, 0)
        expected = expected + torch.tensor([128.0, 128.0, 0.0])
        assert found.shape == (2, 256, 256, 3)
        assert torch.allclose(found[0], expected, atol=1e-3)
    assert compact(looks=0).deployed(256).outputs == ("position",)
    with pytest.raises(ValueError, match="no multiple"):
        system.deployed(100)


def test_learns_what_hides_the_face() -> None:
    """Of rendered heads; a face whose left half is covered is not seen there."""
    batch = sample()
    covered = batch.face_mask * 0 + 1
    covered[..., :32] = 0
    batch = replace(batch, face_mask=covered, weak=torch.zeros(3, dtype=torch.bool))
    system = compact(weights={"seen": 1.0})
    losses = network_checks.train(system, batch, 30)
    with torch.no_grad():
        found = system(batch.image)
        figures = system.metrics(batch, found)
    assert found.seen.shape == (3, 1, 64, 64) and losses[-1] < 0.5 * losses[0]
    assert figures["seen"][0] > 85 and figures["seen"][2].isnan()
    assert system.metrics(replace(batch, weak=~batch.weak), found)["seen"].isnan().all()
    before = network_checks.terms_of(system, batch)["seen"].item()
    photos = network_checks.terms_of(system, replace(batch, weak=~batch.weak))["seen"].item()
    assert photos == 0 < before


def test_the_sheet_shows_landmarks() -> None:
    batch, system = sample(), compact().eval()
    with torch.no_grad():
        photo, found, true = system.sheet(batch)
    assert photo.shape == found.shape == true.shape
    red = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    assert 20 < (photo[0] == red).all(0).sum() <= 68
    points = torch.tensor([[[0.0, 0.0], [-5.0, 0.0]]])
    painted = dotted(torch.zeros(1, 3, 8, 8), points, (0, 1, 0))
    assert painted.sum() == 1 and painted[0, 1, 4, 4] == 1


def test_options_that_are_wrong() -> None:
    with pytest.raises(ValueError, match="paper, light"):
        PRNet("dense")
    with pytest.raises(ValueError, match="option positions"):
        list(compact().turns(network_checks.sample()))


def test_one_process_exports_several(tmp_path: Path) -> None:
    """What the first trace makes must not be what the second one finds."""
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    facts = Provenance("prnet", "compact", "open", "nothing", "0")
    for looks in (1, 2):
        system = compact(looks=looks).eval()
        file = tmp_path / f"{looks}.onnx"
        export(system, file, facts, size=128)
        found = InferenceSession(file).run(None, {"crops": crops})
        with torch.no_grad():
            position, seen = system.deployed(128)(torch.from_numpy(crops))
        assert np.abs(found[0] - position.numpy()).max() < 0.2  # crop pixels, of float16 weights
        assert np.abs(found[1] - seen.numpy()).max() < 0.02
