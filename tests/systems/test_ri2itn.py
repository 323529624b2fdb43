"""RI2ITN: the published network and its feedback, the losses, both phases, and what is exported."""

from dataclasses import replace

import numpy as np
import pytest
from onnxruntime import InferenceSession

import laid_heads

torch = pytest.importorskip("torch")

import network_checks  # noqa: E402
from facerelief.data.sample import Layouts, Sample  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.geometry import laid_out  # noqa: E402
from facerelief.geometry.camera import WeakPerspective, camera_space  # noqa: E402
from facerelief.geometry.drawing import draw  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems import ri2itn_losses as losses  # noqa: E402
from facerelief.train.systems.ri2itn import ReliefSystem, with_mirror  # noqa: E402
from facerelief.train.systems.ri2itn_losses import Relief  # noqa: E402
from facerelief.train.systems.ri2itn_networks import RI2ITN, channels_of  # noqa: E402


def planes(maps: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(maps, -1, 0))).float()[None]


@pytest.fixture(scope="module")
def batch() -> Sample:
    """The mean head with waves on its skin, as a rendering knows them; from the front, and turned.

    The second one's are not known: it is a photograph.
    """
    parts = []
    for yaw in (0, 40):
        relief = laid_heads.bumps()
        laid = laid_out.lay_out(laid_heads.picture(yaw, relief), laid_heads.skin(yaw))
        true = laid_out.displaced_normals(relief, laid.position, laid.normals)
        parts.append((laid, true, yaw == 0))
    laid = [part[0] for part in parts]
    visible = torch.cat([planes(one.visible[..., None]) for one in laid])
    known = torch.cat([planes(one.visible[..., None] > 0.5) * flag for one, _, flag in parts])
    light = torch.from_numpy(np.stack([one.light for one in laid]))
    position, normals = (
        torch.cat([planes(getattr(one, name)) for one in laid]) for name in ("position", "normals")
    )
    return Sample(
        image=torch.cat([planes(one.maps) for one in laid]),
        normals=torch.cat([planes(true) for _, true, _ in parts]) * known,
        normals_mask=known,
        face_mask=visible,
        face_known=torch.ones_like(visible),
        weak=torch.tensor([not flag for _, _, flag in parts]),
        pictured=torch.ones(2, dtype=torch.bool),
        estimated=torch.zeros(2, dtype=torch.bool),
        layouts=Layouts(position, normals, light),
    )


def compact(**options) -> ReliefSystem:
    torch.manual_seed(0)
    return build("ri2itn", "compact", **options)


def test_the_published_network() -> None:
    """Ten levels of Chen et al.'s widths, 512 texels to one; 36 steps of dense feedback.

    The paper gives no counts. Chen et al.'s network is the one of a single pass.
    """
    system = build("ri2itn", "paper")
    assert network_checks.parameters(system) == 78_924_276
    assert network_checks.parameters(build("ri2itn", "paper", passes=1)) == 22_023_635
    assert sum(len(chain) for chain in system.network.feedback) == 36
    assert system.channels == [0, 1, 2, 3, 4, 5]
    with torch.no_grad():
        levels = system.network._encoded(torch.rand(1, 6, 512, 512), [])
    assert [level.shape[-1] for level in levels] == [512 >> k for k in range(10)]
    maps = torch.rand(1, 9, 512, 512)
    assert network_checks.multiply_accumulates(system, maps) == pytest.approx(13.147, abs=0.001)


def test_the_compact_network_is_small_and_begins_flat(batch: Sample) -> None:
    system = compact()
    assert network_checks.parameters(system) == 1_022_040
    maps = torch.rand(1, 9, 256, 256)
    assert network_checks.multiply_accumulates(system, maps) == pytest.approx(1.086, abs=0.001)
    with torch.no_grad():
        assert system(batch.image).abs().max() < 0.1


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_passes_are_equations_6_to_10(passes: int) -> None:
    """Against the equations written out, level by level."""
    torch.manual_seed(1)
    network = RI2ITN(2, (4, 5, 6, 7), passes)
    torch.nn.init.normal_(network.joined.weight)
    maps, relu = torch.rand(1, 2, 16, 16), torch.relu
    before, answers, count = None, [], 4
    for _ in range(passes):
        x = {0: maps}
        for i in range(1, count + 1):
            fed = 0
            if before is not None and i > 1:
                fed = before[i - 1]
                for j in range(1, i - 1):
                    down = before[j]
                    for step in range(i - 1 - j):
                        down = relu(network.feedback[j - 1][step](down))
                    fed = fed + down
            x[i] = relu(network.encoder[i - 1](x[i - 1] + fed))
        f = {count: x[count]}
        for i in range(count - 1, 0, -1):
            f[i] = relu(network.decoder[i - 1](f[i + 1])) + x[i]
        answers.append(network.last(f[1]))
        before = f
    wanted = torch.tanh(network.joined(torch.cat(answers, 1)))
    torch.testing.assert_close(network(maps), wanted)


def test_every_feedback_path_has_a_say() -> None:
    torch.manual_seed(0)
    network = RI2ITN(2, (8, 8, 8, 8, 8), 2)
    network(torch.rand(4, 2, 32, 32)).square().sum().backward()
    paths = [layer for chain in network.feedback for layer in chain]
    assert len(paths) == 6
    assert all(layer.weight.grad.abs().max() > 0 for layer in paths)
    assert not RI2ITN(2, (8, 8, 8), 1).feedback


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="passes must be 1 to 3, not 4"):
        compact(passes=4)
    with pytest.raises(ValueError, match="unknown input 'depth'; one of photo, rendering"):
        compact(inputs=("photo", "depth"))
    with pytest.raises(ValueError, match="laid_photos and laid_renderings alone"):
        next(compact().turns(network_checks.sample()))
    assert channels_of(["visible", "photo"]) == [8, 0, 1, 2]


def test_relief_is_that_of_the_numpy_side(batch: Sample) -> None:
    relief = laid_heads.bumps()
    raised = Relief(planes(relief[..., None]).expand(2, -1, -1, -1), batch.layouts)
    layouts = batch.layouts
    for index in range(2):
        arrays = [x[index].permute(1, 2, 0).numpy() for x in (layouts.position, layouts.normals)]
        wanted = laid_out.displaced_normals(relief, *arrays)
        found = raised.normals[index].permute(1, 2, 0).numpy()
        # At the edges of charts a texel has hardly an area: what is seen is compared.
        seen = batch.face_mask[index, 0].numpy() > 0
        np.testing.assert_allclose(found[seen], wanted[seen], atol=2e-3)


def test_the_photo_loss_in_the_layout_is_that_in_the_picture(batch: Sample) -> None:
    """Of the coarse face beside the raised one: a picture of each, compared where skin is seen."""
    relief, mesh = laid_heads.bumps(), laid_heads.HEAD
    pictures = [laid_heads.picture(0, one) for one in (relief, None)]
    points = camera_space(laid_heads.posed_heads.points()).astype(float)
    drawn = draw(points, mesh.triangles, WeakPerspective(), (256, 256), laid_heads.LIGHT,
                 albedo=np.ones_like(points))  # fmt: skip
    facing = drawn.normals[..., 2] > 2 * 0.15
    skin = drawn.shows(mesh.skin) & facing
    in_picture = np.linalg.norm(pictures[0] - pictures[1], axis=-1)[skin].mean()
    one = batch.first(1)
    known = replace(one.layouts, light=torch.from_numpy(laid_heads.LIGHT)[None].float())
    raised = Relief(planes(relief[..., None]), known)
    rendering = planes(laid_out.lay_out(pictures[1], laid_heads.skin()).photo)
    weights = losses.texel_weights(one.face_mask, known, painted=True)
    in_layout = losses.photo_loss(raised.drawn(rendering), rendering, weights)
    assert in_picture > 0.01
    assert in_layout.item() == pytest.approx(in_picture, rel=0.12)


def test_a_flat_relief_costs_nothing_but_the_photo(batch: Sample) -> None:
    flat = Relief(torch.zeros(2, 1, 256, 256), batch.layouts)
    assert losses.smoothness(flat, 1, 1) < 1e-9 and losses.size(flat) < 1e-9
    ramp = torch.linspace(0, 1, 256).expand(2, 1, 256, -1)
    uneven = losses.smoothness(Relief(ramp, batch.layouts), 0, 1)
    # To the right, and along both diagonals: one step each.
    assert uneven.item() == pytest.approx(3 / 255**2, rel=1e-3)


def test_the_truth_is_the_least_of_the_relief_loss(batch: Sample) -> None:
    true = planes(laid_heads.bumps()[..., None]).expand(2, -1, -1, -1)
    found = [
        losses.relief_loss(Relief(k * true, batch.layouts), batch.normals, batch.normals_mask)
        for k in (0.0, 0.5, 1.0)
    ]
    assert found[0] > 2 * found[1] > 4 * found[2]
    # And it looks more like the picture than the coarse face does.
    system = compact()
    figures = system.metrics(batch, true)
    assert (figures["photo"] < 0.8 * figures["photo_coarse"]).all()
    assert figures["error"][0] < 0.3 * figures["error_coarse"][0]
    assert figures["error"][1].isnan()


def test_the_loss_falls_and_the_relief_is_found(batch: Sample) -> None:
    system = compact(passes=1, weights={"photo": 0.0, "smoothness": 0.5})
    before = system.metrics(batch, system(batch.image))
    totals = network_checks.train(system, batch, 40)
    assert np.mean(totals[-3:]) < 0.8 * np.mean(totals[:3])
    after = system.metrics(batch, system(batch.image))
    assert after["error"][0] < 0.9 * before["error"][0]
    assert all(row.shape[0] == 2 and row.shape[1] in (1, 3) for row in system.sheet(batch))


def test_photographs_alone_teach_what_they_show(batch: Sample) -> None:
    """The paper's own supervision, with its weights."""
    weights = {"photo": 1.0, "smoothness": 1.0, "size": 1e-3, "relief": 0.0}
    terms = network_checks.terms_of(compact(weights=weights), batch)
    assert set(terms) == {"photo", "smoothness", "size"}


def test_the_second_phase_sees_the_nearer_half_twice(batch: Sample) -> None:
    turned = batch.image[1:]
    maps = with_mirror(turned)
    signs = torch.ones(9, 1, 1)
    signs[channels_of(["slopes"])[0]] = -1
    torch.testing.assert_close(signs * maps.flip(-1), maps)
    farther = (
        slice(128, None) if turned[0, 8, :, :128].sum() > turned[0, 8].sum() / 2 else slice(128)
    )
    changed = turned.clone()
    changed[:, :8, :, farther] = 0.5
    assert not torch.allclose(changed, turned)
    system = compact(mirrored=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(system(changed), system(turned))
    assert set(network_checks.terms_of(system, batch)) == {"photo", "smoothness", "size", "relief"}


def test_an_exported_network_says_the_same(tmp_path, batch: Sample) -> None:
    system = compact(passes=1).eval()
    torch.nn.init.normal_(system.network.joined.weight)
    provenance = Provenance("ri2itn", "compact", "open", "none", "0")
    export(system, tmp_path / "relief.onnx", provenance, compact=False)
    session = InferenceSession(tmp_path / "relief.onnx")
    assert session.get_modelmeta().custom_metadata_map["kind"] == "relief"
    maps = batch.image.permute(0, 2, 3, 1).numpy()
    (found,) = session.run(None, {"maps": maps[:1]})
    assert found.shape == (1, 256, 256)
    with torch.no_grad():
        wanted = system.told(batch.image[:1])[:, 0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
