"""Sessions of ONNX Runtime: networks in memory, ready to run.

Most of the time that it takes to make one is ONNX Runtime's own, without Python's lock. So what
will be needed can be begun, and is made while modules are imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from facerelief.catalogue import Entry, WeightsError, reason_of
from facerelief.inference import import_onnxruntime
from facerelief.memory import give_back_freed_memory

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CPU = "CPUExecutionProvider"

#: By file and threads: sessions that nobody has asked for yet.
_begun: dict[tuple[Path, int | None], Future[InferenceSession]] = {}
_lock = Lock()


def open_session(
    path: Path, content: bytes, threads: int | None, providers: Sequence[str] | None
) -> InferenceSession:
    """An ONNX Runtime session over the bytes of `path`. Raises WeightsError."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and need not be printed as well
    options.intra_op_num_threads = threads or 0
    # Waiting threads that spin win little on idle cores and lose half the speed on busy ones.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers or [CPU])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes for a bad file
        reason = reason_of(error)
        raise WeightsError(f"{path}: not an ONNX network that can be run here: {reason}") from error
    return session


def begin(entries: Sequence[Entry], threads: int | None) -> None:
    """Begin to open sessions on the CPU, one after the other, for `session_of` to give."""
    import_onnxruntime()  # of two threads that import modules one may see a half of them
    worker = ThreadPoolExecutor(1)
    with _lock:
        for entry in entries:
            key = entry.path, threads
            if key not in _begun:
                _begun[key] = worker.submit(_opened_apart, entry, threads)
    worker.shutdown(wait=False)


def session_of(
    entry: Entry, threads: int | None, providers: Sequence[str] | None = None
) -> InferenceSession:
    """The session of an entry of the catalogue. Raises WeightsError."""
    with _lock:
        begun = _begun.pop((entry.path, threads), None) if providers is None else None
    return _opened(entry, threads, providers) if begun is None else begun.result()


def _opened_apart(entry: Entry, threads: int | None) -> InferenceSession:
    session = _opened(entry, threads, None)
    give_back_freed_memory()  # which other threads cannot use
    return session


def _opened(entry: Entry, threads: int | None, providers: Sequence[str] | None) -> InferenceSession:
    return open_session(entry.path, entry.read(), threads, providers)
