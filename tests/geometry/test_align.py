"""Fitting a head to landmarks: what was put in comes out, and what cannot be a face is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facerelief.geometry.align import Aligner, Alignment, AlignmentError, FitOptions, fit
from facerelief.geometry.anchor_refinement import refine_anchors
from facerelief.geometry.anchors import Anchors
from facerelief.geometry.camera import Perspective
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import angular_error

# Of our own projections the errors are known: independent, and small.
EXACT = FitOptions(noise=0.3, displacement=0.0, identity=20, rounds=5, distance_deviation=1.0)


@cache
def head() -> BuiltinHead:
    return builtin_head(0)


@cache
def anchors() -> Anchors:
    model = head()
    return Anchors.on_triangles(
        model.triangles, model.facemesh_triangles[:468], model.facemesh_barycentrics[:468]
    )


@cache
def aligner() -> Aligner:
    return Aligner(head(), anchors(), EXACT)


def drawn(seed: int, yaw: float = 20, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, dict]:
    """Landmarks (468, 3) of a random head with depth as MediaPipe has it, its vertices, and all."""
    g = np.random.default_rng(seed)
    model = head()
    identity = g.normal(size=20).clip(-2, 2)
    expression = model.expression_weights(jawOpen=0.3, mouthSmileLeft=0.4, mouthSmileRight=0.4)
    vertices = model.vertices(identity, expression)
    rotation = Rotation.from_euler("yxz", [yaw, -8, 5], degrees=True).as_matrix()
    camera = Perspective(900.0, (320.0, 240.0))
    placed = anchors().of(vertices) @ rotation.T + (20, -10, -800)
    points = camera.project(placed)
    points[:, 2] = -(placed[:, 2] + 800) * 900 / 800 + 17
    points += noise * g.normal(size=points.shape) * (1, 1, 5)
    return points, vertices, {"rotation": rotation, "identity": identity, "expression": expression}


def turn_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(a @ b.T).magnitude()))


def facing_error(found: Alignment, vertices: np.ndarray, rotation: np.ndarray) -> float:
    """Mean angle, degrees, between fitted and true normals over the face."""
    face = head().regions["face"]
    triangles = head().triangles
    theirs = vertex_normals(found.vertices @ found.rotation.T, triangles)[face]
    return float(
        np.nanmean(angular_error(theirs, vertex_normals(vertices @ rotation.T, triangles)[face]))
    )


@pytest.mark.parametrize("yaw", [0, 35, -60])
def test_exact_points_give_back_the_head(yaw: float) -> None:
    points, vertices, truth = drawn(1, yaw)
    found = aligner().fit(points, photo_size=(480, 640), focal=900.0)
    assert turn_between(found.rotation, truth["rotation"]) < 1
    assert found.residuals.max() < 0.5
    assert np.abs(found.camera.focal - 900) < 1
    assert abs(found.translation[2] + 800) < 15
    assert facing_error(found, vertices, truth["rotation"]) < 3
    assert found.confidence > 0.99
    seen = found.camera.project(anchors().of(found.vertices) @ found.rotation.T + found.translation)
    assert np.abs(seen[:, :2] - points[:, :2]).max() < 0.5


def test_noise_and_a_tenth_of_outliers_hardly_matter() -> None:
    points, vertices, truth = drawn(2, noise=1.0)
    g = np.random.default_rng(3)
    wild = g.choice(len(points), len(points) // 10, replace=False)
    spoilt = points.copy()
    spoilt[wild, :2] += g.uniform(30, 90, (len(wild), 2)) * g.choice([-1, 1], (len(wild), 2))
    options = replace(EXACT, noise=1.5)
    found = Aligner(head(), anchors(), options).fit(spoilt, photo_size=(480, 640), focal=900.0)
    assert turn_between(found.rotation, truth["rotation"]) < 2
    assert facing_error(found, vertices, truth["rotation"]) < 6
    others = np.setdiff1d(np.arange(len(points)), wild)
    assert found.weights[wild].max() < 0.15 and np.median(found.weights[others]) > 0.8
    assert np.median(found.residuals[others]) < 2


def test_expression_is_found_and_stays_within_its_bounds() -> None:
    points, _, truth = drawn(4)
    found = Aligner(head(), anchors(), replace(EXACT, expression_deviation=0.5)).fit(
        points, photo_size=(480, 640), focal=900.0
    )
    assert (found.expression >= 0).all() and (found.expression <= 1).all()
    names = head().expression_names
    shape = np.tensordot(found.expression - truth["expression"], head().expression, axes=1)
    open_mouth = np.abs(head().expression[names.index("jawOpen")]).max()
    assert np.linalg.norm(shape, axis=-1)[head().regions["face"]].mean() < 0.05 * open_mouth


def test_photo_scale_and_place_change_nothing() -> None:
    points, _, _ = drawn(5, noise=0.5)
    for perspective in (True, False):
        one = aligner().fit(points, perspective=perspective)
        other = aligner().fit(points * 3.5 + (400, -90, 0), perspective=perspective)
        assert turn_between(one.rotation, other.rotation) < 0.02
        assert np.abs(one.vertices - other.vertices).max() < 0.02
        assert other.scale == pytest.approx(3.5 * one.scale, rel=1e-4)
        assert other.confidence == pytest.approx(one.confidence, abs=1e-6)


def test_two_dimensions_and_missing_points_are_enough() -> None:
    points, vertices, truth = drawn(6)
    points[::3] = np.nan
    for given in (points, points[:, :2]):
        found = aligner().fit(given, photo_size=(480, 640), focal=900.0)
        assert turn_between(found.rotation, truth["rotation"]) < 2
        assert facing_error(found, vertices, truth["rotation"]) < 4
        assert (found.residuals[::3] == 0).all()


def test_stiffer_priors_stay_nearer_the_mean() -> None:
    points, _, _ = drawn(7, noise=1.0)
    sizes = [
        np.linalg.norm(
            Aligner(head(), anchors(), replace(EXACT, identity_deviation=deviation))
            .fit(points)
            .identity
        )
        for deviation in (0.02, 0.2, 2.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_displacement_follows_the_points_smoothly_and_fades_away() -> None:
    """A bump that no coefficient has: the displacement makes it, and leaves the neck alone."""
    points, _, _ = drawn(8, yaw=0)
    place = anchors().of(head().mean)
    bump = np.exp(-((place - place[50]) ** 2).sum(axis=1) / (2 * 15**2))
    points[:, 0] += 8 * bump
    stiff = FitOptions(identity=0, expression_deviation=1e-3)
    both = [
        Aligner(head(), anchors(), replace(stiff, displace=displace)).fit(points)
        for displace in (False, True)
    ]
    gaps = []
    for found in both:
        at = anchors().of(found.vertices) @ found.rotation.T + found.translation
        gaps.append(np.linalg.norm(found.camera.project(at)[:, :2] - points[:, :2], axis=1).mean())
    assert gaps[1] < 0.5 * gaps[0]
    moved = np.linalg.norm(both[1].displacement, axis=1)
    assert not both[0].displacement.any()
    assert moved.max() > 2
    far = np.linalg.norm(head().mean[:, None] - place, axis=-1).min(axis=1) > 90
    assert far.any() and moved[far].max() < 0.03 * moved.max()


def test_refined_anchors_undo_a_wrong_map() -> None:
    model = head()
    right = anchors()
    g = np.random.default_rng(9)
    chosen = g.choice(468, 30, replace=False)
    # Thirty landmarks are said to be where some neighbour is.
    place = right.of(model.mean)
    order = np.argsort(np.linalg.norm(place[chosen, None] - place, axis=-1), axis=1)[:, 2]
    vertices, weights = right.vertices.copy(), right.weights.copy()
    vertices[chosen], weights[chosen] = vertices[order], weights[order]
    wrong = Anchors(vertices, weights)
    faces = np.stack([drawn(20 + i, yaw)[0] for i, yaw in enumerate((-40, -20, 0, 0, 20, 40))])
    better = refine_anchors(Aligner(model, wrong, EXACT), faces, rounds=2)
    before = np.linalg.norm(wrong.of(model.mean) - place, axis=1)[chosen]
    after = np.linalg.norm(better.of(model.mean) - place, axis=1)[chosen]
    assert np.median(before) > 2 and np.median(after) < 0.5 * np.median(before)


def test_bad_landmarks_are_refused_in_words() -> None:
    points, _, _ = drawn(10, yaw=5)
    few = np.full_like(points, np.nan)
    few[:5] = points[:5]
    with pytest.raises(AlignmentError, match="5 usable landmarks"):
        aligner().fit(few)
    with pytest.raises(AlignmentError, match="line or in one place"):
        aligner().fit(np.zeros((468, 2)))
    mirrored = points * (-1, 1, 1)
    for given in (mirrored, mirrored[:, :2]):
        with pytest.raises(AlignmentError, match=r"mirrored|do not look like"):
            aligner().fit(given)
    shuffled = points[np.random.default_rng(0).permutation(468)]
    with pytest.raises(AlignmentError):
        aligner().fit(shuffled)


def test_wrong_arguments_say_what_is_wrong() -> None:
    points, _, _ = drawn(11)
    with pytest.raises(ValueError, match=r"points must be \(468, 2\)"):
        aligner().fit(points[:400])
    with pytest.raises(ValueError, match="weights must be"):
        aligner().fit(points, np.ones(3))
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        aligner().fit(points, np.full(468, 2.0))
    with pytest.raises(ValueError, match="focal"):
        aligner().fit(points, focal=-1.0)
    with pytest.raises(ValueError, match="at least 6"):
        fit(head(), points[:4], [0, 1, 2, 3])
    with pytest.raises(ValueError, match="name vertices outside"):
        fit(head(), points[:7], [0, 1, 2, 3, 4, 5, 10**6])


def test_landmark_vertices_do_as_anchors() -> None:
    model = head()
    vertices = model.vertices()
    camera = Perspective(900.0, (320.0, 240.0))
    points = camera.project(vertices[model.landmarks] + (0, 0, -700))[:, :2]
    found = fit(model, points, model.landmarks, photo_size=(480, 640), focal=900.0, options=EXACT)
    assert turn_between(found.rotation, np.eye(3)) < 0.5
    assert np.linalg.norm(found.identity) < 0.5
