"""Blender opens what `facerelief mesh` writes as docs/howto/blender.md says: axes, size, maps."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import facerelief as fr
from facerelief.apps import mesh
from facerelief.apps.photos import process
from facerelief.apps.products import Folder
from facerelief.detail import DETAILS

SCRIPT = Path(__file__).parents[1] / "viewers" / "blender_scene.py"
pytestmark = pytest.mark.skipif(
    shutil.which("blender") is None, reason="needs Blender: apt-get install blender python3-numpy"
)


@pytest.fixture(scope="module")
def opened(
    astronaut: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], np.ndarray]:
    """What Blender says of the face, and the picture that it renders."""
    folder = tmp_path_factory.mktemp("blender")
    system = fr.load("full_pose", threads=1)
    job = partial(mesh.produce, estimator=system, maker=DETAILS["fused"](512, 1), kind="fused")
    assert process(astronaut, "face", job, Folder(folder)).error is None
    command = ["blender", "--background", "--factory-startup", "--threads", "1", "--python",
               str(SCRIPT), "--", "face.glb", str(folder / "picture.png")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    said = re.search(r"^SCENE (.*)$", done.stdout, re.MULTILINE)
    assert said, done.stdout[-2000:] + done.stderr[-2000:]
    with Image.open(folder / "picture.png") as picture:
        return json.loads(said[1]), np.asarray(picture.convert("RGBA"))


def test_axes_size_and_maps(opened: tuple[dict[str, Any], np.ndarray]) -> None:
    scene, _ = opened
    assert (scene["vertices"], scene["uv"]) == (14921, 1)
    across, deep, high = scene["size"]  # metres
    assert 0.14 < across < 0.25 and 0.1 < deep < 0.22 and 0.15 < high < 0.28
    assert scene["looks"][1] < -0.95  # to Blender's front view
    assert scene["images"] == {"Base Color": "sRGB", "Color": "Non-Color"}
    assert scene["normal_map"] == "TANGENT"


def test_the_face_is_upright(opened: tuple[dict[str, Any], np.ndarray]) -> None:
    """It is rendered from the front: skin in the middle, and hair at the top of the head."""
    _, picture = opened
    rows, columns = np.nonzero(picture[..., 3] > 128)
    assert rows.size > 0.1 * picture[..., 0].size
    assert abs(rows.mean() - 128) < 25 and abs(columns.mean() - 128) < 25
    middle = picture[int(rows.mean()) - 8 : int(rows.mean()) + 8, 120:136, :3].mean((0, 1))
    assert middle[0] > middle[2] + 10 and middle.sum() > 150  # lit skin is warm
