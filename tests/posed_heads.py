"""Position maps of heads whose pose is known, and a system that answers with one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.spatial.transform import Rotation

from facerelief.geometry import position
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin import Skin
from facerelief.geometry.uv import skin_layout
from facerelief.reconstruction import SkinShape
from facerelief.types import Crop, Face, Place


def points(
    yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 0.9, vertices=None
) -> np.ndarray:
    """(V, 3) pixel x, y and z of a head in a crop of 256: the mean one unless said.

    Angles are those of `geometry.similarity.Similarity.angles`, written out.
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


def shape(skin: Skin, crop: Crop, photo_size: tuple[int, int] = (1000, 1000)) -> SkinShape:
    """The shape of a skin that a system has found in the crop of a photo."""
    place = Place(crop, (0.0, 0.0, 1.0, 1.0), 1.0, np.zeros((5, 2)), photo_size)
    return SkinShape(skin, Place.of_crop()).at(place)


def face(found: np.ndarray, crop: Crop, photo_size: tuple[int, int]) -> Face:
    """A face of a photo, in whose crop a system has found a map."""
    made = replace(shape(position.skin(found), crop, photo_size), texels=found)
    return Face(made.place, made.surface, made, "posed")


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
