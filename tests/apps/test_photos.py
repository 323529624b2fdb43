"""A run over many photos: each has its outcome, whatever a job does with it."""

from pathlib import Path
from threading import Lock
from time import sleep

import pytest
from PIL import Image

from facerelief.apps import photos
from facerelief.apps.photos import output_stems, stream
from facerelief.apps.products import Folder, Photo, Product
from facerelief.photo_files import PhotoFile


def test_what_is_piped_in_has_a_name() -> None:
    assert output_stems([Path("-"), Path("a.jpg")]) == ["stdin", "a"]


def test_a_budget_makes_photos_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four workers, and room for two photos at a time; one that needs more is alone."""
    monkeypatch.setattr(photos, "MEMORY", 2 * PhotoFile(picture(tmp_path, "a", 20)).cost)
    paths = [picture(tmp_path, name, 90 if name == "d" else 20) for name in "abcdefgh"]
    now: list[str] = []
    most: list[tuple[str, ...]] = []
    lock = Lock()

    def produce(photo: Photo) -> Product:
        with lock:
            now.append(photo.stem)
            most.append(tuple(now))
        sleep(0.02)
        with lock:
            now.remove(photo.stem)
        return Product([], {})

    assert not any(done.error for done in stream(paths, produce, Folder(tmp_path), 4))
    assert max(map(len, most)) <= 2
    assert all(stems == ("d",) for stems in most if "d" in stems)


def picture(folder: Path, name: str, side: int) -> Path:
    path = folder / f"{name}.png"
    Image.new("RGB", (side, side)).save(path)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_no_exception_of_a_job_ends_the_run(workers: int, tmp_path: Path) -> None:
    paths = [picture(tmp_path, name, 20) for name in "abcd"]

    def produce(photo: Photo) -> Product:
        if photo.stem == "b":
            raise ZeroDivisionError("by\nzero")
        if photo.stem == "c":
            raise MemoryError
        return Product([], {})

    done = [outcome.error for outcome in stream(paths, produce, Folder(tmp_path), workers)]
    assert done == [
        None,
        f"{paths[1]}: ZeroDivisionError: by",
        f"{paths[2]}: not enough memory",
        None,
    ]
