"""ICT-FaceKit's model as it is read, and on the built-in head's topology."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.cache import cache_folder
from facerelief.data.ict import eye_centre, load_ict, registered_ict
from facerelief.geometry.closest import ClosestPoints
from facerelief.geometry.head import BuiltinHead, builtin_head
from facerelief.geometry.mesh import face_areas, face_normals
from facerelief.geometry.model_files_ict import ARKIT_EXPRESSIONS, arkit_name
from facerelief.geometry.morphable import MorphableModel


@pytest.fixture(scope="module")
def ict(data_root: Path) -> MorphableModel:
    return load_ict(data_root)


@pytest.fixture(scope="module")
def registered(data_root: Path) -> BuiltinHead:
    """Kept between runs of the tests, under a digest of the code that makes it."""
    return registered_ict(data_root, cache_folder())


def middle(model: MorphableModel, region: str) -> np.ndarray:
    return model.mean[model.regions[region]].mean(axis=0)


def test_arkit_names() -> None:
    assert len(ARKIT_EXPRESSIONS) == len(set(ARKIT_EXPRESSIONS)) == 52
    assert list(ARKIT_EXPRESSIONS) == sorted(ARKIT_EXPRESSIONS)
    expected = {
        "browInnerUp_L": "browInnerUp",
        "cheekPuff_R": "cheekPuff",
        "eyeBlink_L": "eyeBlinkLeft",
        "jawOpen": "jawOpen",
        "cheekRaiser_R": "cheekRaiserRight",
        "PupilDilate_L": None,
    }
    assert {name: arkit_name(name) for name in expected} == expected


def test_load_ict(ict: MorphableModel) -> None:
    assert ict.mean.shape == (26719, 3) and ict.identity.shape == (100, 26719, 3)
    missing = set(ARKIT_EXPRESSIONS) - set(ict.expression_names)
    assert missing == {"tongueOut"}
    assert ict.expression_names[-2:] == ("cheekRaiserLeft", "cheekRaiserRight")
    # In mm, the subject's left at positive x, the face towards +z.
    left, right = middle(ict, "left_eye"), middle(ict, "right_eye")
    assert 55 < left[0] - right[0] < 70 and left[1] == pytest.approx(right[1], abs=0.1)
    assert middle(ict, "narrow_face")[2] > middle(ict, "skin")[2] + 20
    # 68 landmarks: subject's right first, brows above eyes above nose above mouth above chin.
    assert ict.landmarks is not None
    marks = ict.mean[ict.landmarks]
    assert marks[0, 0] < -60 < 60 < marks[16, 0]
    heights = [marks[part, 1].mean() for part in (slice(17, 27), slice(36, 48), slice(27, 36),
                                                  slice(48, 68), slice(7, 10))]  # fmt: skip
    assert heights == sorted(heights, reverse=True)


def test_ict_triangles_face_outwards_and_uv_fits(ict: MorphableModel) -> None:
    away = ict.mean[ict.triangles].mean(axis=1) - ict.mean[ict.regions["skin"]].mean(axis=0)
    facing = (face_normals(ict.mean, ict.triangles) * away).sum(axis=1)
    face = ict.regions["narrow_face"][ict.triangles].all(axis=1)
    assert (facing[face] > 0).mean() > 0.8  # lips, lids and nostrils have sides that face inwards
    assert ict.uv is not None and ict.uv_triangles is not None
    assert ict.uv_triangles.shape == ict.triangles.shape
    assert ict.uv.min() >= 0 and ict.uv.max() <= 1
    # Neighbours on the face are neighbours on the texture: the layout fits its triangles.
    sides = np.ptp(ict.uv[ict.uv_triangles[face]], axis=1)
    assert sides.max() < 0.05


def test_ict_regions_are_the_documented_parts(ict: MorphableModel) -> None:
    parts = ("skin", "mouth", "left_eye_socket", "right_eye_socket", "gums", "teeth", "left_eye",
             "right_eye", "eye_fluid", "left_lashes", "right_lashes")  # fmt: skip
    counted = np.sum([ict.regions[name] for name in parts], axis=0)
    assert (counted == 1).all()
    # No triangle joins teeth, eyes or gums to anything else.
    for name in ("teeth", "left_eye", "right_eye", "gums"):
        inside = ict.regions[name][ict.triangles]
        assert (inside.all(axis=1) == inside.any(axis=1)).all()


@pytest.mark.parametrize(
    ("name", "landmarks", "direction"),
    [
        ("jawOpen", [8], (0, -1, 0)),
        ("eyeBlinkLeft", [43, 44], (0, -1, 0)),
        ("eyeBlinkRight", [37, 38], (0, -1, 0)),
        ("mouthSmileLeft", [54], (1, 1, 0)),
        ("mouthSmileRight", [48], (-1, 1, 0)),
        ("browInnerUp", [21, 22], (0, 1, 0)),
        ("mouthLeft", [51, 57], (1, 0, 0)),
        ("jawForward", [8], (0, 0, 1)),
    ],
)
def test_expressions_move_what_they_say(
    ict: MorphableModel,
    registered: BuiltinHead,
    name: str,
    landmarks: list[int],
    direction: tuple[float, float, float],
) -> None:
    for model in (ict, registered):
        assert model.landmarks is not None
        offset = model.expression[model.expression_names.index(name)]
        moved = offset[model.landmarks[landmarks]].mean(axis=0)
        assert moved @ direction > 2, model.name
        size = np.linalg.norm(offset, axis=1)
        assert size[model.landmarks[landmarks]].mean() > 0.3 * np.quantile(size, 0.999)


def test_registered_heads_lie_on_the_true_ones(
    ict: MorphableModel, registered: BuiltinHead
) -> None:
    """Random people with random expressions, the face's mean distance below half a millimetre.

    benchmarks/registration.py measures both ways and by region.
    """
    rng = np.random.default_rng(0)
    rows = ict.triangles[ict.regions["skin"][ict.triangles].all(axis=1)]
    face = np.flatnonzero(registered.regions["face"])
    # The two origins differ: the eyes, which were laid on each other, say by how much.
    pairs = (("eye_left", "left_sclera"), ("eye_right", "right_sclera"))
    shift = np.mean(
        [eye_centre(ict.mean[ict.regions[b]]) - eye_centre(registered.mean[registered.regions[a]])
         for a, b in pairs], axis=0
    )  # fmt: skip
    names = rng.choice(ict.expression_names[:51], (3, 3), replace=False)
    for chosen in names:
        weights = {str(name): 0.5 for name in chosen if name != "mouthClose"}
        identity = rng.standard_normal(100)
        ours = registered.vertices(identity, registered.expression_weights(**weights)) + shift
        truth = ict.vertices(identity, ict.expression_weights(**weights))
        off = ClosestPoints(truth, rows)(ours[face]).distance
        assert off.mean() < 0.4 and np.quantile(off, 0.95) < 1.0, weights


def test_registered_head_is_the_built_in_head_in_all_else(registered: BuiltinHead) -> None:
    head = builtin_head(1)
    assert registered.expression_names[:52] == head.expression_names
    assert registered.expression_names[52:] == ("cheekRaiserLeft", "cheekRaiserRight")
    assert registered.identity.shape == (100, len(head.mean), 3)
    for name in ("triangles", "uv", "uv_triangles", "landmarks", "symmetry"):
        assert np.array_equal(getattr(registered, name), getattr(head, name))
    assert np.isfinite(registered.identity).all() and np.isfinite(registered.expression).all()
    eyes = [middle(registered, name) for name in ("eye_left", "eye_right")]
    assert np.allclose(registered.eye_centres, eyes, atol=1e-3)
    assert np.allclose(np.mean(eyes, axis=0), 0, atol=1e-3)


def test_registered_head_is_symmetric_and_without_spikes(registered: BuiltinHead) -> None:
    skin = registered.regions["skin"]
    mirrored = registered.mean[registered.symmetry] * [-1, 1, 1]
    assert np.linalg.norm((mirrored - registered.mean)[skin], axis=1).mean() < 0.3
    rows = registered.triangles[registered.regions["face"][registered.triangles].all(axis=1)]
    rng = np.random.default_rng(1)
    rest = face_normals(registered.mean, rows)
    for _ in range(4):
        vertices = registered.vertices(rng.standard_normal(100))
        turned = (face_normals(vertices, rows) * rest).sum(axis=1)
        areas = face_areas(vertices, rows)
        # Nothing visible has turned over but slivers in folds.
        assert areas[turned < -0.3].sum() < 0.001 * areas.sum()
        longest = np.linalg.norm(vertices[rows] - np.roll(vertices[rows], 1, axis=1), axis=-1).max()
        assert longest < 15


def test_eyes_teeth_and_tongue_go_along(ict: MorphableModel, registered: BuiltinHead) -> None:
    opened = registered.expression[registered.expression_names.index("jawOpen")]
    part = registered.regions
    assert opened[part["teeth_lower"], 1].mean() < -8
    assert abs(opened[part["teeth_upper"], 1].mean()) < 0.5
    assert opened[part["tongue"], 1].mean() < -5
    # Teeth lie behind the lips, the tongue behind the teeth, and eyes between their lids.
    lips = registered.mean[registered.landmarks[48:68], 2].max()
    assert registered.mean[part["teeth_upper"], 2].max() < lips
    assert registered.mean[part["tongue"], 2].max() < registered.mean[part["teeth_lower"], 2].max()
    for name, lids in (("eye_right", range(36, 42)), ("eye_left", range(42, 48))):
        lid = registered.mean[registered.landmarks[list(lids)]]
        eye = registered.mean[part[name]]
        assert np.all(eye.min(axis=0)[:2] < lid.min(axis=0)[:2])
        assert np.all(eye.max(axis=0)[:2] > lid.max(axis=0)[:2])
        assert abs(eye[:, 2].max() - lid[:, 2].max()) < 4
    # Identities move eyes as ICT-FaceKit's do: the distance between them varies alike.
    spans = []
    for model, left, right in (
        (ict, "left_eye", "right_eye"),
        (registered, "eye_left", "eye_right"),
    ):
        modes = model.identity[:20]
        spans.append(modes[:, model.regions[left]].mean(1) - modes[:, model.regions[right]].mean(1))
    assert np.abs(spans[0] - spans[1])[..., 0].max() < 0.2
    # Looking aside turns the eyeball about its centre.
    look = registered.expression[registered.expression_names.index("eyeLookOutLeft")]
    motion = look[part["eye_left"]]
    front = registered.mean[part["eye_left"], 2].argmax()
    assert motion[front, 0] > 3 and np.abs(motion.mean(axis=0)).max() < 2
    out = registered.expression[registered.expression_names.index("tongueOut")]
    assert out[part["tongue"], 2].max() > 10


def test_registered_model_is_kept(data_root: Path, registered: BuiltinHead, tmp_path: Path) -> None:
    """The second call reads what the first wrote, under a name that other code does not share."""
    kept = list((cache_folder() / "ict").glob("registered-*.npz"))
    assert kept
    with pytest.raises(FileNotFoundError):
        registered_ict(tmp_path, tmp_path)
    again = registered_ict(data_root, cache_folder())
    assert np.array_equal(again.mean, registered.mean)
    assert set((cache_folder() / "ict").glob("*.npz")) == set(kept)
