"""Cameras of depth: by the name of a device, or from a file of their calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facerelief.depth_files import DepthError
from facerelief.geometry.pinhole import Pinhole, Rig

#: OpenCV's axes (y down, z away) in ours.
_AXES = np.diag([1.0, -1.0, -1.0])

#: Of devices whose depth lies over the photo: focal length over the shorter and the longer side.
#: RealSense D400 aligned to its colour camera, whose field of view is 42.5 degrees high (data
#: sheet); TrueDepth as ARKit delivers it.
ALIGNED = {"realsense": (1.285, None), "truedepth": (None, 0.765)}
#: Of others: focal length, width and height of depth and of photo, pixels, as they are built; each
#: one is some per cent off, and where it looks is found by the face.
APART = {
    "kinect": ((575.0, 640, 480), (525.0, 640, 480)),
    "kinect_v2": ((365.5, 512, 424), (1060.0, 1920, 1080)),
}
DEVICES = (*APART, *ALIGNED)


@dataclass(frozen=True, eq=False)
class Calibration:
    """A rig, and whether it says where depth and photo lie to each other."""

    rig: Rig
    is_exact: bool  # False: nominal, the rest is found by the face


def rig_of(name: str, depth: tuple[int, int], photo: tuple[int, int]) -> Calibration:
    """The rig of a device of `DEVICES` or of a file, for pictures of (height, width).

    A file is an NPY or text of 3 x 3 intrinsics of depth that lies over the photo, or JSON with
    `photo`, and `depth` if that is another camera's (each `fx`, `fy`, `cx`, `cy`, `width`,
    `height`), and `depth_to_photo` (`rotation` 3 x 3, `translation` in mm) if that is known; as
    OpenCV has them: y down, z away, the first pixel's centre is (0, 0).

    Raises DepthError for an unknown name, and numbers that are no camera's or not these pictures'.
    """
    try:
        return _rig_of(name, depth, photo)
    except OSError as error:
        raise DepthError(f"{name}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise DepthError(f"{name}: {reason}") from None


def _rig_of(name: str, depth: tuple[int, int], photo: tuple[int, int]) -> Calibration:
    if name in ALIGNED:
        _check_proportions(depth, photo)
        by_shorter, by_longer = ALIGNED[name]
        focal = by_shorter * min(photo) if by_shorter else (by_longer or 0) * max(photo)
        camera = Pinhole((focal, focal), (photo[1] / 2, photo[0] / 2), photo)
        return Calibration(Rig.of_one(camera).fitted_to(depth, photo), True)
    if name in APART:
        cameras = [
            Pinhole((focal, focal), (width / 2, height / 2), (height, width))
            for focal, width, height in APART[name]
        ]
        rig = Rig(cameras[0], cameras[1], np.eye(3), np.zeros(3))
        return Calibration(rig.fitted_to(depth, photo), False)
    path = Path(name)
    if path.suffix.lower() == ".json":
        said = json.loads(path.read_bytes())
        calibration = _of_json(said)
        return Calibration(calibration.rig.fitted_to(depth, photo), calibration.is_exact)
    if path.suffix.lower() in (".npy", ".txt"):
        matrix = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
        _check_proportions(depth, photo)
        camera = _of_matrix(matrix, depth)
        return Calibration(Rig.of_one(camera).fitted_to(depth, photo), True)
    raise ValueError(f"no camera; it is {', '.join(DEVICES)} or a .json, .npy or .txt file")


def _check_proportions(depth: tuple[int, int], photo: tuple[int, int]) -> None:
    if abs(depth[0] * photo[1] / (depth[1] * photo[0]) - 1) > 0.02:
        raise ValueError(
            f"depth of {depth[1]} x {depth[0]} pixels does not lie over a photo of "
            f"{photo[1]} x {photo[0]}; name the intrinsics of both"
        )


def _of_matrix(matrix: Any, size: tuple[int, int]) -> Pinhole:
    values = np.asarray(matrix, np.float64)
    if values.shape != (3, 3):
        raise ValueError(f"intrinsics are 3 x 3, not {values.shape}")
    if abs(values[2] - (0, 0, 1)).max() > 1e-6:
        raise ValueError("the last row of intrinsics is 0 0 1")
    return Pinhole((values[0, 0], values[1, 1]), (values[0, 2] + 0.5, values[1, 2] + 0.5), size)


def _of_json(said: Mapping[str, Any]) -> Calibration:
    photo = _of_numbers(said["photo"])
    if "depth" not in said:
        return Calibration(Rig.of_one(photo), True)
    depth = _of_numbers(said["depth"])
    if "depth_to_photo" not in said:
        return Calibration(Rig(depth, photo, np.eye(3), np.zeros(3)), False)
    pose = said["depth_to_photo"]
    rotation = np.asarray(pose["rotation"], np.float64)
    translation = np.asarray(pose["translation"], np.float64)
    if rotation.shape != (3, 3) or translation.shape != (3,):
        raise ValueError("depth_to_photo is a rotation of 3 x 3 and a translation of 3")
    if abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise ValueError("the rotation of depth_to_photo is none")
    if not np.abs(translation).max() < 1000:
        raise ValueError("the cameras are more than a metre apart; translations are in mm")
    return Calibration(Rig(depth, photo, _AXES @ rotation @ _AXES, _AXES @ translation), True)


def _of_numbers(said: Mapping[str, Any]) -> Pinhole:
    fx, fy, cx, cy = (float(said[key]) for key in ("fx", "fy", "cx", "cy"))
    size = (int(said["height"]), int(said["width"]))
    return Pinhole((fx, fy), (cx + 0.5, cy + 0.5), size)
