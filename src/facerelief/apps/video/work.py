"""Work on a film that can be stopped anywhere and goes on from there, with the same result.

A film is done in parts of some pictures. When a part is on the disk, what the stages know after it
is kept beside it, in one step: a run that begins again goes on from the last part that is whole,
and makes what an uninterrupted one makes. All of it lies in a hidden folder in the output's, which
goes when the results have their names.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from facerelief.files import appearing

_STATE = "state.npz"


class Work:
    """The folder of a film's work, as far as it has come.

    `key` says what is done to what: a folder of any other work is emptied. Raises OSError.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.folder, self._key = folder, json.loads(json.dumps(key))
        self.parts = 0  # that are whole
        self.frames = 0  # pictures in them
        self.is_whole = False  # whether these are all
        self.state: dict[str, Any] | None = None  # what the stages knew after them
        self._read()
        if self.state is None:
            rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)

    def part(self, name: str, ending: str, number: int | None = None) -> Path:
        """Where a part of something lies: the next one, or that of a `number`."""
        number = self.parts if number is None else number
        return self.folder / f"{name}.{number:06}{ending}"

    def all(self, name: str, ending: str) -> list[Path]:
        """The parts of something that are whole."""
        return [self.part(name, ending, number) for number in range(self.parts)]

    def keep(self, frames: int, state: dict[str, Any], is_whole: bool = False) -> None:
        """What has come since the last time is a whole part: there are so many `frames` now."""
        self.parts += frames > self.frames
        self.frames, self.is_whole = frames, is_whole
        self.state = state
        told = {
            "key": self._key,
            "parts": self.parts,
            "frames": frames,
            "is_whole": is_whole,
            "state": state,
        }
        with appearing(self.folder / _STATE) as path:
            path.write_bytes(pack(told))

    def remove(self) -> None:
        """All of it has its place."""
        rmtree(self.folder)

    def _read(self) -> None:
        try:
            told = unpack((self.folder / _STATE).read_bytes())
            if told["key"] != self._key:
                return
            self.parts, self.frames, self.is_whole = (
                told["parts"],
                told["frames"],
                told["is_whole"],
            )
            self.state = told["state"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return  # there is none, or it is not ours


def publish(made: dict[Path, Path]) -> None:
    """Give files and folders their names, the last one last. Raises OSError."""
    for new, path in made.items():
        if path.is_dir() and not path.is_symlink():
            rmtree(path)
        os.replace(new, path)


def pack(told: dict[str, Any]) -> bytes:
    """Dictionaries and lists of numbers, texts and arrays as bytes, every number as it is."""
    arrays: dict[str, Any] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = f"a{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if isinstance(value, dict):
            return {"dict": {key: plain(one) for key, one in value.items()}}
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        return value.item() if isinstance(value, np.generic) else value

    text = json.dumps(plain(told)).encode()
    file = io.BytesIO()
    np.savez(file, text=np.frombuffer(text, np.uint8), **arrays)
    return file.getvalue()


def unpack(content: bytes) -> dict[str, Any]:
    """What was packed. Raises ValueError or KeyError for anything else; nothing of it is run."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile's, zlib's, NumPy's
        raise ValueError(f"no packed state: {error}") from error

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(one) for one in value]
        if isinstance(value, dict):
            if "array" in value:
                return arrays[value["array"]]
            return {key: whole(one) for key, one in value["dict"].items()}
        return value

    told: dict[str, Any] = whole(json.loads(arrays.pop("text").tobytes()))
    return told
