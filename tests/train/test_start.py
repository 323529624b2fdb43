"""Trainings begin with what checkpoints, shipped networks and ONNX files hold, exactly."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import tiny_system  # noqa: E402
from facerelief import catalogue  # noqa: E402
from facerelief.catalogue import FOLDER  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.runtime import load  # noqa: E402
from facerelief.train import start  # noqa: E402
from facerelief.train.start import StartError  # noqa: E402
from facerelief.train.systems import System, build  # noqa: E402

#: What shipped before parts were called as they are now.
OLD_NAMES = {
    "encoder": "encoder",
    "initial": "initial.decoder",
    "initial.detail": "detail",
    "cascade": "cascade",
}


def crops(count: int) -> np.ndarray:
    """Smooth random pictures."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))
    fine = torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic").clamp(0, 1)
    return np.ascontiguousarray((fine * 255).byte().permute(0, 2, 3, 1).numpy())


def pictures(of: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(of).permute(0, 3, 1, 2).float() / 255


def small(seed: int, **options: object) -> System:
    """A Cas-FNE that has seen some pictures, so that its norms have something to say."""
    torch.manual_seed(seed)
    options = {"pretrained": False, "stages": 1, "widths": (16, 16, 16, 16), **options}
    system = build("casfne", "compact", **options)
    for module in system.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    for part in ("weight", "bias"):  # a cascade begins with correcting nothing
        torch.nn.init.normal_(getattr(system.cascade.decoder.head, part), std=0.1)
    with torch.no_grad():
        for _ in range(3):
            system(pictures(crops(4))[..., ::4, ::4])
    return system.eval()


def assert_same(system: System, normals: np.ndarray, of: np.ndarray, atol: float) -> None:
    with torch.no_grad():
        found, *_ = system.eval().deployed()(torch.from_numpy(of))
    np.testing.assert_allclose(found.numpy(), normals, atol=atol)


def test_an_exported_network_goes_on_as_it_was(tmp_path: Path) -> None:
    trained = small(1)
    path = tmp_path / "network.onnx"
    export(trained, path, Provenance("casfne", "compact", "open", "nothing", "0"))
    shown = crops(3)
    normals = load(path).estimate_crops(shown).normals
    system = small(2)
    norms = start.begin(system, start.read(path))
    assert len(norms) == sum(isinstance(m, torch.nn.BatchNorm2d) for m in system.modules())
    assert_same(system, normals, shown, 1e-4)

    system.train()
    start.settle(system, norms, pictures(shown))
    assert system.training
    assert_same(system, normals, shown, 1e-4)
    # By a batch's own statistics, as a training goes on, it is nearly the same too.
    with torch.no_grad():
        found = system.train()(pictures(shown)).normals.permute(0, 2, 3, 1).numpy()
    assert np.abs(found - normals).mean() < 0.02


def test_a_shipped_network_goes_on_as_it_was() -> None:
    options = {"widths": (192, 128, 96, 48), "stages": 1, "detail": True, "exposure": 0.5}
    system = build("casfne", "compact", pretrained=False, **options)
    norms = start.begin(system, start.read("casfne_compact_yaleb"), OLD_NAMES)
    shown = crops(2)
    normals = load("casfne_compact_yaleb").estimate_crops(shown).normals
    assert_same(system, normals, shown, 1e-4)
    start.settle(system, norms, pictures(shown))
    assert_same(system, normals, shown, 1e-4)


def test_a_norm_that_was_not_folded_away_goes_on_too(tmp_path: Path) -> None:
    """Full pose reads one layer twice, which exporters leave as it is."""
    system = build("full_pose", "compact", pretrained=False)
    norms = start.begin(system, start.read("full_pose"), None, system.optional)
    kept = system.network.maps.squeeze[1]
    assert kept.running_var.std() > 0 and "network.maps.squeeze.1" not in norms
    shown = crops(2)
    start.settle(system, norms, torch.nn.functional.avg_pool2d(pictures(shown), 2))
    found = load("full_pose").answers(shown)
    with torch.no_grad():
        told = system.eval().deployed(128)(torch.from_numpy(shown))
    np.testing.assert_allclose(told[0].numpy(), found["identity"], atol=2e-3)


def test_a_transformer_is_exported_in_8_bits_and_goes_on(tmp_path: Path) -> None:
    system = small(5, transformer=True)
    for layer in system.beside.joined:
        torch.nn.init.normal_(layer.weight, std=0.1)
    for module in system.beside.transformer.modules():
        if isinstance(module, torch.nn.LayerNorm):  # none is like another
            torch.nn.init.normal_(module.weight, 1, 0.1)
            torch.nn.init.normal_(module.bias, std=0.1)
    path = tmp_path / "network.onnx"
    export(system, path, Provenance("casfne", "compact", "open", "nothing", "0"))
    assert path.stat().st_size < 27e6  # 16 M weights in the transformer, 4 M beside it
    shown = crops(2)
    normals = load(path).estimate_crops(shown).normals
    assert_same(system, normals, shown, 2e-3)
    again = small(6, transformer=True)
    start.settle(again, start.begin(again, start.read(path)), pictures(shown))
    assert_same(again, normals, shown, 1e-4)


def test_parts_are_taken_and_the_rest_is_left(tmp_path: Path) -> None:
    system = small(3)
    before = {k: v.clone() for k, v in system.state_dict().items()}
    start.begin(system, start.read(FOLDER / "prnet.onnx"), {"encoder": "network.encoder"})
    changed = {k for k, v in system.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(name.startswith("encoder.") for name in changed)


@pytest.mark.parametrize(
    ("parts", "message"),
    [(None, "does not fit"), ({"head": "encoder"}, "no part called head")],
)
def test_weights_of_another_network_are_named(parts: dict[str, str] | None, message: str) -> None:
    with pytest.raises(StartError, match=message):
        start.begin(small(4), start.read("prnet"), parts)


def test_what_is_no_network_of_ours_is_one_line(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(5000)
    for name in ("foreign.onnx", "foreign.ckpt"):
        (tmp_path / name).write_bytes(noise)
    tiny_system.build(tmp_path / "tiny.onnx")
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    cases = {
        "foreign.onnx": "not an ONNX file",
        "foreign.ckpt": "not a checkpoint",
        "other.ckpt": "not a checkpoint",
        "tiny.onnx": "none of ours",
        "missing.onnx": "cannot be read",
        "missing.ckpt": "no such file",
    }
    for name, message in cases.items():
        with pytest.raises(StartError, match=message) as raised:
            start.read(tmp_path / name)
        assert "\n" not in str(raised.value) and name in str(raised.value)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(StartError, match=r"pipe\.onnx: .* not a file"):
        start.read(tmp_path / "pipe.onnx")
    with pytest.raises(StartError, match="no system is called 'nobody'"):
        start.read("nobody")


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"state_dict": Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(StartError, match="not a checkpoint"):
        start.read(tmp_path / "trap.ckpt")
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_that_would_grow_is_refused(tmp_path: Path) -> None:
    path, bomb = tmp_path / "last.ckpt", tmp_path / "bomb.ckpt"
    torch.save({"state_dict": {"system.weight": torch.zeros(2_000_000)}}, path)
    assert start.read(path).values["weight"].shape == (2_000_000,)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as small:
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    with pytest.raises(StartError, match="compressed"):
        start.read(bomb)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    (tmp_path / "zero.ckpt").symlink_to("/dev/zero")
    for name in ("pipe.ckpt", "zero.ckpt"):
        with pytest.raises(StartError, match=f"{name}: not a checkpoint .*not a file"):
            start.read(tmp_path / name)


def test_a_shipped_network_that_was_altered_is_not_begun_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_system.catalogue(tmp_path)  # of its own: others read the session's
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    with (folder / "tiny.onnx").open("ab") as file:
        file.write(b"?")
    with pytest.raises(StartError, match="altered or damaged"):
        start.read("tiny")
