"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest

import tiny_system
from facerelief import catalogue


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder that FACERELIEF_DATA names; tests that need it skip where it is absent."""
    value = os.environ.get("FACERELIEF_DATA")
    if not value or not Path(value).is_dir():
        pytest.skip("FACERELIEF_DATA does not name a data folder")
    return Path(value)


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """The example photo: one face, 512 x 512."""
    return Path(__file__).parents[1] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue folder whose default system reads normals off colours (tiny_system)."""
    return tiny_system.catalogue(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def tiny_catalogue(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `tiny_folder` the catalogue for one test."""
    monkeypatch.setattr(catalogue, "FOLDER", tiny_folder)
    return tiny_folder
