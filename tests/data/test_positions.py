"""UV position maps: what counts in them, and that they move with their pictures."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.data import augment, positions  # noqa: E402
from facerelief.data.renderings import Renderings  # noqa: E402
from facerelief.data.sample import Sample, concatenate  # noqa: E402
from facerelief.geometry.head import builtin_head  # noqa: E402
from facerelief.samples.files import to_files  # noqa: E402
from facerelief.samples.shards import SampleFolders  # noqa: E402
from facerelief.synth.assets import Assets  # noqa: E402
from facerelief.synth.draw import SynthOptions  # noqa: E402
from facerelief.synth.produce import random_heads  # noqa: E402
from facerelief.synth.setting.camera import PoseRange  # noqa: E402

STILL = augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0, flip=0)
#: Of the 68 landmarks, the one that each becomes in a mirrored face.
MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three heads of which everything is known."""
    path = tmp_path_factory.mktemp("heads")
    options = SynthOptions(occluders=False, lifted=False, pose=PoseRange(yaw=60), margin=1.2)
    make = random_heads(Assets(None), options, 7, "torch", 0)
    shards = SampleFolders(path)
    for shard in shards.pending(3):
        shards.write(shard, [to_files(make(index)) for index in shard])
    return path


def batch(folder: Path, warp: augment.WarpRange, size: int = 256) -> Sample:
    source = Renderings(folder, margin=1.2, warp=warp, framed=0, occluded=0, positions=True)
    return source.batch(12, size, torch.Generator().manual_seed(3))


def drawn(folder: Path) -> tuple[torch.Tensor, Renderings]:
    """The landmarks (12, 68, 2) of the heads that `batch` draws, half sides of their pictures."""
    source = Renderings(folder, margin=1.2)
    places = torch.randint(3, (12,), generator=torch.Generator().manual_seed(3)).tolist()
    marks = np.stack([source.reader[place].landmarks[:, :2] for place in places])
    return (torch.from_numpy(marks) - 128) / (128 / 1.2), source


def test_what_is_known_of_the_face_counts_most() -> None:
    mask = positions.weight_mask(256)[0, 0].numpy()
    assert set(np.unique(mask)) == {0, 3, 4, 16}
    assert 60 <= np.count_nonzero(mask == 16) <= 68 * 4
    head, layout = builtin_head(1), positions.layout(256)
    of_vertices = layout.read(np.where(layout.mask, mask, np.nan)[..., None])[:, 0]
    assert of_vertices[head.regions["neck"] & ~head.regions["jaw"]].mean() < 0.5
    assert of_vertices[head.regions["nose"]].mean() > 3.5
    assert of_vertices[head.landmarks].min() > 3
    whole = positions.weight_mask(256, rest=0.5)[0, 0].numpy()
    assert np.array_equal(whole[mask > 0], mask[mask > 0])
    assert set(np.unique(whole[mask == 0])) == {0, 0.5}
    assert (whole[~layout.mask] == 0).all()


@pytest.mark.parametrize("size", [128, 256])
def test_the_mean_head_fills_its_crop(size: int) -> None:
    points = positions.landmarks(positions.mean_head(size))[0]
    low, high = points[:, :2].amin(0), points[:, :2].amax(0)
    assert torch.allclose((high - low).max() / 2, torch.tensor(1 / 1.2), atol=0.01)
    assert (high + low).abs().max() < 0.02
    assert points[8, 1] > points[30, 1] > points[27, 1]  # y down
    assert points[30, 2] == points[:, 2].max()  # the tip of the nose is nearest
    # Half of a symmetric face.
    mirrored = points[MIRRORED] * torch.tensor([-1.0, 1, 1])
    assert torch.allclose(mirrored, points, atol=0.01)


def test_landmarks_of_renderings_are_where_the_renderer_put_them(folder: Path) -> None:
    found = batch(folder, STILL)
    true, _ = drawn(folder)
    off = positions.landmarks(found.shapes.position)[..., :2] - true
    assert off.norm(dim=-1).mean() < 0.005 and off.norm(dim=-1).max() < 0.05
    small = batch(folder, STILL, 128)
    off = positions.landmarks(small.shapes.position)[..., :2] - true
    assert off.norm(dim=-1).mean() < 0.012


def test_maps_of_mirrored_pictures_are_mirrored(folder: Path) -> None:
    found = batch(folder, augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0, flip=1))
    true, _ = drawn(folder)
    mirrored = true[:, MIRRORED] * torch.tensor([-1.0, 1.0])
    off = (positions.landmarks(found.shapes.position)[..., :2] - mirrored).norm(dim=-1)
    assert off.mean() < 0.005 and off.max() < 0.06


def test_maps_move_with_their_pictures() -> None:
    """A bright dot in the picture stays under the texel that says where it is."""
    g = torch.Generator().manual_seed(1)
    ranges = augment.WarpRange(rotation=18, log_scale=0.1, shift=0.05, stretch=0.05, flip=0)
    warp = augment.random_warp(8, 1.0, 64, ranges, g)
    x, y = 12.5, -9.5  # pixels from the middle of 64
    picture = torch.zeros(8, 1, 64, 64)
    picture[:, :, int(32 + y) - 1 : int(32 + y) + 2, int(32 + x) - 1 : int(32 + x) + 2] = 1
    moved = warp.apply(picture, 64)[:, 0]
    position = torch.tensor([x, y, 5.0]).view(1, 3, 1, 1).expand(8, 3, 4, 4)
    known = positions.shapes(warp, 64, position).position
    assert known.shape == (8, 3, 64, 64)
    found = known[:, :, 0, 0]
    axis = torch.arange(64) + 0.5
    total = moved.sum((1, 2))
    seen = torch.stack([(moved.sum(1) * axis).sum(1), (moved.sum(2) * axis).sum(1)], 1)
    assert ((seen / total[:, None] - 32) / 32 - found[:, :2]).abs().max() < 0.01
    # A surface keeps its proportions: depth grows as the picture does.
    grown = torch.linalg.det(warp.matrix).abs().rsqrt()
    assert torch.allclose(found[:, 2] * 32, 5 * grown, rtol=1e-4)


def test_batches_with_and_without_maps_are_not_mixed(folder: Path) -> None:
    found = batch(folder, STILL, 64)
    twice = concatenate([found, found])
    assert len(twice) == 24 and twice.shapes.position.shape == (24, 3, 64, 64)
    assert len(found.first(5).shapes.known) == 5
    some = found.chosen(torch.arange(12) < 2)
    assert torch.equal(some.shapes.position, found.shapes.position[:2])
    without = Renderings(folder, margin=1.2).batch(2, 64, torch.Generator())
    assert without.shapes is None
    with pytest.raises(ValueError, match="option positions"):
        concatenate([found, without])


def test_points_move_with_their_pictures_and_change_sides_with_them() -> None:
    g = torch.Generator().manual_seed(2)
    warp = augment.random_warp(20, 1.0, 64, augment.WarpRange(rotation=18, flip=0.5), g)
    mirrored = torch.linalg.det(warp.matrix) < 0
    assert mirrored.any() and not mirrored.all()
    mean = positions.mean_head(64).expand(20, -1, -1, -1) * 20
    points = positions.points(mean)
    weights = torch.rand(points.shape[1], 2, generator=g).expand(20, -1, -1)
    known = positions.shapes(warp, 64, mean, points=points, points_known=weights)
    assert (positions.points(known.position) - known.points).abs().max() < 0.02
    order = positions.mirrored_points()
    assert order[:68].tolist() == MIRRORED and torch.equal(order[order], torch.arange(len(order)))
    assert torch.equal(known.points_known[mirrored][0], weights[0, order])
    assert torch.equal(known.points_known[~mirrored][0], weights[0])
    alone = positions.shapes(warp, 64, points=points, points_known=weights)
    assert torch.equal(alone.points, known.points) and not alone.known.any()
    assert not positions.shapes(warp, 64, mean).points_known.any()
