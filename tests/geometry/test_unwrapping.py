"""Pictures unwrapped: what was painted on a head is found again in its layout."""

import numpy as np
import pytest

from facerelief.geometry.camera import Perspective, WeakPerspective
from facerelief.geometry.drawing import draw
from facerelief.geometry.drawn_head import drawn_head
from facerelief.geometry.head import builtin_head
from facerelief.geometry.unwrapping import (
    left_is_nearer,
    mirrored,
    unwrap,
    with_farther_half_mirrored,
)
from facerelief.geometry.uv import skin_layout

HEAD = drawn_head(fine=True)
LAYOUT = skin_layout(1, 128)
EVEN = np.zeros((9, 3))
EVEN[0] = np.sqrt(4 * np.pi)  # shades everything 1


def turned(yaw: float, place: tuple[float, float, float]) -> np.ndarray:
    """Vertices of the mean head; positive yaw turns the nose to the picture's right."""
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return builtin_head(1, bases=False).mean.astype(float) @ rotation.T + np.array(place)


def camera_of(kind: str) -> tuple[Perspective | WeakPerspective, tuple[float, float, float]]:
    if kind == "pinhole":
        return Perspective(700.0, (128, 128)), (0.0, 25.0, -800.0)
    return WeakPerspective(0.9, (128, 128)), (0.0, 25.0, 0.0)


def smooth_texture() -> np.ndarray:
    v, u = (np.mgrid[:128, :128] + 0.5) / 128
    return np.stack([u, v, 0.5 + 0.3 * np.sin(6 * u + 4 * v)], -1)


@pytest.mark.parametrize("kind", ["pinhole", "parallel"])
@pytest.mark.parametrize("yaw", [0, 35, -70])
def test_what_was_painted_comes_back(kind: str, yaw: float) -> None:
    camera, place = camera_of(kind)
    vertices = turned(yaw, place)
    texture = smooth_texture()
    drawn = draw(vertices, HEAD.triangles, camera, (256, 256), EVEN, texture=texture, uv=HEAD.uv)
    found = unwrap(drawn.image, vertices, HEAD, camera, LAYOUT)
    seen = found.visible > 0.5
    assert 0.15 < seen.mean() < 0.6
    gap = np.abs(found.colours - texture)[seen]
    assert np.median(gap) < 0.004 and np.quantile(gap, 0.98) < 0.04
    assert not found.colours[~LAYOUT.mask].any() and not found.visible[~LAYOUT.mask].any()


def test_hidden_skin_is_not_visible() -> None:
    """Behind the nose, and what lies in the mouth, though it is turned to the camera."""
    camera, place = camera_of("pinhole")
    vertices = turned(55, place)
    depth = np.zeros((256, 256, 1))
    found = unwrap(depth, vertices, HEAD, camera, LAYOUT)
    head = builtin_head(1, bases=False)
    weight = LAYOUT.read(found.visible[..., None])[:, 0]
    points = camera.project(vertices)
    for name, most in (("mouth_inside", 0.12), ("eye_sockets", 0.12)):
        assert np.nanmean(weight[head.regions[name]]) < most, name
    near, far = head.landmarks[[2, 14]]  # of the jaw, the subject's right and left
    assert weight[near] > 0.9 and weight[far] == 0
    assert points[near, 0] < points[far, 0]


def test_the_nearer_side_is_known_by_what_is_seen() -> None:
    camera, place = camera_of("pinhole")
    picture = np.ones((256, 256, 1))
    for yaw, left in ((40, False), (-40, True), (8, False), (-8, True)):
        found = unwrap(picture, turned(yaw, place), HEAD, camera, LAYOUT)
        assert left_is_nearer(found.visible) == left


def test_the_farther_half_is_the_nearer_one_mirrored() -> None:
    camera, place = camera_of("pinhole")
    vertices = turned(60, place)
    texture = smooth_texture()
    drawn = draw(vertices, HEAD.triangles, camera, (256, 256), EVEN, texture=texture, uv=HEAD.uv)
    found = unwrap(drawn.image, vertices, HEAD, camera, LAYOUT)
    made = with_farther_half_mirrored(found.colours, found.visible)
    np.testing.assert_array_equal(made.texels, mirrored(made.texels))
    np.testing.assert_array_equal(made.texels[:, :64], found.colours[:, :64])  # the right is near
    assert not made.invented[:, :64].any()
    assert (found.visible[made.invented] < 0.5).all()
    assert made.invented[:, 64:].mean() > 0.5
    assert made.visible[LAYOUT.mask].mean() > 1.3 * found.visible[LAYOUT.mask].mean()


def test_the_layout_is_symmetric() -> None:
    """A vertex and its mirror image lie on mirrored texels, which `mirrored` rests on."""
    head = builtin_head(1, bases=False)
    place = LAYOUT.write(head.mean)
    both = LAYOUT.mask & LAYOUT.mask[:, ::-1]
    assert both.sum() > 0.98 * LAYOUT.mask.sum()
    gap = np.abs(mirrored(place) * (-1, 1, 1) - place)[both]
    assert np.quantile(gap, 0.99) < 1.0  # mm


def test_outside_of_the_picture_nothing_is_seen() -> None:
    camera, place = camera_of("pinhole")
    vertices = turned(0, (place[0] + 110, *place[1:]))
    found = unwrap(np.ones((256, 256, 1)), vertices, HEAD, camera, LAYOUT)
    layout = LAYOUT.write(camera.project(vertices))
    outside = LAYOUT.mask & (layout[..., 0] > 256.5)
    assert outside.any() and not found.visible[outside].any() and not found.colours[outside].any()
