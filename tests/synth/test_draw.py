"""Scenes depend on seed and index alone, and every switch turns off one thing."""

import numpy as np
import pytest

pytest.importorskip("torch")

from facerelief.render.renderer import render
from facerelief.render.scene import FACE_KINDS
from facerelief.synth.assets import Assets
from facerelief.synth.draw import Heads, SynthOptions
from facerelief.synth.setting.camera import PoseRange


def heads(seed: int = 0, **options: object) -> Heads:
    """Without assets, small pictures."""
    return Heads(Assets(), SynthOptions(size=64, **options), seed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Heads:
    return heads()


def test_the_same_seed_gives_the_same_bytes(plain: Heads) -> None:
    again = heads()
    again.scene(3)  # what was drawn before changes nothing
    one, other = render(plain.scene(7)), render(again.scene(7))
    for name in ("photo", "normals", "depth", "position", "landmarks"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


def test_seeds_and_indices_differ(plain: Heads) -> None:
    photos = [render(h.scene(i)).photo for h, i in ((plain, 0), (plain, 1), (heads(1), 0))]
    assert all((a != b).any() for a, b in zip(photos, photos[1:] + photos[:1], strict=True))


def test_switches_turn_off_one_thing(plain: Heads) -> None:
    scene = plain.scene(2)
    smooth = heads(displacement=False).scene(2)
    assert scene.parts[0].material.displacement is not None
    assert smooth.parts[0].material.displacement is None
    assert (smooth.parts[0].vertices == scene.parts[0].vertices).all()
    assert (smooth.parts[0].material.texture == scene.parts[0].material.texture).all()
    bare = heads(occluders=False)
    for index in range(8):
        made = bare.scene(index)
        assert {part.kind for part in made.parts} <= {*FACE_KINDS, "brow", "lash"}
        assert not made.cutouts
        assert (made.parts[0].vertices == plain.scene(index).parts[0].vertices).all()
    assert not heads(shadows=False).scene(2).lighting.shadows


def test_most_heads_show_a_face(plain: Heads) -> None:
    shares = []
    for index in range(12):
        made = render(plain.scene(index))
        shares.append(made.mask.mean())
        length = np.linalg.norm(made.normals[made.mask], axis=1)
        assert length == pytest.approx(1, abs=1e-4)
        assert not made.normals[np.isnan(made.depth)].any()
    assert np.median(shares) > 0.3


def test_heads_wear_things(plain: Heads) -> None:
    worn = {kind for index in range(30) for kind in plain.scene(index).coefficients["worn"]}
    assert {"hair", "eye", "teeth"} <= worn and len(worn) > 4


def test_poses_stay_within_their_range() -> None:
    limited = heads(pose=PoseRange(yaw=10, pitch=0, roll=0))
    angles = [limited.scene(i).coefficients for i in range(20)]
    assert max(abs(a["yaw"]) for a in angles) <= 10
    assert all(a["pitch"] == a["roll"] == 0 for a in angles)


@pytest.mark.parametrize(
    "bad", [{"size": 3}, {"size": 100_000}, {"margin": 0.1}, {"neutral": 1.5}, {"scanned": -1}]
)
def test_absurd_options_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        SynthOptions(**bad)


def test_seeds_are_not_negative() -> None:
    with pytest.raises(ValueError, match="seed"):
        Heads(Assets(), seed=-1)
