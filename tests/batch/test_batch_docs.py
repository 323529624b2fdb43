"""What docs/batch.md says of columns, and how it reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from batch_runs import batch
from facerelief.apps.batch.rows import Row
from facerelief.apps.batch.work import WHAT

PAGE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text("utf-8")


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
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["frame"]) == 1 and "00.jpg 0 " in capsys.readouterr().out
