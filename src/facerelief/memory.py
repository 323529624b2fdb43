"""The C library's allocator, told to suit work on CPUs."""

import ctypes
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # malloc.h of the GNU C library


def keep_freed_memory() -> bool:
    """Let freed memory stay with the process instead of returning it to the system.

    By default glibc maps every large block anew, and the kernel clears each of its pages again: a
    third of the time of making samples. Affects this process and those it forks. Returns whether
    this C library could be told.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def share_freed_memory() -> None:
    """Let all threads take from what any of them has freed, which by default each keeps for itself.

    They wait for one another where they take small blocks: for few threads that work on much.
    """
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back_freed_memory() -> None:
    """Return to the system what small blocks that were freed have left: before much is needed."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    """The GNU C library's, or None under another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
