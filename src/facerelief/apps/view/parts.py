"""The scripts and shaders that pages are put together from."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=32)
def asset(name: str) -> str:
    """The text of a file in `assets`."""
    return (files("facerelief.apps.view") / "assets" / name).read_text("utf-8")


def shader(text: str) -> str:
    """A shader, with what all of them share of light where it says so."""
    return text.replace("{{LIGHT}}", asset("light.glsl"))
