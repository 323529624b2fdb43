"""The commands that a photo needs: no PyTorch."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from facerelief.cli.common import (
    Json,
    Provider,
    System,
    Threads,
    app,
    cores,
    count,
    fail,
    load_shapes,
    load_system,
)

if TYPE_CHECKING:
    from facerelief.apps.photos import Outcome
    from facerelief.catalogue import Entry


@app.command()
def normals(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IMAGE|FOLDER|GLOB", help="Photos, or where they are.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")],
    system: System = "default",
    bits: Annotated[int, typer.Option(help="Bits a channel of _normal.png: 8 or 16.")] = 8,
    max_faces: Annotated[
        int | None,
        typer.Option(min=1, help="Largest faces of a photo to keep.", show_default="all"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: normal, npy, shading, error, overlay, json.", show_default="all"
        ),
    ] = None,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Estimate the surface normals of the faces in photos.

    Example: facerelief normals portrait.jpg holiday/ 'more/*.png' -o out

    For each face of portrait.jpg: portrait_normal.png, portrait_normal.npy, portrait_shading.png,
    portrait_expected_error.png and portrait.json; portrait_overlay.jpg shows them in the photo.
    Several faces are numbered from the largest on: portrait_0_normal.png, portrait_1_normal.png.
    """
    from facerelief.apps import normals as normals_app
    from facerelief.images import expand_inputs

    if bits not in (8, 16):
        fail(f"--bits is 8 or 16, not {bits}", code=2)
    outputs = tuple(normals_app.OUTPUTS) if only is None else tuple(only.split(","))
    unknown = sorted(set(outputs) - set(normals_app.OUTPUTS))
    if unknown:
        fail(f"--only knows {', '.join(normals_app.OUTPUTS)}; not {', '.join(unknown)}", code=2)
    _make_folder(out)
    paths = expand_inputs(inputs)
    threads = threads or cores()
    # Several photos: one a thread. A single one: all threads together.
    workers = min(threads, len(paths))
    estimator = load_system(system, threads // workers, provider)
    options = normals_app.Options(outputs, bits, max_faces)
    outcomes = normals_app.stream(paths, out, estimator, options, workers)
    endings = dict(normals_app.OUTPUTS[key] for key in outputs)
    _report(outcomes, paths, out, endings, json)


@app.command()
def mesh(
    inputs: Annotated[
        list[str], typer.Argument(metavar="IMAGE|FOLDER|GLOB", help="Photos, or where they are.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")],
    system: System = "prnet",
    format: Annotated[str, typer.Option(help="Comma-separated: glb, obj, ply.")] = "glb",
    head: Annotated[
        str, typer.Option(help="face, or full: neck and scalp too, which no photo shows.")
    ] = "face",
    texture: Annotated[int, typer.Option(help="Side of the texture: 256 to 4096 pixels.")] = 1024,
    landmarks: Annotated[
        str, typer.Option(help="Scheme: ibug68, jd106, facemesh468 or facemesh478.")
    ] = "ibug68",
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Write the photo with mesh and landmarks, too.")
    ] = False,
    max_faces: Annotated[
        int | None,
        typer.Option(min=1, help="Largest faces of a photo to keep.", show_default="all"),
    ] = None,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Make textured meshes of the faces in photos, all with the same vertices.

    Example: facerelief mesh portrait.jpg -o out --format glb,obj

    For each face of portrait.jpg: portrait.glb, portrait_texture.jpg, portrait_texture_source.png
    (what of it was seen), portrait_depth.png, portrait_landmarks.json and portrait_pose.json.
    """
    from facerelief.apps import mesh as mesh_app
    from facerelief.apps import photos as photos_app
    from facerelief.geometry import landmark_schemes
    from facerelief.images import expand_inputs

    formats = tuple(format.split(","))
    if unknown := sorted(set(formats) - set(mesh_app.FORMATS)):
        fail(f"--format knows {', '.join(mesh_app.FORMATS)}; not {', '.join(unknown)}", code=2)
    if head not in mesh_app.HEADS:
        fail(f"--head is face or full, not {head}", code=2)
    if texture not in (256, 512, 1024, 2048, 4096):
        fail(f"--texture is 256, 512, 1024, 2048 or 4096, not {texture}", code=2)
    if landmarks not in landmark_schemes.SCHEMES:
        known = ", ".join(landmark_schemes.SCHEMES)
        fail(f"--landmarks is one of {known}, not {landmarks}", code=2)
    _make_folder(out)
    paths = expand_inputs(inputs)
    threads = threads or cores()
    workers = min(threads, len(paths))
    estimator = load_shapes(system, threads // workers, provider)
    options = mesh_app.Options(formats, head, texture, landmarks, overlay)
    render = partial(mesh_app.render, options=options)
    outcomes = photos_app.stream(paths, out, estimator, render, max_faces, workers)
    endings = {f".{name}": "the mesh" for name in formats} | dict(mesh_app.SIDECARS.values())
    if not overlay:
        del endings[mesh_app.SIDECARS["overlay"][0]]
    _report(outcomes, paths, out, endings, json)


@app.command()
def swap(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Whose largest face changes.")],
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Whose largest face's skin it gets.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG or JPEG to write.")],
    system: System = "prnet",
    threads: Threads = None,
    provider: Provider = None,
) -> None:
    """Put the skin of one face on another: shape, pose and light stay those of PHOTO.

    Example: facerelief swap me.jpg you.jpg -o us.png
    """
    from PIL import Image

    from facerelief.apps import swap as swap_app
    from facerelief.images import PhotoError, load_photo

    estimator = load_shapes(system, threads or cores(), provider)
    try:
        pictures = [load_photo(path) for path in (photo, other)]
        faces = [estimator(picture, max_faces=1) for picture in pictures]
        for path, found in zip((photo, other), faces, strict=True):
            if not found:
                fail(f"{path}: no face found", code=1)
            if found[0].mesh is None:
                fail(f"{path}: {found[0].warnings[0]}", code=1)
        made = swap_app.swap(pictures[0], faces[0][0], pictures[1], faces[1][0])
        Image.fromarray(made).save(out, quality=95)
    except PhotoError as error:
        fail(str(error), code=1)
    except ValueError as error:  # Pillow's, for an ending that it does not know
        fail(f"{out}: {error}", code=2)
    except OSError as error:
        fail(f"{out}: cannot write: {error.strerror or error}", code=1)


@app.command()
def systems(json: Json = False) -> None:
    """List the trained networks, what they were trained on, and on what terms.

    Example: facerelief systems --json
    """
    from facerelief import catalogue

    entries = catalogue.entries()
    if json:
        typer.echo(json_module.dumps([_entry_to_json(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        alias = " (default)" if entry.name == catalogue.default() else ""
        typer.echo(f"{entry.name}{alias}")
        typer.echo(f"  system    {entry.system}, preset {entry.preset}")
        typer.echo(f"  tier      {entry.tier}: {entry.licence}")
        typer.echo(f"  trained   {'; '.join(entry.training_data)}")
        for protocol, degrees in entry.accuracy.items():
            typer.echo(f"  accuracy  {degrees:g} degrees mean angular error, {protocol}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="MAP.png", help="A normal map, 8 or 16 bits.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")],
    to: Annotated[str, typer.Option(help="opengl, directx, opencv or tangent.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="Frame of MAP.png.", show_default="its own text")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Smooth normal map that tangent space is relative to.", metavar="PNG"),
    ] = None,
    bits: Annotated[int | None, typer.Option(help="8 or 16.", show_default="as MAP.png")] = None,
) -> None:
    """Convert a normal map between OpenGL, DirectX, OpenCV and tangent space.

    Example: facerelief convert out/me_normal.png --to directx -o me_directx.png
    """
    from facerelief.apps.convert import convert_file
    from facerelief.images import PhotoError

    try:
        convert_file(source, out, to, from_, reference, bits)
    except PhotoError as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(f"{out}: cannot write: {error.strerror}", code=1)
    except ValueError as error:
        fail(str(error), code=2)


@app.command()
def doctor(system: System = "default", provider: Provider = None, json: Json = False) -> None:
    """Check the installation: versions, weights, provider, and a sphere whose answer is known.

    Example: facerelief doctor
    """
    from facerelief.apps.doctor import examine

    checks = examine(system, provider)
    if json:
        typer.echo(json_module.dumps([vars(check) for check in checks], indent=2))
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<16} {check.detail}")
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def _make_folder(folder: Path) -> None:
    from facerelief.files import make_folder

    try:
        make_folder(folder)
    except OSError as error:
        fail(f"{folder}: cannot write there: {error.strerror}", code=2)


def _report(
    outcomes: Iterator[Outcome], paths: list[Path], out: Path, endings: dict[str, str], json: bool
) -> NoReturn:
    """Say what became of every photo, and end: 1 if some failed.

    `endings` are those of the files of a face, and what they hold.
    """
    faces, failed = 0, 0
    for outcome in _progress(outcomes, len(paths)):
        faces += len(outcome.faces)
        failed += outcome.error is not None
        if outcome.error is not None:
            typer.echo(outcome.error, err=True)
        if json:
            typer.echo(json_module.dumps(_outcome_to_json(outcome), ensure_ascii=False))
    if not json:
        done = len(paths) - failed
        typer.echo(f"{count(faces, 'face')} in {count(done, 'photo')}, written to {out}")
        stem = paths[0].stem if len(paths) == faces == 1 else "*"
        for ending, meaning in endings.items() if faces else ():
            typer.echo(f"  {stem + ending:<30} {meaning}")
    raise typer.Exit(1 if failed else 0)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "path": str(entry.path)}


def _outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "input": str(outcome.path),
        "error": outcome.error,
        "files": [str(file) for file in outcome.files],
        "faces": outcome.faces,
    }


def _progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    """Pass `outcomes` through; on a terminal, several of them move a bar."""
    if total == 1 or not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, "Photos", total, console=Console(stderr=True))
