"""What is made once a process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from facerelief.once import once


def test_threads_that_ask_at_a_time_get_the_same_and_it_is_made_once() -> None:
    begun, go_on = Event(), Event()
    made: list[int] = []

    @once(maxsize=2)
    def thing(number: int) -> object:
        begun.set()
        assert go_on.wait(10)
        made.append(number)
        return object()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(thing, 1)
        assert begun.wait(10)
        second = pool.submit(thing, 1)
        go_on.set()
        assert first.result(10) is second.result(10)
    assert made == [1]


def test_arguments_that_say_the_same_are_the_same() -> None:
    @once(maxsize=2)
    def thing(number: int, size: int = 256) -> object:
        return object()

    assert thing(1) is thing(1, 256) is thing(number=1) is thing(1, size=256) is not thing(1, 2)
