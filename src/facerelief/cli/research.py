"""The commands that train and judge networks: they need the extra `train`."""

from __future__ import annotations

import json as json_module
import os
import re
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from facerelief import __version__
from facerelief.cli.common import Json, Threads, app, fail

Data = Annotated[
    Path | None,
    typer.Option(
        envvar="FACERELIEF_DATA", help="Folder of the data sets.", exists=True, file_okay=False
    ),
]


def parse_duration(text: str) -> timedelta:
    """90s, 15m, 2h or 1h30m. Raises typer.BadParameter."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or match is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 90s, 15m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file, as in configs/.", metavar="CONFIG")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change: data.batch=16 ...")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run.", show_default="runs/CONFIG"),
    ] = None,
    max_time: Annotated[
        timedelta | None,
        typer.Option(
            parser=parse_duration, metavar="TIME", help="Stop cleanly after 90s, 15m, 2h."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Train a network as a configuration says.

    Example: facerelief train configs/casfne_yaleb_128.yaml --max-time 2h data.batch=16
    """
    _need_training(data)
    from facerelief.train import run
    from facerelief.train.config import ConfigError

    folder = out or Path("runs") / config.stem
    try:
        summary = run(config, folder, overrides or [], max_time, resume, progress=not json)
    except ConfigError as error:
        fail(str(error), code=2)
    except OSError as error:
        fail(str(error), code=1)
    if json:
        typer.echo(json_module.dumps(summary))
        return
    typer.echo(f"{summary['samples']} samples in {summary['seconds']} s, in {folder}")
    for name, value in sorted(summary["figures"].items()):
        typer.echo(f"  {name:<24} {value:.4g}")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="last.ckpt of a run.", metavar="CHECKPOINT")],
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    tier: Annotated[
        str, typer.Option(help="open, or research where any training data is restricted.")
    ],
    training_data: Annotated[str, typer.Option(help="Comma-separated names of the data sets.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change: system.options.stages=1 ...")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Keep 32-bit weights.")] = False,
) -> None:
    """Write a trained network as the ONNX file that the runtime loads.

    Example: facerelief export runs/first/last.ckpt -o first.onnx --tier research
    --training-data "Extended Yale B"
    """
    if tier not in ("open", "research"):
        fail(f"--tier is open or research, not {tier}", code=2)
    _need_training(None)
    from facerelief.export import Provenance, export
    from facerelief.train.config import ConfigError, load_config
    from facerelief.train.experiment import load_system

    try:
        trained = load_config(checkpoint.parent / "config.yaml", overrides)
        system = load_system(checkpoint, overrides)
        provenance = Provenance(
            trained.system.name, trained.system.preset, tier, training_data, __version__
        )
        sha256 = export(system, out, provenance, compact=not full, size=trained.data.size)
    except (ConfigError, OSError, ValueError) as error:
        fail(str(error), code=1)
    typer.echo(f"{out}  sha256 {sha256}")


evaluate = typer.Typer(help="Score systems by a protocol.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")


_SYSTEMS = (
    "A name, an .onnx file, mediapipe, shape-from-shading, or a folder of predictions; repeat."
)
Systems = Annotated[list[str], typer.Option(help=_SYSTEMS)]
SystemsOrAll = Annotated[
    list[str] | None,
    typer.Option(help=f"{_SYSTEMS} all: everything that ships, and shape-from-shading."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")]
PeerPython = Annotated[
    Path | None,
    typer.Option(help="Interpreter that has MediaPipe, to score it too.", metavar="PYTHON"),
]


@evaluate.command()
def yaleb(
    system: Systems,
    out: Out,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    peer_python: PeerPython = None,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score normals on the Extended Yale Database B, beside the mean-map floor.

    Example: facerelief evaluate yaleb --system default --system mine.onnx -o out

    Writes predictions first, then scores the files: results.json, results.md, photographs.csv and
    pictures of the errors.
    """
    _need_training(data)
    from facerelief.evaluate import run_yaleb

    def score() -> dict[str, Any]:
        return run_yaleb(
            system, out, split, peer_python=peer_python, threads=threads, progress=not json
        )

    _report(score, out, json)


@evaluate.command()
def basel(
    system: Systems,
    out: Out,
    peer_python: PeerPython = None,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score normals on renderings of five real scans, turned and lit in many ways.

    Example: facerelief evaluate basel --system default -o out

    Writes predictions first, then scores the files: results.json, results.md, pictures.csv and
    pictures of the errors. The first call renders for some minutes.
    """
    _need_training(data)
    from facerelief.evaluate import run_basel

    def score() -> dict[str, Any]:
        return run_basel(system, out, peer_python=peer_python, threads=threads, progress=not json)

    _report(score, out, json)


@evaluate.command()
def table(
    out: Out,
    systems: SystemsOrAll = None,
    peer_python: PeerPython = None,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare systems: accuracy on photographs and renderings, costs, pictures side by side.

    Example: facerelief evaluate table --systems all -o out

    Both protocols in full, in yaleb/ and basel/, then results.json, results.md and pictures of
    every system's normals, shadings under seven lights and errors.
    """
    _need_training(data)
    from facerelief.evaluate import run_table

    def score() -> dict[str, Any]:
        return run_table(
            systems or ["all"],
            out,
            peer_python=peer_python,
            threads=threads,
            progress=not json,
        )

    _report(score, out, json)


@evaluate.command()
def robustness(
    out: Out,
    systems: SystemsOrAll = None,
    peer_python: PeerPython = None,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score systems on spoiled photographs: extreme light, occlusion, low quality.

    Example: facerelief evaluate robustness --systems default -o out

    Writes results.json, results.md and, for each person, a picture of what every system made of
    the worst of them.
    """
    _need_training(data)
    from facerelief.evaluate import run_robustness

    def score() -> dict[str, Any]:
        return run_robustness(
            systems or ["all"], out, peer_python=peer_python, threads=threads, progress=not json
        )

    _report(score, out, json)


@evaluate.command()
def wild(
    out: Out,
    systems: SystemsOrAll = None,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare systems on photographs as people take them, which have no truth.

    Example: facerelief evaluate wild --systems default -o out

    How much of a face's brightness the normals explain, and how far they are from FaceMesh's:
    results.json, results.md and photographs.csv.
    """
    _need_training(data)
    from facerelief.evaluate import run_wild

    _report(
        lambda: run_wild(systems or ["all"], out, threads=threads, progress=not json), out, json
    )


@evaluate.command()
def landmarks(
    system: Annotated[list[str], typer.Option(help="A name or an .onnx file; repeat.")],
    out: Out,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score 68 landmarks on rendered heads by yaw, on photographs and on samples of 300W-LP.

    Example: facerelief evaluate landmarks --system prnet -o out

    Of systems that make position maps: results.json, results.md and faces.csv. The first call
    renders 300 heads.
    """
    _need_training(data)
    from facerelief.evaluate import run_landmarks

    _report(lambda: run_landmarks(system, out, threads=threads, progress=not json), out, json)


@evaluate.command()
def reconstruction(
    system: Annotated[list[str], typer.Option(help="A name or an .onnx file; repeat.")],
    out: Out,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Score meshes found in renderings of real scans against the scans, by yaw.

    Example: facerelief evaluate reconstruction --system prnet -o out

    Of systems that make position maps: results.json, results.md and pictures.csv.
    """
    _point_to(data)
    from facerelief.evaluate import run_reconstruction

    _report(lambda: run_reconstruction(system, out, threads=threads, progress=not json), out, json)


@evaluate.command()
def groups(
    system: Annotated[list[str], typer.Option(help="A name or an .onnx file; repeat.")],
    out: Out,
    threads: Threads = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare how systems do on photographs of people of each age, sex and ancestry.

    Example: facerelief evaluate groups --system default -o out

    Faces found, error that the network expects, and agreement with MediaPipe's FaceMesh, with
    standard errors: results.json, results.md and photographs.csv.
    """
    _need_training(data)
    from facerelief.evaluate import run_groups

    _report(lambda: run_groups(system, out, threads=threads, progress=not json), out, json)


def _report(score: Callable[[], dict[str, Any]], out: Path, json: bool) -> None:
    """Run a protocol and show what it found; its errors become one line."""
    from facerelief.catalogue import UnknownSystemError, WeightsError
    from facerelief.evaluate import EvaluationError

    try:
        results = score()
    except (EvaluationError, UnknownSystemError, FileNotFoundError) as error:
        fail(str(error), code=2)
    except WeightsError as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror}", code=1)
    if json:
        typer.echo(json_module.dumps(results))
        return
    typer.echo((out / "results.md").read_text("utf-8"))
    typer.echo(f"Everything is in {out}")


def _need_training(data: Path | None) -> None:
    """Point the data sets to `data`; fail with one line where PyTorch is missing."""
    if find_spec("torch") is None or find_spec("lightning") is None:
        fail("this needs PyTorch and Lightning: pip install 'facerelief[train]'", code=1)
    _point_to(data)


def _point_to(data: Path | None) -> None:
    """The data sets are in `data`, if it is said."""
    if data is not None:
        os.environ["FACERELIEF_DATA"] = str(data)
