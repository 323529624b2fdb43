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
from facerelief.apps.landmark_vertices import in_quarters, landmark_vertices
from facerelief.cli import app
from facerelief.geometry.landmark_schemes import SCHEMES, TOPOLOGIES, scheme, topology_mesh
from facerelief.geometry.refined_mesh import refined
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
def test_places_in_quarters_are_the_same_places(topology: str) -> None:
    whole, quarters = (json.loads(landmark_vertices(topology, cut)) for cut in (False, True))
    mesh, cut = topology_mesh(topology), refined(topology)
    fine = cut.linear(mesh.mean.astype(np.float64))
    assert quarters["vertices"] == len(fine) and quarters["triangles"] == 4 * whole["triangles"]
    for name in SCHEMES:
        there = []
        for said, triangles, points in (
            (whole["schemes"][name], mesh.triangles, mesh.mean),
            (quarters["schemes"][name], cut.triangles, fine),
        ):
            shares = np.array(said["barycentrics"])
            assert (shares > -1e-6).all() and np.allclose(shares.sum(1), 1, atol=1e-5)
            corners = points[triangles[said["triangles"]]]
            there.append(np.einsum("nk,nkc->nc", shares, corners))
            away = np.linalg.norm(points[said["vertices"]] - there[-1], axis=1)
        assert np.abs(there[0] - there[1]).max() < 1e-3  # mm, of rounded shares
        assert away.max() < 2.5  # half of what the coarse mesh's vertices may be away
    shares = np.random.default_rng(0).dirichlet((1, 1, 1), 500)  # in all four quarters
    index, found = in_quarters(np.zeros(500, int), shares)
    assert set(index) == {0, 1, 2, 3}
    corners = fine[cut.triangles[index]]
    expected = shares @ mesh.mean[mesh.triangles[0]]
    assert np.allclose(np.einsum("nk,nkc->nc", found, corners), expected, atol=1e-5)


@pytest.mark.parametrize("head", ["face", "full"])
def test_a_displaced_mesh_has_its_landmarks(head: str, astronaut: Path, tmp_path: Path) -> None:
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path), "--head", head, "--texture", "256"]
    relief = ["--detail", "shading", "--geometry", "displaced", "--format", ",".join(UNIT)]
    done = CliRunner().invoke(app, [*arguments, *relief])
    assert done.exit_code == 0, done.output
    known = said(tmp_path)
    assert known["triangles_cut_in"] == 4
    marks = np.array(said(tmp_path, "landmarks")["points"])
    for format, unit in UNIT.items():
        mesh = trimesh.load(tmp_path / f"astronaut.{format}", force="mesh", process=False)
        assert len(mesh.vertices) == known["vertices"] and len(mesh.faces) == known["triangles"]
        picked = mesh.vertices[known["schemes"]["ibug68"]["vertices"]] * unit
        # What relief moves it by, and no more: 1 mm is about 4 pixels here.
        assert np.abs(in_photo(tmp_path, picked) - marks)[:, :2].max() < 4


@pytest.mark.parametrize("topology", ["face", "skin"])
def test_a_mesh_says_its_topology(face: Face, topology: str) -> None:
    face = face if topology == "face" else face.whole()
    assert face.mesh.topology == topology
    places = scheme("ibug68", face.mesh.topology).of(face.mesh.vertices)
    turned = places @ face.pose[:, :3].T + face.pose[:, 3]
    assert np.abs(turned * (1, -1, 1) - face.landmarks).max() < 0.01
    with pytest.raises(ValueError, match="topology 'head', of 19503 vertices"):
        scheme("ibug68").of(face.mesh.vertices)
