"""`facerelief all`: one search, each network once, and parts that fail alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import facerelief as fr
from facerelief.apps import everything
from facerelief.apps.everything import LIGHTS, Systems, produce
from facerelief.apps.photos import process
from facerelief.apps.products import Folder, Photo, Product
from facerelief.cli import app
from facerelief.detail import Detail
from facerelief.inputs import PhotoError
from facerelief.runtime import Estimator


@pytest.fixture(scope="module")
def systems() -> Systems:
    return Systems.load(threads=1)


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Photo:
    return Photo(fr.load_photo(astronaut), "astronaut", "astronaut.jpg")


@pytest.fixture(scope="module")
def product(photo: Photo, systems: Systems) -> Product:
    return produce(photo, systems)


def flat(systems: Systems) -> Systems:
    """The same without the seconds that relief takes."""
    return replace(systems, maker=lambda face, photo: Detail.none(256))


def test_all_is_there(product: Product) -> None:
    endings = {name.removeprefix("astronaut") for name in product.files}
    assert {
        ".html", "_relit.jpg", ".glb", "_normal.png", "_normal.npy", "_shading.png",
        "_expected_error.png", "_overlay.jpg", ".json", "_texture.jpg", "_landmarks.json",
        "_coefficients.json", "_displacement.png", "_tangent_normal.png", "_pose.json",
        "_mesh_overlay.jpg",
    } <= endings  # fmt: skip
    assert endings <= everything.written().keys()
    assert not product.left_out
    sidecar = json.loads(product.files["astronaut.json"])
    assert set(sidecar["files"]) | {"astronaut.json"} == product.files.keys()
    assert sidecar["left_out"] == [] and sidecar["frame"]["name"] == "opengl"
    weights = json.loads(product.files["astronaut_coefficients.json"])["expression"]
    assert weights["mouthSmileLeft"] > 0.2  # she smiles
    assert b'"bumps":"data:image/png' in product.files["astronaut.html"]


def test_light_comes_from_where_it_is_said(product: Product, tmp_path: Path) -> None:
    path = tmp_path / "row.jpg"
    path.write_bytes(product.files["astronaut_relit.jpg"])
    row = np.asarray(Image.open(path).convert("L")).astype(float)
    side = row.shape[0]
    tiles = np.stack(np.split(row, 1 + len(LIGHTS), axis=1))
    assert side == 320 and tiles.shape[2] == pytest.approx(side, abs=5)
    cheeks = slice(int(0.5 * side), int(0.65 * side))
    left = tiles[:, cheeks, int(0.3 * side) : int(0.4 * side)].mean((1, 2))
    right = tiles[:, cheeks, int(0.62 * side) : int(0.72 * side)].mean((1, 2))
    assert left[1] - right[1] > left[0] - right[0] + 30  # lit from the left
    assert left[3] - right[3] < left[0] - right[0] - 30


def test_networks_and_search_run_once_for_all(
    photo: Photo, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches, reliefs = [], []
    call = Estimator.__call__

    def counted(self: Estimator, *arguments: Any, **named: Any) -> Any:
        searches.append(self.name)
        return call(self, *arguments, **named)

    def relief(face: Any, photo: Any) -> Detail:
        reliefs.append(face)
        return Detail.none(256)

    monkeypatch.setattr(Estimator, "__call__", counted)
    assert not produce(photo, replace(systems, maker=relief)).left_out
    assert searches == [systems.normals.name] and len(reliefs) == 1


def test_relief_reads_the_normals_of_the_network_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = []
    for module in ("facerelief.apps.everything", "facerelief.detail"):
        monkeypatch.setattr(f"{module}.load", lambda name, *_, **__: loaded.append(name) or name)
    Systems.load(threads=1)
    assert loaded == ["default", "prnet", "full_pose"]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Meshes cannot be made, for whatever reason."""

    def fails(*_: Any, **__: Any) -> Product:
        raise ZeroDivisionError("the mesh\nis flat")

    monkeypatch.setattr("facerelief.apps.mesh.produce", fails)
    yield


@pytest.mark.usefixtures("broken")
def test_a_part_that_fails_leaves_the_others(
    astronaut: Path, systems: Systems, tmp_path: Path
) -> None:
    few = flat(systems)
    done = process(astronaut, "astronaut", lambda one: produce(one, few), Folder(tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"astronaut.html", "astronaut_normal.png", "astronaut_coefficients.json"} <= names
    assert "astronaut.glb" not in names
    assert done.error is not None and "\n" not in done.error
    assert "meshes (the mesh" in done.error and "the rest is written" in done.error
    assert json.loads((tmp_path / "astronaut.json").read_text())["left_out"]


@pytest.mark.usefixtures("broken")
def test_the_command_says_what_is_missing(
    astronaut: Path, systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Systems, "load", lambda *_, **__: flat(systems))
    done = CliRunner().invoke(app, ["all", str(astronaut), "-o", str(tmp_path)])
    assert done.exit_code == 1
    assert "without meshes" in done.stderr and "1 face in 1 photo" in done.stdout


def test_a_photo_without_a_face_is_one_line(systems: Systems) -> None:
    grey = Photo(np.full((200, 200, 3), 128, np.uint8), "grey", "grey.png")
    with pytest.raises(PhotoError, match=r"grey\.png: no face found"):
        produce(grey, systems)


def test_again_replaces_what_was_there(astronaut: Path, systems: Systems, tmp_path: Path) -> None:
    few = flat(systems)
    for _ in range(2):
        done = process(astronaut, "astronaut", lambda one: produce(one, few), Folder(tmp_path))
        assert done.error is None and done.note is None
    (tmp_path / "astronaut.html").write_text("<html>mine</html>")
    done = process(astronaut, "astronaut", lambda one: produce(one, few), Folder(tmp_path))
    assert done.error is not None and "is not facerelief's" in done.error
    assert (tmp_path / "astronaut.html").read_text() == "<html>mine</html>"
