"""Binary glTF 2.0 files of one mesh (https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html).

Written here rather than by trimesh, whose import takes a fifth of the time that a photo does.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Component types of accessors (section 3.6.2.2) and what buffer views are for (5.11.4).
_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint8": 5121}
_VERTICES, _INDICES = 34962, 34963


_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


@dataclass(frozen=True)
class Motion:
    """How a mesh changes shape and moves, in numbers of accessors, before a camera."""

    targets: list[dict[str, int]]  # of each morph target: what its attributes add
    names: list[str]  # of the targets
    times: int  # (T,) seconds
    weights: int  # (T * targets,)
    rotation: int  # (T, 4) unit quaternions x, y, z, w
    translation: int  # (T, 3)
    camera: dict[str, Any]  # as glTF has it, at the origin


class GlbFile:
    """A file in the making: arrays and pictures are put in, and numbers of them come back."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._pictures: list[dict[str, Any]] = []

    def vertices(self, values: NDArray[Any], bounds: bool = False) -> int:
        """The accessor of (V, C) float32 or uint8; these mean 0 to 1. Positions need `bounds`."""
        said: dict[str, Any] = {"type": f"VEC{values.shape[1]}"}
        if values.dtype == np.uint8:
            said["normalized"] = True
        if bounds:
            said |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return self._array(values, _VERTICES, said)

    def indices(self, triangles: NDArray[np.integer]) -> int:
        """The accessor of (T, 3)."""
        flat = np.ascontiguousarray(triangles.ravel(), np.uint32)
        return self._array(flat, _INDICES, {"type": "SCALAR"})

    def keys(self, values: NDArray[np.float32], bounds: bool = False) -> int:
        """The accessor of (T,) or (T, 3 | 4) values of an animation. Times need `bounds`."""
        table = values.reshape(len(values), -1)
        said: dict[str, Any] = {"type": _KINDS[table.shape[1]]}
        if bounds:
            said |= {"min": table.min(axis=0).tolist(), "max": table.max(axis=0).tolist()}
        return self._array(values, None, said)

    def sparse(self, values: NDArray[np.float32], least: float) -> int:
        """The accessor of (V, 3) that are zero but where they are longer than `least`."""
        chosen = np.flatnonzero(np.abs(values).max(axis=1) > least)
        chosen = chosen if len(chosen) else np.zeros(1, np.int64)  # glTF wants one at least
        kept = np.zeros_like(values)
        kept[chosen] = values[chosen]
        places = {
            "indices": {
                "bufferView": self._view(chosen.astype(np.uint32).tobytes()),
                "componentType": _COMPONENTS["uint32"],
            },
            "values": {"bufferView": self._view(np.ascontiguousarray(values[chosen]).tobytes())},
        }
        said = {
            "componentType": _COMPONENTS["float32"],
            "type": "VEC3",
            "count": len(values),
            "min": kept.min(axis=0).tolist(),
            "max": kept.max(axis=0).tolist(),
            "sparse": {"count": len(chosen), **places},
        }
        self._accessors.append(said)
        return len(self._accessors) - 1

    def texture(self, content: bytes, kind: str) -> dict[str, int]:
        """What a material says of a picture file, of `kind` jpeg or png."""
        view = self._view(content)
        self._pictures.append({"bufferView": view, "mimeType": f"image/{kind}"})
        return {"index": len(self._pictures) - 1}

    def finished(
        self,
        attributes: dict[str, int],
        indices: int,
        material: dict[str, Any] | None,
        by: str,
        motion: Motion | None = None,
    ) -> bytes:
        """The file of one mesh; `by` whom it was made."""
        drawn: dict[str, Any] = {"attributes": attributes, "indices": indices}
        said: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": by},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"name": "face", "mesh": 0}],
            "meshes": [{"name": "face", "primitives": [drawn]}],
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._content)}],
        }
        if material is not None:
            drawn["material"] = 0
            said["materials"] = [material]
        if self._pictures:
            said["images"] = self._pictures
            said["textures"] = [{"source": number} for number in range(len(self._pictures))]
        if motion is not None:
            _move(said, motion)
        text = json.dumps(said, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        whole = 12 + 8 + len(text) + 8 + len(self._content)
        head = struct.pack("<4sII", b"glTF", 2, whole)
        chunks = ((b"JSON", text), (b"BIN\0", bytes(self._content)))
        return head + b"".join(struct.pack("<I4s", len(c), kind) + c for kind, c in chunks)

    def _array(self, values: NDArray[Any], target: int | None, said: dict[str, Any]) -> int:
        view = self._view(np.ascontiguousarray(values).tobytes())
        if target is not None:
            self._views[view]["target"] = target
        component = _COMPONENTS[values.dtype.name]
        place = {"bufferView": view, "componentType": component, "count": len(values)}
        self._accessors.append(place | said)
        return len(self._accessors) - 1

    def _view(self, content: bytes) -> int:
        place = {"buffer": 0, "byteOffset": len(self._content), "byteLength": len(content)}
        self._views.append(place)
        self._content += content + bytes(-len(content) % 4)
        return len(self._views) - 1


def _move(said: dict[str, Any], motion: Motion) -> None:
    """Put `motion` into a file of one mesh."""
    (mesh,) = said["meshes"]
    mesh["primitives"][0]["targets"] = motion.targets
    mesh["weights"] = [0.0] * len(motion.targets)
    mesh["extras"] = {"targetNames": motion.names}  # as Blender, three.js and others read them
    said["nodes"].append({"name": "camera", "camera": 0})
    said["scenes"][0]["nodes"].append(1)
    said["cameras"] = [motion.camera]
    channels = {
        "weights": motion.weights,
        "rotation": motion.rotation,
        "translation": motion.translation,
    }
    said["animations"] = [
        {
            "name": "film",
            "samplers": [
                {"input": motion.times, "interpolation": "LINEAR", "output": output}
                for output in channels.values()
            ],
            "channels": [
                {"sampler": number, "target": {"node": 0, "path": path}}
                for number, path in enumerate(channels)
            ],
        }
    ]
