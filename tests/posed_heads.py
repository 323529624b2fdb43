"""Position maps of heads whose pose is known, and a system that answers with one."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial.transform import Rotation

from facerelief.geometry import position
from facerelief.geometry.head import builtin_head
from facerelief.geometry.uv import skin_layout
from facerelief.reconstruction import with_shape
from facerelief.types import Crop, Face


def points(
    yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 0.9, vertices=None
) -> np.ndarray:
    """(V, 3) pixel x, y and z of a head in a crop of 256: the mean one unless said.

    Angles are those of `geometry.position.Pose.angles`, written out.
    """
    turn = (
        Rotation.from_euler("y", yaw, degrees=True)
        * Rotation.from_euler("x", pitch, degrees=True)
        * Rotation.from_euler("z", roll, degrees=True)
    )
    head = builtin_head(1).mean if vertices is None else vertices
    camera = scale * turn.apply(head)
    return (camera * (1, -1, 1) + (128, 110, 0)).astype(np.float32)


def uv_map(*args, size: int = 256, **named) -> np.ndarray:
    """The map (size, size, 3) of `points`; zero off the charts, as networks may leave it."""
    return np.nan_to_num(skin_layout(1, size).write(points(*args, **named)))


def face(found: np.ndarray, crop: Crop, photo_size: tuple[int, int]) -> Face:
    """A face of a photo, in whose crop a system has found a map."""
    skin = position.skin(found)
    plain = Face(
        crop=crop,
        box=(0.0, 0.0, 1.0, 1.0),
        score=1.0,
        points=np.zeros((5, 2)),
        normals=skin.normals,
        mask=skin.mask,
        expected_error=None,
        photo_size=photo_size,
        model="posed",
    )
    return with_shape(plain, found, skin)


def network(path: Path, maps: np.ndarray) -> Path:
    """Write a network that gives one map (S, S, 3) for every crop."""
    node = helper.make_node
    nodes = [
        node("Shape", ["crops"], ["shape"], start=0, end=1),
        node("Concat", ["shape", "ones"], ["repeats"], axis=0),
        node("Tile", ["map", "repeats"], ["position"]),
    ]
    tensors = [
        numpy_helper.from_array(maps[None].astype(np.float32), "map"),
        numpy_helper.from_array(np.ones(3, np.int64), "ones"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "posed",
        [value("crops", TensorProto.UINT8, ["n", 256, 256, 3])],
        [value("position", TensorProto.FLOAT, ["n", *maps.shape])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(
        model, {"system": "posed", "preset": "one", "tier": "open", "training_data": "nothing"}
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
