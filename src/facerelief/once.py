"""What is made once a process, and kept, whichever threads ask for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from inspect import signature
from threading import RLock
from typing import TypeVar

T = TypeVar("T")


def once(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """As `functools.lru_cache`; but a thread that asks for what another one is making waits for it.

    So what will be needed can be begun aside. Arguments are the same by name, by place and left
    out, if what they say is the same.
    """

    def decorated(make: Callable[..., T]) -> Callable[..., T]:
        kept, lock, takes = lru_cache(maxsize)(make), RLock(), signature(make)

        @wraps(make)
        def asked(*args: object, **named: object) -> T:
            given = takes.bind(*args, **named)
            given.apply_defaults()
            with lock:
                return kept(*given.args, **given.kwargs)

        return asked

    return decorated
