"""`import facerelief`: cheap, and everything it promises is there."""

import json
import subprocess
import sys

import pytest

import facerelief

HEAVY = ("numpy", "onnxruntime", "PIL", "rich", "scipy", "torch", "typer")


def test_import_takes_at_most_200_ms_and_loads_nothing_heavy() -> None:
    """Milliseconds of a core: what else runs on the machine does not count."""
    code = (
        "import json, sys, time; start = time.process_time(); import facerelief; "
        "print(json.dumps([time.process_time() - start, sorted(sys.modules)]))"
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


def test_a_photo_needs_neither_torch_nor_opencv_nor_scipy() -> None:
    """What `facerelief normals` imports. SciPy alone would take a third of its time."""
    modules = "facerelief.cli, facerelief.runtime, facerelief.apps.normals"
    code = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert not {"torch", "cv2", "scipy", "onnx"} & set(json.loads(out))


def test_the_doctor_needs_no_torch() -> None:
    code = "import sys, facerelief.apps.doctor; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert out.split() == [b"False"]


def test_the_function_systems_survives_the_package_of_that_name() -> None:
    pytest.importorskip("torch")
    code = (
        "import facerelief; before = facerelief.systems(); import facerelief.train.systems.casfne; "
        "print(before == facerelief.systems() and bool(before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert out.split() == [b"True"]
