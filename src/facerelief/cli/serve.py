"""`facerelief serve`: the web app and its HTTP API."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from facerelief.cli.common import Threads, app, cores, fail

_NEEDS = ("fastapi", "uvicorn", "python_multipart")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to answer at. Others than this machine: see the docs.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 7860,
    system: Annotated[
        str | None,
        typer.Option(help="Comma-separated systems to offer.", show_default="all there are"),
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="The page, or the API alone.")] = (
        True
    ),
    max_megabytes: Annotated[float, typer.Option(help="Of an upload.")] = 20.0,
    max_megapixels: Annotated[float, typer.Option(help="Of a photo.")] = 40.0,
    max_faces: Annotated[int, typer.Option(help="Largest faces of a photo.")] = 5,
    max_seconds: Annotated[float, typer.Option(help="Of a photo's stay, waiting included.")] = 60.0,
    max_waiting: Annotated[int, typer.Option(min=0, help="Photos that wait for their turn.")] = 16,
    max_uploads: Annotated[int, typer.Option(help="Photos that are received at a time.")] = 64,
    max_per_client: Annotated[
        int | None, typer.Option(help="Photos of one address at a time.", show_default="no limit")
    ] = None,
    upload_seconds: Annotated[float, typer.Option(help="For a photo to come.")] = 30.0,
    keep_minutes: Annotated[
        float, typer.Option(help="That the page keeps a photo of a visitor who has not left.")
    ] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Photos worked on at a time.")] = 1,
    threads: Threads = None,
) -> None:
    """Serve the web app and the HTTP API, to this machine alone unless told otherwise.

    Example: facerelief serve --port 8000

    Open what it prints in a browser; photos go to POST /v1/normals, /v1/mesh, /v1/relight and
    others, which /openapi.json describes. Nothing is kept, and nothing is sent elsewhere. SIGTERM
    or Control-C lets it finish what it has begun.
    """
    needs = (*_NEEDS, "gradio") if page else _NEEDS
    if lacking := [name for name in needs if find_spec(name) is None]:
        fail(f"{lacking[0]} is missing: pip install 'facerelief[web]'", code=1)
    from facerelief.catalogue import UnknownSystemError, WeightsError
    from facerelief.inputs import in_line
    from facerelief.web.settings import Settings

    try:
        settings = Settings(
            systems=tuple(system.split(",")) if system else (),
            workers=workers,
            threads=max((threads or cores()) // workers, 1),
            waiting=max_waiting,
            uploads=max_uploads,
            per_client=max_per_client,
            max_megabytes=max_megabytes,
            max_megapixels=max_megapixels,
            max_faces=max_faces,
            max_seconds=max_seconds,
            upload_seconds=upload_seconds,
            keep_minutes=keep_minutes,
        )
    except (UnknownSystemError, ValueError) as error:
        fail(str(error), code=2)
    from facerelief.web.server import Application, listen
    from facerelief.web.server import serve as run

    try:
        at = listen(host, port)
    except OSError as error:
        fail(in_line(f"cannot answer at {host}, port {port}: {error.strerror or error}"), code=1)
    try:
        application = Application(settings, page)
        application.desk.networks.get(settings.names[0])  # damaged weights are told at once
    except (WeightsError, OSError) as error:
        fail(in_line(str(error)), code=1)

    def begun() -> None:
        shown, number = at.getsockname()[:2]
        shown = f"[{shown}]" if ":" in shown else shown
        typer.echo(f"http://{shown}:{number}  (Control-C ends it)")
        if host not in ("127.0.0.1", "localhost", "::1"):
            text = "others can reach it: put a proxy with TLS and a log-in in front of it"
            typer.echo(f"facerelief: {text}", err=True)

    run(application, at, begun)
