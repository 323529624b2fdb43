"""The tool that puts an exposure before a network that was exported without one."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from facerelief.export import Provenance, export
from facerelief.train import start
from facerelief.train.systems.base import build

OPTIONS = {"pretrained": False, "stages": 1, "widths": [16, 16, 16, 16]}
TOOL = Path(__file__).parent.parent / "tools" / "expose_network.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("expose_network", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The same weights, exported without an exposure and with one."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    plain = build("casfne", "compact", **OPTIONS)
    lit = build("casfne", "compact", exposure=0.5, **OPTIONS)
    lit.load_state_dict(plain.state_dict())
    origin = Provenance("casfne", "compact", "open", "nothing", "0")
    for name, system in (("plain", plain), ("lit", lit)):
        export(system, folder / f"{name}.onnx", origin)
    return folder


def test_it_answers_as_one_that_was_exported_so(tool, exported):
    model = onnx.load(exported / "plain.onnx")
    tool.expose(model, 0.5)
    onnx.checker.check_model(model)
    crops = np.random.default_rng(0).integers(0, 90, (2, 256, 256, 3), np.uint8)

    def normals(content):
        return onnxruntime.InferenceSession(content).run(["normals"], {"crops": crops})[0]

    expected = normals((exported / "lit.onnx").read_bytes())
    before = normals((exported / "plain.onnx").read_bytes())
    assert np.abs(normals(model.SerializeToString()) - expected).max() < 1e-3
    assert np.abs(before - expected).max() > 1e-2


def test_twice_is_refused(tool, exported):
    model = onnx.load(exported / "plain.onnx")
    tool.expose(model, 0.5)
    with pytest.raises(ValueError, match="already"):
        tool.expose(model, 0.5)


def test_weights_can_be_gone_on_with(tool, exported, tmp_path):
    model = onnx.load(exported / "plain.onnx")
    tool.expose(model, 0.5)
    onnx.save(model, tmp_path / "exposed.onnx")
    before, after = start.read(exported / "plain.onnx"), start.read(tmp_path / "exposed.onnx")
    assert before.values.keys() == after.values.keys()
    assert before.folded.keys() == after.folded.keys()
    assert all(torch.equal(value, after.values[name]) for name, value in before.values.items())
