"""ONNX Runtime, imported in this place alone, so that it is told first to stay silent."""

from __future__ import annotations

import os
from types import ModuleType


def import_onnxruntime() -> ModuleType:
    """The module; it takes long to import, and only networks need it.

    From 1.29 on it would write an identity of the computer and a data base of events under the
    home folder, and look up a host, unless the environment says otherwise before its first import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    module: ModuleType = onnxruntime
    return module
