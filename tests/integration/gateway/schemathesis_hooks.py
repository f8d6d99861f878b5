"""What schemathesis needs to know of the coloured paintings, and a check of its own.

Loaded by `schemathesis.toml`. Half of the requests are led to what is there; the others stay as they are made.
"""

import base64
import json
from typing import Any

import schemathesis
from gateway_support import painting

from boonart.encoders.fake import COLOURS

COLLECTION = "colours"
PICTURE = painting(COLOURS["blue"])
FIELDS = ("artist", "title", "year", "framed")
REFUSALS_OF_FORM = {"invalid-request", "bad-request", "no-such-address", "method-not-allowed"}
"""Codes of requests that are wrong whatever the server holds: the description must rule them out."""


def led(value: object) -> bool:
    """Whether a request is led to what is there: half of them, the same ones each time."""
    return sum(json.dumps(value, default=str, sort_keys=True).encode()) % 2 == 0


def valid(case: schemathesis.Case) -> bool:
    """Whether schemathesis made the request to be valid."""
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """Lead valid requests to works, collections and pictures that are there."""
    if not valid(case):
        return case
    name = case.operation.definition.raw["operationId"]
    if name == "delete_collection" and case.path_parameters["name"] != COLLECTION:
        case.query = {**(case.query or {}), "confirm": case.path_parameters["name"]}
    if name in {"get_work", "get_image", "get_thumbnail", "get_similar"} and led(case.path_parameters):
        case.path_parameters = {"work_id": "work/red"}
        case.query = {**(case.query or {}), "collection": COLLECTION}
    if name == "get_facets" and led(case.query):
        case.query = {"collection": COLLECTION, "field": list(FIELDS[: len(case.query["field"])])}
    if name in {"get_map", "get_map_works"} and led(case.path_parameters):
        case.path_parameters = {"name": COLLECTION}
    if name in {"upsert_works", "delete_works"} and led(case.body):
        case.path_parameters = {"name": COLLECTION}
    if isinstance(case.body, dict) and led(case.body):
        _lead(case.body, name)
    return case


def _lead(body: dict[str, Any], name: str) -> None:
    if name == "search_by_image":
        body["image"] = PICTURE
        body.pop("filter", None)
    elif "image" in body:
        body["image"] = base64.b64encode(PICTURE).decode()
    if name.startswith("search"):
        body.pop("cursor", None)
        body["collection"] = COLLECTION
        body.pop("collections", None)
        body.pop("facets", None)
        if "like" in body:
            body["like"] = "work/red"
    for record in body.get("works", ()) if name == "upsert_works" else ():
        record["image"] = base64.b64encode(PICTURE).decode()
    _known_fields(body.get("filter"))


def _known_fields(node: object) -> None:
    if isinstance(node, list):
        for inner in node:
            _known_fields(inner)
    elif isinstance(node, dict):
        if isinstance(node.get("field"), str):
            node["field"] = FIELDS[len(node["field"]) % len(FIELDS)]
        for inner in node.values():
            _known_fields(inner)


@schemathesis.check
def a_form_that_is_described_is_taken(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """A request of the described form is refused for what it says at most, under a code that says which."""
    if not valid(case) or not 400 <= response.status_code < 500:
        return
    problem = response.json()
    confirming = [fault["pointer"] for fault in problem.get("errors", ())] == ["/confirm"]
    assert problem["code"] not in REFUSALS_OF_FORM or confirming, problem["detail"]
