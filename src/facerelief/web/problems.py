"""Answers to what cannot be done: RFC 9457's problem details, which say what to do instead."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from facerelief.inputs import in_line

MEDIA_TYPE = "application/problem+json"
#: Their schema, for the OpenAPI description.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457: what was wrong, and in `detail` what to do.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}
#: What a request for work may meet.
MEANINGS = {
    400: "The body is not what its headers say.",
    404: "The photo shows fewer faces.",
    408: "The body came too slowly.",
    413: "The body or the photo is too large.",
    415: "The photo is in no format that is read.",
    422: "A parameter is wrong, or the photo is broken or shows no face.",
    429: "This client has too many photos here already.",
    503: "All places are taken; Retry-After says when to come again.",
    504: "The photo took too long.",
}


class Problem(HTTPException):
    """`detail` is one sentence or two that say what was wrong and what to do."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, in_line(detail), headers)


def response(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """One problem as an answer."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = errors
    kept = {"cache-control": "no-store", **(headers or {})}
    return JSONResponse(content, status, headers=kept, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These for the OpenAPI description of an operation."""
    content = {MEDIA_TYPE: {"schema": SCHEMA}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": MEANINGS[status], "content": content} for status in statuses
    }
    for status in {429, 503} & found.keys():
        found[status]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
        }
    return found


def install(app: FastAPI) -> None:
    """Let all errors of `app` be answered so."""

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if not isinstance(error, Problem):
            detail = f"{detail.rstrip('.')}. {_advice(error.status_code, headers)}"
        return response(error.status_code, detail, headers)

    async def on_invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        errors = [_described(one) for one in error.errors()]
        text = "; ".join(f"{one['where']}: {one['what']}" for one in errors)
        return response(422, f"{text}. /openapi.json says what each takes.", errors=errors)

    async def on_fault(_: Request, error: Exception) -> JSONResponse:
        return response(500, "The server failed; it is no fault of the request. Its log says why.")

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_fault)


def _advice(status: int, headers: dict[str, str]) -> str:
    if status == 404:
        return "/openapi.json lists what there is."
    if status == 405:
        allowed = next((v for k, v in headers.items() if k.lower() == "allow"), "another one")
        return f"Use {allowed} here."
    if status == 400:
        return "Send multipart/form-data with the picture's file as `photo`."
    return "/openapi.json says how to ask."


def _described(error: Any) -> dict[str, str]:
    """One finding of FastAPI: where, and what to do."""
    place = [str(part) for part in error["loc"]]
    where = place[-1] if len(place) > 1 else "the body"
    what = str(error["msg"])
    if error["type"] == "string_pattern_mismatch":
        choices = str(error["ctx"]["pattern"]).strip("^()$").split("|")
        what = f"is one of {', '.join(choices)}"
    if place == ["body", "photo"]:
        what = "send the picture's file as the part `photo` of multipart/form-data"
    return {"where": in_line(where)[:100], "what": in_line(what)[:300]}
