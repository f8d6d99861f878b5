"""What the server says that it takes is what it takes, over REST and gRPC alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from doors_support import Doors, Filter, negated, refusal
from gateway_support import COLLECTION, assert_problem, gateway

from boonart.rpc.v1 import search_pb2
from boonart_services.gateway.collection_schemas import LimitsResponse

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

OWN = {"request_bytes", "filter_depth"}
"""Limits that each door has for itself."""


async def limits(doors: Doors) -> dict[str, Any]:
    response = await doors.rest.get("/v1/limits")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def test_both_doors_say_the_same(doors: Doors) -> None:
    by_rest = await limits(doors)
    by_rpc = await doors.rpc.GetLimits(search_pb2.GetLimitsRequest())
    for name, value in by_rest.items():
        assert name in OWN or getattr(by_rpc, name) == value, name
    assert set(by_rest) == {field.name for field in by_rpc.DESCRIPTOR.fields} == set(LimitsResponse.model_fields)


async def test_what_is_within_a_limit_is_taken_and_one_more_is_not(doors: Doors) -> None:
    most = await limits(doors)
    ids = [str(number) for number in range(most["delete_works"] + 1)]
    field = {"exists": {"field": "title"}}
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("/v1/search", {"text": "x", "limit": most["hits"]}, {"limit": most["hits"] + 1}),
        ("/v1/search", {"text": "x", "candidates": most["candidates"]}, {"candidates": most["candidates"] + 1}),
        (
            "/v1/search",
            {"query": [{"text": "red"}] * most["query_parts"]},
            {"query": [{"text": "red"}] * (most["query_parts"] + 1)},
        ),
        (
            "/v1/search",
            {"text": "x", "facets": ["artist"] * most["facets"]},
            {"facets": ["artist"] * (most["facets"] + 1)},
        ),
        (
            "/v1/search",
            {"text": "x", "filter": nested(field, most["filter_depth"])},
            {"filter": nested(field, most["filter_depth"] + 1)},
        ),
        (f"/v1/collections/{COLLECTION}/works/delete", {"ids": ids[:-1]}, {"ids": ids}),
    ]
    for address, taken, more in asked:
        assert (await doors.rest.post(address, json=taken)).status_code == 200, json.dumps(taken)[:80]
        assert (await doors.rest.post(address, json={**taken, **more})).status_code == 422, json.dumps(more)[:80]


def nested(tree: dict[str, Any], levels: int) -> dict[str, Any]:
    for _ in range(levels - 1):
        tree = {"not": tree}
    return tree


async def test_grpc_says_how_deep_its_own_filters_may_be(doors: Doors) -> None:
    depth = (await doors.rpc.GetLimits(search_pb2.GetLimitsRequest())).filter_depth
    where = Filter(exists=search_pb2.ExistsFilter(field="title"))
    for _ in range(depth - 1):
        where = negated(where)
    await doors.rpc.Search(search_pb2.SearchRequest(text="red", where=where))
    refused = await refusal(doors.rpc.Search(search_pb2.SearchRequest(text="red", where=negated(where))))
    assert refused.reason == "invalid-filter"


async def test_the_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_picture_bytes=4096, rate_limit=2, request_deadline=7.5) as here:
        found = (await here.client.get("/v1/limits")).json()
        assert (found["picture_bytes"], found["requests_per_minute"], found["request_seconds"]) == (4096, 2, 7.5)
        body = json.dumps({"text": "x" * found["request_bytes"]})
        refused = await here.client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
        assert_problem(refused, 413, "body-too-large")
        assert (await here.client.get("/v1/limits")).status_code == 429
