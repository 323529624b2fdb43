"""A run over many photos: each has its outcome, whatever a job does with it."""

from pathlib import Path

import pytest
from PIL import Image

from facerelief.apps.photos import stream
from facerelief.apps.products import Folder, Photo, Product


@pytest.mark.parametrize("workers", [1, 2])
def test_no_exception_of_a_job_ends_the_run(workers: int, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "abcd"]
    for path in paths:
        Image.new("RGB", (20, 20)).save(path)

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
