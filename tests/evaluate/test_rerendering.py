"""Re-rendering error: what true relief takes off it, false relief adds, and what is not asked."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import laid_heads
import posed_heads
from facerelief.coefficients import from_coefficients
from facerelief.detail import DETAILS, Detail
from facerelief.detailed import DetailedFace
from facerelief.evaluate.detailed_meshes import DetailedMeshes, flipped, holes
from facerelief.evaluate.rerendering import Rerendering
from facerelief.geometry.shading_detail import NoLightError
from facerelief.geometry.similarity import Similarity
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.types import Crop, Face, Place

CROP = Crop((128.0, 128.0), 256.0)


def face(yaw: float = 0.0) -> Face:
    return posed_heads.face(posed_heads.uv_map(yaw), CROP, (256, 256))


def relief(height: float) -> DetailedFace:
    """That of `laid_heads.bumps`, times a factor."""
    waves = np.kron(laid_heads.bumps(1.0), np.ones((2, 2), np.float32))
    return DetailedFace(face(), Detail(height * waves, np.ones_like(waves), waves > 99))


@pytest.fixture(scope="module")
def seen() -> Rerendering:
    photo = np.rint(255 * laid_heads.picture(relief=laid_heads.bumps(1.0))).astype(np.uint8)
    return Rerendering.of(face(), photo)


@pytest.mark.parametrize("refit", [False, True])
def test_true_relief_explains_the_photo_and_false_relief_does_not(
    seen: Rerendering, refit: bool
) -> None:
    coarse, right, half, wrong = (
        seen.error(relief(height), refit) for height in (0.0, 1.0, 0.5, -1.0)
    )
    assert 2 < coarse < 40
    assert right < 0.75 * coarse < coarse < wrong, (coarse, right, wrong)
    assert right < half < coarse


def test_no_relief_is_best_where_there_is_none() -> None:
    photo = np.rint(255 * laid_heads.picture()).astype(np.uint8)
    seen = Rerendering.of(face(), photo)
    assert seen.error(relief(0.0)) < 0.6 * seen.error(relief(0.5))


def test_a_photo_without_light_is_not_drawn() -> None:
    with pytest.raises(NoLightError):
        Rerendering.of(face(), np.zeros((256, 256, 3), np.uint8))


def test_holes_and_flipped_triangles_are_counted() -> None:
    made = relief(0.3)
    assert flipped(made) == 0
    points = made.displaced.vertices * (1, -1, 1) + (128, 128, 0)
    triangles = made.displaced.triangles
    assert holes(points, made, 256) == (0, 0)
    tip = made.displaced.vertices[skin_mesh().face_mesh.landmarks[30]]
    near = np.linalg.norm(made.displaced.vertices - tip, axis=1) < 8  # mm
    gone = near[triangles].all(axis=1)
    turned, gap = triangles.copy(), triangles.copy()
    turned[gone], gap[gone] = turned[gone, ::-1], 0
    made.displaced = replace(made.displaced, triangles=gap)
    gaps, backs = holes(points, made, 256)
    assert gaps > 20 and backs == 0
    made.displaced = replace(made.displaced, triangles=turned)
    gaps, backs = holes(points, made, 256)
    assert gaps == 0 and backs > 20
    made.displaced = replace(made.displaced, triangles=turned)
    assert flipped(made) == gone.sum()


class Told:
    """A system that sees one head through a lens, wide enough to show."""

    def estimate(self, photo: np.ndarray, places: list[Place]) -> list[Face]:
        turn = Rotation.from_euler("y", 30, degrees=True).as_matrix()
        light = np.eye(9, 3, dtype=np.float32)
        one = {
            "identity": np.zeros(80), "expression": np.zeros(52), "rotation": turn,
            "camera": [120.0, 100.0, 1.2, 350.0], "light": light, "albedo": np.zeros(80),
        }  # fmt: skip
        told = {name: np.asarray(value, np.float32)[None] for name, value in one.items()}
        shape = from_coefficients(told, 256).shapes[0].at(places[0])
        return [Face(places[0], shape.surface, shape, "told")]


def test_shapes_with_and_without_relief_have_the_same_lens(monkeypatch) -> None:
    """None: perspective is the picture's, and would be taken for relief."""
    flat = lambda size, threads: lambda face, photo: Detail.none(size)  # noqa: E731
    monkeypatch.setitem(DETAILS, "flat", flat)
    crop = np.zeros((256, 256, 3), np.uint8)
    (found,) = DetailedMeshes(Told(), "flat").shapes(crop[None])
    (face,) = Told().estimate(crop, [Place.of_crop()])
    part = skin_mesh().face_mesh
    fine = found["vertices"][: len(part.kept)]
    for points, like in ((face.shape.skin.shape, True), (face.shape.skin.points, False)):
        laid = Similarity.between(points[part.kept], fine)
        off = np.abs(laid(points[part.kept]) - fine).max()
        assert off < 0.02 if like else off > 1, (off, like)  # pixels
