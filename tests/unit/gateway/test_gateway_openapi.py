"""The OpenAPI document says what the gateway does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_fakes import fake_parts

from boonart.errors import BoonArtError
from boonart_services.gateway.main import create_app
from boonart_services.gateway.schemas import Problem, SearchRequest

OPERATIONS = {
    "search": ("post", "/v1/search"),
    "search_by_image": ("post", "/v1/search/image"),
    "get_work": ("get", "/v1/works/{work_id}"),
    "get_image": ("get", "/v1/works/{work_id}/image"),
    "get_thumbnail": ("get", "/v1/works/{work_id}/thumbnail"),
    "list_collections": ("get", "/v1/collections"),
    "get_map": ("get", "/v1/collections/{name}/map"),
    "get_map_works": ("get", "/v1/collections/{name}/map/works"),
    "create_collection": ("post", "/v1/collections"),
    "get_collection": ("get", "/v1/collections/{name}"),
    "delete_collection": ("delete", "/v1/collections/{name}"),
    "upsert_works": ("post", "/v1/collections/{name}/works"),
    "delete_works": ("post", "/v1/collections/{name}/works/delete"),
    "list_jobs": ("get", "/v1/jobs"),
    "get_job": ("get", "/v1/jobs/{job_id}"),
    "cancel_job": ("post", "/v1/jobs/{job_id}/cancel"),
    "follow_job": ("get", "/v1/jobs/{job_id}/events"),
    "get_facets": ("get", "/v1/facets"),
    "get_similar": ("get", "/v1/works/{work_id}/similar"),
    "get_limits": ("get", "/v1/limits"),
    "health": ("get", "/healthz"),
    "ready": ("get", "/readyz"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(fake_parts("c")).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_each_operation_has_its_stable_name(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    found = {operation["operationId"]: (method, path) for method, path, operation in operations(document)}
    assert found == OPERATIONS


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert "default" in operation["responses"]
        for status, response in operation["responses"].items():
            if status == "default" or int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = {reference.rsplit("/", 1)[1] for reference in references(document)}
    assert names <= document["components"]["schemas"].keys()
    assert "Problem" in names


def test_closed_sets_are_enums(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Target"]["enum"] == ["works", "descriptions"]
    assert "vitr" in schemas["Ranker"]["enum"]


def test_the_examples_are_valid(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for example in schemas["SearchRequest"]["examples"]:
        body = SearchRequest.model_validate(example)
        if body.filter is not None:
            body.filter.compiled()
    for example in schemas["Problem"]["examples"]:
        Problem.model_validate(example)


def test_nothing_may_be_null(document: dict[str, Any]) -> None:
    assert '"null"' not in json.dumps(document)


def test_a_picture_is_uploaded_as_a_form_with_a_file(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/search/image"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    form = document["components"]["schemas"]["ImageSearchForm"]
    assert form["required"] == ["image"]
    assert form["properties"]["image"]["type"] == "string"
    assert "binary" in str(form["properties"]["image"]) or "octet-stream" in str(form["properties"]["image"])


def test_exactly_one_way_to_ask_is_required(document: dict[str, Any]) -> None:
    ways = document["components"]["schemas"]["SearchRequest"]["oneOf"]
    assert [way["required"] for way in ways] == [["text"], ["image"], ["like"], ["query"]]


def test_errors_say_their_code_in_python_too() -> None:
    assert BoonArtError.code == "internal"
