"""Errors over HTTP: problem details (RFC 9457), one table from BoonArt's errors to statuses."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from boonart import errors

logger = logging.getLogger(__name__)

TYPE_BASE = "https://boonart.example/problems/"
"""Prefix of each problem's stable type; the last part is the error's code."""
MEDIA_TYPE = "application/problem+json"

# The first matching class counts, so subclasses stand before their bases.
STATUSES: tuple[tuple[type[errors.BoonArtError], int, str], ...] = (
    (errors.PictureTooLarge, 413, "The picture is too large"),
    (errors.UnsupportedPicture, 415, "Not a picture that can be read"),
    (errors.TruncatedPicture, 422, "The picture is damaged"),
    (errors.InvalidFilter, 422, "The filter cannot be used"),
    (errors.InvalidQuery, 422, "The query cannot be used"),
    (errors.InvalidRequest, 422, "The request cannot be used"),
    (errors.NotFound, 404, "Not found"),
    (errors.CollectionExists, 409, "The collection exists already"),
    (errors.ModelMismatch, 409, "The collection was made with other models"),
    (errors.Overloaded, 429, "Too many requests at once"),
    (errors.DeadlineExceeded, 504, "No answer in time"),
    (errors.Unavailable, 503, "Not available now"),
    (errors.WorkIndexError, 503, "The index cannot be used"),
    (errors.BoonArtError, 500, "Something went wrong"),
)


def status_of(error: errors.BoonArtError) -> tuple[int, str]:
    """HTTP status and title of an error."""
    return next((status, title) for kind, status, title in STATUSES if isinstance(error, kind))


def problem(
    request: Request,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    faults: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem document as a response."""
    body: dict[str, Any] = {
        "type": f"{TYPE_BASE}{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if faults:
        body["errors"] = faults
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def from_error(request: Request, error: errors.BoonArtError) -> JSONResponse:
    """The problem of one of our errors."""
    status, title = status_of(error)
    headers = {}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    faults = []
    if error.field:
        pointer = "/" + error.field.replace(".", "/")
        faults.append({"pointer": pointer, "code": error.code, "message": error.message})
    return problem(request, status, error.code, title, str(error), faults=faults, headers=headers)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.BoonArtError)
    if status_of(error)[0] >= 500:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
    return from_error(request, error)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {
            "pointer": "/" + "/".join(str(part) for part in fault["loc"][1:]),
            "code": str(fault["type"]),
            "message": str(fault["msg"]),
        }
        for fault in error.errors()
    ]
    first = faults[0] if faults else {"pointer": "", "message": "malformed"}
    detail = f"{first['pointer'] or 'The body'}: {first['message']}."
    return problem(request, 422, "invalid-request", "The request cannot be used", detail, faults=faults)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}.get(error.status_code, "http")
    headers = dict(error.headers or {})
    return problem(request, error.status_code, code, str(error.detail), str(error.detail), headers=headers)


async def _on_bug(request: Request, error: Exception) -> Response:
    logger.exception("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    return problem(
        request, 500, "internal", "Something went wrong", "An unexpected error; the server's log has the details."
    )


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(errors.BoonArtError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)
