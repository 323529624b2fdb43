"""Jobs know no place, and sinks no job: all of a photo, or nothing."""

import errno
import io
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

import posed_heads
from facerelief import load
from facerelief.apps import mesh, normals, swap
from facerelief.apps.photos import process, stream
from facerelief.apps.products import Archive, Folder, Photo, Produce, Product
from facerelief.encode import MARK, is_marked, to_png
from facerelief.images import load_photo
from facerelief.inputs import PhotoError

PRODUCT = Product([{"score": 1.0}], {"a.png": b"picture", "a.json": b"{}"})


@dataclass
class Memory:
    """A sink that a test wrote: what a new one needs."""

    products: list[Product] = field(default_factory=list)

    def put(self, product: Product) -> None:
        self.products.append(product)

    def place(self, name: str) -> str:
        return f"memory:{name}"


@pytest.fixture(scope="module")
def jobs(tiny_folder: Path, astronaut: Path, tmp_path_factory) -> dict[str, Produce]:
    tiny = load(tiny_folder / "tiny.onnx")
    path = tmp_path_factory.mktemp("posed") / "posed.onnx"
    posed = load(posed_heads.network(path, posed_heads.uv_map()))
    other = Photo(load_photo(astronaut)[:, ::-1], "b", "b.jpg")
    options = mesh.Options(("glb", "obj", "ply"), texture=256)
    return {
        "normals": partial(normals.produce, estimator=tiny),
        "mesh": partial(mesh.produce, estimator=posed, options=options),
        "swap": partial(swap.produce, estimator=posed, other=other),
    }


@pytest.mark.parametrize("name", ["normals", "mesh", "swap"])
def test_a_job_makes_names_and_bytes(
    name: str, jobs: dict[str, Produce], astronaut: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = Photo(load_photo(astronaut), "stem", "s3://bucket/photo 1")
    product = jobs[name](photo)
    assert not list(tmp_path.iterdir())
    assert product.files and all(isinstance(one, bytes) for one in product.files.values())
    assert all(file.startswith("stem") and "/" not in file for file in product.files)
    (sidecar,) = product.sidecars
    assert sidecar["photo"]["path"] == "s3://bucket/photo 1"
    written = [content for file, content in product.files.items() if file.endswith("json")]
    assert name == "swap" or sidecar in map(json.loads, written)


@pytest.mark.parametrize("name", ["normals", "mesh", "swap"])
def test_a_photo_without_a_face_is_named(name: str, jobs: dict[str, Produce]) -> None:
    empty = Photo(np.full((64, 64, 3), 128, np.uint8), "stem", "wall.png")
    with pytest.raises(PhotoError, match=r"wall\.png: no face found"):
        jobs[name](empty)


def test_any_sink_takes_any_job(jobs: dict[str, Produce], astronaut: Path) -> None:
    sink = Memory()
    (done,) = stream([astronaut], jobs["normals"], sink)
    (product,) = sink.products
    assert done.files == [f"memory:{name}" for name in product.files]
    assert done.faces == product.sidecars and done.error is None


def test_a_sink_that_fails_names_photo_and_place(astronaut: Path) -> None:
    class Full(Memory):
        def put(self, product: Product) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    done = process(astronaut, "a", lambda photo: PRODUCT, Full())
    assert done.error == f"{astronaut}: cannot write memory:a*: No space left on device"
    assert done.files == done.faces == []


def test_a_folder_has_the_files(tmp_path: Path) -> None:
    Folder(tmp_path).put(PRODUCT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == PRODUCT.files
    assert Folder(tmp_path).place("a.png") == str(tmp_path / "a.png")


def made(source: str, *faces: str, job: str = "normals", **files: bytes) -> Product:
    """A product of a photo for the `faces` (stems), with one marked picture each."""
    ending = {"normals": ".json", "mesh": "_pose.json"}[job]
    content: dict[str, bytes] = {}
    sidecars = []
    for face in faces:
        picture = f"{face}_{job}.png"
        said = {"photo": {"path": source}, "facerelief": "0", "files": [picture]}
        sidecars.append(said)
        content[picture] = to_png(np.zeros((2, 2), np.uint8), MARK)
        content[face + ending] = json.dumps(said).encode()
    return Product(sidecars, content | files, Path(source).stem, ending)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_fewer_faces_leave_no_files_of_more(tmp_path: Path) -> None:
    sink = Folder(tmp_path)
    beside = [made("x_1.jpg", "x_1"), made("x.jpg", "x_0", "x_1", job="mesh")]
    assert sink.put(beside[1]) is None
    assert sink.put(made("x.jpg", "x_0", "x_1", "x_2", "x_3")) is None
    (tmp_path / "x_2_notes.txt").write_text("mine")
    assert sink.put(made("x.jpg", "x")) is None
    left = {"x_normals.png", "x.json", "x_2_notes.txt", *beside[1].files}
    assert names(tmp_path) == left
    sink.put(beside[0])  # another photo, which is called like a face of that one
    assert sink.put(made("x.jpg", "x")) is None
    assert names(tmp_path) == left | set(beside[0].files)
    assert sink.put(made("x.jpg", "x_0", "x_1")) == "x_1.jpg"
    assert not names(tmp_path) & {"x_normals.png", "x.json"}


def test_what_was_made_of_another_photo_makes_way_as_a_whole_and_is_named(tmp_path: Path) -> None:
    sink = Folder(tmp_path)
    sink.put(made("a/x.jpg", "x_0", "x_1"))
    assert sink.put(made("b/x.jpg", "x")) == "a/x.jpg"
    assert names(tmp_path) == {"x_normals.png", "x.json"}
    assert sink.put(made("b/x.jpg", "x")) is None


def test_files_that_a_run_does_not_make_again_stay(tmp_path: Path) -> None:
    whole = made("x.jpg", "x")
    Folder(tmp_path).put(whole)
    Folder(tmp_path).put(Product(whole.sidecars, {"x.json": whole.files["x.json"]}, "x", ".json"))
    assert names(tmp_path) == set(whole.files)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b'{"shapes": []}'),
        ("x.json", b"[" * 100_000),
        ("x_normals.png", b"what somebody measured"),
        ("x.ply", b"ply, a scan"),
    ],
)
def test_nothing_of_anybody_else_is_written_over(name: str, content: bytes, tmp_path: Path) -> None:
    product = made("x.jpg", "x", **{"x.ply": b"ply"})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileExistsError, match=rf"{name} is not facerelief's"):
        Folder(tmp_path).put(product)
    assert names(tmp_path) == {name} and (tmp_path / name).read_bytes() == content
    (tmp_path / name).unlink()
    for _ in range(2):
        assert Folder(tmp_path).put(product) is None


def test_a_sidecar_removes_nothing_of_other_people(tmp_path: Path) -> None:
    """Whoever wrote it: it may have come with somebody's pictures."""
    out = tmp_path / "out"
    out.mkdir()
    said = made("x.jpg", "x_0").sidecars[0] | {"files": ["../secret", "x.jpg", "", 3, None, "."]}
    (out / "x_0.json").write_text(json.dumps(said))
    for path in (tmp_path / "secret", out / "x.jpg"):
        path.write_text("mine")
    Folder(out).put(made("x.jpg", "x"))
    assert names(out) == {"x.jpg", "x.json", "x_normals.png"} and (tmp_path / "secret").exists()


@pytest.mark.parametrize("name", ["normals", "mesh"])
def test_everything_that_a_job_makes_is_known_again(
    name: str, jobs: dict[str, Produce], astronaut: Path, tmp_path: Path
) -> None:
    path = tmp_path / "odd #1 é.jpg"
    path.write_bytes(astronaut.read_bytes())
    sink = Folder(tmp_path / "out")
    sink.path.mkdir()
    first, second = (process(path, path.stem, jobs[name], sink) for _ in range(2))
    assert first.error is second.error is first.note is second.note is None
    for file in first.files:
        assert is_marked(Path(file)) == file.endswith((".png", ".jpg"))


def test_an_archive_has_the_files_of_all_photos(
    jobs: dict[str, Produce], astronaut: Path, tmp_path: Path
) -> None:
    with Archive(tmp_path / "out.zip") as sink:
        done = list(stream([astronaut, astronaut], jobs["normals"], sink, workers=2))
        assert not (tmp_path / "out.zip").exists()
    with ZipFile(tmp_path / "out.zip") as made:
        assert made.testzip() is None
        places = [sink.place(name) for name in made.namelist()]
        array = np.load(io.BytesIO(made.read("astronaut-2_normal.npy")))
    assert sorted(places) == sorted(place for one in done for place in one.files)
    assert array.shape == (256, 256, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]


def test_an_archive_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Archive(tmp_path / "out.zip") as sink:
        sink.put(PRODUCT)
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
