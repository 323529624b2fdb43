"""Freed memory stays with the process, so that it is not cleared page by page again."""

import resource
import sys

import numpy as np
import pytest

from facerelief.memory import keep_freed_memory

pytest.importorskip("torch")


def faults() -> int:
    """Page faults of allocating, filling and freeing 8 MB twenty times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.zeros(2**21, np.float32).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be told")
def test_large_blocks_are_used_again() -> None:
    if not keep_freed_memory():
        pytest.skip("not the GNU C library")
    faults()
    assert faults() < 4000  # 20 x 2048 pages where every block is mapped anew
