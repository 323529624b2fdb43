"""The commands that a photo needs: no PyTorch."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facerelief.catalogue import plain
from facerelief.cli import films, jobs
from facerelief.cli.common import (
    Json,
    Provider,
    System,
    Threads,
    app,
    begin_loading,
    cannot_write,
    cores,
    fail,
    load_shapes,
    load_system,
)
from facerelief.cli.films import Raw, Seconds, Video
from facerelief.cli.jobs import Crops, Inputs, MaxFaces, Order, Out, Recursive, Smallest, Whole

if TYPE_CHECKING:
    from facerelief.apps.products import Produce
    from facerelief.catalogue import Entry

#: Crops of these sides over the usual one are what the networks were trained on.
LEAST_SCALE, LARGEST_SCALE = 0.7, 1.5


@app.command()
def normals(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    system: System = "default",
    bits: Annotated[int, typer.Option(help="Bits a channel of _normal.png: 8 or 16.")] = 8,
    frame: Annotated[
        str, typer.Option(help="Comma-separated: crop (a file a face), photo (all in its size).")
    ] = "crop",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of the normals, with the photo's own detail: 64 to 1536, or native.",
            show_default="256; native in --frame photo",
        ),
    ] = None,
    crop_scale: Annotated[
        float, typer.Option(help="Side of the crops over the usual one: 1.3 shows foreheads.")
    ] = 1.0,
    order: Order = "size",
    crops: Crops = False,
    recursive: Recursive = False,
    max_faces: MaxFaces = None,
    smallest: Smallest = None,
    whole: Whole = False,
    only: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: normal, npy, exr, shading, error, overlay, json.",
            show_default="all but exr",
        ),
    ] = None,
    video: Video = None,
    raw: Raw = False,
    seconds: Seconds = None,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Estimate the surface normals of the faces in photos, and in films.

    Example: facerelief normals portrait.jpg holiday/ 'more/*.png' -o out

    Example: facerelief normals clip.mp4 -o out --video side,normals

    For each face of portrait.jpg: portrait_normal.png, portrait_normal.npy, portrait_shading.png,
    portrait_expected_error.png and portrait.json; portrait_overlay.jpg shows them in the photo.
    Several faces are numbered from the largest on: portrait_0_normal.png, portrait_1_normal.png.
    With --frame photo they are in one portrait_photo_normal.png that lies over the photo.

    Of a film, or of camera:0 until Control-C: clip_side.mp4, clip_normals.mp4 or clip_frames/, and
    clip_faces.csv and clip_video.json. A run that was stopped goes on where it was.
    """
    from facerelief.apps.normals import FRAMES, MORE, OUTPUTS, Options, produce, written
    from facerelief.apps.photos import Search
    from facerelief.finding import ORDERS

    jobs.check_choice("--bits", bits, (8, 16))
    jobs.check_choice("--order", order, ORDERS)
    frames = jobs.split_choices("--frame", frame, FRAMES)
    known = OUTPUTS | MORE
    outputs = tuple(OUTPUTS) if only is None else jobs.split_choices("--only", only, known)
    if only and (idle := [key for key in outputs if not written([key], frames)]):
        fail(f"--only {','.join(idle)} has no file in --frame {frame}; it is in crop", code=2)
    if not LEAST_SCALE <= crop_scale <= LARGEST_SCALE:
        fail(f"--crop-scale is {LEAST_SCALE} to {LARGEST_SCALE}, not {crop_scale}", code=2)
    if crops and crop_scale != 1:
        fail("--crops are taken as they are, without --crop-scale", code=2)
    search = Search(max_faces, smallest, whole, order, crop_scale, crops)
    if films.are_films(inputs, {"--video": video, "--raw": raw, "--seconds": seconds}):
        films.refuse_given(context, "frame", "size", "order", "crops", "whole", "only")
        load = partial(load_system, system, provider=provider)
        films.normals(inputs, out, load, search, video, bits, raw, seconds, threads, json)
    options = Options(outputs, bits, search, frames, _pixels(size))

    def prepare(threads: int) -> Produce:
        return partial(produce, estimator=load_system(system, threads, provider), options=options)

    jobs.run(inputs, out, prepare, written(outputs, frames), threads, json, recursive)


def _pixels(size: str | None) -> int | Literal["native"] | None:
    """What `--size` says."""
    from facerelief.apps.normals import NATIVE
    from facerelief.fine import LEAST, MOST

    if size is None:
        return None
    if size == NATIVE:
        return NATIVE
    pixels = int(size) if size.isascii() and size.isdigit() and len(size) < 6 else 0
    if not LEAST <= pixels <= MOST:
        fail(f"--size is {LEAST} to {MOST} pixels, or native, not {plain(size)!r}", code=2)
    return pixels


@app.command()
def mesh(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    system: System = "prnet",
    format: Annotated[str, typer.Option(help="Comma-separated: glb, obj, ply.")] = "glb",
    head: Annotated[
        str, typer.Option(help="face, or full: neck and scalp too, which no photo shows.")
    ] = "face",
    texture: Annotated[int, typer.Option(help="Side of the texture: 256 to 4096 pixels.")] = 1024,
    landmarks: Annotated[
        str, typer.Option(help="Scheme: ibug68, jd106, facemesh468 or facemesh478.")
    ] = "ibug68",
    eye_distance: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            help="From pupil to pupil: the mesh is in true millimetres then.",
            show_default="a mean head's",
        ),
    ] = None,
    detail: Annotated[
        str,
        typer.Option(
            help="Relief on the mesh: none, shading, fused, learned, or a relief network's file."
        ),
    ] = "none",
    geometry: Annotated[
        str, typer.Option(help="coarse: relief as a normal map; displaced: in the vertices, too.")
    ] = "coarse",
    detail_size: Annotated[int, typer.Option(help="Side of relief's maps: 512 or 1024.")] = 512,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Give the farther side the nearer one's relief.")
    ] = False,
    invented: Annotated[
        bool,
        typer.Option(
            "--invented", help="Colour what symmetry invented red, at the GLB's vertices."
        ),
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Write the photo with mesh and landmarks, too.")
    ] = False,
    recursive: Recursive = False,
    max_faces: MaxFaces = None,
    smallest: Smallest = None,
    whole: Whole = False,
    order: Order = "size",
    crops: Crops = False,
    raw: Raw = False,
    seconds: Seconds = None,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Make textured meshes of the faces in photos, all with the same vertices.

    Example: facerelief mesh portrait.jpg -o out --format glb,obj

    Example: facerelief mesh clip.mp4 -o out

    For each face of portrait.jpg: portrait.glb, portrait_texture.jpg, portrait_texture_source.png
    (what of it was seen), portrait_depth.png, portrait_landmarks.json, portrait_pose.json and
    portrait_landmark_vertices.json (where the mesh has the points). Systems that tell coefficients
    (full_pose) write portrait_coefficients.json too. With --detail: portrait_displacement.png and
    .exr, portrait_tangent_normal.png (in the GLB, too) and portrait_detail_source.png.

    Of a film or camera, by full_pose: clip.glb, a head with ARKit's 52 morph targets that moves as
    in the film, clip_coefficients.csv, clip_faces.csv and clip_video.json.
    """
    begin_loading(inputs, [system], threads, provider)
    from facerelief.apps.mesh import GEOMETRIES, HEADS, RELIEF, SIDECARS, Options, produce
    from facerelief.apps.photos import Search
    from facerelief.catalogue import WeightsError
    from facerelief.detail import DETAILS, NORMALS, SIZES, begin, kind_of
    from facerelief.finding import ORDERS
    from facerelief.geometry.landmark_schemes import SCHEMES
    from facerelief.mesh_writing import WRITERS

    formats = jobs.split_choices("--format", format, WRITERS)
    if films.are_films(inputs, {"--raw": raw, "--seconds": seconds}):
        jobs.check_choice("--texture", texture, (256, 512, 1024, 2048, 4096))
        films.refuse_given(
            context, "format", "head", "landmarks", "eye_distance", "detail", "order"
        )
        films.refuse_given(context, "geometry", "detail_size", "mirror", "invented", "overlay")
        films.refuse_given(context, "whole", "crops")
        chosen = system if films.is_given(context, "system") else "full_pose"
        loaded = partial(load_shapes, provider=provider)
        search = Search(max_faces, smallest)
        films.mesh(inputs, out, chosen, loaded, search, texture, raw, seconds, threads, json)
    jobs.check_choice("--head", head, HEADS)
    jobs.check_choice("--texture", texture, (256, 512, 1024, 2048, 4096))
    jobs.check_choice("--landmarks", landmarks, SCHEMES)
    kind = kind_of(detail)
    if kind is None:
        jobs.check_choice("--detail", detail, ("none", *DETAILS))
    named = detail if detail in ("none", *DETAILS) else "learned"
    jobs.check_choice("--geometry", geometry, GEOMETRIES)
    jobs.check_choice("--detail-size", detail_size, SIZES[1:])
    if detail == "none" and (mirror or geometry != "coarse"):
        fail("--geometry displaced and --mirror need relief: see --detail", code=2)
    if invented and "glb" not in formats:
        fail("--invented colours vertices of GLBs: it needs glb among --format", code=2)
    jobs.check_choice("--order", order, ORDERS)
    try:
        options = Options(
            formats,
            head,
            texture,
            landmarks,
            overlay,
            Search(max_faces, smallest, whole, order, is_crop=crops),
            eye_distance,
            geometry,
            mirror,
            invented,
        )
    except ValueError as error:
        fail(f"--eye-distance: {error}", code=2)
    begin_loading(inputs, [NORMALS] * (detail == "fused"), threads, provider)
    left_out = (() if overlay else ("overlay",)) + (RELIEF if detail == "none" else ())
    beside = [SIDECARS[key] for key in SIDECARS if key not in left_out]

    def prepare(threads: int) -> Produce:
        if threads > 1:
            begin(detail_size if kind else None, named)
        estimator = load_shapes(system, threads, provider)
        try:
            maker = None if kind is None else kind(detail_size, threads)
        except WeightsError as error:
            fail(str(error), code=1)
        return partial(produce, estimator=estimator, options=options, maker=maker, kind=named)

    endings = {f".{name}": "the mesh" for name in formats} | dict(beside)
    jobs.run(inputs, out, prepare, endings, threads, json, recursive)


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
    from facerelief.apps.photos import process
    from facerelief.apps.products import Folder, Photo, Product
    from facerelief.apps.swap import plan
    from facerelief.encode import picture_format
    from facerelief.files import check_not_among, identities, remove_leftovers
    from facerelief.images import open_photo
    from facerelief.inputs import PhotoError

    try:
        picture_format(out.suffix)
        check_not_among([out], identities([photo, other]))
    except (OSError, ValueError) as error:
        fail(cannot_write(out, error), code=2)
    remove_leftovers(out.parent)
    systems = [
        load_shapes(system, threads or cores(), provider),
        load_system("default", threads or cores(), provider),
    ]
    try:
        theirs = Photo(open_photo(other), other.stem, str(other))
    except PhotoError as error:
        fail(str(error), code=1)

    def job(one: Photo) -> Product:
        shapes, masks = systems
        planned = plan(one, shapes, theirs, masks)
        del shapes, masks
        systems.clear()  # their memory serves what is written
        return planned.product(out.suffix)

    done = process(photo, out.stem, job, Folder(out.parent))
    if done.error is not None:
        fail(done.error, code=1)


@app.command()
def systems(json: Json = False) -> None:
    """List the trained networks, what they were trained on, and on what terms.

    Example: facerelief systems --json
    """
    from facerelief import catalogue

    entries = [*catalogue.entries(), *catalogue.details()]
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
    from facerelief.files import check_not_among, identities, remove_leftovers
    from facerelief.inputs import PhotoError

    try:
        check_not_among([out], identities([source] if reference is None else [source, reference]))
        remove_leftovers(out.parent)
        convert_file(source, out, to, from_, reference, bits)
    except FileExistsError as error:
        fail(cannot_write(out, error), code=2)
    except PhotoError as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(cannot_write(out, error), code=1)
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


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "path": str(entry.path)}
