"""Values written into a texture layout come back."""

import numpy as np
import pytest

from facerelief.geometry.head import builtin_head
from facerelief.geometry.uv import UVLayout, skin_layout

# A square of two triangles whose chart covers the left half of the map, and a vertex beside it.
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
UV = np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 1]], np.float32)


def layout(size: int = 16) -> UVLayout:
    return UVLayout(UV, TRIANGLES, TRIANGLES, 5, size)


def test_row_0_is_the_upper_edge_and_the_charts_are_known() -> None:
    made = layout()
    assert made.mask[:, :8].all() and not made.mask[:, 8:].any()
    assert made.vertices.tolist() == [True] * 4 + [False]
    texels = made.write([[0, 0], [1, 0], [1, 1], [0, 1], [9, 9]])
    assert np.isnan(texels[:, 8:]).all()
    centres = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(texels[:, :8, 0], np.tile(2 * centres[:8], (16, 1)), atol=1e-6)
    np.testing.assert_allclose(texels[:, 0, 1], centres[::-1], atol=1e-6)


def test_what_is_linear_in_the_layout_comes_back_but_for_half_a_texel_at_its_edges() -> None:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [9, 9]], np.float32)
    for size in (16, 64):
        back = layout(size).read(layout(size).write(corners))
        assert np.isnan(back[4]).all()
        np.testing.assert_allclose(back[:4], corners[:4], atol=1.01 / size)


def test_vertices_on_a_seam_take_the_mean_of_their_places() -> None:
    uv = np.array([[0, 0], [0.4, 0], [0.4, 1], [0, 1], [0.6, 0], [1, 0], [1, 1], [0.6, 1]])
    uv_triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    # The right edge of the first chart is the left edge of the second.
    triangles = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    made = UVLayout(uv, uv_triangles, triangles, 6, 32)
    texels = np.zeros((32, 32, 1), np.float32)
    texels[:, 16:] = 1
    assert made.read(texels).ravel() == pytest.approx([0, 0.5, 0.5, 0, 1, 1])


def test_a_face_comes_back_within_a_tenth_of_a_millimetre() -> None:
    head, made = builtin_head(1), skin_layout(1)
    expression = head.expression_weights(jawOpen=0.6, mouthSmileLeft=0.8)
    vertices = head.vertices([1.0, -2.0, 1.5], expression)
    apart = np.linalg.norm(made.read(made.write(vertices)) - vertices, axis=1)
    face = head.regions["face"] & made.vertices
    assert apart[face].mean() < 0.08 and np.percentile(apart[face], 99) < 0.5
    assert np.isfinite(apart[head.landmarks]).all() and apart[head.landmarks].mean() < 0.15
    assert not made.vertices[head.regions["teeth_upper"]].any()
    assert skin_layout(1) is made


def test_texels_of_vertices_read_what_the_whole_map_gives() -> None:
    head, made = builtin_head(1), skin_layout(1, 64)
    texels = made.write(head.mean)
    index, share = made.texels(head.landmarks)
    assert index.shape == share.shape and len(index) == 68
    np.testing.assert_allclose(share.sum(1), 1, atol=1e-5)
    flat = np.nan_to_num(texels).reshape(-1, 3)
    found = (flat[index] * share[..., None]).sum(1)
    np.testing.assert_allclose(found, made.read(texels)[head.landmarks], atol=1e-3)
