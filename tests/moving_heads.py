"""GLBs of heads that move, read again as a viewer does (glTF 2.0)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

KINDS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
TYPES = {5126: np.float32, 5125: np.uint32, 5121: np.uint8}


class Played:
    """A GLB with one mesh, one animation and one camera."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length = struct.unpack("<4sII", content[:12])
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack("<I4s", content[12:20])
        assert kind == b"JSON"
        self.said: dict[str, Any] = json.loads(content[20 : 20 + size])
        self.content = content[20 + size + 8 :]
        (self.mesh,) = self.said["meshes"]
        (drawn,) = self.mesh["primitives"]
        self.base = self.array(drawn["attributes"]["POSITION"])
        self.triangles = self.array(drawn["indices"]).reshape(-1, 3)
        self.targets = np.stack([self.array(one["POSITION"]) for one in drawn["targets"]])
        self.turned = np.stack([self.array(one["NORMAL"]) for one in drawn["targets"]])
        self.names = self.mesh["extras"]["targetNames"]
        (film,) = self.said["animations"]
        self.keys = {}
        for channel in film["channels"]:
            sampler = film["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "LINEAR" and channel["target"]["node"] == 0
            self.times = self.array(sampler["input"])
            self.keys[channel["target"]["path"]] = self.array(sampler["output"])
        self.weights = self.keys["weights"].reshape(len(self.times), len(self.targets))

    def array(self, number: int) -> NDArray[Any]:
        """The values of an accessor."""
        told = self.said["accessors"][number]
        kind, width = TYPES[told["componentType"]], KINDS[told["type"]]
        if "sparse" not in told:
            return self.view(told["bufferView"], kind, told["count"], width)
        values = np.zeros((told["count"], width), kind)
        sparse = told["sparse"]
        places = sparse["indices"]
        index = self.view(places["bufferView"], TYPES[places["componentType"]], sparse["count"], 1)
        assert (np.diff(index.astype(np.int64)) > 0).all()  # as glTF wants them
        values[index] = self.view(sparse["values"]["bufferView"], kind, sparse["count"], width)
        assert values.min(axis=0).tolist() == told["min"]
        assert values.max(axis=0).tolist() == told["max"]
        return values

    def view(self, number: int, kind: Any, count: int, width: int) -> NDArray[Any]:
        view = self.said["bufferViews"][number]
        start = view["byteOffset"]
        assert start % 4 == 0
        values = np.frombuffer(self.content[start : start + view["byteLength"]], kind)
        return values[: count * width].reshape(count, width) if width > 1 else values[:count]

    def vertices(self, key: int) -> NDArray[np.float64]:
        """(V, 3) metres in the space of the camera, at one of the times."""
        shaped = self.base + np.tensordot(self.weights[key], self.targets, 1)
        turn = Rotation.from_quat(self.keys["rotation"][key])
        return turn.apply(shaped) + self.keys["translation"][key]

    def seen(self, key: int, size: tuple[int, int]) -> NDArray[np.float64]:
        """(V, 2) pixels of a picture of (height, width), by the file's camera."""
        height, width = size
        (camera,) = self.said["cameras"]
        lens = camera["perspective"]
        assert abs(lens["aspectRatio"] - width / height) < 1e-6
        focal = height / 2 / np.tan(lens["yfov"] / 2)
        x, y, z = self.vertices(key).T
        return np.column_stack([width / 2 + focal * x / -z, height / 2 - focal * y / -z])
