"""Catmull-Clark against the rules written out, and what must survive it."""

import numpy as np
import pytest

from facerelief.geometry.mesh import check_mesh
from facerelief.geometry.subdivision import catmull_clark

CUBE = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def sheet(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy rectangle of quads: vertices (V, 3) and quads."""
    y, x = np.mgrid[: rows + 1, : columns + 1].astype(float)
    vertices = np.stack([x, y, np.sin(2 * x) + np.cos(3 * y)], axis=-1).reshape(-1, 3)
    index = np.arange(len(vertices)).reshape(rows + 1, columns + 1)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1)
    return vertices, quads.reshape(-1, 4)


def slow(vertices: np.ndarray, quads: np.ndarray) -> tuple[list, dict, list]:
    """New vertices, new edge points by edge, new face points: the rules, one at a time."""
    faces = [vertices[q].mean(axis=0) for q in quads]
    of_edge: dict[tuple[int, int], list[int]] = {}
    of_vertex: dict[int, list[int]] = {}
    for f, q in enumerate(quads):
        for c in range(4):
            a, b = sorted((int(q[c]), int(q[(c + 1) % 4])))
            of_edge.setdefault((a, b), []).append(f)
            of_vertex.setdefault(int(q[c]), []).append(f)
    edges = {}
    for (a, b), two in of_edge.items():
        ends = [vertices[a], vertices[b]]
        edges[a, b] = np.mean(ends if len(two) == 1 else [*ends, *(faces[f] for f in two)], axis=0)
    moved = []
    for v, p in enumerate(vertices):
        mine = [e for e in of_edge if v in e]
        rim = [e for e in mine if len(of_edge[e]) == 1]
        n = len(mine)
        if not mine:
            moved.append(p)
        elif rim:
            others = [vertices[a + b - v] for a, b in rim]
            moved.append(0.75 * p + 0.125 * (others[0] + others[1]))
        else:
            f = np.mean([faces[i] for i in of_vertex[v]], axis=0)
            r = np.mean([(vertices[a] + vertices[b]) / 2 for a, b in mine], axis=0)
            moved.append((f + 2 * r + (n - 3) * p) / n)
    return moved, edges, faces


@pytest.mark.parametrize("mesh", [(CUBE, CUBE_QUADS), sheet(3, 4), sheet(1, 1)])
def test_one_step_follows_the_rules(mesh):
    vertices, quads = mesh
    step = catmull_clark(quads, len(vertices))
    moved, edges, faces = slow(vertices, quads)
    expected = [*moved, *(edges[tuple(int(i) for i in e)] for e in step.edges), *faces]
    np.testing.assert_allclose(step.apply(vertices), expected, atol=1e-12)


def test_parts_begin_at_their_corner_and_keep_the_winding():
    vertices, quads = sheet(2, 3)
    step = catmull_clark(quads, len(vertices))
    parts = step.quads.reshape(-1, 4, 4)
    np.testing.assert_array_equal(parts[:, :, 0], quads)
    new = step.apply(vertices)
    triangles = np.concatenate([step.quads[:, [0, 1, 2]], step.quads[:, [0, 2, 3]]])
    check_mesh(new, triangles)
    a, b, c = np.moveaxis(new[triangles], 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_linear_keeps_the_old_vertices_and_halves_the_edges():
    vertices, quads = sheet(2, 2)
    step = catmull_clark(quads, len(vertices), linear=True)
    new = step.apply(vertices)
    np.testing.assert_array_equal(new[: len(vertices)], vertices)
    middles = new[len(vertices) : len(vertices) + len(step.edges)]
    np.testing.assert_allclose(middles, vertices[step.edges].mean(axis=1))


def test_it_is_affine_and_takes_stacks():
    vertices, quads = CUBE, CUBE_QUADS
    step = catmull_clark(quads, len(vertices))
    stack = np.random.default_rng(0).normal(size=(2, 5, len(vertices), 3))
    together = step.apply(stack)
    assert together.shape == (2, 5, 8 + 12 + 6, 3)
    np.testing.assert_allclose(together[1, 3], step.apply(stack[1, 3]))
    shift = np.array([1.0, 2, 3])
    np.testing.assert_allclose(step.apply(vertices + shift), step.apply(vertices) + shift)


def test_loose_vertices_stay_where_they_are():
    vertices = np.concatenate([CUBE, [[9.0, 9, 9]]])
    step = catmull_clark(CUBE_QUADS, len(vertices))
    np.testing.assert_array_equal(step.apply(vertices)[8], [9, 9, 9])


def test_masks_are_carried_to_what_lies_between_true_vertices():
    vertices, quads = sheet(1, 2)
    step = catmull_clark(quads, len(vertices))
    left = vertices[:, 0] < 1.5  # the left quad and the middle edge
    new = step.apply(np.c_[vertices[:, 0], np.zeros((len(vertices), 2))])
    carried = step.carry(left)
    assert carried[: len(vertices)].tolist() == left.tolist()
    assert (new[carried, 0] <= 1.01).all()
    assert carried.sum() == left.sum() + 4 + 1


def test_mirrored_vertices_are_found_again():
    vertices, quads = sheet(2, 4)
    vertices[:, 0] -= 2
    mirrored = vertices * [-1, 1, 1]
    symmetry = np.linalg.norm((mirrored[:, None] - vertices)[..., :2], axis=2).argmin(axis=1)
    step = catmull_clark(quads, len(vertices))
    new, pairs = step.apply(vertices), step.mirror(symmetry)
    np.testing.assert_allclose(new[pairs, :2], new[:, :2] * [-1, 1], atol=1e-12)


def test_a_mesh_that_is_not_its_mirror_image_is_refused():
    vertices, quads = sheet(1, 2)
    wrong = np.arange(len(vertices))
    wrong[[0, 1]] = 1, 0
    with pytest.raises(ValueError, match="mirror"):
        catmull_clark(quads, len(vertices)).mirror(wrong)
