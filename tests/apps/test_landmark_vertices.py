"""Where a written mesh has the points of each scheme: what other programs read of it, too."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from facerelief import landmarks, load
from facerelief.cli import app
from facerelief.geometry.landmark_schemes import SCHEMES, TOPOLOGIES, scheme
from facerelief.mesh_reading import read_mesh
from facerelief.types import Face

UNIT = {"glb": 1000.0, "obj": 1.0, "ply": 1.0}  # mm
Opened = Callable[[str, bool], trimesh.Trimesh]


@pytest.fixture(scope="module")
def face(astronaut: Path) -> Face:
    return load("prnet")(astronaut)[0]


@pytest.fixture(scope="module", params=["face", "full"])
def folder(
    request: pytest.FixtureRequest, astronaut: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp(request.param)
    arguments = ["mesh", str(astronaut), "-o", str(out), "--head", request.param]
    done = CliRunner().invoke(app, [*arguments, "--format", ",".join(UNIT), "--texture", "256"])
    assert done.exit_code == 0 and "_landmark_vertices.json" in done.output, done.output
    return out


@pytest.fixture(scope="module")
def opened(folder: Path) -> Opened:
    """The mesh of a format by trimesh, which may join and sort vertices; its millimetres."""

    @cache
    def read(format: str, process: bool) -> trimesh.Trimesh:
        path = folder / f"astronaut.{format}"
        mesh = trimesh.load(path, force="mesh", process=process)
        mesh.vertices *= UNIT[format]
        return mesh

    return read


def said(folder: Path, ending: str = "landmark_vertices") -> dict:
    return json.loads((folder / f"astronaut_{ending}.json").read_text())


def in_photo(folder: Path, places: np.ndarray) -> np.ndarray:
    """Points (N, 3) mm of the mesh as pixel x, y (down) and z."""
    camera = np.array(said(folder, "pose")["camera_from_model"])
    return (places @ camera[:, :3].T + camera[:, 3]) * (1, -1, 1)


@pytest.mark.parametrize("format", UNIT)
def test_vertices_of_the_file_are_the_landmarks(
    folder: Path, opened: Opened, format: str, face: Face
) -> None:
    mesh, known = opened(format, False), said(folder)
    assert len(mesh.vertices) == known["vertices"] and len(mesh.faces) == known["triangles"]
    picked = mesh.vertices[known["schemes"]["ibug68"]["vertices"]]
    assert np.abs(in_photo(folder, picked) - face.landmarks).max() < 0.02  # pixels


@pytest.mark.parametrize("process", [False, True])
@pytest.mark.parametrize("format", UNIT)
def test_triangles_of_the_file_have_every_schemes_points(
    folder: Path, opened: Opened, format: str, process: bool, face: Face
) -> None:
    mesh = opened(format, process)
    for name in SCHEMES:
        places = said(folder)["schemes"][name]
        corners = mesh.vertices[mesh.faces[places["triangles"]]]
        picked = np.einsum("nk,nkc->nc", places["barycentrics"], corners)
        expected, _ = landmarks(face, name)
        assert np.abs(in_photo(folder, picked) - expected).max() < 0.02
        nearest = opened(format, False).vertices[places["vertices"]]
        away = np.linalg.norm(nearest - picked, axis=1)
        assert away.max() < 5  # mm: behind the jaw, triangles are large


def test_a_scheme_knows_its_topology(folder: Path) -> None:
    known, mesh = said(folder), read_mesh(folder / "astronaut.obj")
    there = mesh.vertices[known["schemes"]["ibug68"]["vertices"]]
    assert np.allclose(scheme("ibug68", known["topology"]).of(mesh.vertices), there, atol=1e-3)
    for other in set(TOPOLOGIES) - {known["topology"]}:
        with pytest.raises(ValueError, match=f"on meshes of the topology '{other}', of .* vert"):
            scheme("ibug68", other).of(mesh.vertices)
    with pytest.raises(ValueError, match="unknown topology None; one of head, skin, face"):
        scheme("ibug68", mesh.topology)  # a file does not tell


@pytest.mark.parametrize("topology", ["face", "skin"])
def test_a_mesh_says_its_topology(face: Face, topology: str) -> None:
    face = face if topology == "face" else face.whole()
    assert face.mesh.topology == topology
    places = scheme("ibug68", face.mesh.topology).of(face.mesh.vertices)
    turned = places @ face.pose[:, :3].T + face.pose[:, 3]
    assert np.abs(turned * (1, -1, 1) - face.landmarks).max() < 0.01
    with pytest.raises(ValueError, match="topology 'head', of 19503 vertices"):
        scheme("ibug68").of(face.mesh.vertices)
