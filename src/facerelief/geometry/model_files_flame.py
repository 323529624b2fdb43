"""FLAME (Li et al., SIGGRAPH Asia 2017, "Learning a model of facial shape and expression from 4D
scans"): its pickles, read without chumpy and without running what they might hold, and its npz.

A pickle names the classes and functions that rebuild it, and so can run any code. `read_pickle`
knows arrays, and stand-ins for the chumpy and SciPy objects of FLAME's files; anything else ends
the reading.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerelief.geometry.model_files_common import ModelFileError, checked_model, numbered
from facerelief.geometry.morphable import MorphableModel

VERTICES = 5023
SHAPE_COMPONENTS = 300  # the rest of `shapedirs` are expressions
MM_PER_UNIT = 1000.0  # it is in metres
LICENCE = "FLAME model licence of its release; not ours to give"


class _Record:
    """Stands in for an object of a class that is not loaded: keeps its state, does nothing."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, Mapping):
            self.__dict__.update({str(name): value for name, value in state.items()})


class _ChumpyArray(_Record):
    """`chumpy.ch.Ch`: the array is its attribute ``x``."""

    def array(self) -> NDArray[Any]:
        return _array(self.__dict__.get("x"))


class _ChumpySelection(_Record):
    """`chumpy.reordering.Select`: the elements ``idxs`` of ``a``."""

    def array(self) -> NDArray[Any]:
        state = self.__dict__
        chosen = _array(state.get("a")).ravel()[np.asarray(state["idxs"], int)]
        return chosen.reshape(state["preferred_shape"]) if "preferred_shape" in state else chosen


def _array(value: Any) -> NDArray[Any]:
    if isinstance(value, _ChumpyArray | _ChumpySelection):
        return value.array()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    raise ModelFileError("FLAME: an array of numbers expected, or chumpy's")


def _rebuilt_object(kind: Any, base: Any, state: Any) -> Any:
    """What ``copyreg._reconstructor`` does, for stand-ins alone."""
    if isinstance(kind, type) and issubclass(kind, _Record):
        return kind()
    raise pickle.UnpicklingError("only stand-ins can be rebuilt")


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """What ``_codecs.encode`` does where pickles use it: bytes written as text."""
    return str(text).encode("latin1")


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """What NumPy's ``_frombuffer`` does: an array of protocol 5."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


#: Builtins that state is made of. None calls anything.
_CONTAINERS: dict[str, Callable[..., Any]] = {
    "object": _Record, "set": set, "frozenset": frozenset, "bytearray": bytearray,
}  # fmt: skip


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _known(module, name)
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return found


def _known(module: str, name: str) -> Callable[..., Any] | None:
    """What stands for a class or function that a pickle names; None for all that is not known."""
    package = module.partition(".")[0]
    if package == "numpy":
        scalar = np.float64(0).__reduce__()[0]
        empty = np.zeros(0).__reduce__()[0]
        functions: dict[str, Any] = {"ndarray": np.ndarray, "dtype": np.dtype, "scalar": scalar}
        functions |= {"_reconstruct": empty, "_frombuffer": _from_buffer}
        return functions.get(name)
    if module == "chumpy.reordering" and name == "Select":
        return _ChumpySelection
    if module in ("chumpy.ch", "chumpy") and name == "Ch":
        return _ChumpyArray
    if package in ("chumpy", "scipy"):
        return _Record
    if module in ("builtins", "__builtin__") and name in _CONTAINERS:
        return _CONTAINERS[name]
    known: dict[tuple[str, str], Callable[..., Any]] = {
        ("copy_reg", "_reconstructor"): _rebuilt_object,
        ("copyreg", "_reconstructor"): _rebuilt_object,
        ("_codecs", "encode"): _encoded,
    }
    return known.get((module, name))


def read_pickle(data: bytes) -> Mapping[str, Any]:
    """The dictionary of a pickle of arrays, of Python 2 or 3; objects are stand-ins.

    Raises:
        ModelFileError: not a pickle of a dictionary, or one that asks for anything else.
    """
    try:
        content = _SafeUnpickler(io.BytesIO(data), encoding="latin1").load()
    # A broken pickle can raise nearly anything, since it drives the methods of what it rebuilds.
    except Exception as error:
        raise ModelFileError(f"not a pickle of arrays alone: {error}") from None
    if not isinstance(content, Mapping):
        raise ModelFileError(f"a pickled dictionary expected, got {type(content).__name__}")
    return content


def flame_model(content: Mapping[str, Any]) -> MorphableModel:
    """The model of FLAME's arrays: 300 shapes, 100 expressions, without its joints.

    Arguments:
        content: ``v_template`` (5023, 3) and ``shapedirs`` (5023, 3, K) in metres, ``f`` (T, 3);
            the first 300 components are identity, the others expressions.

    Its jaw, neck and eyes turn about joints, which a `MorphableModel` does not have.

    Raises:
        ModelFileError: arrays that are missing or not FLAME's.
    """
    missing = sorted({"v_template", "shapedirs", "f"} - content.keys())
    if missing:
        raise ModelFileError(f"FLAME: no {', '.join(missing)} in it")
    mean, basis = _array(content["v_template"]), _array(content["shapedirs"])
    if mean.shape != (VERTICES, 3):
        raise ModelFileError(f"FLAME: v_template should be ({VERTICES}, 3), it is {mean.shape}")
    if basis.ndim != 3 or basis.shape[:2] != mean.shape:
        expected = f"({VERTICES}, 3, components)"
        raise ModelFileError(f"FLAME: shapedirs should be {expected}, it is {basis.shape}")
    offsets = MM_PER_UNIT * np.moveaxis(basis, 2, 0)
    expressions = offsets[SHAPE_COMPONENTS:]
    return checked_model(
        name="flame",
        licence=LICENCE,
        mean=MM_PER_UNIT * mean,
        triangles=_array(content["f"]).astype(np.int64),
        identity=offsets[:SHAPE_COMPONENTS],
        expression=expressions,
        expression_names=numbered("expression", len(expressions)),
    )
