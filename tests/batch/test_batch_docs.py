"""What docs/batch.md says of columns, and how it reads them."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from batch_runs import batch
from facerelief.apps.batch.rows import Row
from facerelief.apps.batch.work import WHAT

PAGE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text("utf-8")


def code_below(heading: str) -> list[str]:
    """The Python of a part of the page."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", part, re.DOTALL)


def test_the_page_has_all_columns() -> None:
    for name, kind, meaning in Row(tuple(WHAT)).columns:
        assert f"| `{name}` | {kind} | {meaning} |" in PAGE


def test_the_example_reads_what_a_run_writes(
    tiny: Path,
    crops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    out = tmp_path / "out"
    call = (crops / "00.jpg", "-o", out, "--to", "parquet", "--system", tiny, "--crops")
    assert batch(*call).returncode == 0
    (code,) = code_below("Reading what was made")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["frame"]) == 1 and "00.jpg 0 " in capsys.readouterr().out


def test_photos_and_results_go_through_webdataset(
    tiny: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page does with it: shards of photos, a run over them, shards of results."""
    pytest.importorskip("pyarrow")
    wds = pytest.importorskip("webdataset", reason="needs webdataset (the extra dev)")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(crops, "photos")
    before, after = code_below("With webdataset")
    names: dict[str, Any] = {}
    exec(before, names)
    call = ("shards/", "-o", "out", "--to", "parquet", "--system", tiny, "--crops", "--part", 8)
    assert batch(*call).returncode == 0
    seen: list[str] = []
    exec(
        after + "    seen.append((sample['__key__'], photo, normals, mask))\n",
        names | {"seen": seen},
    )
    assert len(seen) == 30
    photos = {f"{s['__url__']}/{s['__key__']}": s["jpg"] for s in wds.WebDataset(
        "shards/s-000.tar", shardshuffle=False)}  # fmt: skip
    assert {key for key, *_ in seen} == {f"{key}_0" for key in photos}
    for key, photo, normals, mask in seen:
        with Image.open(io.BytesIO(photos[key.removesuffix("_0")])) as image:
            whole = np.asarray(image.convert("RGB").resize((256, 256)))
        assert np.abs(whole.astype(int) - photo).mean() < 6
        length = np.linalg.norm(normals[mask], axis=-1)
        assert mask.any() and np.abs(length - 1).max() < 0.03
