"""A page as people use it: in a browser, with mouse, keyboard and fingers."""

import base64
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from browser import Viewer, running
from facerelief.apps.view.scene import BRIGHTEST, Relightable
from facerelief.cli import app
from relit_twin import relit

#: The light that pages begin with.
START = {"azimuth": 35.0, "elevation": 25.0, "key": 1.0, "fill": 0.25, "shine": 0.12}
WIDTH, HEIGHT = 640, 340  # of which the stage is 340 x 340


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Any, astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut's, as the command makes it."""
    path = tmp_path_factory.mktemp("page") / "astronaut.html"
    arguments = ["view", str(astronaut), "-o", str(path), "--detail", "shading"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Callable[..., Viewer]]:
    """Opens the page; whatever is done with it, it must not complain nor ask for anything."""
    viewers = []

    def open_it(width: int = WIDTH, height: int = HEIGHT, **how: Any) -> Viewer:
        viewers.append(Viewer(browser, page, width, height, **how))
        return viewers[-1]

    yield open_it
    for viewer in viewers:
        viewer.close()


def embedded(page: Path, key: str) -> np.ndarray:
    """The first picture called `key` in the page."""
    found = re.search(rf'"{key}":"data:image/\w+;base64,([^"]+)"', page.read_text("utf-8"))
    assert found is not None
    return np.asarray(Image.open(BytesIO(base64.b64decode(found[1]))).convert("RGB"))


def at(picture: np.ndarray, x: float, y: float, radius: int = 6) -> np.ndarray:
    """The mean colour (3,) round a place, as shares of the picture."""
    row, column = round(y * picture.shape[0]), round(x * picture.shape[1])
    part = picture[row - radius : row + radius, column - radius : column + radius]
    mean: np.ndarray = part.mean((0, 1))
    return mean


def test_a_dragged_light_falls_from_where_it_is(opened: Callable[..., Viewer]) -> None:
    viewer = opened()
    sides = {}
    for name, x in (("left", 0.05), ("right", 0.95)):
        viewer.drag((0.5, 0.5), (x, 0.45))
        shown = viewer.picture()
        sides[name] = at(shown, 0.37, 0.53).mean() - at(shown, 0.61, 0.53).mean()
        azimuth = viewer.state("light.azimuth")
        assert azimuth > 45 if name == "left" else azimuth < -45
    assert sides["left"] > sides["right"] + 25  # the cheek that it shines on is the brighter one


def test_the_shader_is_its_twin(opened: Callable[..., Viewer], page: Path) -> None:
    viewer = opened(width=300 + 512, height=512)
    surface, maps = (embedded(page, key) / 255.0 for key in ("surface", "maps"))
    slope = 2 * surface[..., :2] - 1
    z = np.sqrt(np.maximum(1 - (slope**2).sum(-1), 0))
    shown = Relightable(np.dstack([slope, z]), surface[..., 2] * BRIGHTEST)
    expected = relit(embedded(page, "picture") / 255.0, shown, maps[..., 0], START)
    assert surface.shape[:2] == (512, 512)
    difference = np.abs(viewer.picture() - 255 * expected)
    assert difference.mean() < 1 and np.percentile(difference, 99.9) < 4


def test_keys_move_the_light_and_say_so(opened: Callable[..., Viewer]) -> None:
    viewer = opened()
    before = viewer.picture()
    viewer.tab.locator("#canvas").focus()
    for key in ("Shift+ArrowRight",) * 5 + ("ArrowUp",) * 2:
        viewer.tab.keyboard.press(key)
    assert viewer.state("light.azimuth") == 35 - 75 and viewer.state("light.elevation") == 35
    status = viewer.tab.locator("#status").text_content()
    assert status == "Light 40° from the right, 35° above"
    assert np.abs(viewer.picture() - before).mean() > 5
    viewer.tab.get_by_role("button", name="Reset").click()
    assert np.abs(viewer.picture() - before).max() <= 1


def test_left_of_the_slider_is_the_photo(opened: Callable[..., Viewer], page: Path) -> None:
    viewer = opened()
    lit = viewer.picture()
    viewer.drag((0.005, 0.5), (0.5, 0.5))  # its grip is at the edge at first
    assert viewer.state("split") == pytest.approx(0.5, abs=0.02)
    photo = np.asarray(Image.fromarray(embedded(page, "picture")).resize((HEIGHT, HEIGHT)))
    half = viewer.picture()
    assert np.abs(half[:, : HEIGHT // 2 - 8] - photo[:, : HEIGHT // 2 - 8]).mean() < 3
    assert (half[:, HEIGHT // 2 + 8 :] == lit[:, HEIGHT // 2 + 8 :]).all()
    viewer.tab.locator("#canvas").focus()
    viewer.tab.keyboard.press("]")
    assert viewer.state("split") == pytest.approx(0.55, abs=0.02)


def test_normals_have_their_colours(opened: Callable[..., Viewer], page: Path) -> None:
    viewer = opened()
    viewer.choose("radio", "Normals", "normals")
    shown, surface = viewer.picture(), embedded(page, "surface")
    for x, y in ((0.45, 0.35), (0.4, 0.55), (0.6, 0.5), (0.48, 0.72)):
        slope = at(surface, x, y, 4)[:2] / 127.5 - 1
        normal = np.array([*slope, np.sqrt(1 - (slope**2).sum())])
        assert np.abs(at(shown, x, y, 3) - 127.5 * (normal + 1)).max() < 12


def test_a_mesh_is_turned_moved_near_and_seen_without_detail(opened: Callable[..., Viewer]) -> None:
    viewer = opened()
    viewer.choose("radio", "Mesh", "mesh")
    front = viewer.picture()
    face = (np.abs(front - front[2, 2]).sum(-1) > 30).mean()
    assert 0.15 < face < 0.6
    viewer.drag((0.5, 0.5), (0.7, 0.5))
    turned = viewer.picture()
    assert viewer.state("view.yaw") > 15 and np.abs(turned - front).mean() > 5
    viewer.tab.mouse.wheel(0, -400)
    viewer.until("document.documentElement.stage.state.view.zoom > 1.5")
    near = viewer.picture()
    assert (np.abs(near - near[2, 2]).sum(-1) > 30).mean() > 1.3 * face
    viewer.choose("radio", "Drag moves the light")
    viewer.drag((0.5, 0.5), (0.95, 0.5))
    assert viewer.state("light.azimuth") < -45
    viewer.tab.get_by_role("checkbox", name="Detail", exact=True).uncheck(force=True)
    viewer.wait_for("mesh")
    smooth = viewer.picture()
    viewer.choose("checkbox", "Detail", "mesh")
    changed = np.abs(viewer.picture() - smooth).sum(-1) > 8
    assert 0.01 < changed.mean() < 0.8


def test_texture_and_wire_are_not_clay(opened: Callable[..., Viewer]) -> None:
    viewer = opened()
    middles = {}
    for name, layer in (("Mesh", "mesh"), ("Texture", "texture"), ("Wireframe", "wire")):
        viewer.choose("radio", name, layer)
        shown = viewer.picture()
        middles[name] = at(shown, 0.5, 0.45, 30)
    red, _, blue = middles["Texture"]
    assert red > blue + 25  # skin
    assert np.ptp(middles["Mesh"]) < 25 and middles["Wireframe"][2] > middles["Wireframe"][0] + 10


def test_systems_stand_side_by_side(opened: Callable[..., Viewer]) -> None:
    viewer = opened(width=300 + 400, height=260)
    viewer.choose("radio", "Normals", "normals")
    viewer.choose("checkbox", "prnet", "casfne_compact,prnet")
    shown = viewer.picture()
    left, right = shown[:, :200], shown[:, 200:]
    for half in (left, right):
        assert np.ptp(half[100:160, 70:130].mean((0, 1))) > 40  # a face's normals are in both
    assert np.abs(left - right).mean() > 1
    names = viewer.tab.locator(".pane .name").all_text_contents()
    assert names == ["casfne_compact", "prnet"]
    viewer.choose("radio", "Mesh", "mesh")
    assert viewer.tab.get_by_text("makes no mesh").is_visible()


def test_fingers_move_the_light_and_pinch_the_mesh(opened: Callable[..., Viewer]) -> None:
    viewer = opened(width=360, height=640, has_touch=True, is_mobile=True)
    box = viewer.tab.locator("#overlay").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.tab.touchscreen.tap(x + 0.45 * box["width"], y)
    viewer.settle()
    assert viewer.state("light.azimuth") < -45
    viewer.choose("radio", "Mesh", "mesh")
    touch = viewer.context.new_cdp_session(viewer.tab)
    for kind, apart in (("Start", 30), ("Move", 45), ("Move", 60), ("End", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y}, {"x": x + apart, "y": y}]
        said = {"type": f"touch{kind}", "touchPoints": points}
        touch.send("Input.dispatchTouchEvent", said)
    viewer.settle()
    assert viewer.state("view.zoom") == pytest.approx(60 / 30, rel=0.02)


@pytest.mark.parametrize(("width", "height"), [(360, 640), (740, 360), (1600, 900)])
def test_everything_fits_the_screen(opened: Callable[..., Viewer], width: int, height: int) -> None:
    viewer = opened(width, height)
    measured = viewer.tab.evaluate(
        """() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight,
          ...["stage", "controls"].flatMap((id) => {
            const box = document.getElementById(id).getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom];
          })]"""
    )
    assert measured[0] <= width and measured[1] <= height
    assert min(measured[2:]) >= 0
    stage, controls = np.reshape(measured[2:], (2, 4))
    assert (stage[2:] - stage[:2]).min() >= 0.5 * min(width, height)
    assert (controls[2:] - controls[:2]).min() >= 200
    for name in ("Left, right", "Up, down", "Strength", "Photo's own", "Shine", "Slider"):
        assert viewer.tab.get_by_role("slider", name=re.compile(name)).count() == 1


def test_a_mesh_without_texture_coordinates_is_shown(browser: Any, tmp_path: Path) -> None:
    """Of two parts, with vertex colours; all of the other layers are not offered."""
    tetrahedron = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    lines = [f"v {x + 1.5 * part} {y} {z} 1 0.1 0.1" for part in (0, 1) for x, y, z in tetrahedron]
    for part in (0, 1):
        for face in ((1, 3, 2), (1, 2, 4), (2, 3, 4), (1, 4, 3)):
            lines.append("f " + " ".join(str(index + 4 * part) for index in face))
    (tmp_path / "two.obj").write_text("\n".join(lines))
    path = tmp_path / "two.html"
    done = CliRunner().invoke(app, ["view", str(tmp_path / "two.obj"), "-o", str(path)])
    assert done.exit_code == 0, done.output
    viewer = Viewer(browser, path, WIDTH, HEIGHT)
    offered = viewer.tab.locator("#layers label").all_text_contents()
    assert offered == ["Mesh", "Texture", "Wireframe"]
    viewer.choose("radio", "Texture", "texture")
    shown = viewer.picture()
    seen = np.abs(shown - shown[2, 2]).sum(-1) > 30
    assert seen.any(0)[[HEIGHT // 4, 3 * HEIGHT // 4]].all()  # the one part and the other
    red, green, blue = shown[seen].mean(0)
    assert red > green + 30 and red > blue + 30
    viewer.close()
