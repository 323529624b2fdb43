"""What can be loaded: each system's file, where it came from and how well it does.

The entries are data, `weights/catalogue.json`, beside the files that they describe.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from facerelief.files import write_files
from facerelief.inputs import in_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PACKAGE = Path(__file__).parent / "weights"
#: Holds catalogue.json and the files that it names.
FOLDER = _PACKAGE

#: Bytes of a file of weights at most.
LARGEST = 1 << 30

Tier = Literal["open", "research"]


class UnknownSystemError(ValueError):
    """A name that is not in the catalogue; the message lists the names that are."""


class WeightsError(RuntimeError):
    """A weights file that is missing, altered or not one of ours."""


@dataclass(frozen=True)
class Entry:
    """One trained network."""

    name: str
    system: str  # the paper's system: casfne, ...
    preset: str  # paper, compact
    kind: str  # of its answers: a key of `decoders.DECODERS`
    path: Path  # the ONNX file
    sha256: str  # of the file, hexadecimal
    tier: Tier | None  # open: any use; research: bound by its training data; None: not stated
    training_data: tuple[str, ...]
    licence: str  # the terms, in words
    accuracy: dict[str, float]  # protocol -> mean angular error, degrees
    #: What `calibration.Calibration.read` takes, if its expected error has one.
    calibration: str | Mapping[str, float] | None = None

    def read(self) -> bytes:
        """The file's bytes, once they are known to be the ones that were published.

        Raises WeightsError when the file is missing or its sha256 differs.
        """
        content = read_weights(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise WeightsError(
                f"{self.path}: altered or damaged (its sha256 is not the catalogue's); "
                "install facerelief again"
            )
        return content


def read_weights(path: Path) -> bytes:
    """The bytes of an ONNX file; WeightsError with one clear line when it cannot be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise WeightsError(f"{path}: cannot read the weights: not a file")
        if status.st_size > LARGEST:
            raise WeightsError(f"{path}: larger than the {LARGEST >> 20} MiB of any network")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no file has such a name
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"{path}: cannot read the weights: {reason}") from error


def read_arrays(name: str, without: Collection[str] = ()) -> dict[str, NDArray[Any]]:
    """The arrays of a file of the package, by its name in `weights`; some may be left out.

    Raises WeightsError when it is missing, or its sha256 is not that in `weights/sums.json`.
    """
    import numpy as np  # slow to import, and not needed for names

    path = _PACKAGE / name
    content = read_weights(path)
    sums: dict[str, str] = json.loads((_PACKAGE / "sums.json").read_text("utf-8"))
    if hashlib.sha256(content).hexdigest() != sums[name]:
        raise WeightsError(f"{path}: altered or damaged; install facerelief again")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files if key not in without}


def plain(text: str, limit: int = 300) -> str:
    """`text` of a foreign file as one line of at most `limit` characters that print."""
    short = " ".join(text[: 4 * limit].split())
    return in_line(short)[:limit] + ("..." if len(short) > limit or len(text) > 4 * limit else "")


def reason_of(error: BaseException) -> str:
    """What `error` says, or its name where that is nothing, as `plain` text."""
    return plain(str(error)) or type(error).__name__


def systems() -> list[str]:
    """The names that `load` knows, besides "default"."""
    return sorted(_catalogue()["systems"])


def entries() -> list[Entry]:
    """Every entry, by name."""
    return [find(name) for name in systems()]


def default() -> str:
    """The name that "default" stands for."""
    return str(_catalogue()["default"])


def find(name: str) -> Entry:
    """The entry called `name`; "default" is an alias. Raises UnknownSystemError."""
    if name == "default":
        name = default()
    known = _catalogue()["systems"]
    if name not in known:
        names = ", ".join(["default", *sorted(known)])
        raise UnknownSystemError(f"no system is called {name!r}; there are: {names}")
    return _entry(name, known[name])


def details() -> list[Entry]:
    """Networks that add to what a system says, by name: no systems that `load` knows."""
    known = _catalogue().get("details", {})
    return [_entry(name, known[name]) for name in sorted(known)]


def _entry(name: str, fields: Mapping[str, Any]) -> Entry:
    return Entry(
        name=name,
        system=fields["system"],
        preset=fields["preset"],
        kind=fields["kind"],
        path=FOLDER / fields["file"],
        sha256=fields["sha256"],
        tier=fields["tier"],
        training_data=tuple(fields["training_data"]),
        licence=fields["licence"],
        accuracy=dict(fields.get("accuracy", {})),
        calibration=fields.get("calibration"),
    )


def note_calibration(name: str, values: Mapping[str, float]) -> None:
    """Write the calibration of the entry called `name` into the catalogue.

    Raises UnknownSystemError, and OSError where the package cannot be written to.
    """
    known, content = find(name).name, _catalogue()
    content["systems"][known]["calibration"] = dict(values)
    text = json.dumps(content, indent=2) + "\n"
    write_files({FOLDER / "catalogue.json": text.encode()})


def describe(path: Path, content: bytes, kind: str, metadata: dict[str, str]) -> Entry:
    """An entry for a file outside the catalogue, from the ONNX `metadata` that export wrote."""
    said = {name: plain(text, 1000) for name, text in metadata.items()}
    tier = said.get("tier")
    return Entry(
        name=in_line(path.stem),
        system=said.get("system", "unknown"),
        preset=said.get("preset", "unknown"),
        kind=plain(kind, 100),
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        tier="open" if tier == "open" else "research" if tier == "research" else None,
        training_data=tuple(part.strip() for part in said.get("training_data", "").split(",")),
        licence=said.get("licence", "not stated"),
        accuracy={},
        calibration=metadata.get("calibration"),
    )


def _catalogue() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "catalogue.json").read_text("utf-8"))
    return content
