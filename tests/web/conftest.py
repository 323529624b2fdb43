"""One API for the tests of this folder, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs the extra dev")

from starlette.testclient import TestClient

from facerelief.web.server import Application
from facerelief.web.settings import Settings
from web_client import Api


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(threads=1, max_megabytes=2, max_megapixels=4, max_faces=2)


@pytest.fixture(scope="session")
def application(settings: Settings) -> Iterator[Application]:
    made = Application(settings, page=False)
    yield made
    made.close()


@pytest.fixture(scope="session")
def api(application: Application, astronaut: Path) -> Iterator[Api]:
    with TestClient(application, raise_server_exceptions=False) as client:
        yield Api(client, astronaut.read_bytes())
