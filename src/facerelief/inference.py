"""ONNX Runtime, imported in this place alone, so that it is told first to stay silent."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING

from facerelief.signals import held_interrupts

if TYPE_CHECKING:
    from onnxruntime import RunOptions


def import_onnxruntime() -> ModuleType:
    """The module; it takes long to import, and only networks need it.

    From 1.29 on it would write an identity of the computer and a data base of events under the
    home folder, and look up a host, unless the environment says otherwise before its first import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    with held_interrupts():  # half imported it would speak of a failed initialization
        import onnxruntime

    module: ModuleType = onnxruntime
    return module


def giving_back() -> RunOptions:
    """Options of a run, at whose end ONNX Runtime gives back the memory that it has kept."""
    options = import_onnxruntime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
