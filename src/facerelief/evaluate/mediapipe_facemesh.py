"""Points of MediaPipe's FaceMesh for a stack of crops, as a script of its own.

    python mediapipe_facemesh.py CROPS.npy POINTS.npy

It imports nothing of this package, because MediaPipe 0.10 wants an older NumPy and so lives in an
environment of its own (``pip install mediapipe==0.10.21``).
"""

import argparse
from importlib import import_module
from typing import Any

import numpy as np

POINTS = 478  # 468 of the skin, 5 for each iris

# Its detector looks for whole heads, so a crop as tight as ours is shown on a black border. Of 0,
# 32, 64 and 128 pixels the last gave it the lowest error on Extended Yale B.
BORDERS = (128, 64, 0)  # pixels, tried in this order until a face is found


def find_points(crops: np.ndarray) -> np.ndarray:
    """FaceMesh points of crops (N, S, S, 3) uint8 RGB.

    Returns:
        (N, 478, 3) float32: crop pixels and depth in the same scale, smaller nearer; NaN where no
        face was found.
    """
    # Not `mediapipe.solutions`: that name is lazy, and linters and type checkers miss it.
    face_mesh = import_module("mediapipe.python.solutions.face_mesh")
    options = {"static_image_mode": True, "max_num_faces": 1, "refine_landmarks": True}
    with face_mesh.FaceMesh(**options, min_detection_confidence=0.1) as network:
        return np.stack([_points_of(crop, network) for crop in crops])


def _points_of(crop: np.ndarray, network: Any) -> np.ndarray:
    for border in BORDERS:
        shown = np.pad(crop, ((border, border), (border, border), (0, 0)))
        faces = network.process(shown).multi_face_landmarks
        if faces:
            points = np.array([(p.x, p.y, p.z) for p in faces[0].landmark], np.float32)
            # All three are in units of the picture's width, which is also its height.
            return points * len(shown) - np.array([border, border, 0], np.float32)
    return np.full((POINTS, 3), np.nan, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="FaceMesh points of a stack of crops.")
    parser.add_argument("crops", help="(N, S, S, 3) uint8 RGB, .npy")
    parser.add_argument("points", help="(N, 478, 3) float32 to write, .npy")
    arguments = parser.parse_args()
    np.save(arguments.points, find_points(np.load(arguments.crops, mmap_mode="r")))


if __name__ == "__main__":
    main()
