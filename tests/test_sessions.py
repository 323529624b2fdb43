"""Sessions that are begun before they are asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from facerelief import catalogue, sessions
from facerelief.catalogue import WeightsError
from facerelief.runtime import load


def test_what_was_begun_is_what_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_begun", {})  # what others began and never asked for
    made = []
    opened = sessions.open_session
    monkeypatch.setattr(
        sessions, "open_session", lambda *given: made.append(given[2:]) or opened(*given)
    )
    entry = catalogue.find("prnet")
    sessions.begin([entry, entry], 1)
    first = sessions.session_of(entry, 1)
    assert made == [(1, None)]
    assert sessions.session_of(entry, 1) is not first and len(made) == 2
    sessions.begin([entry], 1)
    sessions.session_of(entry, 2)  # another number of threads, or a provider, is another session
    sessions.session_of(entry, 1, [sessions.CPU])
    again = sessions.session_of(entry, 1)
    assert len(made) == 5 and all(one in made[2:] for one in [(2, None), (1, [sessions.CPU])])
    assert again is not first
    assert load("prnet", threads=1).name == "prnet" and len(made) == 6


def test_what_cannot_be_opened_is_said_where_it_is_asked_for(tmp_path: Path) -> None:
    missing = replace(catalogue.find("prnet"), path=tmp_path / "missing.onnx")
    sessions.begin([missing], 1)
    with pytest.raises(WeightsError, match=r"missing\.onnx"):
        sessions.session_of(missing, 1)
