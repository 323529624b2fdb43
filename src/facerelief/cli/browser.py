"""The command that writes a page which runs the network by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facerelief.cli.common import System, app, cannot_write, fail


@app.command()
def browser(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; made if missing.")],
    ort: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|TGZ",
            help="The npm package onnxruntime-web, as a folder or as npm packs it.",
            show_default="node_modules/onnxruntime-web",
        ),
    ] = None,
    system: System = "default",
    webgpu: Annotated[
        bool, typer.Option("--webgpu", help="Also bring what the address ?gpu needs; 27 MB more.")
    ] = False,
) -> None:
    """Write a page that runs the network in a browser: photos and camera stay on the machine.

    Example: npm install onnxruntime-web@1.30.0 && facerelief browser -o page

    Then `python -m http.server -d page`, or any other server of files, and
    http://localhost:8000 in a browser. Nothing else is needed, and no other server is asked.
    """
    from facerelief import catalogue
    from facerelief.apps.browser.onnxruntime_web import USUAL, OrtError, how_to_get, read
    from facerelief.apps.browser.site import BEGINNING, INDEX, site
    from facerelief.files import make_folder, remove_leftovers, write_files
    from facerelief.inputs import in_line

    if ort is None and not USUAL.is_dir():
        text = f"the page needs onnxruntime-web: {how_to_get()}, or --ort says where it is"
        fail(text, code=2)
    _check_folder(out, INDEX, BEGINNING)
    try:
        runtime = read(ort or USUAL, webgpu)
        contents = site(catalogue.find(system), runtime)
        make_folder(out)
        remove_leftovers(out)
        write_files({out / name: content for name, content in contents.items()})
    except (catalogue.UnknownSystemError, OrtError) as error:
        fail(str(error), code=2)
    except (catalogue.WeightsError, ImportError) as error:
        fail(str(error), code=1)
    except OSError as error:
        fail(cannot_write(out, error), code=1)
    size = sum(map(len, contents.values())) / 1e6
    typer.echo(in_line(f"{out}: {size:.1f} MB; python -m http.server -d {out} shows it"))


def _check_folder(out: Path, index: str, beginning: bytes) -> None:
    """Fails for a folder that holds something else than a page of ours."""
    from facerelief.inputs import in_line

    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
        with open(out / index, "rb") as file:
            if file.read(len(beginning)) == beginning:
                return
    except OSError:
        pass  # no folder, or one without a page
    fail(in_line(f"{out} holds what is not facerelief's page; choose another folder"), code=2)
