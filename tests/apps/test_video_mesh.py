"""Heads that move as in a film: GLBs played again lie on the faces that they were made of."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner, Result

from cli_lines import names, one_line
from facerelief import Estimator, load
from facerelief.apps.video import mesh, motion, running
from facerelief.cli import app
from facerelief.coefficients import EXPRESSIONS
from facerelief.geometry.camera import Perspective
from facerelief.geometry.landmark_schemes import scheme
from facerelief.types import Crop, Place
from moving_heads import Played

pytest.importorskip("av")
clips = pytest.importorskip("clips")  # which imports it

VIEWERS = Path(__file__).parents[1] / "viewers"
SIZE = (240, 320)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["mesh", *map(str, arguments)])


@pytest.fixture(scope="module")
def full_pose() -> Estimator:
    return load("full_pose", threads=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = clips.pictures(20, path=lambda t: (90 * t, 10 * t))
    return clips.write(tmp_path_factory.mktemp("film") / "clip.mp4", frames)


@pytest.fixture(scope="module")
def made(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    done = run(film, "-o", out, "--raw", "--texture", 256, "--threads", 1)
    assert done.exit_code == 0, done.output
    return out


def test_what_is_written(made: Path) -> None:
    assert names(made) == {
        "clip.glb", "clip_coefficients.csv", "clip_faces.csv", "clip_video.json"
    }  # fmt: skip
    said = json.loads((made / "clip_video.json").read_bytes())
    assert said["faces"] == [{"face": 0, "first": 0, "pictures": 20, "last": 19}]
    assert set(said["steadiness"]) == {"crop", "pose", "expression"}
    with open(made / "clip_coefficients.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["picture"]) for row in rows] == list(range(20))
    assert list(rows[0])[-52:] == list(EXPRESSIONS)
    assert float(rows[19]["origin_x"]) - float(rows[0]["origin_x"]) == pytest.approx(57, abs=4)


def test_the_head_lies_on_the_face_in_every_picture(
    made: Path, film: Path, full_pose: Estimator
) -> None:
    played = Played(made / "clip.glb")
    np.testing.assert_allclose(played.times, np.arange(20) / 30, atol=1e-4)
    assert played.names == list(EXPRESSIONS)
    np.testing.assert_allclose(np.linalg.norm(played.keys["rotation"], axis=1), 1, atol=1e-6)
    with open(made / "clip_faces.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for index, frame in list(enumerate(clips.frames_of(film)))[::6]:
        x, y, side = (float(rows[index][name]) for name in ("centre_x", "centre_y", "side"))
        place = replace(Place.of_photo(SIZE), crop=Crop((x, y), side))
        (face,) = full_pose.estimate(frame, [place])
        points = scheme("ibug68", "face").of(played.seen(index, SIZE)[:, [0, 1, 1]])
        off = np.linalg.norm(points[:, :2] - face.landmarks[:, :2], axis=1)
        assert off.mean() < 0.015 * side, index
        told = face.coefficients["expression"]
        np.testing.assert_allclose(played.weights[index], told, atol=0.01)


def test_its_person_is_the_films_and_its_targets_are_the_models(made: Path) -> None:
    played = Played(made / "clip.glb")
    identity = np.zeros(80, np.float32)
    plain = motion.base_mesh(identity)
    assert 1e-3 < np.abs(played.base * 1000 - plain.vertices).max() < 60
    # A target moves what the face of a person with that expression has moved, normals too.
    from facerelief.geometry.face_model import face_model

    model = face_model()
    for name in ("jawOpen", "mouthSmileLeft", "eyeBlinkRight"):
        number = played.names.index(name)
        whole = model.vertices(identity, model.expression_weights(**{name: 1.0}))
        moved = motion._face(whole) - plain.vertices
        assert np.abs(moved).max() > 1
        np.testing.assert_allclose(1000 * played.targets[number], moved, atol=4e-3)
        assert np.abs(played.turned[number]).max() > 0.1
    # Left is the subject's: its smile moves what lies at positive x.
    moved = np.abs(played.targets[played.names.index("mouthSmileLeft")]).sum(axis=1)
    assert np.average(played.base[:, 0], weights=moved) > 0.01


@pytest.mark.skipif(
    not (VIEWERS / "node_modules/gltf-validator/package.json").is_file()
    or not shutil.which("node"),
    reason="needs node and: npm install --prefix tests/viewers",
)
def test_khronos_finds_nothing_wrong_with_it(made: Path) -> None:
    command = ["node", str(VIEWERS / "validate.mjs"), str(made / "clip.glb")]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    issues = report["issues"]
    assert issues["numErrors"] == issues["numWarnings"] == 0, issues["messages"]
    assert report["info"]["hasMorphTargets"] and report["info"]["animationCount"] == 1


def test_smoothed_work_that_was_stopped_makes_the_same(
    film: Path, full_pose: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PART", 6)

    class Stopped(mesh.Heads):
        def put(self, step) -> None:
            if step.frame.index == 15:
                raise RuntimeError("the light went out")
            super().put(step)

    options = mesh.Options(texture=256)
    for out in (tmp_path / "whole", tmp_path / "out"):
        out.mkdir()
    whole = running.process(str(film), "clip", tmp_path / "whole", mesh.Heads(full_pose, options))
    stopped = running.process(str(film), "clip", tmp_path / "out", Stopped(full_pose, options))
    assert stopped.error.endswith("RuntimeError: the light went out")
    again = running.process(str(film), "clip", tmp_path / "out", mesh.Heads(full_pose, options))
    assert whole.error is again.error is None and "went on after picture 12" in again.note
    for name in ("clip.glb", "clip_coefficients.csv", "clip_faces.csv"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("out", "whole"))
        assert one == other, name
    said = json.loads((tmp_path / "out" / "clip_video.json").read_bytes())["steadiness"]
    assert said["pose"]["jitter"] < said["pose"]["jitter_raw"]
    assert said["expression"]["jitter"] < said["expression"]["jitter_raw"]


def test_a_head_at_the_side_is_turned_towards_the_camera() -> None:
    """One that looks straight into the camera from the film's edge is turned by the ray's angle."""
    focal, size = 500.0, (200, 1000)
    x = 900.0
    track = motion.Track(
        np.zeros(1), np.zeros((1, 80)), np.zeros((1, 52)), np.array([[0.0, 0, 0, 1]]),
        np.array([[x, 100.0]]), np.log([0.5]), np.array([focal]),
    )  # fmt: skip
    (turn,), (place,) = track.poses(size)
    camera = Perspective(focal, (500.0, 100.0))
    np.testing.assert_allclose(camera.project(place)[:2], (x, 100))
    assert -place[2] == pytest.approx(focal / 0.5)
    nose = Rotation.from_quat(turn).apply((0, 0, 1))
    np.testing.assert_allclose(nose, -place / np.linalg.norm(place), atol=1e-9)


def test_signs_of_quaternions_go_on() -> None:
    turns = Rotation.from_euler("y", np.arange(0, 720, 40)[:, None], degrees=True).as_quat()
    random = np.random.default_rng(0).choice([-1, 1], len(turns))[:, None]
    found = motion.continuous(turns * random)
    assert (np.einsum("ij,ij->i", found[1:], found[:-1]) > 0).all()
    np.testing.assert_allclose(np.abs(found), np.abs(turns))


def test_a_film_without_faces_has_no_head(tmp_path: Path) -> None:
    frames = [np.full((120, 160, 3), 90, np.uint8)] * 3
    source = clips.write(tmp_path / "empty.mp4", frames)
    done = run(source, "-o", tmp_path / "out", "--threads", 1)
    assert done.exit_code == 0, done.output
    assert names(tmp_path / "out") == {
        "empty_coefficients.csv", "empty_faces.csv", "empty_video.json"
    }  # fmt: skip
    assert (tmp_path / "out" / "empty_coefficients.csv").read_text().count("\n") == 1


def test_what_cannot_move_is_told_in_one_line(film: Path, tmp_path: Path) -> None:
    for more, code, told in (
        (["--system", "prnet"], 2, "prnet.* tells no coefficients.*full_pose"),
        (["--detail", "none", "--head", "full"], 2, "--head, --detail: for photos alone"),
        (["--texture", "300"], 2, "--texture is"),
    ):
        done = run(film, *more, "-o", tmp_path / "out")
        assert done.exit_code == code
        one_line(done, told)
    done = run(clips.ASTRONAUT, "--raw", "-o", tmp_path / "out")
    assert done.exit_code == 2
    one_line(done, "--raw: for films alone")
