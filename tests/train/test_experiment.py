"""Training: falls, stops in time, goes on where it stopped, and leaves what it says."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import yaml  # noqa: E402

from facerelief.data.sample import Sample  # noqa: E402
from facerelief.nn.efficientnet_lite import EfficientNetLite0  # noqa: E402
from facerelief.nn.losses import normalize  # noqa: E402
from facerelief.train import experiment, phases  # noqa: E402
from facerelief.train.config import ConfigError, load_config, load_phases  # noqa: E402
from facerelief.train.experiment import load_system  # noqa: E402
from facerelief.train.phases import run  # noqa: E402
from facerelief.train.systems import find, names  # noqa: E402


class Ellipsoids:
    """Pictures whose colours are the normals of random ellipsoids."""

    def batch(self, count: int, size: int, g: torch.Generator) -> Sample:
        axis = (torch.arange(size) + 0.5) / size * 2 - 1
        y, x = torch.meshgrid(-axis, axis, indexing="ij")
        radii = torch.rand(count, 2, 1, 1, generator=g) * 0.5 + 0.5
        x, y = x / radii[:, 0], y / radii[:, 1]
        z = (1 - x**2 - y**2).clamp_min(0).sqrt()
        mask = (z > 0).float()[:, None]
        normals = normalize(torch.stack([x / radii[:, 0], y / radii[:, 1], z], 1)) * mask
        ones = torch.ones_like(mask)
        some, none = torch.ones(count).bool(), torch.zeros(count).bool()
        return Sample(normals / 2 + 0.5, normals, mask, mask, ones, none, some, none)


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Training without data sets; on one thread, which is faster for so small pictures."""
    validation = Ellipsoids().batch(4, 32, torch.Generator().manual_seed(9))
    monkeypatch.setattr(experiment, "build_source", lambda name, options: Ellipsoids())
    monkeypatch.setattr(experiment, "build_validation", lambda *_: [validation])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config(folder: Path, **changes: Any) -> Path:
    """A configuration file of a small experiment."""
    tree: dict[str, Any] = {
        "system": {"name": "casfne", "options": {"pretrained": False, "stages": 0}},
        "data": {
            "size": 32,
            "batch": 4,
            "workers": 0,
            "sources": [{"name": "ellipsoids"}],
            "validation": {"name": "ellipsoids"},
        },
        "optimizer": {"learning_rate": 3e-3},
        "samples": 96,
        "validate_every": 48,
        "ema": 0.9,
        **changes,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def validated(out: Path) -> list[float]:
    """The validation errors in the log, first to last."""
    lines = (out / "logs" / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index("val/error")
    return [float(value) for line in lines[1:] if (value := line.split(",")[column])]


def test_a_run_learns_and_leaves_what_it_says(tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = config(tmp_path, samples=640, validate_every=320)
    summary = run(path, out, progress=False)
    errors = validated(out)
    assert len(errors) == 2 and errors[-1] < 0.8 * errors[0]
    assert summary["samples"] == 640 and 0 < summary["network_share"] <= 1
    assert json.loads((out / "summary.json").read_text()) == summary
    assert len(list((out / "pictures").glob("*.png"))) == 2
    assert list((out / "logs").glob("events.out.tfevents*"))
    # What is kept is what was validated: the averaged weights.
    system = load_system(out / "last.ckpt")
    sample = Ellipsoids().batch(4, 32, torch.Generator().manual_seed(9))
    error = system.metrics(sample, system(sample.image))["error"].mean()
    assert float(error) == pytest.approx(errors[-1], abs=0.05)


def test_a_resumed_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(config(tmp_path, samples=48), out, progress=False)
    with pytest.raises(FileExistsError, match="already holds a training"):
        run(config(tmp_path), out, progress=False)
    seen: list[int] = []
    original = Ellipsoids.batch

    def spy(self, count: int, size: int, g: torch.Generator) -> Sample:
        seen.append(g.initial_seed())
        return original(self, count, size, g)

    Ellipsoids.batch = spy  # type: ignore[method-assign]
    try:
        summary = run(config(tmp_path), out, resume=True, progress=False)
    finally:
        Ellipsoids.batch = original  # type: ignore[method-assign]
    assert summary["samples"] == 96
    assert seen[0] == 12  # batches 0 to 11 were the first run's
    assert {path.name for path in out.glob("logs*")} == {"logs", "logs_from_12"}


def test_time_is_a_budget(tmp_path: Path) -> None:
    out = tmp_path / "run"
    limit = timedelta(seconds=2)
    summary = run(config(tmp_path, samples=10**7), out, max_time=limit, progress=False)
    assert 2 <= summary["seconds"] < 6 and summary["samples"] < 10**6
    assert summary["figures"]["train/rate"] < 0.1  # the schedule was fitted into the time


def test_the_same_seed_is_the_same_run(tmp_path: Path) -> None:
    states = []
    for name in ("a", "b"):
        run(config(tmp_path, samples=24, seed=3), tmp_path / name, progress=False)
        states.append(load_system(tmp_path / name / "last.ckpt").state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_an_adversary_takes_its_turn(tmp_path: Path) -> None:
    weights = {"adversarial": 0.01, "angular": 0.0, "mask": 0.0}
    options = {"pretrained": False, "stages": 0, "weights": weights}
    path = config(tmp_path, system={"name": "casfne", "options": options}, samples=16)
    before = load_config(path)
    figures = run(path, tmp_path / "run", progress=False)["figures"]
    assert {"train/adversarial", "train/discriminator", "train/cosine"} <= figures.keys()
    trained = load_system(tmp_path / "run" / "last.ckpt").state_dict()
    torch.manual_seed(before.seed)
    assert any(key.startswith("discriminator.") for key in trained)


def test_a_run_starts_from_another(tmp_path: Path) -> None:
    run(config(tmp_path, samples=40), tmp_path / "first", progress=False)
    start = str(tmp_path / "first" / "last.ckpt")
    overrides = [f"start_from={start}", "samples=4", "optimizer.learning_rate=0"]
    run(config(tmp_path), tmp_path / "second", overrides, progress=False)
    a, b = (load_system(tmp_path / name / "last.ckpt") for name in ("first", "second"))
    weights = dict(b.named_parameters())
    assert all(torch.allclose(p, weights[name]) for name, p in a.named_parameters())


def phased(folder: Path) -> Path:
    """An initial block, then the cascade with it, at another size."""
    options = {"pretrained": False, "stages": 0}
    second = {"data": {"size": 64}, "samples": 8, "system": {"options": {"stages": 1}}}
    return config(folder, system={"name": "casfne", "options": options},
                  phases=[{"samples": 40}, second])  # fmt: skip


def test_phases_change_the_rest_of_a_file(tmp_path: Path) -> None:
    first, second = load_phases(phased(tmp_path), ["seed=5", "phases.1.data.batch=2"])
    assert (first.samples, second.samples) == (40, 8)
    assert (first.data.size, second.data.size) == (32, 64)
    assert (first.data.batch, second.data.batch) == (4, 2)
    assert second.system.options == {"pretrained": False, "stages": 1}
    assert first.seed == second.seed == 5
    with pytest.raises(ConfigError, match="2 phases where one"):
        load_config(phased(tmp_path))
    with pytest.raises(ConfigError, match="phases is a list"):
        load_phases(config(tmp_path, phases={}))


def test_phases_that_share_an_alias_are_changed_alone(tmp_path: Path) -> None:
    path = tmp_path / "aliases.yaml"
    path.write_text(
        "system: {name: unet}\nsamples: 8\n"
        "phases:\n"
        "  - data: {sources: &pairs [{name: additive_light, share: 0.5}]}\n"
        "  - data: {sources: *pairs}\n"
    )
    phases = load_phases(path, ["phases.0.data.sources.0.share=0.25"])
    assert [phase.data.sources[0].share for phase in phases] == [0.25, 0.5]


def test_rates_may_be_written_as_people_write_them(tmp_path: Path) -> None:
    path = config(tmp_path)
    for text, value in (("8e-4", 8e-4), ("1E+2", 100), ("2.5e-1", 0.25), ("1", 1)):
        rate = f"optimizer.learning_rate={text}"
        assert load_config(path, [rate]).optimizer.learning_rate == value
    with pytest.raises(ConfigError, match="is no float"):
        load_config(path, ["optimizer.learning_rate=e-4"])


def test_a_phase_begins_with_the_weights_of_the_one_before(tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = phased(tmp_path)
    summary = run(path, out, ["phases.1.optimizer.learning_rate=0"], progress=False)
    assert summary["samples"] == 48
    first, second = (load_system(out / f"phase{i}" / "last.ckpt") for i in (1, 2))
    assert (first.stages, second.stages) == (0, 1)
    weights = dict(second.named_parameters())
    assert all(torch.allclose(p, weights[name]) for name, p in first.named_parameters())
    last = load_system(out / "last.ckpt")
    assert all(torch.equal(p, weights[name]) for name, p in last.named_parameters())
    with pytest.raises(FileExistsError):
        run(path, out, progress=False)
    # What is done stays done; what is not goes on.
    (out / "phase2" / "summary.json").unlink()
    marked = (out / "phase1" / "last.ckpt").stat().st_mtime_ns
    assert run(path, out, resume=True, progress=False)["samples"] >= 48
    assert (out / "phase1" / "last.ckpt").stat().st_mtime_ns == marked


def test_phases_share_the_time_by_their_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def overrun(phase: object, out: Path, limit: timedelta, *rest: object) -> dict[str, Any]:
        given.append(limit.total_seconds())
        summary = {"samples": 4, "seconds": given[-1] + 1}
        out.mkdir(parents=True)
        for name in ("last.ckpt", "config.yaml"):
            (out / name).write_text("")
        return summary

    monkeypatch.setattr(phases, "run_phase", overrun)
    # The second phase has four times the pixels.
    overrides = ["phases.0.samples=4000000", "phases.1.samples=1000000"]
    limit = timedelta(seconds=40)
    summary = run(phased(tmp_path), tmp_path / "run", overrides, max_time=limit, progress=False)
    assert given == [20, 19]  # what is left, when the first took a second more than its half
    assert summary["seconds"] == 41 and summary["samples"] == 8


def test_every_phase_is_run_when_the_time_is_up(tmp_path: Path) -> None:
    out = tmp_path / "run"
    overrides = ["phases.0.samples=4000000", "phases.1.samples=1000000"]
    limit = timedelta(seconds=0.001)
    summary = run(phased(tmp_path), out, overrides, max_time=limit, progress=False)
    assert (out / "last.ckpt").exists() and 2 * 4 <= summary["samples"] < 10**5


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    run(config(tmp_path, samples=8), tmp_path / "first", progress=False)
    overrides = [f"start_from={tmp_path / 'first' / 'last.ckpt'}", "system.name=unet"]
    options = {"name": "unet", "options": {"pretrained": False}}
    with pytest.raises(ConfigError, match="another network"):
        run(config(tmp_path, system=options), tmp_path / "second", overrides, progress=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("samples: 3", "missing system, data$"),
        ("system: {name: casfne}\nsampels: 3", "unknown key 'sampels'"),
        ("system: [", "not YAML"),
        ("- 1", "expected a mapping"),
        ("system: {name: casfne, sise: 3}\ndata: {sources: []}\nsamples: 3", "unknown key 'sise'"),
    ],
)
def test_bad_configurations_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_overrides_reach_into_lists(tmp_path: Path) -> None:
    changed = load_config(config(tmp_path), ["data.sources.0.share=0.5", "seed=7"])
    assert changed.data.sources[0].share == 0.5 and changed.seed == 7
    for bad in ("seed", "seed.a=1", "data.sources.x=1", "data.sources.9.share=1"):
        with pytest.raises(ConfigError):
            load_config(config(tmp_path), [bad])


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("configs/*.yaml")), ids=str)
def test_every_configuration_is_one(path: Path) -> None:
    assert all(phase.samples > 0 for phase in load_phases(path))


def test_every_configuration_is_smoked(path: Path = Path(__file__).parents[2] / "configs") -> None:
    quick = sorted(path.glob("smoke/*.yaml"))
    assert [file.name for file in quick] == sorted(file.name for file in path.glob("*.yaml"))
    for file in quick:
        whole, small = load_phases(path / file.name), load_phases(file)
        assert [phase.system for phase in whole] == [phase.system for phase in small]
        truths = [s.options.get("truth") for phase in small for s in phase.data.sources]
        assert "aligned" not in truths


def based(folder: Path, name: str, tree: Any) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(tree))
    return path


def test_a_configuration_changes_its_base(tmp_path: Path) -> None:
    sources = [{"name": "ellipsoids"}, {"name": "others", "share": 2, "options": {"a": 1}}]
    data = {"size": 32, "sources": sources}
    config(tmp_path, data=data, phases=[{"samples": 40}, {"samples": 8, "seed": 4}])
    changes = {"sources": {1: {"share": 3, "options": {"b": 2}}}}
    based(tmp_path, "middle.yaml", {"base": "config.yaml", "seed": 3, "data": changes})
    path = based(tmp_path, "far/last.yaml", {"base": "../middle.yaml", "phases": {1: {"ema": 0.5}}})
    first, second = load_phases(path, ["phases.0.data.batch=2"])
    assert [s.share for s in first.data.sources] == [1, 3]
    assert first.data.sources[1].options == {"a": 1, "b": 2}
    assert (first.seed, first.samples, first.ema, first.data.batch) == (3, 40, 0.9, 2)
    assert (second.seed, second.samples, second.ema) == (4, 8, 0.5)
    alone = based(tmp_path, "alone.yaml", {"base": "middle.yaml", "phases": [{}], "samples": 7})
    assert load_config(alone).samples == 7


def test_bases_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    config(tmp_path)
    based(tmp_path, "a.yaml", {"base": "b.yaml"})
    loop = based(tmp_path, "b.yaml", {"base": "./a.yaml"})
    for tree, message in (
        ({"base": "nowhere.yaml"}, r"nowhere\.yaml: No such file"),
        ({"base": 3}, r"c\.yaml: base is the name of a file, not 3$"),
        ({"base": "config.yaml", "data": {"sources": {1: {}}}}, "places that a list does not have"),
        ({"base": "a.yaml"}, "is based on itself"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(based(tmp_path, "c.yaml", tree))
    with pytest.raises(ConfigError, match="is based on itself"):
        load_config(loop)


def test_a_summary_says_whether_the_loss_fell(tmp_path: Path) -> None:
    out = tmp_path / "run"
    loss = run(config(tmp_path, samples=200), out, progress=False)["loss"]
    assert loss["last"] < 0.9 * loss["first"]
    # What a resumed run began with is still what it was.
    again = run(config(tmp_path, samples=400), out, resume=True, progress=False)["loss"]
    assert again["first"] == pytest.approx(loss["first"], rel=0.3) and again["last"] < loss["first"]


@pytest.mark.parametrize("name", names())
def test_a_blank_system_reads_no_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("weights are read")

    monkeypatch.setattr(EfficientNetLite0, "load_imagenet", refuse)
    kind = find(name)
    system = kind.from_preset("compact", **kind.blank)
    assert re.match(system.optional, "discriminator.0.weight")
    assert not re.match(system.optional, "encoder.stem.weight")


class Trap:
    """Runs code where a pickle of it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def damage(path: Path, kind: str) -> None:
    """Make a checkpoint one that cannot be gone on with."""
    whole = path.read_bytes()
    stored = torch.load(path, weights_only=True)
    if kind == "trap":
        torch.save({**stored, "more": Trap(path.with_name("sprung"))}, path)
    elif kind == "without loops":
        torch.save({key: value for key, value in stored.items() if key != "loops"}, path)
    elif kind == "without optimizers":
        torch.save({key: value for key, value in stored.items() if "optim" not in key}, path)
    elif kind == "other weights":
        names = stored["state_dict"]
        stored["state_dict"] = {name: torch.zeros(3) for name in names}
        torch.save(stored, path)
    else:
        path.write_bytes(
            {"truncated": whole[:5000], "random": os.urandom(5000), "empty": b""}[kind]
        )


KINDS = ["trap", "truncated", "random", "empty", "without loops", "without optimizers",
         "other weights"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "build_source", lambda name, options: Ellipsoids())
        patch.setattr(experiment, "build_validation", lambda *_: [])
        run(config(folder, samples=8), folder / "run", progress=False)
    yield folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_checkpoint_is_one_line_and_runs_nothing(
    trained: Path, tmp_path: Path, kind: str
) -> None:
    out = shutil.copytree(trained / "run", tmp_path / "run")
    damage(out / "last.ckpt", kind)
    with pytest.raises(ConfigError, match=r"last\.ckpt: ") as raised:
        run(trained / "config.yaml", out, resume=True, progress=False)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 600
    if kind not in ("without loops", "without optimizers"):
        with pytest.raises(ValueError, match=r"last\.ckpt: ") as raised:
            load_system(out / "last.ckpt")
        assert "\n" not in str(raised.value)
    assert not (out / "sprung").exists()
