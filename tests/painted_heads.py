"""Renderings whose every value is known: the mean head, painted with its own normals."""

import numpy as np

from facerelief.evaluate import renderings
from facerelief.geometry.camera import Perspective
from facerelief.geometry.normals import encode
from facerelief.geometry.skin_mesh import skin_mesh
from facerelief.samples.rendering import Rendering

SIZE, FOCAL, DISTANCE = 256, 800.0, 800.0


def head(yaw: float = 0.0, hidden: bool = False, dark: float = 0.0) -> Rendering:
    """The mean head, painted with its own normals."""
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    facts = {"rotation": rotation, "translation": np.float32([0, 0, -DISTANCE]), "focal": FOCAL,
             "centre": np.float32([128, 110])}  # fmt: skip
    mesh = skin_mesh()
    lens = Perspective(FOCAL, (128, 110))
    marks = lens.project(mesh.mean[mesh.landmarks] @ rotation.T - (0, 0, DISTANCE))[:, :2]
    blank = np.zeros((SIZE, SIZE))
    empty = Rendering(
        photo=np.zeros((SIZE, SIZE, 3), np.uint8), normals=np.zeros((SIZE, SIZE, 3), np.float32),
        normals_smooth=np.zeros((SIZE, SIZE, 3), np.float32), depth=blank.astype(np.float32),
        albedo=np.zeros((SIZE, SIZE, 3), np.uint8), shading=np.ones((SIZE, SIZE, 3), np.float16),
        mask=blank > 0, occluder=blank > 0, position=np.zeros((64, 64, 3), np.float32),
        landmarks=marks.astype(np.float32), landmarks_visible=np.ones(68, bool),
        irradiance=np.zeros((9, 3), np.float32), coefficients={}, **facts,
    )  # fmt: skip
    normals = renderings.posed_mean(empty)
    mask = normals.any(axis=-1)
    occluder = mask & (np.arange(SIZE)[:, None] < 125) & hidden
    shading = empty.shading.copy()
    shading[:, : round(SIZE * dark)] = 0.1
    bent = normals @ np.array([[1, 0, 0], [0, 0.996, -0.087], [0, 0.087, 0.996]], np.float32)
    return Rendering(**{
        **vars(empty), "photo": encode(normals), "normals_smooth": normals, "normals": bent,
        "mask": mask & ~occluder, "occluder": occluder, "shading": shading,
    })  # fmt: skip
