"""The page as people use it, beside what Python says of the same photos."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import facerelief as fr
from browser import running
from facerelief.cli import app
from facerelief.normal_png import decode_png
from static_site import Page, needed_runtime, served

CAMERA = "--use-file-for-fake-video-capture="


@dataclass
class Open:
    """A page in a browser of its own, which has a camera that shows a film."""

    page: Page
    out: Path


@pytest.fixture(scope="module")
def film(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Motion JPEG, as Chromium's false camera plays it: a head that moves, and is gone at times."""
    path = tmp_path_factory.mktemp("film") / "film.mjpeg"
    portrait = Image.open(astronaut).crop((80, 0, 400, 320))
    with open(path, "wb") as file:
        for step in range(30):
            picture = Image.new("RGB", (640, 480), (110, 120, 130))
            picture.paste(portrait, (round(160 + 60 * np.sin(2 * np.pi * step / 30)), 90))
            picture.save(file, "JPEG", quality=90)
    return path


@pytest.fixture(scope="module")
def opened(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """It must never complain, nor ask any other server."""
    runtime = needed_runtime()
    folder = tmp_path_factory.mktemp("site")
    done = CliRunner().invoke(app, ["browser", "-o", str(folder / "page"), "--ort", str(runtime)])
    assert done.exit_code == 0, done.output
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with (
        running(*flags, f"{CAMERA}{film}") as browser,
        served(folder / "page") as address,
    ):
        context = browser.new_context(
            viewport={"width": 900, "height": 640}, permissions=["camera"], accept_downloads=True
        )
        page = Page(context, address)
        yield Open(page, folder)
        page.close()


def turned(photo: Path, folder: Path) -> Path:
    """Far from upright: such crops go another way through both resamplers."""
    picture = Image.open(photo).rotate(33, Image.Resampling.BICUBIC, True, fillcolor=(90, 90, 90))
    picture.save(folder / "turned.png")
    return folder / "turned.png"


def crowd(photo: Path, folder: Path) -> Path:
    """Two faces of a photo that lies on its side, as cameras store it."""
    picture = Image.new("RGB", (1000, 620), (120, 130, 140))
    portrait = Image.open(photo)
    picture.paste(portrait, (20, 60))
    picture.paste(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((300, 300)), (620, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = picture.transpose(Image.Transpose.ROTATE_90)
    stored.save(folder / "crowd.jpg", quality=95, exif=exif)
    return folder / "crowd.jpg"


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    cosine = (one.astype(np.float64) * other).sum(-1)
    angles: np.ndarray = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return angles


def compare(seen: list[dict[str, Any]], expected: list[fr.Face] | list[Any]) -> None:
    assert len(seen) == len(expected) > 0
    for one, face in zip(seen, expected, strict=True):
        pixel = face.crop.side / 256
        assert np.hypot(*np.subtract(one["centre"], face.crop.centre)) < 0.1 * pixel
        assert abs(one["side"] - face.crop.side) < 0.1 * pixel
        assert abs(one["angle"] - face.crop.angle) < 0.05
        assert np.allclose(one["points"], face.points, atol=0.1 * pixel)
        mask = one["mask"] > 0
        assert np.count_nonzero(mask != face.mask) < 0.002 * mask.size
        apart = degrees(one["normals"], face.normals)[mask & face.mask]
        assert apart.mean() < 0.1 and apart.max() < 5
        off = np.abs(one["error"] - face.expected_error)[mask & face.mask]
        assert off.mean() < 0.1
        assert tuple(one["warnings"]) == face.warnings


@pytest.mark.parametrize("kind", ["portrait", "turned", "crowd"])
def test_it_says_what_python_says(kind: str, opened: Open, astronaut: Path, tmp_path: Path) -> None:
    make = {"portrait": lambda photo, _: photo, "turned": turned, "crowd": crowd}
    photo = make[kind](astronaut, tmp_path)
    faces = opened.page.open(photo)
    compare(faces, fr.load("default", threads=1)(photo))
    assert len(faces) == (2 if kind == "crowd" else 1)
    assert opened.page.said().startswith(f"{len(faces)} face")


def test_people_look_as_they_do_to_python(opened: Open, data_root: Path) -> None:
    photos = sorted((data_root / "photos").rglob("*.jpg"))[:3]
    if not photos:
        pytest.skip("no photos in FACERELIEF_DATA")
    for photo in photos:
        expected = fr.load("default", threads=1)(photo)
        seen = opened.page.open(photo)
        if expected:
            compare(seen, expected)
        else:
            assert not seen


def test_a_photo_without_a_face_is_shown_and_told(opened: Open, tmp_path: Path) -> None:
    Image.new("RGB", (160, 120), (40, 90, 140)).save(tmp_path / "empty.png")
    assert opened.page.open(tmp_path / "empty.png") == []
    assert opened.page.said().startswith("No face found")
    assert opened.page.tab.locator("#save-normal").is_disabled()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    opened.page.open(tmp_path / "broken.png")
    assert opened.page.said().startswith("broken.png: ")


def test_what_is_kept_is_what_the_command_writes(
    opened: Open, astronaut: Path, tmp_path: Path
) -> None:
    opened.page.open(astronaut)
    for name in ("#save-normal", "#save-json"):
        with opened.page.tab.expect_download() as waiting:
            opened.page.tab.locator(name).click()
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
    done = CliRunner().invoke(app, ["normals", str(astronaut), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    kept, written = (
        decode_png(folder / "astronaut_normal.png") for folder in (tmp_path, tmp_path / "out")
    )
    assert kept.frame == written.frame == "opengl" and kept.bits == 8
    both = kept.mask & written.mask
    assert np.count_nonzero(kept.mask != written.mask) < 100
    assert degrees(kept.normals, written.normals)[both].mean() < 0.1
    said, expected = (
        json.loads((folder / "astronaut.json").read_text("utf-8"))
        for folder in (tmp_path, tmp_path / "out")
    )
    assert set(said) == set(expected) - {"files"}
    for same in ("frame", "model", "facerelief", "warnings"):
        if same == "frame":
            assert said[same]["axes"] == expected[same]["axes"]
        else:
            assert said[same] == expected[same]
    assert said["crop"]["side"] == pytest.approx(expected["crop"]["side"], abs=0.1)
    assert said["mean_expected_error"] == pytest.approx(expected["mean_expected_error"], abs=0.05)


def drawn(page: Page) -> np.ndarray:
    content = page.tab.locator("#canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def choose(page: Page, layer: str) -> None:
    page.tab.get_by_role("radio", name=layer, exact=True).check(force=True)


def test_light_is_dragged_and_layers_are_shown(opened: Open, astronaut: Path) -> None:
    page = opened.page
    [face] = page.open(astronaut)
    choose(page, "Photo")
    photo = drawn(page)
    original = np.asarray(Image.open(astronaut).resize(photo.shape[1::-1])).astype(int)
    assert np.abs(photo - original).mean() < 4
    scale = photo.shape[0] / 512
    x, y = (round(scale * value) for value in face["centre"])
    reach = round(0.22 * scale * face["side"])

    def cheeks() -> float:
        """How much brighter the picture's left of the face is than its right."""
        part = drawn(page)[y - 10 : y + 10, x - reach : x + reach].mean((0, 2))
        return float(part[: len(part) // 3].mean() - part[-len(part) // 3 :].mean())

    choose(page, "Relit")
    box = page.tab.locator("#canvas").bounding_box()
    sides = []
    for share in (0.03, 0.97):
        page.tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.tab.mouse.down()
        page.tab.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        page.tab.mouse.up()
        sides.append(cheeks())
    assert sides[0] > sides[1] + 25
    choose(page, "Normals")
    half = round(scale * face["side"] / 2)
    shown = Image.fromarray(drawn(page)[y - half : y + half, x - half : x + half].astype(np.uint8))
    apart = np.asarray(shown.resize((256, 256))) - 127.5 * (face["normals"] + 1)
    inner = np.s_[64:192, 64:192]  # where the overlay is opaque
    assert np.median(np.abs(apart[inner][face["mask"][inner] > 0])) < 5
    choose(page, "Expected error")
    assert page.tab.locator("#legend").is_visible()
    assert np.abs(drawn(page) - photo)[y - 20 : y + 20, x - 20 : x + 20].mean() > 20
    choose(page, "Normals")


def test_a_camera_is_followed(opened: Open) -> None:
    page = opened.page
    page.tab.locator("#camera").check(force=True)
    page.until("document.documentElement.app.frames.length > 4")
    frames = page.tab.evaluate("document.documentElement.app.frames")
    places = []
    for _ in range(2):
        count = page.tab.evaluate("document.documentElement.app.frames.length")
        page.until(f"document.documentElement.app.frames.length > {count + 1}")
        [face] = page.faces()
        places.append(face["centre"][0])
        assert face["mask"].mean() > 0.2
    assert all(frame["faces"] == 1 for frame in frames[1:])
    assert np.ptp(places) > 1  # pixels: the head moves, and so does its crop
    page.tab.locator("#camera").uncheck(force=True)
    page.until("document.documentElement.app.camera === null")
    assert "pictures a second" in page.said()


@pytest.mark.parametrize(("width", "height"), [(360, 640), (740, 360), (1600, 900)])
def test_everything_fits_the_screen(opened: Open, width: int, height: int) -> None:
    tab = opened.page.tab
    tab.set_viewport_size({"width": width, "height": height})
    measured = tab.evaluate(
        """() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight,
          ...["canvas", "controls"].flatMap((id) => {
            const box = document.getElementById(id).getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom];
          })]"""
    )
    assert measured[0] <= width and measured[1] <= height
    assert min(measured[2:]) >= 0
    assert max(measured[2::2]) <= width + 1


def test_threads_are_used_where_the_browser_allows(opened: Open) -> None:
    """By a service worker: this server sends no headers of its own."""
    tab = opened.page.tab
    assert tab.evaluate("crossOriginIsolated")
    assert "threads" in tab.locator("#engine").text_content()


def test_other_servers_are_forbidden(opened: Open) -> None:
    """By the page's own policy: even a script of its own cannot reach one."""
    tab = opened.page.tab
    blocked = "fetch('http://127.0.0.1:9/').then(() => false, () => true)"
    assert tab.evaluate(blocked)
    opened.page.complaints[:] = [one for one in opened.page.complaints if "127.0.0.1:9" not in one]
    opened.page.requests[:] = [one for one in opened.page.requests if "127.0.0.1:9" not in one]
