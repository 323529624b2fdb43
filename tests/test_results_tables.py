"""The tables in benchmarks/results and the README say what the measurements say."""

import hashlib
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from facerelief import catalogue

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("tables")


def figure(value: float, unit: str = "ms", at_most=None, at_least=None) -> dict:
    return {
        "what": "A thing",
        "value": value,
        "unit": unit,
        "at_most": at_most,
        "at_least": at_least,
    }


def test_every_measurement_has_its_present_table(tables: ModuleType) -> None:
    measured = {path.stem for path in tables.RESULTS.glob("*.json")}
    assert measured <= set(tables.TABLES)
    written = {path.stem: path.read_text("utf-8") for path in tables.RESULTS.glob("*.md")}
    assert written == tables.rendered(), "run: python benchmarks/tables.py"
    assert set(written) == measured


def test_readme_shows_the_present_figures(tables: ModuleType) -> None:
    readme = tables.README.read_text("utf-8")
    assert readme == tables.with_figures(readme), "run: python benchmarks/tables.py"


def test_model_card_shows_the_present_figures(tables: ModuleType) -> None:
    card = tables.CARD.read_text("utf-8")
    assert card == tables.with_card(card), "run: python benchmarks/tables.py"


def test_results_page_shows_every_table(tables: ModuleType) -> None:
    page = (tables.ROOT / "docs" / "results.md").read_text("utf-8")
    places = [page.index(f"<!-- result: {name} -->") for name in tables.TABLES]
    assert places == sorted(places)


def test_every_ablation_of_a_paper_is_a_configuration(tables: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    papers = importlib.import_module("papers")
    from facerelief.train.config import load_phases
    from facerelief.train.systems import build

    for system, variants in papers.VARIANTS.items():
        config = tables.ROOT / "configs" / f"{system}_mixed.yaml"
        (tmp_path / "config.yaml").write_text(json.dumps(papers.half_resolution(config, 10_000)))
        for overrides in variants.values():
            phases = load_phases(tmp_path / "config.yaml", overrides)
            assert sum(phase.samples for phase in phases) == 10_000
            assert all(phase.data.size == 128 for phase in phases)
            chosen = phases[-1].system
            build(chosen.name, chosen.preset, **{**chosen.options, "pretrained": False})


def test_second_stages_share_their_exemplars(tables: ModuleType, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    papers = importlib.import_module("papers")
    from facerelief.train.experiment import load_system
    from facerelief.train.systems import build

    config = tmp_path / "experiment.yaml"
    tree = papers.half_resolution(tables.ROOT / "configs" / "fnr2r_mixed.yaml", 10_000)
    tree["system"]["options"]["pretrained"] = False
    config.write_text(json.dumps(tree))
    trained = tmp_path / "paper"
    trained.mkdir()
    system = build("fnr2r", "compact", stage="coarse", pretrained=False)
    weights = {f"system.{name}": torch.full_like(value, 3) for name, value in
               system.state_dict().items()}  # fmt: skip
    torch.save({"state_dict": weights}, trained / "last.ckpt")
    (trained / "summary.json").write_text("{}")

    folder = tmp_path / "phase1"
    papers.take_first_stage(trained, config, papers.SECOND_STAGES["Encoder DC"], folder)
    taken = load_system(folder / "last.ckpt")
    assert all((value == 3).all() for value in taken.coarse.state_dict().values())
    assert not all((value == 3).all() for value in taken.refinement.state_dict().values())
    assert (folder / "summary.json").exists()


@pytest.mark.parametrize("name", ["accuracy_yaleb", "accuracy_basel", "groups"])
def test_accuracy_is_that_of_the_weights_that_ship(tables: ModuleType, name: str) -> None:
    results = tables.read(name)
    if results is None:
        pytest.skip(f"{name} has not been measured")
    for entry in catalogue.entries():
        measured = results["systems"][entry.name]["sha256"]
        assert measured == hashlib.sha256(entry.path.read_bytes()).hexdigest(), (
            f"{entry.name} has changed since: run benchmarks/accuracy.py"
        )


def test_figures_between_the_markers_are_replaced_and_nothing_else(tables: ModuleType) -> None:
    readme = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    changed = tables.with_figures(readme)
    assert changed.startswith(f"before\n{tables.BEGIN}\n")
    assert changed.endswith(f"\n{tables.END}\nafter\n")
    assert "old" not in changed
    assert tables.with_figures(changed) == changed
    with pytest.raises(ValueError, match="results: begin"):
        tables.with_figures("no markers")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (figure(34.9, at_most=35), "yes"),
        (figure(35.1, at_most=35), "**no**"),
        (figure(0.85, at_least=0.85), "yes"),
        (figure(0.84, at_least=0.85), "**no**"),
        (figure(0, at_most=0), "yes"),
        (figure(1), ""),
    ],
)
def test_verdict(tables: ModuleType, made: dict, expected: str) -> None:
    assert tables.measured_tables.verdict(made) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(34.567, "ms", "34.6 ms"), (0.9444, "", "0.944"), (1657.3, "ms", "1657 ms")],
)
def test_amount(tables: ModuleType, value: float, unit: str, expected: str) -> None:
    assert tables.measured_tables.amount(value, unit) == expected


def test_speed_table_marks_what_other_work_has_spoilt(tables: ModuleType) -> None:
    def section(busy: float | None, made: dict) -> dict:
        return {"figures": {"x": made}, "notes": ["Of note."], "busy_cores": busy}

    machine = {"cpu": "Some CPU", "cores": 2, "python": "3.11", "onnxruntime": "1.20"}
    sections = {
        "quiet": section(0.0, figure(10, at_most=35)),
        "busy": section(1.5, figure(40, at_most=35)),
        "memory": section(1.5, figure(200, "MB")),
        "unknown": section(None, figure(1, "s")),
    }
    text = tables.measured_tables.speed_markdown({"machine": machine, "sections": sections})
    assert "| A thing | 10 ms | at most 35 ms | yes |" in text
    assert "| A thing | 40 ms (beside other work) | at most 35 ms | **no** |" in text
    assert "| A thing | 200 MB |  |  |" in text
    assert "| A thing | 1 s |  |  |" in text
    assert text.endswith("\n* Of note.\n")


def test_learning_curve_table(tables: ModuleType) -> None:
    row = {"what": "Mixed people", "samples": 33000, "size": 128, "val": 11.304, "test": None}
    text = tables.learning_curve_markdown([row])
    assert "| Mixed people | 33,000 | 128 | 11.30 | – |" in text


def test_ablation_table_compares_with_its_first_line(tables: ModuleType) -> None:
    def line(what: str, *means: float | None, floor: bool = False) -> dict:
        named = dict(zip(("yaleb", "random", "yaw"), means, strict=True))
        return {"what": what, "floor": floor, **named}

    text = tables.ablation_markdown(
        [
            line("Everything", 12.5, 10, 14.25),
            line("No shadows", 13.25, 9.5, 14.25),
            line("posed-mean", None, 13, 13.5, floor=True),
        ]
    )
    assert "| Everything | 12.50 | 10.00 | 14.25 |" in text
    assert "| No shadows | 13.25 (+0.75) | 9.50 (-0.50) | 14.25 (+0.00) |" in text
    assert "| posed-mean (floor) | – | 13.00 | 13.50 |" in text


def test_seeds_of_one_training_share_a_line(tables: ModuleType) -> None:
    def system(degrees: float) -> dict:
        return {
            "yaleb": {"pooled": {"mean": degrees}, "subsets": {"S5": {"mean": degrees + 2}}},
            "random": {"mean": 10.0},
            "yaw": {"mean": 11.5},
        }

    runs = {"unet_s0": system(13), "unet_s1": system(14), "lone_s0": system(1), "other": system(2)}
    text = tables.seeds_markdown(runs)
    assert (
        "| unet | 2 | 13.50 (13.00 to 14.00) | 15.50 (15.00 to 16.00) "
        "| 10.00 (10.00 to 10.00) | 11.50 (11.50 to 11.50) |"
    ) in text
    assert "lone" not in text and "other" not in text
    assert tables.seeds_markdown({"other": system(2)}) == ""


def test_readme_names_what_has_a_target_beside_floors_and_peers(tables: ModuleType) -> None:
    def system(degrees: float, **more: str) -> dict:
        return {"pooled": {"mean": degrees}, "random": {"mean": 9.25}, **more}

    systems = {
        "mean-map": system(15.9),
        "casfne_compact": system(12.0, sha256="0"),
        "casfne_compact_yaleb": system(10.0, sha256="1"),
        "another": system(11.0, sha256="2"),
    }
    results = {"systems": systems, "floor": "mean-map"}
    rows = tables.headlines.headlines(results, results, None, None, None).splitlines()[2:]
    assert [row.split("|")[3].strip() for row in rows[:3]] == ["", "at most 13°", "at most 10.5°"]
    assert len(rows) == 6 and all("scans" in row and "9.2°" in row for row in rows[3:])
    assert not any("another" in row for row in rows)


def test_readme_says_how_far_landmarks_are_off(tables: ModuleType) -> None:
    yaws = {name: {"mean": 2.345} for name in tables.headlines.LANDMARK_TARGETS}
    marks = {"systems": {"prnet": {"yaws": yaws, "photographs": {"mean": 3.5}}}}
    rows = tables.headlines.headlines(None, None, marks, None, None).splitlines()[2:]
    assert "yaw 0 to 30°" in rows[0] and "2.35 %" in rows[0] and "at most 2.5 %" in rows[0]
    assert "photographs" in rows[3] and "at most 4 %" in rows[3]


def test_readme_says_how_far_meshes_are_off(tables: ModuleType) -> None:
    shapes = {"systems": {"prnet": {"frontal": {"mean": 1.7}, "yaws": {"60": {"mean": 2.1}}}}}
    rows = tables.headlines.headlines(None, None, None, shapes, None).splitlines()[2:]
    assert "1.70 %" in rows[0] and "at most 3 %" in rows[0]
    assert "60°" in rows[1] and "2.10 %" in rows[1] and "at most 4 %" in rows[1]


def test_headlines_without_measurements(tables: ModuleType) -> None:
    assert "make bench" in tables.headlines.headlines(None, None, None, None, None)
