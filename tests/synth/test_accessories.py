"""What heads wear: that it is sound, sits where it belongs and follows the head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.mesh import check_mesh
from facerelief.geometry.raster import rasterise
from facerelief.render.scene import Part
from facerelief.synth.accessories import Accessories, Chances
from facerelief.synth.hair.beards import STYLES as BEARDS
from facerelief.synth.hair.strands import draw_colour
from facerelief.synth.hair.styles import STYLES
from facerelief.synth.worn.hats import KINDS

ALL = Chances(bald=0, beard=1, hat=1, glasses=1, brows=1, lashes=1)
NONE = Chances(bald=1, beard=0, hat=0, glasses=0, brows=0, lashes=0)


@pytest.fixture(scope="module")
def head() -> BuiltinHead:
    return builtin_head()


@pytest.fixture(scope="module")
def plain(head) -> Accessories:
    return Accessories(head)


def someone(head: BuiltinHead, seed: int, **expression: float) -> np.ndarray:
    g = np.random.default_rng(seed)
    weights = head.expression_weights(**expression)
    return head.vertices(g.normal(0, 0.8, len(head.identity)), weights)


def check_part(part: Part) -> None:
    check_mesh(part.vertices, part.triangles)
    assert part.vertices.dtype == part.uv.dtype == np.float32
    assert part.triangles.dtype == part.uv_triangles.dtype == np.int32
    assert part.uv_triangles.shape == part.triangles.shape
    assert part.uv_triangles.min() >= 0 and part.uv_triangles.max() < len(part.uv)
    assert part.uv.min() >= 0 and part.uv.max() <= 1
    texture = part.material.texture
    assert texture.dtype == np.uint8 and texture.ndim == 3 and texture.shape[2] == 4
    assert 0 < part.material.roughness < 1 and 0 <= part.material.specular <= 1


def opacity(part: Part, size: int, axes: tuple[int, int, int], signs: tuple[int, int, int]):
    """Alpha and depth (size, size) of a part seen along an axis; 1 pixel is 2 mm, 0 is midway."""
    across, down, depth = (part.vertices[:, a] * s for a, s in zip(axes, signs, strict=True))
    points = np.stack([across / 2 + size / 2, down / 2 + size / 2, depth], axis=1)
    raster = rasterise(points, part.triangles, (size, size))
    seen = raster.mask
    uv = part.uv[part.uv_triangles[raster.triangle[seen]]]
    u, v = np.einsum("pc,pcd->pd", raster.barycentrics[seen], uv).T
    height, width = part.material.texture.shape[:2]
    row = ((1 - v) * height).astype(int).clip(0, height - 1)
    column = (u * width).astype(int).clip(0, width - 1)
    alpha = np.zeros((size, size))
    alpha[seen] = part.material.texture[row, column, 3] / 255
    return alpha, raster.depth


@pytest.mark.parametrize("seed", range(6))
def test_parts_are_sound(head, plain, seed):
    parts = plain.draw(np.random.default_rng(seed), someone(head, seed, jawOpen=0.4), chances=ALL)
    assert {"eye", "teeth", "lash", "hat", "glasses"} <= {part.kind for part in parts}
    for part in parts:
        check_part(part)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_hair_style_covers_the_crown_and_leaves_the_eyes_free(head, plain, style):
    vertices = someone(head, 3)
    g = np.random.default_rng(0)
    part = plain._cap.draw(g, vertices, draw_colour(g), style)
    check_part(part)
    above, _ = opacity(part, 256, (0, 2, 1), (1, 1, 1))
    middle = plain._grid.centre(vertices)
    away = np.hypot(*(vertices - middle)[:, [0, 2]].T)
    crown = head.regions["scalp"] & (vertices[:, 1] > middle[1]) & (away < 50)
    column, row = (vertices[crown][:, [0, 2]] / 2 + 128).astype(int).T
    assert above[row, column].mean() > 0.99
    before, depth = opacity(part, 128, (0, 1, 2), (1, -1, 1))
    for name in ("eye_left", "eye_right"):
        x, y, z = vertices[head.regions[name]].mean(axis=0)
        row, column = int(64 - y / 2), int(64 + x / 2)
        assert before[row, column] < 0.5 or depth[row, column] < z


@pytest.mark.parametrize("kind", KINDS)
def test_every_hat_is_sound_and_leaves_the_face_free(head, plain, kind):
    vertices = someone(head, 4)
    parts, covers = plain._hats.draw(np.random.default_rng(1), vertices, kind)
    assert covers == (kind == "scarf")
    for part in parts:
        check_part(part)
        alpha, depth = opacity(part, 128, (0, 1, 2), (1, -1, 1))
        for x, y, z in vertices[head.landmarks[[30, 36, 45, 51]]]:
            row, column = int(64 - y / 2), int(64 + x / 2)
            assert alpha[row, column] < 0.5 or depth[row, column] < z
    if kind != "band":
        assert max(part.vertices[:, 1].max() for part in parts) > vertices[:, 1].max() + 3


@pytest.mark.parametrize("style", BEARDS)
def test_every_beard_is_sound_and_lies_on_the_lower_face(head, plain, style):
    vertices = someone(head, 5, jawOpen=0.5)
    g = np.random.default_rng(2)
    part = plain._beards.draw(g, vertices, draw_colour(g), style)
    check_part(part)
    texture = part.material.texture[..., 3]
    opaque = texture[
        ((1 - part.uv[:, 1]) * texture.shape[0]).astype(int).clip(0, texture.shape[0] - 1),
        (part.uv[:, 0] * texture.shape[1]).astype(int).clip(0, texture.shape[1] - 1),
    ]
    grown = part.vertices[opaque > 128]
    assert len(grown) > 20
    assert grown[:, 1].max() < vertices[head.regions["eye_left"]][:, 1].mean()
    if style != "full":
        lips = vertices[head.landmarks[48:60]]
        assert np.linalg.norm(grown - lips.mean(axis=0), axis=1).min() < 60


def test_everything_moves_with_the_head(head, plain):
    vertices = someone(head, 6)
    shift = np.array([12, -7, 30], np.float32)
    moved = vertices + shift
    before = plain.draw(np.random.default_rng(9), vertices, chances=ALL)
    after = plain.draw(np.random.default_rng(9), moved, chances=ALL)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other.vertices - one.vertices - shift, 0, atol=0.02)


def test_everything_grows_with_the_head(head, plain):
    vertices = someone(head, 7)
    before = plain.draw(np.random.default_rng(9), vertices, chances=ALL)
    after = plain.draw(np.random.default_rng(9), 1.15 * vertices, chances=ALL)
    for one, other in zip(before, after, strict=True):
        # How thick cloth and hair are does not grow; where they lie does.
        error = np.linalg.norm(other.vertices - 1.15 * one.vertices, axis=1)
        assert np.median(error) < 6, one.kind


def test_hair_stays_off_the_scalp_of_very_different_heads(head, plain):
    g = np.random.default_rng(0)
    buzz = STYLES[0]
    for seed in range(4):
        vertices = head.vertices(np.random.default_rng(seed).normal(0, 1.5, len(head.identity)))
        part = plain._cap.draw(g, vertices, draw_colour(g), buzz)
        grid = plain._grid(vertices)
        centre = plain._grid.centre(vertices)
        height = np.linalg.norm(part.vertices - centre, axis=1) - np.linalg.norm(
            grid.reshape(-1, 3) - centre, axis=1
        )
        assert height.min() > 0.5 and height.max() < 5


def test_the_same_seed_gives_the_same_bytes(head, plain):
    vertices = someone(head, 8)
    one, other = (plain.draw(np.random.default_rng(5), vertices, chances=ALL) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert a.vertices.tobytes() == b.vertices.tobytes()
        assert a.material.texture.tobytes() == b.material.texture.tobytes()


def test_a_hat_changes_no_eyes(head, plain):
    one, other = (plain.draw(np.random.default_rng(5), head.mean, chances=c) for c in (ALL, NONE))
    assert one[0].material.texture.tobytes() == other[0].material.texture.tobytes()
    assert [part.kind for part in other] == ["eye", "teeth"]


def test_bearded_heads_seldom_have_long_hair(head, plain):
    lowest = []
    for seed in range(40):
        parts = plain.draw(
            np.random.default_rng(seed), head.mean, chances=replace(NONE, bald=0, beard=1)
        )
        hair = [part for part in parts if part.kind == "hair"]
        assert len(hair) == 2
        lowest.append(hair[0].vertices[np.unique(hair[0].triangles), 1].min())
    assert np.mean(np.array(lowest) < -160) < 0.3  # 2 styles of 7 are long


def test_bad_input_is_named(head, plain, tmp_path):
    g = np.random.default_rng(0)
    with pytest.raises(ValueError, match="vertices must be"):
        plain.draw(g, head.mean[:-1])
    with pytest.raises(ValueError, match="beard must be 0 to 1"):
        Chances(beard=1.5)
    with pytest.raises(FileNotFoundError, match=r"no folder.*makehuman"):
        Accessories(head, tmp_path / "absent")
    with pytest.raises(ValueError, match="lacks the 68 landmarks"):
        Accessories(replace(head, landmarks=None))
    regions = {name: mask for name, mask in head.regions.items() if name != "scalp"}
    with pytest.raises(ValueError, match="lacks scalp"):
        Accessories(replace(head, regions=regions))


def test_a_folder_without_these_assets_is_as_none_and_all_is_repeatable(head, plain, tmp_path):
    parts = Accessories(head, tmp_path).draw(np.random.default_rng(5), head.mean, chances=ALL)
    expected = plain.draw(np.random.default_rng(5), head.mean, chances=ALL)
    assert [p.vertices.tobytes() for p in parts] == [p.vertices.tobytes() for p in expected]


def test_with_assets_everything_is_used(head, data_root: Path):
    dressed = Accessories(head, data_root)
    assert len(dressed._brows) == 12 and len(dressed._lashes) == 4 and len(dressed._meshes) == 9
    vertices = someone(head, 11, eyeBlinkLeft=1.0)
    for seed in range(8):
        chances = replace(ALL, hat=0, beard=0, mesh_hair=1)
        parts = dressed.draw(np.random.default_rng(seed), vertices, chances=chances)
        assert sorted({p.kind for p in parts} - {"glasses"}) == [
            "brow", "eye", "hair", "lash", "teeth",
        ]  # fmt: skip
        hair = next(part for part in parts if part.kind == "hair")
        assert len(hair.triangles) < 9000
        assert hair.uv.min() >= 0 and hair.uv.max() <= 1
        assert hair.triangles.max() < len(hair.vertices)
        assert hair.vertices[:, 1].max() > vertices[:, 1].max() - 2
