"""The commands that put a photo's normals on geometry that somebody has: no PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from facerelief.cli import jobs
from facerelief.cli.common import (
    Json,
    Provider,
    System,
    Threads,
    app,
    begin_loading,
    cores,
    fail,
    load_shapes,
    load_system,
)

if TYPE_CHECKING:
    from facerelief.apps.products import Produce

Formats = Annotated[str, typer.Option(help="Comma-separated meshes: glb, obj, ply.")]
OneOut = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made if missing.")]
#: Whose landmarks tell where meshes lie.
LANDMARKS = "prnet"
OnePhoto = Annotated[Path, typer.Argument(metavar="PHOTO", help="Its largest face is meant.")]


@app.command()
def depth(
    photo: OnePhoto,
    depth: Annotated[
        Path,
        typer.Argument(metavar="DEPTH", help="Taken with it: PNG of 16 bits, NPY or EXR."),
    ],
    out: OneOut,
    camera: Annotated[
        str,
        typer.Option(
            metavar="DEVICE|FILE",
            help="kinect, kinect_v2, realsense (aligned), truedepth, or a calibration: .json, or "
            ".npy or .txt of 3 x 3 intrinsics.",
        ),
    ],
    unit: Annotated[
        str | None,
        typer.Option(help="Of DEPTH: mm, cm, m.", show_default="mm of integers, m of floats"),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(
            help="calibration: as the cameras say; face: moved to where the photo's face is.",
            show_default="face where the calibration does not tell",
        ),
    ] = None,
    format: Formats = "glb",
    bits: Annotated[int, typer.Option(help="Bits a channel of the normals: 8 or 16.")] = 8,
    system: System = "accurate",
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Refine the depth of a face by its photo: registered, without noise, holes filled.

    Example: facerelief depth me.jpg me_depth.png --camera kinect -o out

    Writes me_depth.png (the kind of file and the unit of DEPTH, over the photo),
    me_depth_normal.png, me_depth.glb and me_depth.json.
    """
    from facerelief.apps.depth import Options, endings, produce
    from facerelief.apps.products import Photo, Product
    from facerelief.depth_cameras import rig_of
    from facerelief.depth_files import UNITS, DepthError, read_depth
    from facerelief.depth_refinement import REGISTRATIONS
    from facerelief.mesh_writing import WRITERS

    formats = jobs.split_choices("--format", format, WRITERS)
    jobs.check_choice("--bits", bits, (8, 16))
    if unit is not None:
        jobs.check_choice("--unit", unit, UNITS)
    if register is not None:
        jobs.check_choice("--register", register, REGISTRATIONS)
    try:
        measured = read_depth(depth, None if unit is None else UNITS[unit])
    except DepthError as error:
        fail(str(error), code=1)
    estimator = load_system(system, threads or cores(), provider)
    options = Options(formats, register, bits)

    def job(one: Photo) -> Product:
        height, width = one.pixels.shape[:2]
        calibration = rig_of(camera, measured.distance.shape, (height, width))
        return produce(one, measured, calibration, estimator, options)

    _run(photo, [depth], out, job, endings(measured.suffix, formats), json)


@app.command()
def enhance(
    mesh: Annotated[
        Path, typer.Argument(metavar="MESH", help="OBJ, PLY, GLB or glTF of the face.")
    ],
    photo: OnePhoto,
    out: OneOut,
    pose: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Where MESH lies in PHOTO: `camera_from_model`, as in _pose.json.",
            show_default="found by landmarks",
        ),
    ] = None,
    format: Formats = "glb",
    geometry: Annotated[
        str, typer.Option(help="displaced: relief in finer vertices too; coarse: the map alone.")
    ] = "displaced",
    size: Annotated[int, typer.Option(help="Side of the normal map: 512 to 4096 pixels.")] = 1024,
    system: System = "default",
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Give a coarse mesh of a face the relief that a photo shows.

    Example: facerelief enhance head.obj me.jpg -o out

    Writes me_enhanced.glb, me_enhanced_tangent_normal.png if MESH has texture coordinates, and
    me_enhanced.json.
    """
    begin_loading([photo], [system, LANDMARKS], threads, provider)
    from facerelief.apps.enhance import GEOMETRIES, SIZES, Options, endings, produce, read_pose
    from facerelief.apps.products import Photo, Product
    from facerelief.mesh_reading import MeshError, read_asset
    from facerelief.mesh_writing import WRITERS

    formats = jobs.split_choices("--format", format, WRITERS)
    jobs.check_choice("--geometry", geometry, GEOMETRIES)
    jobs.check_choice("--size", size, SIZES)
    try:
        asset = read_asset(mesh)
        matrix = None if pose is None else read_pose(pose)
    except MeshError as error:
        fail(str(error), code=1)
    threads = threads or cores()
    normals = load_system(system, threads, provider)
    shapes = load_shapes(LANDMARKS, threads, provider)
    options = Options(formats, geometry, size, matrix)

    def job(one: Photo) -> Product:
        return produce(one, asset, str(mesh), normals, shapes, options)

    _run(photo, [mesh, *([pose] if pose else [])], out, job, endings(formats), json)


def _run(
    photo: Path,
    beside: list[Path],
    out: Path,
    job: Produce,
    endings: dict[str, str],
    json: bool,
) -> NoReturn:
    """Give the folder `out` what a job makes of a photo and files beside it, and end."""
    from facerelief.apps.photos import process
    from facerelief.apps.products import Folder
    from facerelief.files import identities

    jobs.make_folders(out, [out])
    done = process(photo, photo.stem, job, Folder(out, identities([photo, *beside])))
    if done.note is not None:
        typer.echo(done.note, err=True)
    if json:
        jobs.say_outcome(done)
    if done.error is not None:
        fail(done.error, code=1)
    if not json:
        typer.echo(f"written to {out}")
        jobs.say_files(photo.stem, endings)
    raise typer.Exit()
