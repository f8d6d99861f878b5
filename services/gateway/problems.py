"""Errors over HTTP: problem details (RFC 9457), one table of all kinds.

`docs/api.md` lists the same kinds; a test compares the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from boonart import errors

logger = logging.getLogger(__name__)

TYPE_BASE = "urn:boonart:problem:"
"""Prefix of each problem's stable type; the rest is its code."""
MEDIA_TYPE = "application/problem+json"
API_PATHS = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/static")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
MOST_FAULTS = 20
"""Faults that one problem lists; a body of thousands of wrong values needs no answer of the same length."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: what its code, status and title are."""

    code: str
    status: int
    title: str


def _of(error: type[errors.BoonArtError], status: int, title: str) -> tuple[type[errors.BoonArtError], Kind]:
    return error, Kind(error.code, status, title)


KINDS: Mapping[type[errors.BoonArtError], Kind] = dict(
    (
        _of(errors.InvalidRequest, 422, "The request cannot be used"),
        _of(errors.InvalidQuery, 422, "The query cannot be used"),
        _of(errors.InvalidFilter, 422, "The filter cannot be used"),
        _of(errors.IdempotencyMismatch, 422, "The key belongs to another request"),
        _of(errors.PictureError, 422, "The picture cannot be used"),
        _of(errors.UnsupportedPicture, 415, "Not a picture that can be read"),
        _of(errors.TruncatedPicture, 422, "The picture is damaged"),
        _of(errors.PictureTooLarge, 413, "The picture is too large"),
        _of(errors.NotFound, 404, "Not found"),
        _of(errors.CollectionNotFound, 404, "No such collection"),
        _of(errors.WorkNotFound, 404, "No such work"),
        _of(errors.CollectionExists, 409, "The collection exists already"),
        _of(errors.Unauthenticated, 401, "A key is needed"),
        _of(errors.Forbidden, 403, "The key does not reach this far"),
        _of(errors.ModelMismatch, 409, "The collection was made with other models"),
        _of(errors.WorkIndexError, 503, "The index cannot be used"),
        _of(errors.IndexLocked, 503, "Another process has the collection open"),
        _of(errors.IndexCorrupt, 503, "The collection cannot be opened"),
        _of(errors.Unavailable, 503, "Not available now"),
        _of(errors.RequestInProgress, 409, "The same request is under way"),
        _of(errors.Overloaded, 429, "Too many requests at once"),
        _of(errors.RateLimited, 429, "Too many requests"),
        _of(errors.DeadlineExceeded, 504, "No answer in time"),
        _of(errors.OutOfMemory, 503, "No memory left"),
        _of(errors.ModelError, 503, "The model cannot be used"),
        _of(errors.BoonArtError, 500, "Something went wrong"),
    )
)
"""The kind of each of our errors; a class without a line takes its nearest ancestor's."""

HTTP_KINDS: Mapping[int, Kind] = {
    400: Kind("bad-request", 400, "The request cannot be read"),
    404: Kind("no-such-address", 404, "Nothing is at this address"),
    405: Kind("method-not-allowed", 405, "This address does not take this method"),
    413: Kind("body-too-large", 413, "The body is too large"),
}
"""The kinds of errors that arise before a route is reached."""

INVALID = KINDS[errors.InvalidRequest]
INTERNAL = KINDS[errors.BoonArtError]


def kind_of(error: errors.BoonArtError) -> Kind:
    """The kind of an error."""
    for ancestor in type(error).__mro__:
        if (kind := KINDS.get(ancestor)) is not None:
            return kind
    return INTERNAL


def pointer(*parts: str | int) -> str:
    """JSON Pointer (RFC 6901) to a place in the request's body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def problem(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    faults: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response; a page that says the same where a person's browser asks."""
    show: Callable[[Request, Kind, str], Response] | None = getattr(request.app.state, "error_page", None)
    if show is not None and _from_a_person(request):
        response = show(request, kind, detail)
        response.headers.update(headers or {})
        return response
    body: dict[str, Any] = {
        "type": TYPE_BASE + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": request.url.path,
        "code": kind.code,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if faults:
        body["errors"] = faults[:MOST_FAULTS]
    return JSONResponse(body, kind.status, headers, MEDIA_TYPE)


def _from_a_person(request: Request) -> bool:
    return not request.url.path.startswith(API_PATHS) and "text/html" in request.headers.get("accept", "")


def from_error(request: Request, error: errors.BoonArtError, *, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of one of our errors."""
    kind = kind_of(error)
    if kind.status >= 500:
        # What passes by itself is no reason to wake anybody.
        level = logging.INFO if isinstance(error, errors.Unavailable) else logging.WARNING
        logger.log(level, "%s %s: %s", request.method, request.url.path, error)
    headers = dict(headers or {})
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    faults = []
    if error.field:
        # A field that is already a pointer names its place exactly; others are dotted paths.
        place = error.field if error.field.startswith("/") else pointer(*error.field.split("."))
        faults.append({"pointer": place, "code": error.code, "message": error.message})
    return problem(request, kind, str(error), faults=faults, headers=headers)


async def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, errors.BoonArtError):
        raise error
    return from_error(request, error)


async def _on_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(fault["type"] == "json_invalid" for fault in found):
        reason = str(found[0].get("ctx", {}).get("error", "malformed"))
        return problem(request, HTTP_KINDS[400], f"The body is not JSON: {reason}.")
    faults = [
        {
            "pointer": pointer(*fault["loc"][1:]),
            "code": str(fault["type"]),
            "message": str(fault["msg"]).removeprefix("Value error, "),
        }
        for fault in found
    ]
    first = faults[0]
    detail = f"{first['pointer'].removeprefix('/') or 'The body'}: {first['message']}."
    return problem(request, INVALID, detail, faults=faults)


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    kind = HTTP_KINDS.get(error.status_code) or Kind("http", error.status_code, str(error.detail))
    detail = str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = f"Nothing is at {request.url.path[:200]}."
    elif error.status_code == 405:
        detail = f"{request.url.path[:200]} does not take {request.method}."
        # Starlette names those of the first route that fits; others may stand at the same address.
        headers["Allow"] = ", ".join(_allowed(request))
    return problem(request, kind, detail, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that the address of a request takes."""
    routes = request.app.router.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": _routed(method)})[0] is Match.FULL for route in routes)
    ]


def _routed(method: str) -> str:
    """The method whose route answers; `Guard` has HEAD answered as GET."""
    return "GET" if method == "HEAD" else method


def install(app: FastAPI) -> None:
    """Answer every foreseen error of `app` with a problem document; `Guard` answers the others."""
    app.add_exception_handler(errors.BoonArtError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses for an operation's OpenAPI description, one a status, besides the general "any error"."""
    reasons: dict[int, list[str]] = {}
    for kind in (*KINDS.values(), *HTTP_KINDS.values()):
        reasons.setdefault(kind.status, []).append(kind.code)
    return {
        status: {
            "description": f"A problem: {', '.join(sorted(set(reasons[status])))}.",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
