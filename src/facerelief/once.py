"""What is made once a process, and kept, whichever threads ask for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import TypeVar

T = TypeVar("T")


def once(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """As `functools.lru_cache`; but a thread that asks for what another one is making waits for it.

    So what will be needed can be begun aside.
    """

    def decorated(make: Callable[..., T]) -> Callable[..., T]:
        kept, lock = lru_cache(maxsize)(make), RLock()

        @wraps(make)
        def asked(*args: object, **named: object) -> T:
            with lock:
                return kept(*args, **named)

        return asked

    return decorated
