"""Faces laid out for training: what is kept of rendered heads and photographs, and mirrored."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facerelief.data import laid_faces  # noqa: E402
from facerelief.data.laid_faces import LaidRenderings, _Maps  # noqa: E402
from facerelief.data.sources import build_source, build_validation  # noqa: E402
from facerelief.render.shading import shade_sh  # noqa: E402


@pytest.fixture
def maps(tmp_path: Path) -> _Maps:
    """Two random faces, and one of which nothing is seen."""
    g = np.random.default_rng(0)
    side = laid_faces._TEXELS

    def row(seen: float) -> dict[str, np.ndarray]:
        return {
            "photo": g.integers(0, 256, (side, side, 3)).astype(np.uint8),
            "rendering": g.integers(0, 256, (side, side, 3)).astype(np.uint8),
            "slopes": g.integers(-127, 128, (side, side, 2)).astype(np.int8),
            "visible": np.full((side, side), 255 * seen, np.uint8),
            "position": g.integers(-20000, 20000, (side, side, 3)).astype(np.int16),
            "normals": np.full((side, side, 3), (0, 90, 90), np.int8),
            "light": g.normal(size=(9, 3)).astype(np.float32),
            "relief": g.integers(-60, 60, (side, side, 3)).astype(np.int8),
        }

    return _Maps(tmp_path, "renderings_test", (row(s) for s in (1.0, 0.0, 1.0)), 3)


def test_what_no_picture_shows_is_not_drawn(maps: _Maps) -> None:
    assert maps.chosen.tolist() == [0, 2]


def test_a_mirror_turns_everything_that_has_a_direction(maps: _Maps) -> None:
    index = np.array([0, 2])
    plain, turned = (maps.samples(index, 256, torch.tensor([m, m])) for m in (False, True))
    assert plain.image.shape == (2, 9, 256, 256)
    sides = torch.tensor([1, 1, 1, 1, 1, 1, -1, 1, 1]).view(-1, 1, 1)
    torch.testing.assert_close(turned.image, sides * plain.image.flip(-1))
    across = torch.tensor([-1, 1, 1]).view(-1, 1, 1)
    ours, theirs = turned.need_layouts(), plain.need_layouts()
    for name in ("position", "normals"):
        torch.testing.assert_close(getattr(ours, name), across * getattr(theirs, name).flip(-1))
    torch.testing.assert_close(turned.normals, across * plain.normals.flip(-1))
    # The light is that of the mirrored scene: normals there are lit as they were.
    lit = [
        shade_sh(one.normals.movedim(1, -1), one.light) for one in (ours, theirs)
    ]  # (2, S, S, 3)
    torch.testing.assert_close(lit[0], lit[1].flip(2))


def test_a_smaller_map_has_gentler_slopes_a_texel(maps: _Maps) -> None:
    index, none = np.array([0]), torch.tensor([False])
    large, small = (maps.samples(index, size, none) for size in (256, 128))
    pooled = torch.nn.functional.avg_pool2d(large.image, 2)
    torch.testing.assert_close(small.image[:, :6], pooled[:, :6])
    torch.testing.assert_close(small.image[:, 6:8], pooled[:, 6:8] / 2)


def test_true_relief_is_known_where_it_is_seen(maps: _Maps) -> None:
    sample = maps.batch(4, 256, torch.Generator().manual_seed(0))
    assert len(sample) == 4 and not sample.weak.any() and (sample.normals_mask == 1).all()
    lengths = sample.normals.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    again = maps.batch(4, 256, torch.Generator().manual_seed(0))
    torch.testing.assert_close(sample.image, again.image)


def test_folders_without_heads_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="facerelief synth"):
        LaidRenderings(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="one of additive_light, laid_photos, laid_renderings"):
        build_source("laid", {})
    with pytest.raises(ValueError, match="one of laid_photos, laid_renderings, renderings, yaleb"):
        build_validation("laid", 256, 4, {})
