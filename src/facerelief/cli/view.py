"""The commands that make things to look at: pages, and all at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from facerelief.cli import jobs
from facerelief.cli.common import (
    Json,
    Provider,
    Threads,
    app,
    cannot_write,
    cores,
    fail,
    load_system,
)
from facerelief.cli.jobs import Crops, Inputs, MaxFaces, Order, Out, Recursive, Smallest, Whole

if TYPE_CHECKING:
    from facerelief.apps.products import Produce


@app.command()
def view(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTO|FOLDER|MESH", help="A photo, what facerelief wrote, or a mesh."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")],
    systems: Annotated[
        str,
        typer.Option(help="Comma-separated systems to show side by side; see facerelief systems."),
    ] = "default,prnet",
    detail: Annotated[str, typer.Option(help="Relief on meshes: none, shading, fused.")] = "fused",
    max_faces: Annotated[int, typer.Option(min=1, max=6, help="Largest faces to show.")] = 3,
    smallest: Smallest = None,
    whole: Whole = False,
    order: Order = "size",
    crops: Crops = False,
    threads: Threads = None,
    provider: Provider = None,
) -> None:
    """Make one HTML page to look at a face: drag the light over the photo, turn the mesh.

    Example: facerelief view portrait.jpg -o portrait.html

    The page holds all that it shows, and opens in any browser without a network. Given a folder, it
    shows what facerelief normals, mesh or all wrote there; given a GLB, OBJ or PLY, that mesh.
    """
    from functools import partial

    from facerelief.apps.photos import Search, process
    from facerelief.apps.products import Folder
    from facerelief.apps.view.page import BEGINNING
    from facerelief.apps.view.photo import produce
    from facerelief.detail import available
    from facerelief.files import identities, remove_leftovers
    from facerelief.finding import ORDERS
    from facerelief.mesh_reading import SUFFIXES

    kinds = available()
    jobs.check_choice("--detail", detail, ("none", *kinds))
    jobs.check_choice("--order", order, ORDERS)
    _check_out(out, BEGINNING)
    if source.is_dir() or source.suffix.lower() in SUFFIXES:
        _show_stored(source, out)
    names = list(dict.fromkeys(systems.split(",")))
    threads = threads or cores()
    estimators = [load_system(name, threads, provider) for name in names]
    maker = kinds[detail](512, threads) if detail in kinds else None
    search = Search(max_faces, smallest, whole, order, is_crop=crops)
    job = partial(produce, estimators=estimators, maker=maker, search=search, name=out.name)
    remove_leftovers(out.parent)
    done = process(source, source.stem, job, Folder(out.parent, identities([source])))
    if done.error is not None:
        fail(done.error, code=1)
    _say(out)


def _show_stored(source: Path, out: Path) -> NoReturn:
    """The page of a folder or a mesh."""
    from facerelief.apps.view.page import page
    from facerelief.apps.view.stored import subject_of_mesh, subjects_of_folder
    from facerelief.files import check_not_among, identities, write_files
    from facerelief.inputs import PhotoError, in_line
    from facerelief.mesh_reading import MeshError

    try:
        check_not_among([out], identities([source]))
        subjects = subjects_of_folder(source) if source.is_dir() else [subject_of_mesh(source)]
        write_files({out: page(subjects, source.resolve().stem)})
    except (PhotoError, MeshError) as error:
        fail(str(error), code=1)
    except ValueError as error:
        fail(in_line(f"{source}: {error}"), code=1)
    except OSError as error:
        fail(cannot_write(out, error), code=1)
    _say(out)


def _check_out(out: Path, beginning: bytes) -> None:
    """Fails for a place where no page can be, or something that is not ours."""
    from facerelief.inputs import in_line

    if out.suffix.lower() not in (".html", ".htm"):
        fail(in_line(f"{out}: a page's name ends in .html"), code=2)
    if not out.parent.is_dir():
        fail(cannot_write(out, f"{out.parent} is no folder"), code=2)
    if out.exists():
        try:
            with open(out, "rb") as file:
                ours = file.read(len(beginning)) == beginning
        except OSError as error:
            fail(cannot_write(out, error), code=2)
        if not ours:
            text = f"{out} is not facerelief's; move it, or choose another name"
            fail(in_line(text), code=2)


def _say(out: Path) -> NoReturn:
    size = out.stat().st_size / 1e6
    typer.echo(f"{out}: {size:.1f} MB; open it in a browser")
    raise typer.Exit()


@app.command("all")
def everything(
    inputs: Inputs,
    out: Out,
    recursive: Recursive = False,
    max_faces: MaxFaces = None,
    smallest: Smallest = None,
    whole: Whole = False,
    order: Order = "size",
    crops: Crops = False,
    threads: Threads = None,
    provider: Provider = None,
    json: Json = False,
) -> None:
    """Make all there is of the faces in photos: normals, relit pictures, meshes, a page.

    Example: facerelief all portrait.jpg -o out

    What `facerelief normals` and `facerelief mesh --detail fused` write, with portrait_relit.jpg,
    portrait_coefficients.json (ARKit's expressions) and portrait.html, which shows it. What cannot
    be made is named, and the rest is written.
    """
    from functools import partial

    from facerelief.apps.everything import Options, Systems, produce, written
    from facerelief.apps.photos import Search
    from facerelief.finding import ORDERS

    jobs.check_choice("--order", order, ORDERS)
    options = Options(Search(max_faces, smallest, whole, order, is_crop=crops))

    def prepare(threads: int) -> Produce:
        systems = Systems.load(threads, lambda name: load_system(name, threads, provider))
        return partial(produce, systems=systems, options=options)

    jobs.run(inputs, out, prepare, written(), threads, json, recursive)
