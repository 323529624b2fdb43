"""Several networks of normals as one: the mean of what they say, also of the mirrored picture.

Trainings err differently, and each errs differently on a face and on its mirror image; the mean of
their normals is nearer than any of them. It takes as long as all of them together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from facerelief.files import appearing
from facerelief.train.start import StartError, network

_CROPS, _COLUMNS = "crops", 2  # the input, and the axis of it that mirroring turns
_TURNED = "turned."


def combine(networks: Sequence[str | Path], out: Path, mirrored: bool = True) -> str:
    """Write the mean of `networks` to ``out``, and return the file's sha256.

    Normals are summed and made unit, the mask's probability and the expected error averaged; the
    latter stays as high as if one had been asked, so that it is to be calibrated anew.

    Args:
        networks: .onnx files of ours, or names of the catalogue, whose kind is normals.
        mirrored: ask each for the mirrored crop, too.

    Raises:
        StartError: no network, one of another kind, or networks that do not answer alike.
    """
    models = [_read(source) for source in networks]
    if not models:
        raise StartError("no networks to combine")
    outputs = [value.name for value in models[0].graph.output]
    for source, model in zip(networks, models, strict=True):
        if [value.name for value in model.graph.output] != outputs:
            raise StartError(f"{source}: does not answer as {networks[0]} does")
        if model.opset_import != models[0].opset_import:
            raise StartError(f"{source}: of another ONNX version than {networks[0]}")
    graph = _Graph()
    for index, model in enumerate(models):
        graph.ask(model, f"n{index}.", _CROPS, turned=False)
        if mirrored:
            graph.ask(model, f"n{index}.", graph.mirror(_CROPS, "crops"), turned=True)
    first = models[0]
    combined = helper.make_model(
        graph.finished(first.graph), opset_imports=first.opset_import, ir_version=first.ir_version
    )
    helper.set_model_props(combined, _said(models))
    onnx.checker.check_model(combined)
    content = combined.SerializeToString()
    out.parent.mkdir(parents=True, exist_ok=True)
    with appearing(out) as partial:
        partial.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _read(source: str | Path) -> onnx.ModelProto:
    content, path = network(source)
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's own
        raise StartError(f"{path}: no network ({type(error).__name__})") from None
    said = {entry.key: entry.value for entry in model.metadata_props}
    if said.get("kind", "normals") != "normals" or [i.name for i in model.graph.input] != [_CROPS]:
        raise StartError(f"{path}: no network that makes normals of crops")
    return model


def _said(models: Sequence[onnx.ModelProto]) -> dict[str, str]:
    """What the file says of itself: the strictest terms, and all data. It is not calibrated yet."""
    said = [{entry.key: entry.value for entry in model.metadata_props} for model in models]
    data = [name for one in said for name in one.get("training_data", "").split(",") if name]
    is_open = all(one.get("tier") == "open" for one in said)
    first = {key: value for key, value in said[0].items() if key != "calibration"}
    return {
        **first,
        "preset": "combined",
        "tier": "open" if is_open else "research",
        "training_data": ",".join(dict.fromkeys(data)),
    }


class _Graph:
    """Networks side by side, on one input."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.answers: dict[str, list[str]] = {}
        for name, value in (("start", -1), ("end", -(2**31)), ("axis", _COLUMNS), ("step", -1)):
            self._constant(f"mirror.{name}", np.array([value], np.int64))
        self._constant("mirror.sign", np.array([-1, 1, 1], np.float32))
        self._mirrored: dict[str, str] = {}

    def _constant(self, name: str, value: np.ndarray) -> None:
        self.constants[name] = numpy_helper.from_array(value, name)

    def mirror(self, name: str, of: str) -> str:
        """A picture or map (N, H, W, ...) with its columns turned; normals turn with it."""
        if name in self._mirrored:
            return self._mirrored[name]
        turned = f"mirror.{name}"
        slices = [f"mirror.{part}" for part in ("start", "end", "axis", "step")]
        self.nodes.append(helper.make_node("Slice", [name, *slices], [turned]))
        if of == "normals":
            self.nodes.append(helper.make_node("Mul", [turned, "mirror.sign"], [f"{turned}.x"]))
            turned += ".x"
        self._mirrored[name] = turned
        return turned

    def ask(self, model: onnx.ModelProto, prefix: str, crops: str, turned: bool) -> None:
        """Put a network in, which looks at `crops`; asked twice, its weights are there once."""
        copy = compose.add_prefix(model, prefix)
        weights = {tensor.name: tensor for tensor in copy.graph.initializer}
        self.constants |= weights
        own = _TURNED if turned else ""

        def named(name: str) -> str:
            if name == prefix + _CROPS:
                return crops
            return name if not name or name in weights else own + name

        for node in copy.graph.node:
            node.name = own + node.name if node.name else ""
            node.input[:] = [named(name) for name in node.input]
            node.output[:] = [named(name) for name in node.output]
            self.nodes.append(node)
        for value in model.graph.output:
            answer = named(prefix + value.name)
            if turned:
                answer = self.mirror(answer, value.name)
            self.answers.setdefault(value.name, []).append(answer)

    def finished(self, like: onnx.GraphProto) -> onnx.GraphProto:
        """The whole, with the inputs and outputs of one network."""
        for name, answers in self.answers.items():
            if name != "normals":
                self.nodes.append(helper.make_node("Mean", answers, [name]))
                continue
            self.nodes.append(helper.make_node("Sum", answers, ["normals.sum"]))
            unit = helper.make_node("LpNormalization", ["normals.sum"], [name], axis=-1, p=2)
            self.nodes.append(unit)
        constants = list(self.constants.values())
        return helper.make_graph(self.nodes, "combined", like.input, like.output, constants)
