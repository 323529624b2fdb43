"""Kinds of answers: what a network says of itself, and how its arrays are understood."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import facerelief as fr
import posed_heads
import tiny_system
from facerelief import finding
from facerelief.decoders import DECODERS, kind_of


def told(path: Path, **metadata: str) -> Path:
    """The network at `path`, which now says more of itself."""
    model = onnx.load(path)
    helper.set_model_props(model, {**tiny_system.METADATA, **metadata})
    onnx.save(model, path)
    return path


def test_outputs_tell_the_kind_of_a_network_that_does_not() -> None:
    assert kind_of(["normals", "mask"]) == "normals"
    assert kind_of(["expected_error", "mask", "normals"]) == "normals"
    assert kind_of(["seen", "position"]) == "positions"
    assert kind_of(["normals"]) is None


def test_a_network_may_say_its_kind(tmp_path: Path) -> None:
    path = tiny_system.build(tmp_path / "tiny.onnx")
    assert fr.load(path).entry.kind == "normals"
    assert fr.load(told(path, kind="normals")).entry.kind == "normals"
    with pytest.raises(
        fr.WeightsError, match=r"normals or positions or coefficients of crops.*'depths'"
    ):
        fr.load(told(path, kind="depths"))
    with pytest.raises(fr.WeightsError, match="network of positions without position"):
        fr.load(told(path, kind="positions"))


def test_shipped_networks_are_of_the_kind_that_the_catalogue_says() -> None:
    for name in fr.systems():
        estimator = fr.load(name, threads=1)
        assert estimator.makes_shapes == (estimator.entry.kind != "normals")


@pytest.mark.parametrize("kind", DECODERS)
def test_no_crops_are_no_answers(kind: str) -> None:
    decoder = DECODERS[kind]
    for names in (decoder.outputs, {**decoder.outputs, **decoder.optional}):
        empty = decoder.nothing([*names, "what nobody reads"])
        assert empty.normals.shape == (0, 256, 256, 3) and empty.mask.shape == (0, 256, 256)
        assert empty.mask.dtype == np.bool_


def test_several_systems_answer_for_one_place(tmp_path: Path, astronaut: Path) -> None:
    places = fr.find(astronaut, threads=1)
    tiny = fr.load(tiny_system.build(tmp_path / "tiny.onnx"), threads=1)
    posed = fr.load(posed_heads.network(tmp_path / "posed.onnx", posed_heads.uv_map()), threads=1)
    (colours,), (shape,) = (one.estimate(astronaut, places) for one in (tiny, posed))
    assert colours.crop is shape.crop is places[0].crop
    assert (colours.model, shape.model) == ("tiny", "posed")
    (whole,) = tiny(astronaut)
    np.testing.assert_array_equal(whole.normals, colours.normals)
    assert tiny.estimate(astronaut, []) == []


def test_one_detector_serves_everybody(tmp_path: Path) -> None:
    assert finding.shared_detector(1) is finding.shared_detector(1)
    assert finding.shared_detector(1) is not finding.shared_detector(2)
    assert finding.shared_detector() is finding.shared_detector(0)


def test_faces_are_followed_from_picture_to_picture(astronaut: Path) -> None:
    photo = fr.load_photo(astronaut)
    (before,) = fr.find(photo, threads=1)
    moved = fr.Crop((262.0, 250.0), 512.0, 4.0, 512).extract(photo)
    (now,) = fr.find(moved, threads=1, previous=[before])
    (fresh,) = fr.find(moved, threads=1)
    apart = np.subtract(now.crop.centre, fresh.crop.centre)
    assert np.hypot(*apart) < 0.04 * fresh.crop.side
    assert now.crop.side == pytest.approx(fresh.crop.side, rel=0.1)
    # Who is gone is looked for everywhere.
    (found,) = fr.find(np.roll(photo, 200, axis=1), threads=1, previous=[before])
    assert found.crop.centre[0] == pytest.approx(before.crop.centre[0] + 200, abs=5)
    assert fr.find(np.zeros_like(photo), threads=1, previous=[before]) == []
