"""What the first look misses or mistakes: which way is up, small faces, dark ones, none at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facerelief as fr
from cli_lines import names, normals, one_line, outputs_of
from facerelief import detect
from facerelief.detect import Detector, tiles
from facerelief.detections import Detection
from facerelief.images import load_photo
from facerelief.types import Crop, Place


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> np.ndarray:
    return load_photo(astronaut)


@pytest.mark.parametrize(
    "name",
    ["congress/D000407", "fairface/fairface_0410", "houseclerk/M001177", "fairface025/train_20118"],
)
def test_a_face_on_its_head_is_not_taken_for_an_upright_one(data_root: Path, name: str) -> None:
    """The first scan is sure, from 0.95 to 0.99, of faces that stand upright in all of these."""
    upright = load_photo(data_root / "photos" / f"{name}.jpg")
    (expected,) = fr.find(upright, 1, threads=1)
    for quick in (True, False):
        place = fr.find(np.rot90(upright, 2), threads=1, quick=quick)[0]
        assert abs(place.crop.angle) > 150
        eyes, mouth = place.points[:2].mean(axis=0), place.points[3:].mean(axis=0)
        assert eyes[1] > mouth[1]
    assert expected.crop.angle == 0


def test_a_face_is_turned_only_for_one_that_is_clearer(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[40, 45], [62, 46], [50, 58], [42, 70], [60, 71.0]])
    face = Detection((30.0, 20.0, 74.0, 82.0), 0.95, points)
    scores: dict[int, float] = {}

    def look(self: Detector, picture: object, face: Detection, angles: list) -> list[Detection]:
        frame = Crop(face.centre, 1.0, 180.0, size=1)
        on_its_head = frame.to_photo(points - face.centre + 0.5)
        found = []
        for angle in angles:
            score = scores[round(angle / 180) % 2 * 180]
            found.append(Detection(face.box, score, on_its_head if angle else points, angle))
        return found

    monkeypatch.setattr(Detector, "_look_closer", look)
    nothing = np.zeros((100, 100, 3), np.uint8)
    for upright, turned in ((0.9, 0.0), (0.9, 0.89), (0.9, 0.9), (0.0, 0.79)):
        scores.update({0: upright, 180: turned})
        assert Detector(1)._righted(nothing, face) is face
    for upright, turned in ((0.9, 0.91), (0.0, 0.81)):
        scores.update({0: upright, 180: turned})
        assert round(abs(Detector(1)._righted(nothing, face).angle)) == 179


@pytest.mark.parametrize("shape", [(40, 100), (100, 100), (7, 1000), (355, 230)])
def test_whatever_is_no_longer_than_the_overlap_lies_in_a_tile(shape: tuple[int, int]) -> None:
    windows = tiles(shape, 100, 20)
    sides = {part.stop - part.start for window in windows for part in window}
    assert max(sides) <= 101  # of whole pixels
    for y in range(0, max(shape[0] - 20, 0) + 1, 7):
        for x in range(0, max(shape[1] - 20, 0) + 1, 7):
            low, high = (y, x), (min(y + 20, shape[0]), min(x + 20, shape[1]))
            assert any(
                rows.start <= low[0] and high[0] <= rows.stop
                and columns.start <= low[1] and high[1] <= columns.stop
                for rows, columns in windows
            )  # fmt: skip


@pytest.fixture(scope="module")
def crowd(photo: np.ndarray) -> np.ndarray:
    """Twelve heads of 55 pixels in a photo of 6000, of which a scan in 1600 finds none."""
    canvas = np.full((1500, 6000, 3), 90, np.uint8)
    head = Crop((226.0, 125.0), 190.0, size=100).extract(photo)
    for index in range(12):
        y, x = 200 + index % 3 * 450, 100 + index * 480
        canvas[y : y + 100, x : x + 100] = head
    return canvas


def test_small_faces_in_a_large_photo(crowd: np.ndarray) -> None:
    places = fr.find(crowd, threads=1)
    assert len(places) == 12
    middles = sorted(place.crop.centre[0] for place in places)
    np.testing.assert_allclose(middles, 150 + 480 * np.arange(12), atol=8)
    assert all(40 < place.crop.side < 70 for place in places)


def test_small_faces_in_a_file_that_is_read_in_parts(crowd: np.ndarray, tmp_path: Path) -> None:
    tall = np.full((3600, 6000, 3), 90, np.uint8)  # more than 20 megapixels
    tall[-1500:] = crowd
    path = tmp_path / "crowd.jpg"
    Image.fromarray(tall).save(path, quality=95)
    places = fr.find(path, threads=1)
    assert len(places) == 12
    assert all(place.crop.centre[1] > 2100 for place in places)
    assert places[0].photo_size == (3600, 6000)


def test_the_smallest_face_is_what_the_caller_says(photo: np.ndarray) -> None:
    small = Crop((256.0, 256.0), 512.0, size=300).extract(photo)  # a face of 50 pixels
    canvas = np.full((600, 900, 3), 90, np.uint8)
    canvas[:512, :512], canvas[300:, 600:] = photo, small
    assert len(fr.find(canvas, threads=1)) == 2
    (large,) = fr.find(canvas, threads=1, smallest=70)
    assert large.crop.side > 100
    assert fr.find(canvas, threads=1, smallest=300) == []
    for smallest in (0, 11, -3, float("nan")):
        with pytest.raises(ValueError, match="too small: the least is 12"):
            fr.find(canvas, threads=1, smallest=smallest)


def test_a_larger_smallest_face_is_found_sooner(
    crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[int] = []
    scan = Detector._scan

    def counted(self: Detector, picture: Image.Image, side: int | None = None) -> object:
        scanned.append(picture.width * picture.height * (side or 1) ** 2 // max(picture.size) ** 2)
        return scan(self, picture, side)

    monkeypatch.setattr(Detector, "_scan", counted)
    work = {}
    for smallest in (None, 200, 48, 24):
        scanned.clear()
        fr.find(crowd, threads=1, smallest=smallest)
        work[smallest] = sum(scanned)
    assert work[200] < 0.5 * work[48] < 0.25 * work[24]
    assert work[None] == work[48]


def test_a_face_lit_from_one_side(photo: np.ndarray) -> None:
    """All but the left of the picture, and an eye with it, is nearly black."""
    head = Crop((226.0, 130.0), 220.0, size=320).extract(photo)
    across = np.linspace(0, 1, 320)[None, :, None]
    light = 0.5 * (0.01 + 0.99 / (1 + np.exp(-40 * (across - 0.6))))
    dark = np.rint(head * light).astype(np.uint8)
    (place,) = fr.find(dark, threads=1)
    assert place.score > 0.9
    (expected,) = fr.find(head, threads=1)
    assert np.hypot(*np.subtract(place.crop.centre, expected.crop.centre)) < 0.1 * place.crop.side
    assert place.crop.side == pytest.approx(expected.crop.side, rel=0.15)


def test_second_looks_see_a_place_in_the_photo(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, of a photo in which the first look sees as well."""
    detector = Detector(threads=1)
    (expected,) = detector(photo)
    for look in detect.SECOND_LOOKS:
        monkeypatch.setattr(detect, "SECOND_LOOKS", (look,))
        (face,) = detector._look_again(photo, None)
        np.testing.assert_allclose(face.points, expected.points, atol=5)
        np.testing.assert_allclose(face.extent, expected.extent, rtol=0.15)


def test_the_whole_photo_for_a_face_only_where_there_is_none(photo: np.ndarray) -> None:
    grey = np.full((300, 200, 3), 120, np.uint8)
    assert fr.find(grey, threads=1) == []
    assert fr.find(grey, max_faces=0, threads=1, whole=True) == []
    (place,) = fr.find(grey, threads=1, whole=True)
    assert place.crop == Crop((100.0, 150.0), 300.0)
    assert (place.box, place.score) == ((0, 0, 200, 300), 0)
    assert np.isnan(place.points).all()
    assert place.warnings == ("no face was found: the photo as a whole was taken for one",)
    (face,) = fr.find(photo, threads=1, whole=True)
    assert face.score > 0.99 and not face.warnings


def test_whole_and_smallest_on_the_command_line(
    astronaut: Path, tmp_path: Path, tiny_catalogue: Path
) -> None:
    grey, out = tmp_path / "grey.png", tmp_path / "out"
    Image.new("RGB", (200, 300), "gray").save(grey)
    assert normals(grey, "-o", out).exit_code == 1
    result = normals(grey, "-o", out, "--whole")
    assert result.exit_code == 0 and names(out) == outputs_of("grey")
    sidecar = json.loads((out / "grey.json").read_text())
    assert "no face was found: the photo as a whole was taken for one" in sidecar["warnings"]
    assert (sidecar["points"], sidecar["score"]) == (None, 0)
    one_line(normals(astronaut, "-o", out, "--smallest", 400), "no face found")
    assert normals(astronaut, "-o", out, "--smallest", 60).exit_code == 0
    assert normals(astronaut, "-o", out, "--smallest", 5).exit_code == 2


def test_a_shape_has_the_warnings_of_its_place() -> None:
    place = Place.of_photo((300, 200))
    (face,) = fr.load("prnet", threads=1).estimate(np.full((300, 200, 3), 120, np.uint8), [place])
    assert face.warnings[0] == place.warnings[0] and face.shape is not None
