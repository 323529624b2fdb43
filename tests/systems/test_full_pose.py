"""The coarse regressor: networks, the model's points and camera, and what rendered heads teach."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import network_checks  # noqa: E402
from facerelief.data import positions  # noqa: E402
from facerelief.data.heads import blank, mirror_order  # noqa: E402
from facerelief.data.sample import Heads, Sample, Shapes, concatenate  # noqa: E402
from facerelief.geometry.camera import Perspective  # noqa: E402
from facerelief.geometry.face_model import face_model  # noqa: E402
from facerelief.geometry.similarity import Similarity  # noqa: E402
from facerelief.render.shading import shade_sh  # noqa: E402
from facerelief.train.systems import build  # noqa: E402
from facerelief.train.systems.full_pose import FullPose  # noqa: E402
from facerelief.train.systems.full_pose_closeups import CloseUps  # noqa: E402
from facerelief.train.systems.full_pose_drawing import (  # noqa: E402
    SETS,
    Pictures,
    combined,
)
from facerelief.train.systems.full_pose_fit import Fit, polar  # noqa: E402
from facerelief.train.systems.full_pose_losses import expression_loss, to_values  # noqa: E402
from facerelief.train.systems.full_pose_model import (  # noqa: E402
    Camera,
    Coefficients,
    Compared,
    Points,
    rotation,
)
from facerelief.train.systems.full_pose_networks import calm, counts  # noqa: E402


def told(count: int = 1, **parts: torch.Tensor) -> Coefficients:
    """An untrained network's answer but for `parts`."""
    zeros = {name: torch.zeros(count, width) for name, width in counts().items()}
    return calm(Coefficients(**{**zeros, **parts}))


def sample(size: int = 64) -> Sample:
    """A head that is turned and speaks, one that is nearer, and one of which nothing is known."""
    g = torch.Generator().manual_seed(1)
    count = 3
    true = told(
        count,
        identity=torch.randn(count, counts()["identity"], generator=g),
        expression=6 * torch.rand(count, counts()["expression"], generator=g),
        turn=torch.tensor([[0.0, 0, -0.4, 0, 0, 0]] * count),
        place=torch.tensor([[0.1, 0.0, 0.0, 0.0], [0.0, 0.1, 0.2, 2.0], [0.0, 0.0, 0.0, 0.0]]),
    )
    texels = true.camera(Points.at_texels(256)(true.identity, true.weights))
    seen = positions.resized(texels.mT.reshape(count, 3, 256, 256), size)
    known = torch.tensor([1.0, 1.0, 0.0])
    points = positions.points(seen)
    shapes = Shapes(seen, known, points, torch.zeros(*points.shape[:2], 2))
    albedo = torch.rand(count, 3, size, size, generator=g)
    distance = true.camera.distance
    heads = Heads(true.identity, true.weights, distance, albedo, known > 0)
    made = network_checks.sample(count, size)
    return replace(made, shapes=shapes, heads=heads, weak=torch.zeros(count, dtype=torch.bool))


def compact(**options) -> FullPose:
    torch.manual_seed(0)
    return build("full_pose", "compact", pretrained=False, **options)


def test_the_published_network() -> None:
    """VGG-16 as Simonyan and Zisserman count it, 138.4 M with 1000 classes, whose layer is ours."""
    system = build("full_pose", "paper")
    answers = sum(counts().values())
    classes = 4096 * 1000 + 1000
    assert network_checks.parameters(system) == 138_357_544 - classes + 4097 * answers
    assert network_checks.multiply_accumulates(system) == pytest.approx(15.347, abs=0.001)
    with torch.no_grad():
        assert system.network.encoder(torch.rand(1, 3, 224, 224)).shape == (1, 512, 7, 7)


def test_the_light_network_is_small_and_begins_with_the_mean_face() -> None:
    system = compact().eval()
    assert network_checks.parameters(system) < 6e6
    assert network_checks.multiply_accumulates(system) < 0.8
    with torch.no_grad():
        found = system(torch.rand(2, 3, 64, 64))
    assert len(found.earlier) == 2
    for one in (found.told, *found.earlier):
        assert one.identity.abs().max() < 1.5 and one.weights.max() < 0.2
        assert torch.allclose(one.camera.rotation, torch.eye(3).expand(2, 3, 3), atol=0.1)
        assert torch.allclose(one.harmonics[:, 0], torch.full((2, 3), np.sqrt(4 * np.pi)).float())
    marks = system.compared.seen(found.told)[0, :68, :2]
    low, high = marks.amin(0), marks.amax(0)
    assert (high - low).max() == pytest.approx(2 / 1.2, rel=0.1)  # about as crops are cut


def test_close_ups_show_eyes_and_mouth_in_every_pose() -> None:
    """Dots on a turned head's pupils and lips are in the middle of the close-ups, eyes mirrored."""
    given = told(2, turn=torch.tensor([[0.0, 0, 0, 0, 0, 0], [-0.2, 0.2, -0.6, 0, 0, 0]]))
    closeups = CloseUps()
    for spot, points, shift in zip(closeups.spots, closeups.points, (8, 8, -4), strict=True):
        assert spot.up == shift
        at = given.camera(points(given.identity, given.weights))[..., :2].mean(1)
        y, x = torch.meshgrid(*[(torch.arange(256) + 0.5) / 128 - 1] * 2, indexing="ij")
        off = (x - at[:, :1, None]).square() + (y - at[:, 1:, None]).square()
        image = torch.exp(-off / 0.001)[:, None].expand(-1, 3, -1, -1)
        cut = closeups.seen(image, given, spot, points)
        assert cut.mean((1, 2, 3)).abs().max() < 1e-5
        for one in cut:  # 32 samples a side, brows and lids above the eye's middle
            row, column = divmod(int(one[0].argmax()), 32)
            assert abs(row - 15.5 - shift / spot.side * 32) < 2 and abs(column - 15.5) < 2
    before = closeups(image, given)
    assert torch.allclose(before.expression, given.expression)  # untrained
    # A mirrored face has the mirrored expressions.
    torch.nn.init.normal_(closeups.told[-1].weight)
    cuts = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    closeups.eval()
    change, turned = closeups.change(cuts), closeups.change(cuts[:, [1, 0, 2]].flip(-1))
    assert torch.allclose(turned, change[:, mirror_order()], atol=1e-5)
    assert (turned - change).abs().mean() > 1e-3


def test_rare_expressions_are_learnt_from_weights_near_zero() -> None:
    """The slope in a logit is the difference of the weights, however calm the face is."""
    batch = sample()
    rare = told(3)
    logits = rare.expression.clone().requires_grad_()
    true = torch.full_like(batch.heads.expression, 0.8)
    batch = replace(batch, heads=replace(batch.heads, expression=true))
    loss = expression_loss(replace(rare, expression=logits), batch)
    loss.backward()
    assert logits.grad is not None
    expected = (rare.weights - 0.8) / 3 / 5
    assert torch.allclose(logits.grad[:2], expected[:2], atol=1e-6) and not logits.grad[2].any()
    exact = replace(rare, expression=torch.logit(true))
    assert expression_loss(exact, batch).abs() < 1e-6


def test_its_size_is_known_before_it_takes_memory() -> None:
    with torch.device("meta"):
        system = build("full_pose", "compact", pretrained=False)
    assert network_checks.parameters(system) == network_checks.parameters(compact())


def test_what_is_frozen_stays_as_it_is() -> None:
    system = compact(frozen=True).train()
    before = {k: v.clone() for k, v in system.network.maps.state_dict().items()}
    network_checks.train(system, sample(), 2)
    after = system.network.maps.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in system.parameters_of("estimator"))


def test_the_polar_factor_is_the_nearest_rotation() -> None:
    g = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(20, 3, 3, generator=g, dtype=torch.float64))
    turns = u @ v
    turns = turns * torch.linalg.det(turns)[:, None, None]
    stretched = 0.02 * turns @ torch.diag(torch.tensor([1.0, 0.7, 0.4], dtype=torch.float64))
    assert torch.allclose(polar(stretched), turns, atol=1e-6)


def test_a_map_of_a_face_is_fitted() -> None:
    g = torch.Generator().manual_seed(0)
    true = told(
        1, identity=torch.randn(1, 80, generator=g), turn=torch.tensor([[0.0, 0, -0.4, 0, 0, 0]]),
        place=torch.tensor([[0.1, 0.05, 0.1, -3.0]]),
    )  # fmt: skip
    seen = true.camera(Points.at_texels(64)(true.identity, true.weights))
    flat = seen.mT.reshape(1, 3, 64, 64)
    found, losses = Fit(64)(flat), compact().compared
    turn = found.camera.rotation[0] @ true.camera.rotation[0].mT
    assert turn.trace() > 1 + 2 * np.cos(np.radians(5))
    assert found.camera.scale[0] == pytest.approx(true.camera.scale[0].item(), rel=0.05)
    off, rest = ((one - true.identity).square() @ losses.energies[:80]
                 for one in (found.identity, 0 * true.identity))  # fmt: skip
    assert off.sqrt() < 0.6 * rest.sqrt()
    assert (found.weights < 0.3).float().mean() > 0.9
    # A face that is turned and moved has the same coefficients.
    turn = rotation(torch.tensor([[0.0, 0.3, 0, -0.3, 0, 0]]))[0] * 0.8
    points = (flat.flatten(2).mT * torch.tensor([1, -1, 1.0])) @ turn.T
    moved = (points * torch.tensor([1, -1, 1.0]) + 0.1).mT.view_as(flat)
    again = Fit(64)(moved)
    assert torch.allclose(again.identity, found.identity, atol=1e-3)
    assert again.camera.scale[0] == pytest.approx(0.8 * found.camera.scale[0].item(), rel=1e-4)


def test_points_are_the_models() -> None:
    g = np.random.default_rng(0)
    identity, weights = g.normal(size=(2, 80)).astype(np.float32), g.random((2, 52), np.float32)
    whole = face_model().vertices(identity, weights)
    chosen = Compared.of_face().vertices
    found = Points.at_vertices(chosen)(*map(torch.from_numpy, (identity, weights)))
    assert np.abs(found.numpy() - whole[:, chosen]).max() < 1e-3
    # What maps blur is blurred alike.
    texels = Points.at_texels(256)(*map(torch.from_numpy, (identity, weights)))
    whole = texels.mT.reshape(2, 3, 256, 256)
    for size, least in ((256, 0.05), (64, 0.5)):
        read = Compared.of_face().read(positions.resized(whole, size))
        again = Points.as_read(size)(*map(torch.from_numpy, (identity, weights)))
        assert (read - again).abs().max() < 1e-3
        assert (read - found).norm(dim=-1).mean() > least


def test_the_camera_is_a_pinhole() -> None:
    turn = torch.tensor([[0.0, 0.1, -0.5, 0.2, 0, 0]])
    camera = Camera(rotation(turn), torch.tensor([[0.2, -0.1]]), torch.tensor([0.011]),
                    torch.tensor([600.0]))  # fmt: skip
    matrix = camera.rotation[0].double().numpy()
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6) and np.linalg.det(matrix) > 0
    points = torch.randn(1, 50, 3, generator=torch.Generator().manual_seed(0)) * 60
    space = points[0].numpy() @ matrix.T + camera.translation[0].numpy()
    pinhole = Perspective(0.011 * 600, (0.0, 0.0)).project(space)
    found = camera(points)[0].numpy()
    assert np.allclose(found[:, :2], pinhole[:, :2], atol=1e-5)
    # z is nearness along the ray: the same for all that is as far from the origin along it.
    ray = camera.ray[0].numpy()
    assert np.allclose(ray, -camera.translation[0] / camera.translation[0].norm(), atol=1e-6)
    assert np.allclose(
        found[:, 2], 0.011 * (space - camera.translation[0].numpy()) @ ray, atol=1e-5
    )


def test_what_is_true_costs_little_and_what_nobody_knows_nothing() -> None:
    batch, system = sample(), compact()
    heads, shapes = batch.heads, batch.shapes
    right = Coefficients(
        heads.identity, torch.logit(heads.expression),
        torch.tensor([[0.0, 0, -0.4, 0, 0, 0]] * 3),
        told(3, place=torch.tensor([[0.1, 0, 0, 0], [0, 0.1, 0.2, 2], [0, 0, 0, 0]])).place,
        torch.zeros(3, 27), torch.zeros(3, counts()["albedo"]),
    )  # fmt: skip
    costs = system.taught(right, batch)
    wrong = system.taught(told(3), batch)
    for name in ("points", "landmarks", "shape", "expression", "distance"):
        assert costs[name] < 0.1 * wrong[name], name
    spoilt = replace(
        batch,
        shapes=replace(shapes, position=torch.cat([shapes.position[:2], shapes.position[2:] + 9])),
        heads=replace(heads, identity=torch.cat([heads.identity[:2], heads.identity[2:] + 9])),
    )
    again = system.taught(told(3), spoilt)
    assert all(torch.isclose(again[name], wrong[name]) for name in wrong)
    figures = system.metrics(batch, replace(system(batch.image), told=right))
    for name, values in figures.items():
        assert values[:2].max() < 0.5 and values[2].isnan(), (name, values)


def test_light_is_learnt_from_albedo_and_shading() -> None:
    batch, system = sample(), compact()
    light = told(3, light=torch.randn(3, 27, generator=torch.Generator().manual_seed(2)) * 0.3)
    flat = torch.zeros(3, 3, 64, 64)
    flat[:, 2] = 1
    normals = torch.nn.functional.normalize(flat + 0.1, dim=1)
    albedo = torch.full((3, 3, 64, 64), 0.5)
    lit = shade_sh(normals.permute(0, 2, 3, 1), light.harmonics).permute(0, 3, 1, 2)
    image = to_values(lit * 0.5**2.2)
    made = replace(batch, image=image, normals=normals, heads=replace(batch.heads, albedo=albedo))
    assert system.taught(light, made)["light"] < 1e-4 < system.taught(told(3), made)["light"]


def test_albedo_is_learnt_where_it_is_seen() -> None:
    batch, system = sample(), compact()
    plain = torch.zeros(3, 3, 64, 64)
    plain[:] = torch.tensor([0.8, 0.6, 0.5]).view(1, 3, 1, 1)
    batch = replace(batch, heads=replace(batch.heads, albedo=plain))
    first = system.taught(told(3), batch)["albedo"]
    albedo = torch.zeros(3, counts()["albedo"], requires_grad=True)
    optimizer = torch.optim.Adam([albedo], 0.1)
    for _ in range(30):
        loss = system.taught(told(3, albedo=albedo), batch)["albedo"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * first
    assert not albedo[2].any()  # of the third nothing is known
    hidden = replace(batch, normals_mask=torch.zeros_like(batch.normals_mask))
    assert system.taught(told(3), hidden)["albedo"] == 0


@pytest.mark.parametrize(
    ("preset", "steps", "rate", "left"), [("paper", 5, 5e-5, 0.995), ("compact", 12, 1e-3, 0.8)]
)
def test_learns_coefficients(preset: str, steps: int, rate: float, left: float) -> None:
    torch.manual_seed(0)
    options = {} if preset == "paper" else {"pretrained": False}
    system, batch = build("full_pose", preset, **options), sample()
    losses = network_checks.train(system, batch, steps, rate)
    assert losses[-1] < left * losses[0]


def photos(size: int = 64) -> Sample:
    """The heads of `sample` as photographs of which landmarks are known, and no coefficients."""
    made = sample(size).first(2)
    points = made.shapes.points_known.clone()
    points[:, :68, 0] = 1
    shapes = replace(made.shapes, known=torch.zeros(2), points_known=points)
    return replace(made, shapes=shapes, heads=blank(2, size))


def test_the_published_pose_sets() -> None:
    first, second = SETS["set1"], SETS["set2"]
    assert len(first) == 26 and len(second) == 9
    assert sorted(first.yaw) == sorted(-a for a in first.yaw) and not any(first.pitch)
    assert min(map(abs, first.yaw)) == 60 and max(map(abs, first.yaw)) == 90
    assert len(set(zip(second.yaw, second.pitch, strict=True))) == 9
    for index in (2, 3, 4):  # as printed
        assert second.yaw[index] == -45
    for index in (0, 1, 5):
        assert second.yaw[index] == 0
    assert [second.pitch[i] for i in (1, 2, 8)] == [45] * 3
    assert [second.pitch[i] for i in (0, 3, 7)] == [0] * 3
    for turn, yaw, pitch in zip(second.rotations, second.yaw, second.pitch, strict=True):
        angles = Similarity(1.0, turn.double().numpy(), np.zeros(3)).angles
        assert np.allclose(angles, (yaw, pitch, 0), atol=1e-3)
    assert len(first.some(4)) == 4 and first.some(0) is first


def test_turned_faces_fill_their_pictures() -> None:
    pictures, poses = Pictures(), SETS["set2"]
    faces = told(2, place=torch.tensor([[0.3, 0.1, 0.4, 1.0], [0.0, 0.0, -0.5, -1.0]]))
    drawn = pictures.turned(faces, poses, 48)
    assert drawn.shape == (18, 3, 48, 48) and drawn.min() >= 0 and drawn.max() <= 1
    covered = (drawn.amax(1) > 0).float().mean((1, 2))
    assert (covered > 0.3).all()
    frontal = drawn[0]
    assert (frontal - frontal.flip(-1)).abs().mean() < 0.05 < (drawn[6] - frontal).abs().mean()
    # Mirrored poses are mirrored pictures: 3 and 7, of the first face.
    assert (drawn[6] - drawn[14].flip(-1)).abs().mean() < 0.05


def test_coefficients_are_added_up_or_averaged() -> None:
    one, many = told(2, identity=torch.ones(2, 80)), told(6, identity=torch.full((6, 80), 5.0))
    assert torch.allclose(combined(one, many, "sum")[0], torch.full((2, 80), 16.0))
    assert torch.allclose(combined(one, many, "mean")[0], torch.full((2, 80), 4.0))
    identity, weights = combined(one, one, "mean")
    assert torch.allclose(identity, one.identity) and torch.allclose(weights, one.weights)
    order = told(2, identity=torch.tensor([[1.0], [2.0]]).expand(2, 80))
    views = told(4, identity=torch.tensor([[3.0], [4.0], [5.0], [6.0]]).expand(4, 80))
    assert combined(order, views, "sum")[0][:, 0].tolist() == [9, 12]  # each face with its own


@pytest.mark.parametrize("augment", ["none", "set2"])
def test_photographs_teach(augment: str) -> None:
    system = compact(photos={}, augment=augment, views=2)
    batch = photos()
    norms = [m.running_mean.clone() for m in system.modules() if hasattr(m, "running_mean")]
    losses = network_checks.train(system, batch, 10)
    assert losses[-1] < losses[0]
    again = [m.running_mean for m in system.modules() if hasattr(m, "running_mean")]
    assert all(torch.equal(a, b) for a, b in zip(norms, again, strict=True))
    assert not any("features" in name for name in system.state_dict())
    both = concatenate([sample(), replace(batch, heads=blank(2, 64))])
    assert {"points", "photo"} <= set(network_checks.terms_of(system, both))


def test_a_photo_of_the_estimate_itself_costs_nothing() -> None:
    system = compact(photos={})
    faces = told(2, albedo=torch.randn(2, counts()["albedo"]) * 0.5)
    losses = system.pictured
    picture, drawing = losses.pictures(faces, faces.identity, faces.weights, 64)
    batch = replace(photos(), image=picture.detach())
    terms = losses(faces, faces.identity, faces.weights, batch, system.compared)
    assert terms["photo"] < 2e-3 and terms["features"] < 1e-4
    darker = replace(batch, image=0.5 * batch.image)
    worse = losses(faces, faces.identity, faces.weights, darker, system.compared)
    assert worse["photo"] > 0.1
    assert drawing.shows(losses.pictures.skin).float().mean() > 0.2
