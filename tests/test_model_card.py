"""The model card's blocks: made from results of any default, one place each."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from facerelief import catalogue
from facerelief.evaluate import basel, groups, yaleb
from facerelief.evaluate.scores import ImageScore

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tiny_catalogue: Path) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("card")


def score(error: float) -> ImageScore:
    return ImageScore(4, np.full(4, error, np.float32), None)


def photographs(shift: float) -> dict:
    scores = [
        yaleb.PhotographScore("x", f"yaleB{person}", subset, azimuth, 0, score(person + shift))
        for person in (11, 12)
        for subset, azimuth in ((1, 0), (4, 60))
    ]
    return yaleb.Yaleb().tabulate(scores)


def renderings(shift: float) -> dict:
    scores = [
        basel.PictureScore("x", "basel_1", part, pose, light, score(error + shift))
        for part, pose, light, error in (
            ("yaw", "0°", "frontal", 8),
            ("yaw", "+60°", "60°", 20),
            ("random", "up to 45°", "mixed", 15),
        )
    ]
    return basel.Basel().tabulate(scores)


@pytest.fixture
def results() -> tuple[dict, dict, dict]:
    on_yale = {"floor": "mean-map", "systems": {"mean-map": photographs(5), "tiny": photographs(0)}}
    floors = {"posed-mean": renderings(3)}
    on_scans = {"floors": ["posed-mean"], "systems": {**floors, "tiny": renderings(0)}}
    rows = [groups.Row(groups.Labelled("x", "3–12", "male", "Asian"), True, 9.0, 11.0)] * 3
    by_group = {
        "photographs": 3,
        "source": "utkface",
        "systems": {"tiny": groups.Groups().tabulate(rows)},
    }
    return on_yale, on_scans, by_group


def test_every_block_says_what_was_measured(card: ModuleType, results: tuple) -> None:
    made = card.blocks(*results)
    sha256 = catalogue.find("tiny").sha256
    assert "**open**" in made["facts"] and sha256 in made["facts"] and "any use" in made["facts"]
    assert "| `tiny` (default) | open | 11.5° | 15.0° | 14.0° |" in made["systems"]
    assert "| `posed-mean` (floor) | – | – | 18.0° | 17.0° |" in made["systems"]
    assert "| yaleB12 | 2 | 12.0 ± 0.0 | 100 % | 100 % | 17.0° |" in made["people"]
    assert "| Mean error | 11.5° | 11.5° |" in made["light"]
    assert "11.5 (2)" in made["light"] and "azimuth 42° to 75°" in made["light"]
    assert "| Yaw | 0° | +60° |" in made["pose"] and "| `tiny` | 8.0° | 20.0° |" in made["pose"]
    assert "| age 3–12 | 3 | 100.0 ± 0.0 % | 9.00 ± 0.00 | 11.00 ± 0.00 |" in made["groups"]


def test_what_was_not_measured_says_so(card: ModuleType, results: tuple) -> None:
    for given in ((None, None, None), tuple({**one, "systems": {}} for one in results)):
        made = card.blocks(*given)
        assert all(made[name] == card.MISSING for name in ("people", "light", "pose", "groups"))
        assert "tiny" in made["facts"]


def test_blocks_go_between_their_markers_and_nowhere_else(card: ModuleType) -> None:
    def page(a: str, b: str) -> str:
        blocks = (f"<!-- card: {n}: begin -->\n{t}<!-- card: {n}: end -->" for n, t in
                  (("a", a), ("b", b)))  # fmt: skip
        return "before {}\nbetween {}\nafter\n".format(*blocks)

    changed = card.with_blocks(page("old\n", ""), {"a": "one\n\\1", "b": "two"})
    assert changed == page("one\n\\1\n", "two\n")
    for wrong in ({"a": ""}, {"a": "", "b": "", "c": ""}):
        with pytest.raises(ValueError, match="places"):
            card.with_blocks(changed, wrong)


def test_ablation_lines_are_replaced_by_name(card: ModuleType) -> None:
    ablation = importlib.import_module("ablation")

    def line(what: str, mean: float, floor: bool = False) -> dict:
        return {"what": what, "yaleb": mean, "floor": floor}

    old = [line("all", 1), line("flat", 2), line("mean-map", 9, True)]
    new = [line("flat", 3), line("bare", 4), line("mean-map", 9, True)]
    expected = [line("all", 1), line("flat", 3), line("bare", 4), line("mean-map", 9, True)]
    assert ablation.merged(old, new) == expected
    assert ablation.merged([], new) == new


def test_ablation_lines_are_those_of_their_networks(
    card: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two files of one name, told apart; every floor of either protocol once."""
    ablation = importlib.import_module("ablation")
    named = {}
    for what in ("all", "flat"):
        (tmp_path / what).mkdir()
        named[what] = tmp_path / what / "last.onnx"
        named[what].write_text(what)

    def scores(files: list[str]) -> dict:
        means = {"all": 12.0, "flat": 13.0}
        pooled = {Path(f).stem: {"mean": means[Path(f).read_text()]} for f in files}
        return {"floor": {"mean": 15.0}, **pooled}

    def run_yaleb(files: list[str], out: Path, progress: bool) -> dict:
        systems = {name: {"pooled": figures} for name, figures in scores(files).items()}
        return {"floor": "floor", "systems": systems}

    def run_basel(files: list[str], out: Path, progress: bool) -> dict:
        systems = {
            name: {"sha256": "x", "yaw": {"mean": f["mean"] + 1}, "random": {"mean": f["mean"] + 2}}
            for name, f in scores(files).items()
        }
        return {"floors": ["floor", "posed"], "systems": {**systems, "posed": systems["floor"]}}

    monkeypatch.setattr(ablation, "run_yaleb", run_yaleb)
    monkeypatch.setattr(ablation, "run_basel", run_basel)
    lines = ablation.lines(named, tmp_path)
    found = [(line["what"], line["yaleb"], line["yaw"], line["random"]) for line in lines]
    assert found == [
        ("all", 12, 13, 14), ("flat", 13, 14, 15), ("floor", 15, 16, 17), ("posed", None, 16, 17)
    ]  # fmt: skip
    assert [line["floor"] for line in lines] == [False, False, True, True]


def test_figures_of_what_has_not_changed_stay_while_floors_are_the_same(card: ModuleType) -> None:
    networks = importlib.import_module("networks")
    default = catalogue.find("default")
    floor, peer = {"pooled": {"mean": 15.0}}, {"pooled": {"mean": 16.0}}
    old = {
        "floor": "mean-map",
        "systems": {
            "mean-map": floor,
            "mediapipe": peer,
            default.name: {"sha256": default.sha256, "calibration": default.calibration},
            "gone": {"sha256": "x"},
        },
    }
    stay = networks.unchanged(old)
    assert set(stay) == {"mediapipe", default.name}
    assert set(networks.unchanged(old, timed=True)) == {"mediapipe"}
    fitted_anew = {default.name: {"sha256": default.sha256, "calibration": {"scale": 9.0}}}
    assert networks.unchanged({**old, "systems": fitted_anew}) == {}
    new = {"floor": "mean-map", "systems": {"mean-map": {**floor, "lights": []}, "x": {}}}
    merged = networks.with_unchanged(new, old, stay)
    assert list(merged["systems"]) == ["mean-map", "mediapipe", default.name, "x"]
    assert merged["systems"]["mean-map"] == {**floor, "lights": []}
    assert networks.with_unchanged(new, None, {}) == new
    assert networks.alike({"mean": 15.0, "of": [1, "S1"]}, {"mean": 15.001, "of": [1, "S1"]})
    for changed in ({"mean": 15.02}, {"mean": None}, {}, None, 15.0):
        assert not networks.alike({"mean": 15.0}, changed)
    other = {"floors": ["mean-map"], "systems": {"mean-map": {"pooled": {"mean": 14.0}}}}
    with pytest.raises(ValueError, match="mean-map has other figures"):
        networks.with_unchanged(other, old, stay)
