"""Memory that several workers share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Budget:
    """Bytes that may be held at a time by all threads together; who needs more waits its turn."""

    def __init__(self, total: int) -> None:
        self._total, self._held = total, 0
        self._changed = Condition()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold `size` bytes in the `with` block; more than there are in all are held alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + size <= self._total)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
