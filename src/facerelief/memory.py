"""The C library's allocator, told to suit work on CPUs."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of the GNU C library


def keep_freed_memory() -> bool:
    """Let freed memory stay with the process instead of returning it to the system.

    By default glibc maps every large block anew, and the kernel clears each of its pages again: a
    third of the time of making samples. Affects this process and those it forks. Returns whether
    this C library could be told.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
