"""Networks that read relief: what they are given of a face, halves, and files that are none."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

import laid_heads
import posed_heads
from facerelief import catalogue
from facerelief.catalogue import WeightsError
from facerelief.cli import app
from facerelief.detail import DETAILS, available, kind_of
from facerelief.detailed import DetailedFace
from facerelief.geometry.laid_out import CHANNELS, SIZE
from facerelief.geometry.mesh import face_normals
from facerelief.geometry.shading_detail import NoLightError
from facerelief.learned import ReliefNetwork
from facerelief.runtime import load
from facerelief.types import Crop, Face, Place

CROP = Crop((128.0, 128.0), 256.0)
COUNT = sum(CHANNELS.values())


def network(path: Path, weights: list[float], kind: str = "relief") -> Path:
    """Write a network whose displacement is a weighted sum of the channels of its maps."""
    weight = numpy_helper.from_array(np.array(weights, np.float32)[:, None], "weights")
    axis = numpy_helper.from_array(np.array([3], np.int64), "axis")
    nodes = [
        helper.make_node("MatMul", ["maps", "weights"], ["sum"]),
        helper.make_node("Squeeze", ["sum", "axis"], ["displacement"]),
    ]
    read = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", SIZE, SIZE, COUNT])
    told = helper.make_tensor_value_info("displacement", TensorProto.FLOAT, ["n", SIZE, SIZE])
    graph = helper.make_graph(nodes, "relief", [read], [told], [weight, axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"kind": kind})
    path.write_bytes(model.SerializeToString())
    return path


def face(yaw: float = 0.0) -> Face:
    return posed_heads.face(posed_heads.uv_map(yaw), CROP, (256, 256))


def photo(yaw: float = 0.0) -> np.ndarray:
    return np.rint(255 * laid_heads.picture(yaw)).astype(np.uint8)


def test_relief_is_told_where_the_photo_shows_the_face(tmp_path: Path) -> None:
    weights = [0.0] * 8 + [1.5]
    found = ReliefNetwork(network(tmp_path / "a.onnx", weights))(face(), photo())
    inner = found.displacement > 0.75
    assert 0.25 < inner.mean() < 0.7 and found.displacement.max() <= 1.5 + 1e-6
    assert not found.displacement[found.seen == 0].any()
    assert not found.invented.any()


def test_the_farther_half_is_invented(tmp_path: Path) -> None:
    """The network sees the nearer half twice, with slopes that are those of a mirror image."""
    weights = [0.0] * 8 + [1.0]
    weights[6] = 0.25
    found = ReliefNetwork(network(tmp_path / "a.onnx", weights))(face(50), photo(50))
    left, right = found.displacement[:, : SIZE // 2], found.displacement[:, SIZE // 2 :]
    assert found.invented.any()
    seen_left = found.invented[:, : SIZE // 2].any()
    assert seen_left != found.invented[:, SIZE // 2 :].any()
    np.testing.assert_allclose(found.seen, found.seen[:, ::-1])
    both = found.seen > 0.99
    slopes = 0.5 * (left - right[:, ::-1])[both[:, : SIZE // 2]]
    assert np.abs(slopes).mean() > 0.01  # of opposite signs, beside the same 1 mm
    assert (left + right[:, ::-1])[both[:, : SIZE // 2]].mean() == pytest.approx(2, abs=0.1)


def test_a_network_is_a_kind_of_detail(tmp_path: Path) -> None:
    """Its maps are laid on the mesh as any kind; those of a measured mesh grow with it."""
    path = network(tmp_path / "a.onnx", [0.0] * 8 + [1.0])
    assert kind_of("plaster") is None and kind_of("fused") is DETAILS["fused"]
    make = kind_of(str(path))(512, None)
    turned = face(50)
    found = make(turned, photo(50))
    assert found.displacement.shape == (512, 512) and not found.warnings
    assert np.median(found.displacement[found.seen > 0.9]) == pytest.approx(1, abs=0.05)
    assert found.invented.any() and not found.invented.all()
    assert found.mirrored().invented[found.invented].all()
    larger = turned.metric(2 * turned.eye_distance * 0.6)
    grown = make(larger, photo(50)).displacement
    np.testing.assert_allclose(grown, 1.2 * found.displacement, rtol=1e-3, atol=1e-4)
    dark = make(turned, np.zeros((256, 256, 3), np.uint8))
    assert not dark.displacement.any() and "too dark" in dark.warnings[0]
    made = DetailedFace(turned, found)
    before = face_normals(made.displaced.vertices, made.displaced.triangles)
    assert np.isfinite(made.displaced.vertices).all() and np.isfinite(before).all()


def test_a_network_that_ships_goes_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = network(tmp_path / "ri2itn.onnx", [0.0] * 8 + [1.0])
    fields = {
        "system": "ri2itn", "preset": "compact", "kind": "relief", "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "tier": "open",
        "training_data": ["nothing"], "licence": "any",
    }  # fmt: skip
    content = {"default": "none", "systems": {}, "details": {"ri2itn": fields}}
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    (tmp_path / "catalogue.json").write_text(json.dumps({**content, "details": {}}))
    assert "learned" not in available() and "learned" in DETAILS
    with pytest.raises(WeightsError, match="no network that reads relief comes with this version"):
        DETAILS["learned"](512, 1)
    (tmp_path / "catalogue.json").write_text(json.dumps(content))
    assert list(available()) == ["shading", "fused", "learned"]
    found = DETAILS["learned"](256, 1)(face(), photo())
    assert found.displacement.max() == pytest.approx(1, abs=0.05)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="altered or damaged"):
        DETAILS["learned"](512, 1)


def test_a_name_without_weights_is_one_line(
    astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "details", list)
    arguments = ["mesh", str(astronaut), "-o", str(tmp_path / "out"), "--detail", "learned"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and len(done.output.splitlines()) == 1, done.output
    assert "no network that reads relief" in done.output
    assert not any((tmp_path / "out").glob("*"))


def test_a_face_without_shape_or_light_has_none(tmp_path: Path) -> None:
    read = ReliefNetwork(network(tmp_path / "a.onnx", [0.0] * COUNT))
    with pytest.raises(NoLightError, match="too dark"):
        read(face(), np.zeros((256, 256, 3), np.uint8))
    place = Place.of_crop()
    with pytest.raises(ValueError, match="detail: the face has no shape"):
        read(Face(place, face().surface, None, "flat"), photo())


def test_files_that_are_no_such_network_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.onnx: cannot read the weights"):
        ReliefNetwork(tmp_path / "none.onnx")
    with pytest.raises(WeightsError, match=r"b\.onnx: not a network that reads relief"):
        ReliefNetwork(network(tmp_path / "b.onnx", [0.0] * COUNT, kind="normals"))
    (tmp_path / "c.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"c\.onnx"):
        ReliefNetwork(tmp_path / "c.onnx")
    wild = ReliefNetwork(network(tmp_path / "d.onnx", [np.inf] * COUNT))
    with pytest.raises(WeightsError, match=r"d\.onnx: its displacement is no map of finite"):
        wild(face(), photo())
    with pytest.raises(WeightsError, match=r"e\.onnx: an ONNX network, but not one that estimates"):
        load(network(tmp_path / "e.onnx", [0.0] * COUNT))
