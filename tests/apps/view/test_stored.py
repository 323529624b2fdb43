import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import facerelief as fr
from facerelief.apps.photos import Search
from facerelief.apps.products import Folder, Photo
from facerelief.apps.view.photo import subjects_in
from facerelief.apps.view.stored import subjects_of_folder
from facerelief.cli import app
from facerelief.inputs import PhotoError


@pytest.fixture(scope="module")
def written(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `normals` and `mesh` write of the astronaut."""
    folder = tmp_path_factory.mktemp("out")
    for command in ("normals", "mesh"):
        done = CliRunner().invoke(app, [command, str(astronaut), "-o", str(folder)])
        assert done.exit_code == 0, done.output
    return folder


def run(source: Path, out: Path) -> Result:
    return CliRunner().invoke(app, ["view", str(source), "-o", str(out)])


def refused(source: Path, out: Path, reason: str, code: int = 1) -> None:
    """It fails in one line, and leaves nothing behind."""
    before = set(out.parent.iterdir()) if out.parent.is_dir() else set()
    done = run(source, out)
    assert done.exit_code == code, done.output
    assert reason in done.stderr and done.stderr.count("\n") == 1
    assert before == (set(out.parent.iterdir()) if out.parent.is_dir() else set())


def test_files_show_what_the_networks_said(written: Path, astronaut: Path) -> None:
    (stored,) = subjects_of_folder(written)
    photo = Photo(fr.load_photo(astronaut), "astronaut", str(astronaut))
    estimators = [fr.load("default"), fr.load("prnet")]
    (made,) = subjects_in(photo, estimators, None, Search())
    assert stored.title == "astronaut" and not stored.warnings
    assert stored.picture is not None and made.picture is not None
    assert np.abs(stored.picture.astype(int) - made.picture).max() <= 2
    (layers,), (solid,) = stored.layers, stored.solids
    inside = layers.alpha > 0.99
    assert inside.mean() > 0.05 and layers.name == "casfne_compact" and solid.name == "prnet"
    cosine = np.einsum("...i,...i", layers.normals, made.layers[0].normals)[inside]
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 0.6  # 8 bits a channel
    assert layers.error is not None and made.layers[0].error is not None
    assert np.abs(layers.error - made.layers[0].error)[inside].mean() < 0.3
    assert np.allclose(solid.asset.mesh.vertices, made.solids[0].asset.mesh.vertices, atol=0.01)
    assert solid.asset.base_colour is not None


def test_a_photo_that_is_gone_is_said(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    for path in folder.glob("*.json"):
        said = json.loads(path.read_text())
        if "photo" in said:
            path.write_text(json.dumps(said | {"photo": {**said["photo"], "path": "gone.jpg"}}))
    (subject,) = subjects_of_folder(folder)
    assert subject.picture is None and len(subject.layers) == len(subject.solids) == 1
    assert any("not where it was" in text for text in subject.warnings)
    done = run(folder, tmp_path / "page.html")
    assert done.exit_code == 0 and b'"picture":null' in (tmp_path / "page.html").read_bytes()


def test_sidecars_that_lie_are_no_harm(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    pose = folder / "astronaut_pose.json"
    said = json.loads(pose.read_text())
    pose.write_text(json.dumps(said | {"files": ["../astronaut.glb"]}))
    plain = folder / "astronaut.json"
    crop = json.loads(plain.read_text())
    plain.write_text(json.dumps(crop | {"crop": {"centre": "x", "side": [], "angle": None}}))
    with pytest.raises(PhotoError, match="nothing in it"):
        subjects_of_folder(folder)


def test_a_folder_of_nothing_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "x"}')
    (folder / "list.json").write_text("[1, 2]")
    refused(folder, tmp_path / "page.html", f"{folder}: nothing in it that facerelief")


def write_obj(path: Path, side: int, uv: bool = False, parts: int = 1) -> Path:
    """Sheets of side x side vertices, one behind the other."""
    v, u = np.mgrid[0:side, 0:side] / (side - 1)
    lines = []
    for part in range(parts):
        lines += [f"o part{part}"]
        lines += [
            f"v {100 * x:.4f} {100 * y:.4f} {20 * part}"
            for x, y in zip(u.flat, v.flat, strict=True)
        ]
        lines += [f"vt {x:.4f} {y:.4f}" for x, y in zip(u.flat, v.flat, strict=True)] if uv else []
        corner = part * side**2 + 1 + (np.arange(side - 1)[:, None] * side + np.arange(side - 1))
        pattern = "f {0}/{0} {1}/{1} {2}/{2}" if uv else "f {0} {1} {2}"
        for c in corner.ravel().tolist():
            lines += [pattern.format(c, c + 1, c + side)]
            lines += [pattern.format(c + 1, c + side + 1, c + side)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("uv", "parts"), [(False, 1), (True, 1), (False, 3)])
def test_any_mesh_has_a_page(tmp_path: Path, uv: bool, parts: int) -> None:
    mesh = write_obj(tmp_path / "sheet.obj", 12, uv, parts)
    done = run(mesh, tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.html").read_text()
    assert f'"rows":{144 * parts},"columns":3' in text and ('"uvLow"' in text) == uv


def test_a_mesh_of_many_triangles_has_a_small_page(tmp_path: Path) -> None:
    done = run(write_obj(tmp_path / "large.obj", 420), tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "page.html").stat().st_size < 3e6


def test_what_cannot_be_shown_is_one_line(tmp_path: Path, astronaut: Path) -> None:
    out = tmp_path / "page.html"
    for name in ("empty.glb", "empty.obj", "empty.ply"):
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name, out, f"{tmp_path / name}: not a mesh that can be read (an empty")
    (tmp_path / "empty.jpg").write_bytes(b"")
    refused(tmp_path / "empty.jpg", out, f"{tmp_path / 'empty.jpg'}: ")
    refused(tmp_path / "missing.obj", out, "missing.obj: no such file")
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    refused(tmp_path / "points.obj", out, "no triangles")
    (tmp_path / "nan.obj").write_text("v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    refused(tmp_path / "nan.obj", out, "not finite")
    refused(astronaut, tmp_path / "page.png", "a page's name ends in .html", code=2)
    refused(astronaut, tmp_path / "no" / "page.html", "is no folder", code=2)
    out.write_text("<html>mine</html>")
    refused(astronaut, out, "is not facerelief's", code=2)
    assert out.read_text() == "<html>mine</html>"


def test_systems_that_are_not_there_are_named(tmp_path: Path, astronaut: Path) -> None:
    arguments = ["view", str(astronaut), "-o", str(tmp_path / "page.html"), "--systems", "x"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2 and "'x'" in done.stderr and not list(tmp_path.iterdir())


def test_coefficients_of_an_earlier_run_are_known_as_ours(astronaut: Path, tmp_path: Path) -> None:
    from facerelief.apps import mesh
    from facerelief.apps.photos import process

    estimator = fr.load("full_pose")
    for _ in range(2):
        done = process(
            astronaut, "a", lambda photo: mesh.produce(photo, estimator), Folder(tmp_path)
        )
        assert done.error is None
    assert (tmp_path / "a_coefficients.json").is_file()
