"""Loading, estimating crops, and whole photos, with a system whose answers are known."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import facerelief as fr
import tiny_system
from facerelief import catalogue, runtime
from facerelief.apps.doctor import sphere
from facerelief.geometry.normals import encode


@pytest.fixture
def estimator(tiny_catalogue: Path) -> fr.Estimator:
    return fr.load("default")


def test_crops_give_back_the_normals_they_are_painted_with(estimator: fr.Estimator) -> None:
    normals, mask = sphere(128)
    crops = np.where(mask[..., None], encode(normals), 0)[None]
    estimate = estimator.estimate_crops(crops)
    chord = np.linalg.norm(estimate.normals[0] - normals, axis=-1)[mask]
    assert np.degrees(chord.max()) < 0.6
    assert estimate.normals.dtype == np.float32
    np.testing.assert_array_equal(estimate.mask[0], mask)
    assert estimate.expected_error is not None
    expected = 40 - 40 / 255 * crops[0].mean(axis=-1)
    np.testing.assert_allclose(estimate.expected_error[0], expected, atol=1e-3)


def test_batches_equal_single_crops(estimator: fr.Estimator) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (11, 256, 256, 3), np.uint8)
    together = estimator.estimate_crops(crops)
    for index in range(len(crops)):
        alone = estimator.estimate_crops(crops[index : index + 1])
        np.testing.assert_array_equal(together.normals[index], alone.normals[0])
        np.testing.assert_array_equal(together.mask[index], alone.mask[0])


def test_a_list_of_crops_is_as_good(estimator: fr.Estimator) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), np.uint8)
    expected = estimator.estimate_crops(crops).normals
    np.testing.assert_array_equal(estimator.estimate_crops(list(crops)).normals, expected)
    assert "'tiny'" in repr(estimator)


def test_no_crops_give_an_empty_estimate(estimator: fr.Estimator) -> None:
    estimate = estimator.estimate_crops(np.zeros((0, 256, 256, 3), np.uint8))
    assert estimate.normals.shape == (0, 256, 256, 3)
    assert estimate.mask.shape == (0, 256, 256)
    assert estimate.expected_error is not None and estimate.expected_error.shape[0] == 0


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((256, 256, 3), np.uint8),
        np.zeros((1, 128, 256, 3), np.uint8),
        np.zeros((1, 256, 256, 3), np.float32),
    ],
)
def test_other_crops_are_refused(estimator: fr.Estimator, crops: np.ndarray) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        estimator.estimate_crops(crops)


def test_a_system_without_expected_error(tmp_path: Path) -> None:
    estimator = fr.load(tiny_system.build(tmp_path / "plain.onnx", expected_error=False))
    crops = np.full((2, 256, 256, 3), 128, np.uint8)
    assert estimator.estimate_crops(crops).expected_error is None
    assert estimator.estimate_crops(crops[:0]).expected_error is None


def test_a_file_describes_itself(tiny_folder: Path) -> None:
    entry = fr.load(tiny_folder / "tiny.onnx").entry
    assert (entry.name, entry.system, entry.preset, entry.tier) == (
        "tiny", "tiny", "colours", "open",
    )  # fmt: skip
    assert entry.training_data == ("nothing", "at all")
    assert len(entry.sha256) == 64


def test_photo_gives_its_face(estimator: fr.Estimator, astronaut: Path) -> None:
    (face,) = estimator(astronaut)
    x0, y0, x1, y1 = face.box
    assert 150 < x0 < 220 < x1 < 300 and 40 < y0 < 120 < y1 < 240
    assert face.score > 0.8 and face.model == "tiny" and face.photo_size == (512, 512)
    assert face.normals.shape == (256, 256, 3) and face.mask.shape == (256, 256)
    # The tiny system's normals are the photo's colours: they must be those of the crop.
    colours = face.crop.extract(np.asarray(Image.open(astronaut)))
    found = face.normals[colours.min(axis=-1) > 0]
    expected = colours[colours.min(axis=-1) > 0] / 127.5 - 1
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True).clip(1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_path_image_and_array_are_the_same_photo(estimator: fr.Estimator, astronaut: Path) -> None:
    with Image.open(astronaut) as image:
        faces = [estimator(source)[0] for source in (astronaut, image, np.asarray(image))]
    for face in faces[1:]:
        np.testing.assert_array_equal(face.normals, faces[0].normals)
        assert face.crop == faces[0].crop


def test_largest_face_first_and_max_faces(estimator: fr.Estimator, astronaut: Path) -> None:
    photo = np.asarray(Image.open(astronaut))
    small = np.asarray(Image.open(astronaut).resize((256, 256)))
    pair = np.zeros((512, 768, 3), np.uint8)
    pair[:256, :256], pair[:, 256:] = small, photo
    faces = estimator(pair)
    assert [face.box[0] > 256 for face in faces] == [True, False]
    (largest,) = estimator(pair, max_faces=1)
    assert largest.crop == faces[0].crop


def test_no_face_gives_no_faces(estimator: fr.Estimator) -> None:
    assert estimator(np.full((100, 120, 3), 90, np.uint8)) == []


def test_mask_ends_at_the_photos_border(estimator: fr.Estimator, astronaut: Path) -> None:
    photo = np.asarray(Image.open(astronaut))[:, 215:]  # cuts the face
    for face in estimator(photo):
        centres = np.arange(256) + 0.5
        points = face.crop.to_photo(np.stack(np.meshgrid(centres, centres), axis=-1))
        assert not face.mask[points[..., 0] < 0].any()
        assert face.mask.any() and not face.mask.all()


@pytest.mark.parametrize("angle", [0.0, 25.0])
@pytest.mark.parametrize("centre", [(50.0, 40.0), (200.0, 150.0), (-500.0, 0.0)])
def test_inside_equals_the_plain_question(centre: tuple[float, float], angle: float) -> None:
    crop, height, width = fr.Crop(centre, 120.0, angle, size=24), 300, 400
    inside = crop.inside((height, width))
    for row in range(24):
        for column in range(24):
            x, y = crop.to_photo((column + 0.5, row + 0.5))
            assert inside[row, column] == (0 <= x <= width and 0 <= y <= height)


def test_threads_may_share_an_estimator(tiny_catalogue: Path, astronaut: Path) -> None:
    estimator = fr.load("tiny", threads=1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: estimator(astronaut), range(8)))
    for faces in results[1:]:
        np.testing.assert_array_equal(faces[0].normals, results[0][0].normals)


def alter(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("change", [alter, lambda content: content[:100], lambda content: b""])
def test_altered_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(catalogue, "FOLDER", tiny_system.catalogue(tmp_path))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(fr.WeightsError, match=r"tiny\.onnx: altered or damaged"):
        fr.load("tiny")


def test_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(fr.WeightsError, match=r"gone\.onnx: cannot read the weights: No such"):
        fr.load(str(tmp_path / "gone.onnx"))


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(b"noise" * 100)
    with pytest.raises(fr.WeightsError, match="not an ONNX network"):
        fr.load(path)


def test_a_network_that_does_something_else(tmp_path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", value[:1], value[1:])
    opset = [helper.make_opsetid("", 18)]
    path = tmp_path / "abs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    with pytest.raises(fr.WeightsError, match="not one that estimates normals"):
        fr.load(path)


def test_unknown_system(tiny_catalogue: Path) -> None:
    with pytest.raises(fr.UnknownSystemError, match="default, tiny"):
        fr.load("prnet")


def test_find_providers() -> None:
    assert runtime.find_providers("CPU") == [runtime.CPU]
    with pytest.raises(ValueError, match=r"'abacus'.*cpu"):
        runtime.find_providers("abacus")
