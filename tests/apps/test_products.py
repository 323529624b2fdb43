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
