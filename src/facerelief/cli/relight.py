"""`facerelief relight`: faces of photos into another light."""

from __future__ import annotations

from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerelief.catalogue import plain
from facerelief.cli import jobs
from facerelief.cli.common import Json, Provider, System, Threads, app, fail, load_system
from facerelief.cli.jobs import Crops, Inputs, MaxFaces, Out, Recursive, Smallest

if TYPE_CHECKING:
    from facerelief.apps.products import Produce
    from facerelief.runtime import Estimator


@app.command()
def relight(
    inputs: Inputs,
    out: Out,
    light: Annotated[
        str | None,
        typer.Option(
            metavar="AZIMUTH,ELEVATION",
            help="Degrees: positive azimuth lights the picture's left, positive elevation comes "
            "from above; 0,0 is at the camera.",
        ),
    ] = None,
    environment: Annotated[
        Path | None,
        typer.Option(metavar="FILE.hdr", help="Equirectangular light: .hdr, .exr or .npy."),
    ] = None,
    like: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="The light on another photo's face.")
    ] = None,
    spin: Annotated[
        bool, typer.Option("--spin", help="A light that goes round: GIF and a sheet of it.")
    ] = False,
    strength: Annotated[float, typer.Option(min=0, help="Of the new light.")] = 1.0,
    turn: Annotated[
        float, typer.Option(help="Degrees to turn the environment to the right.")
    ] = 0.0,
    keep: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the photo's own light that stays.")
    ] = 0.12,
    format: Annotated[str, typer.Option(help="png or jpg.")] = "png",
    system: System = "default",
    recursive: Recursive = False,
    max_faces: MaxFaces = None,
    smallest: Smallest = None,
    crops: Crops = False,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Put the faces of photos into another light.

    Example: facerelief relight portrait.jpg --light 60,20 -o out

    One of --light, --environment, --like and --spin. Of portrait.jpg: portrait_relit.png, in its
    own size, and portrait_relit.json; with --spin portrait_spin.gif and portrait_spin.jpg.
    """
    from facerelief.apps.photos import Search
    from facerelief.apps.relight import Options, produce, written

    jobs.check_choice("--format", format, ("png", "jpg"))
    given = [light is not None, environment is not None, like is not None, spin]
    if sum(given) != 1:
        fail("one of --light, --environment, --like and --spin is needed", code=2)

    angles = None if light is None else _angles(light)
    if not isfinite(turn) or not isfinite(strength):
        fail("--turn and --strength are numbers", code=2)

    def prepare(threads: int) -> Produce:
        estimator = load_system(system, threads, provider)
        found, said = _new_light(angles, environment, turn, like, estimator)
        search = Search(max_faces, smallest, is_crop=crops)
        options = Options(found, strength, keep, f".{format}", search, said)
        return partial(produce, estimator=estimator, options=options)

    jobs.run(inputs, out, prepare, written(spin, f".{format}"), threads, json, recursive)


def _new_light(
    angles: tuple[float, float] | None,
    environment: Path | None,
    turn: float,
    like: Path | None,
    estimator: Estimator,
) -> tuple[Any, dict[str, Any]]:
    """What the options of `relight` say, and what the sidecar says of it; None for a spin."""
    from facerelief.apps.products import Photo
    from facerelief.apps.relight import light_of
    from facerelief.environments import read_environment
    from facerelief.geometry.environment import turned
    from facerelief.geometry.light import Light
    from facerelief.images import open_photo
    from facerelief.inputs import PhotoError

    try:
        if angles is not None:
            azimuth, elevation = angles
            said = {"azimuth": azimuth, "elevation": elevation}
            return Light.from_angles(azimuth, elevation), said
        if environment is not None:
            found = turned(read_environment(environment), turn)
            return found, {"environment": str(environment), "turn": turn}
        if like is not None:
            other = Photo(open_photo(like), like.stem, str(like))
            return light_of(other, estimator), {"like": str(like)}
    except PhotoError as error:
        fail(str(error), code=1)
    return None, {"spin": True}


def _angles(text: str) -> tuple[float, float]:
    """What `--light` says."""
    try:
        azimuth, elevation = (float(part) for part in text.split(","))
    except ValueError:
        fail(f"--light is AZIMUTH,ELEVATION in degrees, such as 60,20; not {plain(text)!r}", code=2)
    if not (isfinite(azimuth) and -180 <= azimuth <= 180 and -90 <= elevation <= 90):
        fail(
            f"--light {plain(text)!r}: azimuth is -180 to 180 degrees, elevation -90 to 90", code=2
        )
    return azimuth, elevation
