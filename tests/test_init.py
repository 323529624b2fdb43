"""`import facerelief`: cheap, and everything it promises is there."""

import json
import subprocess
import sys

import pytest

import facerelief

HEAVY = ("numpy", "onnxruntime", "PIL", "rich", "scipy", "torch", "typer")


def test_import_takes_at_most_200_ms_and_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, time; start = time.perf_counter(); import facerelief; "
        "print(json.dumps([time.perf_counter() - start, sorted(sys.modules)]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    seconds, modules = json.loads(out)
    assert not set(HEAVY) & set(modules)
    assert seconds <= 0.2


def test_every_public_name_can_be_imported() -> None:
    for name in facerelief.__all__:
        assert getattr(facerelief, name) is not None
        assert name in dir(facerelief)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        facerelief.lode  # noqa: B018


def test_runtime_side_never_imports_torch() -> None:
    modules = "facerelief.cli, facerelief.runtime, facerelief.apps.normals, facerelief.apps.doctor"
    code = f"import sys, {modules}; print('torch' in sys.modules, 'cv2' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert out.split() == [b"False", b"False"]
