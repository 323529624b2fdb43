"""Bring pictures to one exposure before a network that was exported without it.

    python tools/expose_network.py old.onnx new.onnx --target 0.5

The nodes are those of `facerelief.nn.exposure.exposed`, put between the pictures and all that
looked at them. Weights stay as they are, bit by bit; so does what the file says of itself.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from facerelief.nn.exposure import BOUNDS, DARKEST, LUMA

_CROP = 256


def expose(model: onnx.ModelProto, target: float) -> None:
    """Change `model`, exported by `facerelief export`, in place.

    Raises ValueError where its pictures are not found, or are exposed already.
    """
    graph = model.graph
    if any(node.name.startswith("exposure") for node in graph.node):
        raise ValueError("the network brings its pictures to an exposure already")
    known = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    first = next(
        (i for i, node in enumerate(graph.node)
         if node.op_type == "Div" and np.all(known.get(node.input[1], 0) == 255)), None
    )  # fmt: skip
    if first is None:
        raise ValueError("no picture is divided by 255: not a network of ours")
    picture = graph.node[first].output[0]
    quarter = _CROP // 4

    def constant(name: str, value: object, kind: type = np.float32) -> str:
        name = f"exposure.{name}"
        graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    luma = constant("luma", np.reshape(LUMA, (1, 3, 1, 1)))
    darkest, blackest = constant("darkest", DARKEST), constant("blackest", 1e-4)
    brightest, wanted = constant("brightest", -1e-3), constant("target", np.log(target))
    least, most = (constant(n, b) for n, b in zip(("least", "most"), BOUNDS, strict=True))
    start = constant("start", [quarter, quarter], np.int64)
    end = constant("end", [_CROP - quarter] * 2, np.int64)
    axes, across = constant("axes", [2, 3], np.int64), constant("channels", [1], np.int64)
    every = constant("every", [1, 2, 3], np.int64)
    steps = [
        ("Slice", [picture, start, end, axes], "middle"),
        ("Mul", ["middle", luma], "weighted"),
        ("ReduceSum", ["weighted", across], "brightness"),
        ("Max", ["brightness", darkest], "floored"),
        ("Log", ["floored"], "logs"),
        ("ReduceMean", ["logs", every], "mean"),
        ("Min", ["mean", brightest], "average"),
        ("Div", [wanted, "average"], "power"),
        ("Clip", ["power", least, most], "bounded"),
        ("Max", [picture, blackest], "lifted"),
        ("Pow", ["lifted", "bounded"], "exposed"),
    ]
    made = {output for _, _, output in steps}
    for node in graph.node[first + 1 :]:
        for index, name in enumerate(node.input):
            if name == picture:
                node.input[index] = "exposure.exposed"
    for offset, (kind, inputs, output) in enumerate(steps, 1):
        names = [f"exposure.{name}" if name in made else name for name in inputs]
        name = f"exposure.{output}"
        graph.node.insert(first + offset, helper.make_node(kind, names, [name], name=name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", type=float, default=0.5, help="log-average luma, 0 to 1")
    given = parser.parse_args()
    model = onnx.load(given.network)
    expose(model, given.target)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    given.out.write_bytes(content)
    print(hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
