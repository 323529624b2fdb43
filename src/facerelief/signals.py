"""Control-C and its like: heard everywhere, but not in the middle of what must be whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Control-C, `kill` and `timeout`, a closed terminal


def raise_interrupts() -> None:
    """From now on all of these signals raise KeyboardInterrupt, but those that are ignored."""
    for number in _numbers():
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def ignore_interrupts() -> None:
    """From now on nothing is heard: the program ends anyway."""
    for number in _numbers():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held_interrupts() -> Iterator[None]:
    """What is heard meanwhile is answered afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python answers signals in the main thread alone
        return
    heard: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before: dict[int, Any] = {n: signal.getsignal(n) for n in _numbers()}
    answered = [number for number, handler in before.items() if callable(handler)]
    try:
        for number in answered:
            signal.signal(number, remember)
        yield
    finally:
        for number in answered:
            signal.signal(number, before[number])
    if heard:
        before[heard[0]](heard[0], None)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that start meanwhile never hear Control-C, from their first moment on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first process starts it, which unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
