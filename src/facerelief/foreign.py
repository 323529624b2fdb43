"""Networks that others made: what is read of their file, and a trial with bounds, before they run.

A network is data, yet data that computes: it may loop, ask for memory without end, or name other
files. Those that ship are known by their sha256; any other is looked through here first.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from facerelief.catalogue import WeightsError, plain

#: Bounds of a file: operators, and all parts of which it is made.
MOST_NODES, MOST_PARTS = 20_000, 1_000_000
#: Bounds of a trial: processor seconds for one crop, seconds in all, and memory beside the file's.
#: What takes just less takes it twice, in the trial and then: with both starts, ten seconds in all.
CPU_SECONDS, SECONDS, MEMORY = 4, 30, 4 << 30

_DOMAINS = (b"", b"ai.onnx")
# Fields of onnx.proto, by message.
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

_passed: set[str] = set()  # sha256 of networks that this process has tried


class _Refused(ValueError):
    """What a file holds that no network of ours needs."""


def check(path: Path, content: bytes) -> None:
    """Raises WeightsError for a network that is more than a bounded function of a crop."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in _passed:
        return
    try:
        _Reader().model(memoryview(content))
    except _Refused as error:
        raise WeightsError(f"{path}: a network that is not run: {error}") from None
    except (IndexError, ValueError) as error:
        raise WeightsError(f"{path}: not an ONNX network: the file is damaged") from error
    if reason := _trial(path, content):
        raise WeightsError(reason)
    _passed.add(sha256)


class _Reader:
    """Walks over the parts of an ONNX file, which is in the format of Protocol Buffers."""

    def __init__(self) -> None:
        self.nodes = self.parts = 0

    def model(self, data: memoryview) -> None:
        for field, value in self._fields(data):
            if field == _MODEL_GRAPH:
                self._graph(_part(value))
            elif field in (_MODEL_FUNCTIONS, _MODEL_TRAINING):
                raise _Refused("it holds functions of its own or a training")

    def _graph(self, data: memoryview) -> None:
        for field, value in self._fields(data):
            if field == _GRAPH_NODE:
                self.nodes += 1
                if self.nodes > MOST_NODES:
                    raise _Refused(f"it has more than {MOST_NODES} operators")
                self._node(_part(value))
            elif field == _GRAPH_TENSOR:
                self._tensor(_part(value))
            elif field == _GRAPH_SPARSE:
                raise _Refused("it holds sparse weights")

    def _node(self, data: memoryview) -> None:
        operator, domain = b"", b""
        for field, value in self._fields(data):
            if field == _NODE_TYPE:
                operator = bytes(_part(value))
            elif field == _NODE_DOMAIN:
                domain = bytes(_part(value))
            elif field == _NODE_ATTRIBUTE:
                self._attribute(_part(value))
        if domain not in _DOMAINS:
            name = plain(f"{domain!r}"[1:], 60), plain(f"{operator!r}"[1:], 60)
            raise _Refused("it has an operator {1} of the domain {0}".format(*name))

    def _attribute(self, data: memoryview) -> None:
        for field, value in self._fields(data):
            if field in _ATTRIBUTE_GRAPHS:
                raise _Refused("it has loops or branches")
            if field in _ATTRIBUTE_TENSORS:
                self._tensor(_part(value))
            elif field in _ATTRIBUTE_SPARSE:
                raise _Refused("it holds sparse weights")

    def _tensor(self, data: memoryview) -> None:
        for field, value in self._fields(data):
            if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value):
                raise _Refused("its weights are in another file")

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """The number of each field, and its value: a whole number or a part of `data`."""
        place = 0
        while place < len(data):
            self.parts += 1
            if self.parts > MOST_PARTS:
                raise _Refused(f"it is made of more than {MOST_PARTS} parts")
            key, place = _number(data, place)
            field, kind = key >> 3, key & 7
            if kind == 0:
                value, place = _number(data, place)
                yield field, value
                continue
            if kind == 2:
                length, place = _number(data, place)
            else:
                length = {1: 8, 5: 4}.get(kind, len(data) + 1)
            if place + length > len(data):
                raise ValueError("a part goes beyond the end")
            yield field, data[place : place + length]
            place += length


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """The whole number at `place`, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number without end")


def _part(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a part is expected")
    return value


def _trial(path: Path, content: bytes) -> str | None:
    """Why the network cannot be used, by `runtime.trial` in a process that is sure to end."""
    import subprocess  # networks that ship need no trial

    if not sys.executable or getattr(sys, "frozen", False):
        return None  # a packed program: there is no interpreter to try it in
    folders = [folder for folder in sys.path if folder]
    code = f"import sys; sys.path[:] = {folders!r}; from facerelief.runtime import trial; trial()"
    call = [sys.executable, "-I", "-c", code, str(path)]
    try:
        ended = subprocess.run(call, input=content, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"{path}: a network that is not run: one crop takes it more than {SECONDS} s"
    except (OSError, ValueError) as error:
        return f"{path}: the network could not be tried: {plain(str(error))}"
    try:
        reason: str | None = json.loads(ended.stdout)
    except ValueError:  # it was ended
        return (
            f"{path}: a network that is not run: within {CPU_SECONDS} s and "
            f"{MEMORY >> 30} GiB it gives no answer to one crop"
        )
    return reason


def bound(size: int) -> None:
    """Bound this process's memory and time, for a network of `size` bytes, where one can."""
    try:
        import resource
    except ImportError:  # Windows: the time in all is what bounds it there
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    bounds = {"RLIMIT_CPU": seconds, "RLIMIT_AS": MEMORY + 4 * size, "RLIMIT_CORE": 0}
    for name, bound in bounds.items():
        _, most = resource.getrlimit(getattr(resource, name))
        bound = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(getattr(resource, name), (bound, most))
