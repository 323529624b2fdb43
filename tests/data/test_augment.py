"""What moves pixels moves normals: a sphere stays the surface that its normals say."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from facerelief.data import augment  # noqa: E402
from facerelief.data.sample import Sample  # noqa: E402
from facerelief.nn.losses import angle  # noqa: E402

SIZE = 128


def sphere(count: int, radius: float = 40.0, size: int = SIZE) -> torch.Tensor:
    """(count, 4, size, size): normals of a centred sphere, and its mask."""
    axis = torch.arange(size) + 0.5 - size / 2
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    inside = x**2 + y**2 < radius**2
    z = (radius**2 - x**2 - y**2).clamp_min(0).sqrt()
    normals = torch.stack([x, y, z]) / radius * inside
    return torch.cat([normals, inside[None].float()]).expand(count, -1, -1, -1)


def ellipsoid_normals(warp: augment.Warp, radius: float = 40.0) -> torch.Tensor:
    """The slow twin: numeric normals of the warped depth map z' = s z(M x')."""
    grid = warp.grid(SIZE, SIZE, SIZE) * SIZE / 2  # input offsets, y down
    scale = torch.linalg.det(warp.matrix).abs().rsqrt() * warp.relief
    depth = (radius**2 - grid.square().sum(-1)).clamp_min(1e-3).sqrt() * scale[:, None, None]
    dzdx = (depth[:, 1:-1, 2:] - depth[:, 1:-1, :-2]) / 2
    dzdy = (depth[:, :-2, 1:-1] - depth[:, 2:, 1:-1]) / 2
    normals = torch.stack([-dzdx, -dzdy, torch.ones_like(dzdx)], 1)
    return torch.nn.functional.normalize(normals, dim=1)


@pytest.mark.parametrize(
    "ranges",
    [
        augment.WarpRange(rotation=90, log_scale=0, shift=0, stretch=0, flip=0),
        augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0, flip=1),
        augment.WarpRange(rotation=0, log_scale=0.3, shift=0.1, stretch=0, flip=0),
        augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0.5, flip=0),
        augment.WarpRange(rotation=30, log_scale=0.2, shift=0.05, stretch=0.3, relief=0.2),
        augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0, zoom=2.0),
    ],
)
def test_warped_normals_are_those_of_the_warped_surface(ranges: augment.WarpRange) -> None:
    g = torch.Generator().manual_seed(3)
    warp = augment.random_warp(8, 1.0, SIZE, ranges, g)
    moved = warp.apply(sphere(8), SIZE)
    normals = warp.normals(moved[:, :3])[:, :, 1:-1, 1:-1]
    truth = ellipsoid_normals(warp)
    # Away from the rim, where the finite differences and the bilinear filter are both exact.
    inner = (moved[:, 3:, 1:-1, 1:-1] > 0.999) & (moved[:, 2:3, 1:-1, 1:-1] > 0.5)
    assert inner.sum() > 1000
    error = torch.rad2deg(angle(normals, truth))[inner]
    assert error.mean() < 0.5
    assert error.max() < 4


def test_a_mirrored_sphere_needs_its_normals_mirrored() -> None:
    g = torch.Generator().manual_seed(0)
    ranges = augment.WarpRange(rotation=0, log_scale=0, shift=0, stretch=0, flip=1)
    warp = augment.random_warp(1, 1.0, SIZE, ranges, g)
    moved = warp.apply(sphere(1), SIZE)[:, :3]
    assert torch.allclose(warp.normals(moved), sphere(1)[:, :3], atol=1e-4)
    assert not torch.allclose(moved, sphere(1)[:, :3], atol=0.1)


def test_occluders_hide_truth_and_face() -> None:
    full = sphere(16)
    mask = full[:, 3:]
    sample = Sample(
        image=torch.full((16, 3, SIZE, SIZE), 0.5),
        normals=full[:, :3],
        normals_mask=mask,
        face_mask=mask,
        face_known=torch.zeros_like(mask),
        weak=torch.zeros(16, dtype=torch.bool),
        pictured=torch.ones(16, dtype=torch.bool),
        estimated=torch.zeros(16, dtype=torch.bool),
    )
    textures = torch.ones(1, 3, SIZE, SIZE)
    out = augment.occlude(sample, 1.0, textures, torch.Generator().manual_seed(1))
    hidden = out.face_known > 0
    assert hidden.flatten(1).any(1).sum() >= 12
    assert out.normals_mask[hidden].max() == 0
    assert out.face_mask[hidden].max() == 0
    visible = ~hidden
    assert torch.equal(out.image[visible.expand(-1, 3, -1, -1)],
                       sample.image[visible.expand(-1, 3, -1, -1)])  # fmt: skip
    assert torch.equal(out.normals_mask[visible], sample.normals_mask[visible])


def test_photometric_changes_stay_in_range_and_repeat_with_the_seed() -> None:
    image = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    a, b, c = (
        augment.photometric(image, augment.PhotometricRange(), torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    )
    assert a.min() >= 0 and a.max() <= 1
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_grey_photographs_have_equal_channels() -> None:
    image = torch.rand(4, 3, 64, 64)
    ranges = augment.PhotometricRange(grey=1.0, jpeg=0.0)
    out = augment.photometric(image, ranges, torch.Generator().manual_seed(0))
    assert torch.equal(out[:, 0], out[:, 1]) and torch.equal(out[:, 0], out[:, 2])


def test_beyond_the_edge_of_a_photo_is_no_face() -> None:
    count = 64
    surface = sphere(count, radius=60)
    ones = torch.ones(count, 1, SIZE, SIZE)
    mask = surface[:, 3:]
    some, none = torch.ones(count).bool(), torch.zeros(count).bool()
    full = Sample(ones.expand(-1, 3, -1, -1), surface[:, :3], mask, mask, ones, none, some, none)
    g = torch.Generator().manual_seed(0)
    framed = augment.frame(full, 0.5, g)
    black = framed.image[:, :1] == 0
    assert not (framed.face_mask * black).any() and not (framed.normals * black).any()
    assert torch.equal(framed.face_known, ones)
    # What is left is a rectangle, and at least three fifths of each side.
    rows, columns = ~black.all(3)[:, 0], ~black.all(2)[:, 0]
    assert torch.equal(~black[:, 0], rows[:, :, None] & columns[:, None])
    assert rows.sum(1).min() > 0.6 * SIZE and columns.sum(1).min() > 0.6 * SIZE
    touched = black.flatten(1).any(1)
    assert 0.25 < touched.float().mean() < 0.65
    assert torch.equal(augment.frame(full, 0.0, g).image, full.image)


def test_limits_that_are_drawn_evenly() -> None:
    """PRNet, section 3.3: up to 45 degrees, a tenth of the side, 0.9 to 1.2 times as large."""
    ranges = augment.WarpRange(
        rotation=45, shift=0.1, even=True, scales=(0.9, 1.2), stretch=0, flip=0
    )
    warp = augment.random_warp(4000, 1.0, 64, ranges, torch.Generator().manual_seed(0))
    angle = torch.rad2deg(torch.atan2(warp.matrix[:, 1, 0], warp.matrix[:, 0, 0]))
    scale = torch.linalg.det(warp.matrix).rsqrt()
    for values, low, high in (
        (angle, -45, 45), (scale, 0.9, 1.2), (warp.offset, -6.4, 6.4)
    ):  # fmt: skip
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high >= values.max() > high - 0.02 * (high - low)
        assert abs(values.mean() - (low + high) / 2) < 0.03 * (high - low)


def test_colours_can_be_scaled_one_by_one() -> None:
    ranges = replace(augment.NO_PHOTOMETRIC, channels=(0.6, 1.4))
    image = torch.full((500, 3, 8, 8), 0.5)
    found = augment.photometric(image, ranges, torch.Generator().manual_seed(0))[..., 0, 0]
    assert 0.3 <= found.min() < 0.31 and 0.69 < found.max() <= 0.701
    assert (found.amax(1) - found.amin(1)).mean() > 0.1


def test_noise_has_grains_of_every_size() -> None:
    noise = augment.noise_textures(60, 64, torch.Generator().manual_seed(0))
    assert noise.shape == (60, 3, 64, 64) and noise.min() >= 0 and noise.max() <= 1
    rough = (noise[..., 1:] - noise[..., :-1]).abs().mean((1, 2, 3))
    assert rough.max() > 0.3 and rough.min() < 0.03


def test_a_linear_picture_is_that_of_a_camera() -> None:
    image = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    ranges = replace(augment.NO_PHOTOMETRIC, linear=1.0)
    out = augment.photometric(image, ranges, torch.Generator().manual_seed(0))
    torch.testing.assert_close(out, image.clamp_min(1e-4) ** 2.2)
    some = augment.photometric(image, replace(ranges, linear=0.5), torch.Generator().manual_seed(0))
    changed = (some - image).abs().amax((1, 2, 3)) > 1e-3
    assert 0 < int(changed.sum()) < len(image)
