import json
import re
from typing import Any

import numpy as np
import pytest

from facerelief.apps.view.page import BEGINNING, page
from facerelief.apps.view.scene import (
    BRIGHTEST,
    DARKEST,
    Layers,
    Solid,
    Subject,
    relightable,
    window_round,
)
from facerelief.crops import Crop
from facerelief.geometry.light import direction, shade
from facerelief.mesh_writing import Asset
from facerelief.types import Mesh


def scene_of(content: bytes) -> dict[str, Any]:
    found = re.search(rb'id="scene">(.*?)</script>', content, re.DOTALL)
    assert found is not None
    scene: dict[str, Any] = json.loads(found[1])
    return scene


def ball(size: int = 96) -> tuple[np.ndarray, Layers]:
    """A photo of a matt grey ball under one light, and its true normals."""
    places = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(places, -places)
    mask = x**2 + y**2 < 0.97
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, None))
    normals = np.where(mask[..., None], np.dstack([x, y, z]), 0)
    light = 0.3 + 0.7 * shade(normals, direction(50, 20))
    values = np.where(mask, 0.5 * light, 0.2)
    picture = np.repeat(np.rint(255 * values ** (1 / 2.2)).astype(np.uint8)[..., None], 3, -1)
    alpha = mask.astype(np.float32)
    return picture, Layers("truth", "", normals.astype(np.float32), alpha)


def test_the_light_of_a_ball_is_found() -> None:
    picture, layers = ball()
    inside = layers.alpha > 0
    found = relightable(picture, layers).shading[inside]
    true = 0.3 + 0.7 * shade(layers.normals[inside], direction(50, 20))
    true = np.clip(true / true.mean(), DARKEST, BRIGHTEST)
    assert np.abs(found - true).mean() < 0.08
    assert np.corrcoef(found, true)[0, 1] > 0.98


def test_normals_are_spread_and_end_facing_the_viewer() -> None:
    picture, layers = ball()
    picture, alpha = np.pad(picture, ((150,) * 2,) * 2 + ((0,) * 2,)), np.pad(layers.alpha, 150)
    normals = np.pad(layers.normals, ((150,) * 2,) * 2 + ((0,) * 2,))
    found = relightable(picture, Layers("truth", "", normals, alpha))
    assert np.allclose(np.linalg.norm(found.normals, axis=-1), 1, atol=1e-4)
    assert np.allclose(found.normals[alpha > 0], normals[alpha > 0], atol=1e-5)
    assert found.normals[198, 145, 0] < -0.3  # left of the ball: as its left is
    assert found.normals[2, 2, 2] > 0.999 and found.shading[2, 2] == pytest.approx(1, abs=1e-3)
    assert (found.normals[..., 2] > -0.05).all()


def test_a_face_without_light_has_an_even_one() -> None:
    _, layers = ball()
    found = relightable(np.zeros((96, 96, 3), np.uint8), layers)
    assert np.allclose(found.shading, 1, atol=1e-5)


@pytest.mark.parametrize("centre", [(100, 100), (20, 20), (380, 280)])
def test_the_picture_stays_within_the_photo(centre: tuple[int, int]) -> None:
    window = window_round(Crop(centre, 120.0), (300, 400))
    assert window.side == pytest.approx(228)
    assert window.inside((300, 400)).all() and window.angle == 0
    assert window_round(Crop(centre, 280.0), (300, 400)).side == 300
    assert window_round(Crop(centre, 500.0), (300, 400)).side == 500  # the face is not cut


def test_a_page_is_whole_and_closed() -> None:
    picture, layers = ball()
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    subject = Subject("</script><b>", picture, [layers], [Solid("m", "", Asset(mesh))], ["a\nb"])
    content = page([subject], "x </script> y")
    assert content.startswith(BEGINNING)
    text = content.decode()
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)
    assert "default-src 'none'" in text and "{{" not in text
    scene = scene_of(content)
    assert scene["title"] == "x </script> y"
    assert scene["subjects"][0]["title"] == "</script><b>"
    assert "\n" not in scene["subjects"][0]["warnings"][0]
    assert len(scene["scale"]["colours"]) == 30


def test_nothing_is_no_page() -> None:
    with pytest.raises(ValueError, match="something to show"):
        page([], "empty")
