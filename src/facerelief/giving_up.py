"""Work that nobody waits for any more ends between two of its steps.

A thread cannot be stopped from outside, but what takes long asks here whether to go on: before each
pass of a network, the detector's among them, and before each picture is compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("is_wanted", default=None)


class GivenUp(BaseException):
    """Nobody wants the result. No Exception: those that stand for one part of it let it through."""


@contextmanager
def wanted_while(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """What is done in this thread meanwhile is given up, by GivenUp, once that says no."""
    token = _is_wanted.set(is_wanted)
    try:
        yield
    finally:
        _is_wanted.reset(token)


def next_step() -> None:
    """A step of some work begins. Raises GivenUp where the work is not wanted any more."""
    is_wanted = _is_wanted.get()
    if is_wanted is not None and not is_wanted():
        raise GivenUp
