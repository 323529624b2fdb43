"""An experiment as data."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from facerelief.catalogue import plain, reason_of
from facerelief.train.consistency import ConsistencyConfig

#: Bytes of a file, values and letters of its tree; levels; phases, and files under another.
LARGEST, DEEPEST, MOST_PHASES = 100_000, 40, 20
#: Pixels of a batch, and of all batches that wait for their turn, about 40 bytes each.
MOST_PIXELS, MOST_WAITING = 2**26, 2**30
#: Batches that each of the workers makes ahead.
AHEAD = 4


class ConfigError(ValueError):
    """A configuration file that cannot be used; the message is one clear line."""


@dataclass(frozen=True)
class SystemConfig:
    """Which network: ``options`` override the preset's."""

    name: str
    preset: str = "compact"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceConfig:
    """One source of training samples and its share of every batch."""

    name: str
    share: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """What a batch is made of, and what validation reads."""

    sources: list[SourceConfig]
    size: int = 256  # pixels
    batch: int = 16
    workers: int = 1
    alternate: bool = False  # every batch of one source, drawn by the shares
    repeat: int = 0  # so many batches again and again: does it learn at all? 0 for no batch twice
    validation: SourceConfig | None = None


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights step: one-cycle cosine with warm-up, or a rate that is halved again and again."""

    name: Literal["adamw", "muon"] = "adamw"  # muon: kernels by `train.muon`, the rest by AdamW
    learning_rate: float = 1e-3
    encoder_rate: float = 1.0  # factor on the rate of pretrained encoder weights
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = 0.02  # share of the budget
    final: float = 0.01  # last learning rate of the cosine, relative
    halve_every: int = 0  # samples; 0 for the cosine
    clip: float = 1.0  # largest gradient norm; 0 turns it off


@dataclass(frozen=True)
class TrainConfig:
    """A whole experiment."""

    system: SystemConfig
    data: DataConfig
    samples: int  # the budget
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    ema: float = 0.998  # decay a step; 0 turns it off
    precision: str = "auto"  # a Lightning precision, or auto: bf16 on GPUs that have it
    seed: int = 0
    validate_every: int = 20_000  # samples
    # Weights to begin with: a checkpoint, an .onnx file of ours, or the name of a shipped network.
    start_from: str | None = None
    # These parts of the system alone, and what they are called there; the rest begins anew.
    start_parts: dict[str, str] | None = None


#: Least and most of the numbers above, by name.
BOUNDS: dict[str, tuple[float, float]] = {
    "share": (0, 1e9),
    "size": (1, 4096),
    "batch": (1, 100_000),
    "workers": (0, 256),
    "repeat": (0, 10**9),
    "samples": (1, 10**15),
    "validate_every": (1, 10**15),
    "learning_rate": (0, 1e3),
    "encoder_rate": (0, 1e6),
    "weight_decay": (0, 1e3),
    "betas": (0, 0.9999999),
    "warmup": (0, 0.99),
    "final": (0, 1),
    "halve_every": (0, 10**15),
    "clip": (0, 1e9),
    "ema": (0, 0.9999999),
    "seed": (0, 2**32 - 1),
}


# Beside these a file may have `base`, the file that it changes, and `phases`.


def load_config(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read the YAML file of one phase and apply ``key.key=value`` overrides (values are YAML).

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a missing one, or several phases.
    """
    phases = load_phases(path, overrides)
    if len(phases) > 1:
        raise ConfigError(f"{path}: {len(phases)} phases where one is expected")
    return phases[0]


def load_phases(path: Path, overrides: list[str] | None = None) -> list[TrainConfig]:
    """Read a YAML file that may change a ``base``, and whose ``phases`` each change the rest of it.

    A file is merged into its base, a phase into its file, key by key; lists are replaced whole, or
    changed at the places that a mapping such as ``{0: ..., 2: ...}`` names. Overrides apply to
    every phase, those that begin with ``phases.N`` to one.

    Raises:
        ConfigError: as `load_config`, but for several phases.
    """
    tree = with_base(Path(path))
    own = [text for text in overrides or [] if re.match(r"phases\b", text)]
    common = [text for text in overrides or [] if text not in own]
    _apply(tree, own)
    phases = tree.pop("phases", [{}])
    if not isinstance(phases, list) or not phases:
        raise ConfigError(f"{path}: phases is a list")
    if len(phases) > MOST_PHASES:
        raise ConfigError(f"{path}: more than {MOST_PHASES} phases")
    merged = [_merged(tree, phase, str(path)) for phase in phases]
    for phase in merged:
        _apply(phase, common)
    built = [_build(TrainConfig, phase, str(path)) for phase in merged]
    for phase in built:
        _check_batches(phase.data, str(path))
    return built


def _check_batches(data: DataConfig, where: str) -> None:
    """Raises ConfigError for batches that would take memory without bounds."""
    pixels, batches = data.batch * data.size**2, 1 + AHEAD * data.workers
    if pixels > MOST_PIXELS or pixels * batches > MOST_WAITING:
        raise ConfigError(
            f"{where}: data: {batches} batches of {data.batch} pictures of {data.size} pixels a "
            f"side are too much: one has at most {MOST_PIXELS} pixels, all have {MOST_WAITING}"
        )


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, as YAML 1.2 does; PyYAML's own wants 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _read(path: Path) -> Any:
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise ConfigError(f"{path}: not a file")
        if path.exists() and path.stat().st_size > LARGEST:
            raise ConfigError(f"{path}: larger than the {LARGEST} bytes of any configuration")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # other bytes than UTF-8's
        raise ConfigError(f"{path} is not YAML: {reason_of(error)}") from error
    return _parse(text, str(path))


def _parse(text: str, where: str) -> Any:
    """The tree of a YAML text, with aliases written out. Raises ConfigError."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _expanded(node, {}, 0)
            return None if node is None else _unshared(loader.construct_document(node))
        finally:
            loader.dispose()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply") from None
    except Exception as error:  # also those of int, date and others, which PyYAML lets through
        raise ConfigError(f"{where} is not YAML: {reason_of(error)}") from error


def _expanded(node: Any, known: dict[int, int], depth: int) -> int:
    """Size of a node with its aliases written out: its values, and the letters in them.

    Raises ConfigError, with the rest of a line, for more than `LARGEST` or `DEEPEST`.
    """
    if depth > DEEPEST:
        raise ConfigError("nested too deeply, or within itself")
    if id(node) not in known:
        parts: Any = [len(node.value)] if isinstance(node, yaml.ScalarNode) else ()
        if isinstance(node, yaml.CollectionNode):
            inner = (part for item in node.value for part in (
                item if isinstance(item, tuple) else (item,)))  # fmt: skip
            parts = (_expanded(part, known, depth + 1) for part in inner)
        known[id(node)] = 1 + sum(parts)
    if known[id(node)] > LARGEST:
        raise ConfigError("too much, once its aliases are written out")
    return known[id(node)]


def with_base(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file's tree, in that of its `base` if it names one; files `above` are based on it.

    Raises ConfigError.
    """
    if path.resolve() in above:
        raise ConfigError(f"{path}: is based on itself")
    if len(above) >= MOST_PHASES:
        raise ConfigError(f"{path}: more than {MOST_PHASES} files, one based on the other")
    tree = _read(path)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected a mapping, found {type(tree).__name__}")
    base = tree.pop("base", None)
    if base is None:
        return tree
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base is the name of a file, not {base!r}")
    under = with_base(path.parent / base, (*above, path.resolve()))
    merged: dict[str, Any] = _merged(under, tree, str(path))
    return merged


def _unshared(tree: Any) -> Any:
    """Aliases written out, so that changing one place does not change the other."""
    if isinstance(tree, dict):
        return {key: _unshared(value) for key, value in tree.items()}
    return [_unshared(value) for value in tree] if isinstance(tree, list) else tree


def _merged(tree: Any, changes: Any, where: str) -> Any:
    """A copy of a tree with changes in it."""
    if isinstance(tree, list) and isinstance(changes, dict):
        entries = dict(enumerate(tree))
        if not changes.keys() <= entries.keys():
            raise ConfigError(
                f"{where}: {plain(repr(changes))} names places that a list does not have"
            )
        return list(_merged(entries, changes, where).values())
    if not isinstance(tree, dict) or not isinstance(changes, dict):
        return copy.deepcopy(changes)
    both = {key: _merged(tree[key], changes[key], where) for key in tree.keys() & changes.keys()}
    return {**copy.deepcopy(tree), **copy.deepcopy(changes), **both}


def _apply(tree: Any, overrides: list[str]) -> None:
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"override {plain(override)!r} is not key=value")
        _set(tree, key.split("."), _parse(value, f"override {plain(override)!r}"), override)


def _set(tree: Any, keys: list[str], value: Any, override: str) -> None:
    # Numbers are places of a list, also of one that a phase only has in the file that it changes.
    try:
        places: list[Any] = [int(key) if key.isdigit() else key for key in keys]
        *way, last = places
        for key in way:
            tree = tree[key] if isinstance(tree, list) else tree.setdefault(key, {})
        tree[last] = value
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(f"override {plain(override)!r} does not fit the configuration") from error


def _build(kind: Any, tree: Any, where: str) -> Any:
    """A dataclass out of nested dicts; unknown and missing keys are named."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping, found {type(tree).__name__}")
    hints = get_type_hints(kind)
    unknown = set(tree) - set(hints)
    if unknown:
        valid = ", ".join(sorted(hints))
        raise ConfigError(
            f"{where}: unknown key {plain(repr(min(unknown, key=str)))}; one of {valid}"
        )
    values = {}
    for entry in fields(kind):
        if entry.name not in tree:
            continue
        value = tree[entry.name]
        inner = f"{where}: {entry.name}"
        if is_dataclass(hints[entry.name]):
            value = _build(hints[entry.name], value, inner)
        elif entry.name == "sources":
            if not isinstance(value, list) or not value:
                raise ConfigError(f"{inner}: a list of at least one source is expected")
            value = [_build(SourceConfig, item, inner) for item in value]
        elif entry.name == "validation" and value is not None:
            value = _build(SourceConfig, value, inner)
        else:
            _check(value, hints[entry.name], entry.name, inner)
        values[entry.name] = value
    required = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}")
    return kind(**values)


def _check(value: Any, hint: Any, name: str, where: str) -> None:
    """Raises ConfigError for a value of another type, or out of its bounds."""
    if not _fits(value, hint):
        wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise ConfigError(f"{where}: {plain(repr(value), 80)} is no {wanted}")
    least, most = BOUNDS.get(name, (-math.inf, math.inf))
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        if isinstance(number, int | float) and not least <= number <= most:
            raise ConfigError(f"{where}: {number!r} is not from {least} to {most}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; YAML reads 1 as a whole number, and a pair as a list."""
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is Literal:
        return value in inner
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is dict:
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if kind is tuple:
        if not isinstance(value, list | tuple):
            return False
        wanted = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(wanted) and all(map(_fits, value, wanted))
    if kind is not None:
        return isinstance(value, kind)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint)
