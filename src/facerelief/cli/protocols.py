"""`facerelief evaluate`: a command a protocol, all made from one table."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from facerelief.cli.common import Json, Threads, app, fail
from facerelief.cli.research import Data, need_training

evaluate = typer.Typer(help="Score systems by a protocol.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")

_SYSTEMS = (
    "A name, an .onnx file, mediapipe, shape-from-shading, or a folder of predictions; repeat."
)
_ALL = f"{_SYSTEMS} all: everything that ships, and shape-from-shading."
_SHAPES = "A name, an .onnx file, mediapipe, or a folder of predictions; repeat. all: what ships."

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")]
Crops = Annotated[
    Path | None,
    typer.Option(help="Folder for the pictures, to predict from with something else."),
]
PeerPython = Annotated[
    Path | None,
    typer.Option(help="Interpreter that has MediaPipe, to score it too.", metavar="PYTHON"),
]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Folder = Annotated[
    Path,
    typer.Argument(help="That `facerelief synth` wrote.", metavar="FOLDER", exists=True),
]


@dataclass(frozen=True)
class Command:
    """A protocol on the command line; its function is `facerelief.evaluate.run_NAME`."""

    help: str
    systems: str = _SYSTEMS  # the help of --system
    optional: bool = False  # whether all systems are scored unless some are named
    extra: tuple[Parameter, ...] = ()  # of this protocol alone


def _option(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


COMMANDS = {
    "yaleb": Command(
        """Score normals on the Extended Yale Database B, beside the mean-map floor.

        Example: facerelief evaluate yaleb --system default --system mine.onnx -o out

        Writes predictions first, then scores the files: results.json, results.md, photographs.csv
        and pictures of the errors.
        """,
        extra=(_option("split", Split, "test"),),
    ),
    "basel": Command(
        """Score normals on renderings of five real scans, turned and lit in many ways.

        Example: facerelief evaluate basel --system default -o out

        Writes predictions first, then scores the files: results.json, results.md, pictures.csv and
        pictures of the errors. The first call renders for some minutes.
        """,
    ),
    "table": Command(
        """Compare systems: accuracy on photographs and renderings, costs, pictures side by side.

        Example: facerelief evaluate table --systems all -o out

        Both protocols in full, in yaleb/ and basel/, then results.json, results.md and pictures of
        every system's normals, shadings under seven lights and errors.
        """,
        _ALL,
        optional=True,
    ),
    "robustness": Command(
        """Score systems on spoiled photographs: extreme light, occlusion, low quality.

        Example: facerelief evaluate robustness --systems default -o out

        Writes results.json, results.md and, for each person, a picture of what every system made of
        the worst of them.
        """,
        _ALL,
        optional=True,
    ),
    "wild": Command(
        """Compare systems on photographs as people take them, which have no truth.

        Example: facerelief evaluate wild --systems default -o out

        How much of a face's brightness the normals explain, and how far they are from FaceMesh's:
        results.json, results.md and photographs.csv.
        """,
        _ALL,
        optional=True,
    ),
    "landmarks": Command(
        """Score 68 landmarks on rendered heads by yaw, on photographs and on samples of 300W-LP.

        Example: facerelief evaluate landmarks --system prnet -o out

        Of systems that make position maps: results.json, results.md and faces.csv. The first call
        renders 300 heads.
        """,
        _SHAPES,
    ),
    "reconstruction": Command(
        """Score meshes found in renderings of real scans against the scans, by yaw.

        Example: facerelief evaluate reconstruction --system prnet -o out

        Of systems that make position maps: results.json, results.md and pictures.csv.
        """,
        _SHAPES,
    ),
    "p2p": Command(
        """Score meshes with relief in mm against real scans, coarse beside detailed.

        Example: facerelief evaluate p2p --system full_pose --system full_pose+fused -o out

        Of systems that make position maps, each with none or a kind of relief (+shading, +fused,
        +learned, or +FILE.onnx): results.json, results.md and pictures.csv.
        """,
        _SHAPES,
    ),
    "groups": Command(
        """Compare how systems do on photographs of people of each age, sex and ancestry.

        Example: facerelief evaluate groups --system default -o out

        Faces found, error that the network expects, and agreement with MediaPipe's FaceMesh, with
        standard errors: results.json, results.md and photographs.csv.
        """,
    ),
    "relight": Command(
        """Score relighting: photographs of Extended Yale B predicted from those under other lights.

        Example: facerelief evaluate relight --system default -o out

        PSNR and SSIM by the angle between the lights, beside copies, ratio images and measured
        normals: results.json, results.md, pairs.csv and pictures.
        """,
        extra=(_option("split", Split, "test"),),
    ),
    "renderings": Command(
        """Score normals on rendered heads by pose, light and cover.

        Example: facerelief evaluate renderings heads --system default -o out

        Of a folder that `facerelief synth` wrote: results.json, results.md, heads.csv and pictures
        of the errors.
        """,
        extra=(_option("folder", Folder),),
    ),
    "coefficients": Command(
        """Score expressions by ARKit's names, and identities, on rendered heads.

        Example: facerelief evaluate coefficients heads --system full_pose -o out

        Of a folder that `facerelief synth` wrote and of systems that tell coefficients:
        results.json and results.md.
        """,
        _SHAPES,
        extra=(_option("folder", Folder),),
    ),
}


def _make(name: str, command: Command) -> Callable[..., None]:
    """The function of a command, with the signature that its options come from."""

    def run(**options: Any) -> None:
        data, out, json = (options.pop(key) for key in ("data", "out", "json"))
        systems = options.pop("system") or ["all"]
        need_training(data)
        if options["crops"] is None:
            del options["crops"]
        from facerelief import evaluate

        score = getattr(evaluate, f"run_{name}")
        _report(lambda: score(systems, out, progress=not json, **options), out, json)

    names = ("--systems", "--system") if command.optional else ("--system", "--systems")
    option = typer.Option(*names, help=command.systems)
    systems = (
        _option("system", Annotated[list[str] | None, option], None)
        if command.optional
        else _option("system", Annotated[list[str], option])
    )
    out = _option("out", Out)
    run.__doc__ = command.help
    run.__signature__ = Signature([  # type: ignore[attr-defined]
        *((out, systems) if command.optional else (systems, out)),
        *command.extra,
        _option("peer_python", PeerPython, None),
        _option("crops", Crops, None),
        _option("threads", Threads, None),
        _option("data", Data, None),
        _option("json", Json, False),
    ])  # fmt: skip
    return run


for _name, _command in COMMANDS.items():
    evaluate.command(_name)(_make(_name, _command))


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
