"""The HTTP API: photos in as multipart, PNG, NPZ, GLB, JSON or zip out.

No annotations of the future here: FastAPI reads them, and they name what a server offers.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.responses import Response

from facerelief import __version__, catalogue
from facerelief.decoders import DECODERS
from facerelief.geometry.landmark_schemes import SCHEMES
from facerelief.web import answers, problems
from facerelief.web.answers import Answer, Desk
from facerelief.web.line import ClientGone, Line
from facerelief.web.settings import Settings

DESCRIPTION = """Faces in photos to surface normals, meshes, new light, landmarks and coefficients.

Each request is one photo, as the part `photo` of `multipart/form-data`; all else are parameters of
the query. Nothing is kept. Normals: x right, y up, z towards the viewer. Errors are
`application/problem+json` (RFC 9457), whose `detail` says what to do."""
_ALL = (400, 404, 408, 413, 415, 422, 429, 503, 504)
#: What the part `photo` may be.
_PARTS = {
    "encoding": {
        "photo": {
            "contentType": "image/jpeg, image/png, image/webp, image/avif, image/tiff, image/gif, "
            "image/bmp, image/jp2"
        }
    }
}
_CLOSED = 499  # what others, too, note where the client has left

Photo = Annotated[
    UploadFile,
    File(description="A picture's file: JPEG, PNG, WebP, TIFF, AVIF, ...; colours by its profile."),
]


def create_api(settings: Settings, desk: Desk, line: Line) -> FastAPI:
    """The application. `line` and `desk` are whose makes them; they may serve others, too."""
    app = FastAPI(
        title="facerelief",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # they would load their code from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    names = settings.names
    shaped = [name for name in names if DECODERS[catalogue.find(name).kind].makes_shapes]
    FaceNumber = Annotated[
        int,
        Query(
            ge=0,
            le=settings.max_faces - 1,
            description="Which face, of the formats of one; the largest is 0.",
        ),
    ]
    System = _choice(names, "Which network looks at the photo; GET /v1/systems tells of each.")

    async def work(request: Request, photo: UploadFile, job: Callable[[bytes], Answer]) -> Response:
        content = await photo.read()
        await photo.close()
        client = request.client.host if request.client else ""
        made = await line.run(
            partial(answers.faults, partial(job, content)),
            settings.max_seconds,
            client,
            partial(_gone, request),
        )
        headers = {
            "content-disposition": f'attachment; filename="{made.name}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        if made.media_type == answers.HTML:
            headers["content-security-policy"] = "sandbox allow-scripts"
        return Response(made.content, headers=headers, media_type=made.media_type)

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=_CLOSED)

    @app.get("/health", tags=["server"], summary="Whether it works, and how full it is")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "queue": line.state(), "systems": names}

    @app.get("/v1/systems", tags=["server"], summary="The networks to choose from")
    async def systems() -> list[dict[str, Any]]:
        return [describe(name) for name in names]

    @app.post("/v1/normals", **_operation("Surface normals", answers.PNG, answers.NPZ,
                                          answers.JSON, answers.ZIP))  # fmt: skip
    async def normals(
        request: Request,
        photo: Photo,
        system: Annotated[str, System] = names[0],
        format: Annotated[
            Literal["png", "npz", "json", "zip"],
            Query(description="png: of one face; npz, json, zip: of all."),
        ] = "png",
        bits: Annotated[Literal["8", "16"], Query(description="A channel, of PNGs.")] = "8",
        size: Annotated[int, Query(ge=64, le=1536, description="Pixels of a crop's side.")] = 256,
        face: FaceNumber = 0,
    ) -> Response:
        side = None if size == 256 else size
        job = partial(
            desk.normals, system=system, format=format, bits=int(bits), size=side, face=face
        )
        return await work(request, photo, job)

    @app.post("/v1/relight", **_operation("The photo under a lamp", answers.PNG, answers.JPEG))
    async def relight(
        request: Request,
        photo: Photo,
        system: Annotated[str, System] = names[0],
        format: Annotated[Literal["png", "jpg"], Query()] = "png",
        azimuth: Annotated[
            float,
            Query(ge=-180, le=180, description="Degrees; positive lights the picture's left."),
        ] = 45,
        elevation: Annotated[
            float, Query(ge=-90, le=90, description="Degrees; positive comes from above.")
        ] = 20,
        strength: Annotated[float, Query(ge=0, le=10, description="Of the lamp.")] = 1,
        keep: Annotated[float, Query(ge=0, le=1, description="Of the photo's own light.")] = 0.12,
    ) -> Response:
        job = partial(
            desk.relight,
            system=system,
            format=format,
            azimuth=azimuth,
            elevation=elevation,
            strength=strength,
            keep=keep,
        )
        return await work(request, photo, job)

    @app.post("/v1/view", **_operation("A page to look at, without requests", answers.HTML))
    async def view(
        request: Request, photo: Photo, system: Annotated[str, System] = names[0]
    ) -> Response:
        return await work(request, photo, partial(desk.view, system=system))

    @app.post("/v1/all", **_operation("All of it", answers.ZIP))
    async def all(
        request: Request, photo: Photo, system: Annotated[str, System] = names[0]
    ) -> Response:
        return await work(request, photo, partial(desk.all, system=system))

    if shaped:
        Shaped = _choice(shaped, "Which network makes the shape.")
        best = "prnet" if "prnet" in shaped else shaped[0]

        @app.post("/v1/mesh", **_operation("Textured meshes", answers.GLB, answers.PLY,
                                           answers.JSON, answers.ZIP))  # fmt: skip
        async def mesh(
            request: Request,
            photo: Photo,
            system: Annotated[str, Shaped] = best,
            format: Annotated[
                Literal["glb", "ply", "json", "zip"],
                Query(description="glb, ply: of one face; json, zip: of all."),
            ] = "glb",
            detail: Annotated[
                Literal["none", "shading", "fused"], Query(description="Relief on the mesh.")
            ] = "none",
            texture: Annotated[
                Literal["256", "512", "1024", "2048"], Query(description="Pixels of its side.")
            ] = "1024",
            face: FaceNumber = 0,
        ) -> Response:
            job = partial(
                desk.mesh,
                system=system,
                format=format,
                detail=detail,
                texture=int(texture),
                face=face,
            )
            return await work(request, photo, job)

        @app.post("/v1/landmarks", **_operation("Points in the photo", answers.JSON))
        async def landmarks(
            request: Request,
            photo: Photo,
            system: Annotated[str, Shaped] = best,
            scheme: Annotated[str, _choice(SCHEMES, "Which points.")] = "ibug68",
        ) -> Response:
            return await work(request, photo, partial(desk.landmarks, system=system, scheme=scheme))

    told = [name for name in shaped if catalogue.find(name).kind == "coefficients"]
    if told:

        @app.post("/v1/coefficients", **_operation("Expression, identity, light", answers.JSON))
        async def coefficients(
            request: Request,
            photo: Photo,
            system: Annotated[str, _choice(told, "Which network tells them.")] = told[0],
        ) -> Response:
            return await work(request, photo, partial(desk.coefficients, system=system))

    return app


def describe(name: str) -> dict[str, Any]:
    """One system, for people who choose."""
    entry = catalogue.find(name)
    return {
        "name": entry.name,
        "system": entry.system,
        "preset": entry.preset,
        "makes_shapes": DECODERS[entry.kind].makes_shapes,
        "tier": entry.tier,
        "licence": entry.licence,
        "training_data": list(entry.training_data),
        "accuracy": entry.accuracy,
    }


def _choice(names: Any, description: str) -> Any:
    """A parameter of the query that is one of `names`."""
    pattern = f"^({'|'.join(names)})$"
    return Query(description=description, pattern=pattern, json_schema_extra={"enum": list(names)})


def _operation(summary: str, *media_types: str) -> dict[str, Any]:
    """What the OpenAPI description says of one."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content = {
        kind: {"schema": {"type": "object"}} if kind == answers.JSON else binary
        for kind in media_types
    }
    return {
        "tags": ["photos"],
        "summary": summary,
        "response_class": Response,
        "openapi_extra": {"requestBody": {"content": {"multipart/form-data": _PARTS}}},
        "responses": {
            200: {"description": "The file that was asked for.", "content": content},
            **problems.responses(*_ALL),
        },
    }


async def _gone(request: Request) -> None:
    """Ends when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
