"""Rendered heads as a test: groups, floors and files, on a head whose every value is known."""

import csv
import json
from pathlib import Path

import pytest

import tiny_system
from facerelief.evaluate import EvaluationError, renderings, run_renderings
from facerelief.samples.files import to_files
from facerelief.samples.rendering import Rendering
from facerelief.samples.shards import SampleFolders
from painted_heads import head


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (head(), ("0 to 15°", "uncovered", "even light")),
        (head(-50, hidden=True), ("45 to 60°", "covered", "even light")),
        (head(89, dark=0.48), ("60 to 90°", "uncovered", "mostly shaded")),
    ],
)
def test_groups(made: Rendering, expected: tuple[str, str, str]) -> None:
    assert tuple(renderings.groups(made).values()) == expected


def test_from_heads_to_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_catalogue: Path
) -> None:
    monkeypatch.delenv("FACERELIEF_DATA", raising=False)  # it needs none
    folder, out, crops = (tmp_path / name for name in ("heads", "out", "crops"))
    folder.mkdir()
    files = [to_files(one) for one in (head(), head(40, hidden=True))]
    SampleFolders(folder).write(range(2), files)
    results = run_renderings(["default"], out, folder=folder, threads=1, crops=crops)
    assert json.loads((out / "results.json").read_text()) == results and results["heads"] == 2
    tiny, floor = (results["systems"][name] for name in ("tiny", "posed-mean"))
    # Both know the answer: the one reads it off the photo, the other is the mean head itself.
    assert tiny["smooth"]["all"]["mean"] < 1.5 and floor["smooth"]["all"]["mean"] < 0.2
    assert floor["smooth"]["all"]["coverage"] > 99.5
    assert floor["detailed"]["all"]["mean"] == pytest.approx(4, abs=1)  # they were bent by 5
    assert list(tiny["smooth"]["yaw"]) == ["0 to 15°", "30 to 45°"]
    assert tiny["smooth"]["cover"]["covered"]["images"] == 1
    assert floor["smooth"]["bands"]["low"] < 0.2 < floor["smooth"]["bands"]["without_fine"]
    text = (out / "results.md").read_text()
    assert "yaw 30 to 45°" in text and text.count("| posed-mean (floor) |") == 6
    with (out / "heads.csv").open() as file:
        assert [row["cover"] for row in csv.DictReader(file)] == ["uncovered", "covered"] * 2
    assert {path.stem for path in crops.iterdir()} == {"000000000", "000000001"}
    assert (out / "pictures" / "tiny" / "000000000.png").exists()

    # What another has written scores the same.
    again = run_renderings([str(out / "predictions" / "tiny")], tmp_path / "b", folder=folder)
    for truth in renderings.TRUTHS:
        assert again["systems"]["tiny"][truth]["all"] == tiny[truth]["all"]


def test_folders_without_heads(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no samples"):
        run_renderings(["default"], tmp_path / "out", folder=tmp_path)
    SampleFolders(tmp_path).write(range(1), [to_files(head(), ["photo.png"])])
    network = str(tiny_system.build(tmp_path / "tiny.onnx"))
    with pytest.raises(EvaluationError, match="written without"):
        run_renderings([network], tmp_path / "out", folder=tmp_path)
