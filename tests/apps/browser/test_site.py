"""The folder that `facerelief browser` writes."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerelief import catalogue
from facerelief.apps.browser import onnxruntime_web, site
from facerelief.cli import app

CONTENTS = {
    "ort.wasm.min.mjs": b"export {};",
    "ort-wasm-simd-threaded.mjs": b"export default 1;",
    "ort-wasm-simd-threaded.wasm": b"\0asm",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as npm leaves it, whose files are the pinned ones."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    pinned = {"version": "1.2.3", "licence": "MIT", "files": sums, "webgpu": {}}
    monkeypatch.setattr(onnxruntime_web, "pinned", lambda: pinned)
    monkeypatch.setattr(site, "pinned", lambda: pinned)
    folder = tmp_path / "node_modules" / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / "dist" / name).write_bytes(content)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["browser", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_folder_has_all_that_the_page_asks_for(package: Path, tmp_path: Path) -> None:
    code, said = run("-o", tmp_path / "page", "--ort", package)
    assert code == 0 and "python -m http.server" in said
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names >= {*site.MODULES, *CONTENTS, "gl.js", "index.html", "page.css"}
    entry = catalogue.find("default")
    content = (tmp_path / "page" / "network.onnx").read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256
    settings = json.loads((tmp_path / "page" / "model.json").read_text("utf-8"))
    assert settings["model"]["calibration"] == dict(entry.calibration or {})
    assert not any("{{" in text for text in settings["shaders"].values())
    for script in (tmp_path / "page").glob("*.js"):  # what modules import is there
        for line in script.read_text("utf-8").splitlines():
            if line.startswith("import "):
                assert line.split('"./')[1].rstrip('";') in names, line
    licences = (tmp_path / "page" / "LICENCES.txt").read_text("utf-8")
    assert "Apache License 2.0" in licences and licences.count("WITHOUT WARRANTY OF ANY KIND") == 2
    assert "{{" not in (tmp_path / "page" / "index.html").read_text("utf-8")


def test_it_takes_what_npm_packs_and_what_npm_installs(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "packed.tgz", "w:gz") as archive:
        for name, content in {**CONTENTS, "../evil.js": b"no"}.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert onnxruntime_web.read(tmp_path / "packed.tgz") == CONTENTS
    assert onnxruntime_web.read(package / "dist") == CONTENTS
    monkeypatch.chdir(tmp_path)
    assert run("-o", "page")[0] == 0
    assert run("-o", "page")[0] == 0  # and again, over its own


def test_another_runtime_is_refused(package: Path, tmp_path: Path) -> None:
    (package / "dist" / "ort.wasm.min.mjs").write_bytes(b"changed")
    code, said = run("-o", tmp_path / "page", "--ort", package)
    assert code == 2 and "is not that of onnxruntime-web 1.2.3" in said
    assert not (tmp_path / "page").exists()
    (package / "dist" / "ort.wasm.min.mjs").unlink()
    code, said = run("-o", tmp_path / "page", "--ort", package)
    assert code == 2 and "no ort.wasm.min.mjs in it" in said and said.count("\n") == 1
    (tmp_path / "odd.tgz").write_bytes(b"no archive")
    for source in (tmp_path / "odd.tgz", tmp_path / "missing.tgz"):
        code, said = run("-o", tmp_path / "page", "--ort", source)
        assert code == 2 and "npm install onnxruntime-web@1.2.3" in said and said.count("\n") == 1


def test_without_a_runtime_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run("-o", tmp_path / "page")
    version = json.loads(Path(onnxruntime_web.__file__).with_suffix(".json").read_text("utf-8"))[
        "version"
    ]
    assert code == 2 and f"npm install onnxruntime-web@{version}" in said


def test_other_folders_and_systems_are_left_alone(package: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("<!doctype html>\nmy own")
    code, said = run("-o", tmp_path / "mine", "--ort", package)
    assert code == 2 and "choose another folder" in said
    assert (tmp_path / "mine" / "index.html").read_text() == "<!doctype html>\nmy own"
    code, said = run("-o", tmp_path / "page", "--ort", package, "--system", "prnet")
    assert code == 1 and "makes positions" in said and not (tmp_path / "page").exists()
