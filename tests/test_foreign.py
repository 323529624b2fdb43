"""A network that others made answers within bounds, or is refused in one line."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

import broken_networks
import facerelief as fr
import tiny_system
from facerelief.cli import app

MESSAGES = {
    "float_input": "reads tensor.float.",
    "other_size": r"128.*, not any number of uint8 crops",
    "one_crop": r"\[1, 256, 256, 3\], not any number",
    "second_input": "not one that estimates",
    "without_mask": "without mask",
    "other_shape": r"its normals is .*100, 256, 3\], not float32",
    "half_precision": "its normals is tensor.float16",
    "not_numbers": "not finite",
    "infinite": "not finite",
    "huge_constant": "the network failed",
    "huge_expansion": "the network failed",
    "fails_when_run": "the network failed",
    "endless_loop": "loops or branches",
    "other_domain": "operator 'Gelu' of the domain 'com.microsoft'",
    "external_data": "in another file",
    "own_functions": "functions of its own|of the domain 'ours'",
    "many_nodes": "more than 20000 operators",
    "long_work": "no answer to one crop|the network failed",
    "unknown_kind": "not one that estimates",
    "odd_name": "not an ONNX network that can be run here",
}


def spent() -> float:
    """Seconds of a core that this process and those that it started have taken: not of a clock."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


@pytest.mark.parametrize("change", broken_networks.CHANGES, ids=lambda change: change.__name__)
def test_a_network_that_does_not_do_is_one_line(
    tmp_path: Path, change: Callable[[onnx.ModelProto], None]
) -> None:
    path = broken_networks.changed(tmp_path, change)
    began = spent()
    with pytest.raises(fr.WeightsError, match=MESSAGES[change.__name__]) as raised:
        fr.load(path).estimate_crops(np.zeros((1, 256, 256, 3), np.uint8))
    assert str(raised.value).isprintable() and len(str(raised.value)) < 600 + len(str(path))
    assert spent() - began < 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere time alone is bounded")
def test_a_trial_takes_few_seconds_of_a_core(tmp_path: Path) -> None:
    path = broken_networks.changed(tmp_path, broken_networks.long_work)
    began = spent()
    with pytest.raises(fr.WeightsError, match=r"no answer to one crop|more than 30 s"):
        fr.load(path)
    assert spent() - began < 6.5  # 4 of them at work, the others to start


def test_what_never_ends_is_no_network(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2 << 30)
    for name, message in (("pipe", "not a file"), ("zero", "not a file"), ("large", "larger than")):
        with pytest.raises(fr.WeightsError, match=message):
            fr.load(tmp_path / f"{name}.onnx")
    with pytest.raises(fr.WeightsError, match="cannot read"):
        fr.load("a\0.onnx")


def test_its_words_are_shown_as_text(tmp_path: Path, astronaut: Path) -> None:
    path = tiny_system.build(tmp_path / "tiny.onnx")
    model = onnx.load(path)
    words = "\x1b]0;title\x07 free\nfor all " + "x" * 5_000_000
    helper.set_model_props(
        model, {**tiny_system.METADATA, "tier": "research", "licence": words,
                "training_data": words}
    )  # fmt: skip
    onnx.save(model, path)
    entry = fr.load(path).entry
    for text in (entry.licence, *entry.training_data):
        assert text.isprintable() and len(text) < 1100 and "free for all" in text
    result = CliRunner().invoke(
        app, ["normals", str(astronaut), "--system", str(path), "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 0 and "\x1b" not in result.output and len(result.output) < 4000


def test_a_network_may_fail_later(tmp_path: Path) -> None:
    """What goes wrong for some pictures alone is one line then."""
    model = broken_networks.tiny(tmp_path)
    broken_networks.add(
        model,
        helper.make_node("ReduceMax", ["values"], ["most"], keepdims=0),
        helper.make_node("Div", ["nought", "most"], ["extra"]),
        nought=np.float32(0),
    )
    path = tmp_path / "later.onnx"
    path.write_bytes(model.SerializeToString())
    estimator = fr.load(path)
    with pytest.raises(fr.WeightsError, match=r"later\.onnx: its normals holds numbers"):
        estimator.estimate_crops(np.zeros((2, 256, 256, 3), np.uint8))
