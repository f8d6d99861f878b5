"""The OpenAPI document: FastAPI's own, with every error a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from boonart_services.gateway import problems
from boonart_services.gateway.access import OPEN
from boonart_services.gateway.collection_schemas import JobEvent
from boonart_services.gateway.schemas import Problem

DESCRIPTION = """\
Every error is `application/problem+json` (RFC 9457) with a stable `type` and `code`; `errors` names the fields at
fault. A field without a value is left out rather than null. Further fields and enum values may be added; existing ones
stay."""
TAGS = [
    {"name": "search", "description": "By text, by picture, by an existing work."},
    {"name": "works", "description": "Works and their pictures."},
    {"name": "collections", "description": "What can be searched; works in and out."},
    {"name": "jobs", "description": "Long work in the background."},
    {"name": "health", "description": "For whoever runs it."},
]


WAYS = {"text", "image", "like", "query"}
"""What one can search with."""
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key from `boonart keys create`."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same, in a header of its own."},
}


def install(app: FastAPI) -> None:
    """Have `app` describe itself with `document`, made once."""

    def made_once() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = made_once  # type: ignore[method-assign]  # FastAPI's documented way


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `app`."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = made["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    # Its schema is that of each event, not of an answer, so that FastAPI does not know of it.
    schemas["JobEvent"] = JobEvent.model_json_schema()
    made["components"]["securitySchemes"] = SECURITY
    # Where a server lets people in without a key, none is needed: {} stands for that.
    made["security"] = [{}, *({name: []} for name in SECURITY)]
    anything = {
        "description": "Any other error, as a problem.",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for address, path in made["paths"].items():
        for operation in path.values():
            if address.startswith(OPEN):
                operation["security"] = []
            described = operation["responses"].get("422", {})
            if problems.MEDIA_TYPE not in described.get("content", {}):
                # FastAPI's own validation error, which this application never answers with.
                operation["responses"].pop("422", None)
            operation["responses"]["default"] = anything
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _forget_nulls(made)
    for name in ("SearchRequest", "QueryPartBody"):
        # Exactly one of them is given: a client that fills in defaults must not send all of them.
        for way in WAYS & schemas[name]["properties"].keys():
            schemas[name]["properties"][way].pop("default", None)
    return made


def _forget_nulls(value: Any) -> None:
    """Optional fields are left out rather than null, in requests and answers; pydantic describes them as both."""
    if isinstance(value, list):
        for inner in value:
            _forget_nulls(inner)
    elif isinstance(value, dict):
        choices = value.get("anyOf")
        if isinstance(choices, list) and {"type": "null"} in choices:
            choices.remove({"type": "null"})
            if value.get("default", ...) is None:
                del value["default"]
            if len(choices) == 1:
                del value["anyOf"]
                value |= choices[0]
        for inner in list(value.values()):
            _forget_nulls(inner)
