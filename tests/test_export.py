"""The exported file is the trained network."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

import facerelief  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.geometry.matte import solid  # noqa: E402
from facerelief.train.systems import build  # noqa: E402

PROVENANCE = Provenance("casfne", "compact", "research", "spheres,cubes", "0.0")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """ImageNet's encoder under decoders that are not at their start."""
    torch.manual_seed(1)
    system = build("casfne", "compact", stages=1).eval()
    torch.nn.init.normal_(system.cascade.decoder.head.weight, std=0.1)
    return system


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """(3, 256, 256, 3) smooth pictures, not noise, so that the error is a photo's."""
    coarse = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic").clamp(0, 1)
    return (fine.permute(0, 2, 3, 1) * 255).byte().numpy()


@pytest.fixture(scope="module")
def files(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The network stored either way; exporting takes seconds."""
    folder = tmp_path_factory.mktemp("export")
    paths = {name: folder / f"{name}.onnx" for name in ("compact", "full")}
    for name, path in paths.items():
        sha256 = export(network, path, PROVENANCE, compact=name == "compact")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    return paths


@pytest.mark.parametrize("stored", ["compact", "full"])
def test_the_file_agrees_with_torch(
    network: torch.nn.Module, files: dict[str, Path], crops: np.ndarray, stored: str
) -> None:
    estimator = facerelief.load(files[stored])
    estimate = estimator.estimate_crops(crops)
    with torch.no_grad():
        normals, mask, expected = network.deployed(256)(torch.from_numpy(crops))
    chord = np.linalg.norm(estimate.normals - normals.numpy(), axis=-1)
    degrees = np.degrees(2 * np.arcsin(chord / 2))
    assert np.mean(degrees < 0.05) >= 0.999
    assert np.mean((estimate.probability > 0.5) == (mask.numpy() > 0.5)) >= 0.999
    assert np.array_equal(estimate.mask, [solid(one) for one in estimate.probability])
    assert np.allclose(estimate.expected_error, expected.numpy(), atol=0.1)
    # One crop or three: the batch is free.
    alone = estimator.estimate_crops(crops[1:2])
    assert np.allclose(alone.normals[0], estimate.normals[1], atol=1e-4)


def test_compact_files_are_half_as_large(files: dict[str, Path]) -> None:
    assert files["compact"].stat().st_size < 0.56 * files["full"].stat().st_size


def test_the_file_says_where_it_comes_from(files: dict[str, Path]) -> None:
    entry = facerelief.load(files["compact"]).entry
    assert (entry.system, entry.preset, entry.tier) == ("casfne", "compact", "research")
    assert entry.training_data == ("spheres", "cubes") and entry.kind == "normals"
    said = {one.key: one.value for one in onnx.load(files["compact"]).metadata_props}
    assert said["kind"] == "normals"
    assert not list(files["compact"].parent.glob(".*.tmp"))


def test_a_network_of_small_pictures_reads_full_crops(
    network: torch.nn.Module, crops: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "small.onnx"
    export(network, path, PROVENANCE, size=128)
    estimate = facerelief.load(path).estimate_crops(crops)
    picture = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    small = torch.nn.functional.interpolate(picture, (128, 128), mode="area")
    with torch.no_grad():
        expected = network(small).normals
    expected = torch.nn.functional.interpolate(expected, (256, 256), mode="bilinear")
    expected = torch.nn.functional.normalize(expected, dim=1).permute(0, 2, 3, 1).numpy()
    assert estimate.normals.shape == (3, 256, 256, 3)
    assert np.mean(np.linalg.norm(estimate.normals - expected, axis=-1) < 1e-3) > 0.999
    # Not what it makes of the full picture.
    with torch.no_grad():
        whole = network.deployed(256)(torch.from_numpy(crops))[0].numpy()
    assert np.abs(estimate.normals - whole).mean() > 0.01


def test_a_size_that_does_not_divide_the_crop_is_refused(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="96"):
        export(network, tmp_path / "odd.onnx", PROVENANCE, size=96)


def test_the_file_names_no_path_of_the_machine(files: dict[str, Path]) -> None:
    content = files["compact"].read_bytes()
    assert b"site-packages" not in content and b"export.py" not in content
