"""Photos by the dozen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Path:
    """A network that takes next to no time."""
    return tiny_folder / "tiny.onnx"


@pytest.fixture(scope="session")
def crops(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty different pictures of one face each, in three folders."""
    top = tmp_path_factory.mktemp("source") / "crops"
    with Image.open(astronaut) as image:
        face = np.asarray(image.crop((150, 30, 300, 180)).resize((128, 128)))
    for index in range(30):
        folder = top / "abc"[index % 3] / "deeper" if index % 3 else top
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(face, index, axis=1)).save(folder / f"{index:02d}.jpg", quality=90)
    return top
