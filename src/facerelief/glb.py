"""Binary glTF 2.0 files of one mesh (https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html).

Written here rather than by trimesh, whose import takes a fifth of the time that a photo does.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Component types of accessors (section 3.6.2.2) and what buffer views are for (5.11.4).
_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint8": 5121}
_VERTICES, _INDICES = 34962, 34963


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

    def texture(self, content: bytes, kind: str) -> dict[str, int]:
        """What a material says of a picture file, of `kind` jpeg or png."""
        view = self._view(content)
        self._pictures.append({"bufferView": view, "mimeType": f"image/{kind}"})
        return {"index": len(self._pictures) - 1}

    def finished(
        self, attributes: dict[str, int], indices: int, material: dict[str, Any] | None, by: str
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
        text = json.dumps(said, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        whole = 12 + 8 + len(text) + 8 + len(self._content)
        head = struct.pack("<4sII", b"glTF", 2, whole)
        chunks = ((b"JSON", text), (b"BIN\0", bytes(self._content)))
        return head + b"".join(struct.pack("<I4s", len(c), kind) + c for kind, c in chunks)

    def _array(self, values: NDArray[Any], target: int, said: dict[str, Any]) -> int:
        view = self._view(np.ascontiguousarray(values).tobytes())
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
