"""A trial by seed: broken networks, training files and checkpoints, each refused in one line."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest

import broken_networks
import facerelief as fr
import tiny_system

SEED = 18


def judge(kinds: Counter[str], attempt: Callable[[], object], *refusals: type[Exception]) -> None:
    """Count what an attempt comes to: an answer, one line, a traceback, or a hang."""
    began = time.monotonic()
    try:
        attempt()
        kinds["answers"] += 1
    except refusals as error:
        text = str(error)
        kinds["lines" if text.isprintable() and len(text) < 1000 else "long"] += 1
    except Exception as error:
        kinds["tracebacks"] += 1
        print(type(error), error)
    kinds["hangs"] += time.monotonic() - began > 10


def assert_clean(kinds: Counter[str], count: int) -> None:
    print(dict(kinds))
    assert kinds["answers"] + kinds["lines"] == count
    assert not kinds["tracebacks"] and not kinds["hangs"] and not kinds["long"]


def broken_calibrations(folder: Path, count: int) -> Iterator[Path]:
    """Networks whose expected error is mended by numbers that were spoiled."""
    random = Random(SEED)
    whole = json.dumps(dict.fromkeys(("scale", "power", "soft", "white"), 1.0)).encode()
    for index in range(count):
        model = broken_networks.tiny(folder)
        said = spoil(whole, random).decode("utf-8", "replace")
        if index % 3 == 0:
            odd = random.choice(
                ("NaN", "Infinity", "1e999", "-1", "null", "[[]]", '"1"', "9" * 5000)
            )
            said = whole.decode().replace("1.0", odd, 1)
        onnx.helper.set_model_props(model, {**tiny_system.METADATA, "calibration": said})
        path = folder / f"calibration{index}.onnx"
        path.write_bytes(model.SerializeToString())
        yield path


def test_networks(tmp_path: Path) -> None:
    quick = [c for c in broken_networks.CHANGES if c is not broken_networks.long_work]
    paths = [broken_networks.changed(tmp_path, change) for change in quick]
    paths += broken_calibrations(tmp_path, 12)
    paths += broken_networks.spoiled(tmp_path, SEED, 60 - len(paths))
    crops = np.zeros((1, 256, 256, 3), np.uint8)
    kinds: Counter[str] = Counter()
    for path in paths:
        judge(kinds, lambda: fr.load(path).estimate_crops(crops), fr.WeightsError)  # noqa: B023
    assert_clean(kinds, 60)


def spoil(content: bytes, random: Random) -> bytes:
    """Bytes flipped, cut out, doubled, cut off, or noise in their place."""
    a, b = sorted(random.randrange(len(content)) for _ in range(2))
    return random.choice((
        content[:a] + random.randbytes(5) + content[a + 5 :],
        content[:a] + content[b:],
        content[:b] + content[a:],
        content[:a],
        content[:a] + random.randbytes(b - a) + content[b:],
    ))  # fmt: skip


def test_training_files_and_overrides(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from facerelief.train.config import ConfigError, load_phases

    random = Random(SEED)
    whole = sorted((Path(__file__).parents[2] / "configs").glob("*_128.yaml"))[0].read_bytes()
    values = ("-1", "0", ".nan", "[", "{}", "[1, 2]", "&a [*a]", "yes", "''", "1e999", "!!set {a}")
    keys = ("samples", "data.batch", "data.size", "system", "seed", "optimizer.betas",
            "ema", "data.sources.0.share", "optimizer", "phases", "data.sources",
            "start_parts")  # fmt: skip
    kinds: Counter[str] = Counter()
    for index in range(120):
        path, overrides = tmp_path / "odd.yaml", []
        path.write_bytes(whole if index % 2 else spoil(whole, random))
        if index % 2:
            overrides = [f"{random.choice(keys)}={random.choice(values)}"]
        judge(kinds, lambda: load_phases(path, overrides), ConfigError)  # noqa: B023
    assert_clean(kinds, 120)


def test_checkpoints(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from facerelief.train import start

    random, path = Random(SEED), tmp_path / "last.ckpt"
    torch.save({"state_dict": {"system.weight": torch.arange(300.0)}, "epoch": 3}, path)
    whole = path.read_bytes()
    kinds: Counter[str] = Counter()
    for _ in range(40):
        path.write_bytes(spoil(whole, random))
        judge(kinds, lambda: start.read(path), start.StartError)
    assert_clean(kinds, 40)
