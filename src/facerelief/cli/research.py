"""The commands that train networks: they need the extra `train`."""

from __future__ import annotations

import json as json_module
import os
import re
from dataclasses import asdict
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from facerelief import __version__
from facerelief.cli.common import Json, app, fail

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
    need_training(data)
    from facerelief.train.config import ConfigError
    from facerelief.train.phases import run

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
    need_training(None)
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


@app.command()
def combine(
    networks: Annotated[
        list[str],
        typer.Argument(help="Names, or .onnx files, of networks of normals.", metavar="NETWORK..."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    mirrored: Annotated[
        bool, typer.Option(help="Ask each for the mirrored face, too: twice the time.")
    ] = True,
    json: Json = False,
) -> None:
    """Write several networks as one that says their mean: nearer than any, and slower.

    Example: facerelief combine casfne_compact mine.onnx -o accurate.onnx
    """
    need_training(None)
    from facerelief.combine import combine as combined
    from facerelief.train.start import StartError

    try:
        sha256 = combined(networks, out, mirrored)
    except (StartError, OSError) as error:
        fail(str(error), code=1)
    if json:
        told = {"networks": len(networks), "file": str(out), "sha256": sha256}
        typer.echo(json_module.dumps(told))
    else:
        typer.echo(f"{out}  sha256 {sha256}")


@app.command()
def calibrate(
    system: Annotated[
        str, typer.Argument(help="An .onnx file, or a name of the catalogue.", metavar="SYSTEM")
    ],
    heads: Annotated[
        Path,
        typer.Argument(
            help="Heads that `facerelief synth` wrote, which the network has not seen.",
            metavar="FOLDER",
            exists=True,
        ),
    ],
    limit: Annotated[int | None, typer.Option(help="Take the first so many heads.", min=6)] = None,
    json: Json = False,
) -> None:
    """Fit how far a network's expected error is to be believed, and note it with the network.

    Example: facerelief calibrate mine.onnx runs/heads

    Heads as they are, blurred, tiny, dark, clipped, noisy, compressed and covered: the true error
    is fitted by the network's own, the picture's softness and its white share. An .onnx file keeps
    the numbers in its metadata, which changes its sha256; those of a name go into the catalogue.
    """
    need_training(None)
    from facerelief import catalogue
    from facerelief.evaluate.calibration import calibrate as fitted
    from facerelief.evaluate.calibration import table
    from facerelief.evaluate.predictions import EvaluationError
    from facerelief.export import tell
    from facerelief.runtime import load

    try:
        estimator = load(system)
        calibration, report = fitted(estimator, heads, limit, progress=not json)
        numbers = asdict(calibration)
        if system.endswith(".onnx"):
            sha256 = tell(estimator.entry.path, calibration=json_module.dumps(numbers))
        else:
            catalogue.note_calibration(system, numbers)
            sha256 = estimator.entry.sha256
    except (EvaluationError, catalogue.UnknownSystemError) as error:
        fail(str(error), code=2)
    except catalogue.WeightsError as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(f"{error.filename or system}: {error.strerror}", code=1)
    if json:
        typer.echo(json_module.dumps({"calibration": numbers, "sha256": sha256, **report}))
        return
    typer.echo(table(report))
    typer.echo(f"{system}  sha256 {sha256}  calibration {json_module.dumps(numbers)}")


def need_training(data: Path | None) -> None:
    """Point the data sets to `data`; fail with one line where PyTorch is missing."""
    if find_spec("torch") is None or find_spec("lightning") is None:
        fail("this needs PyTorch and Lightning: pip install 'facerelief[train]'", code=1)
    if data is not None:
        os.environ["FACERELIEF_DATA"] = str(data)
