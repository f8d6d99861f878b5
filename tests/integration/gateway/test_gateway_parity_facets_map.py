"""Facets, works like one, and the map: the same over REST and gRPC."""

import json
from typing import Any

import pytest
from doors_support import TREE, TREE_MESSAGE, Doors, Filter, as_json, refusal, without_times
from gateway_support import COLLECTION

from boonart.rpc.search_mapping import from_facets, from_stored_picture
from boonart.rpc.v1 import search_pb2
from boonart_services.gateway.answers import facets_json, picture_json

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

FACETS: dict[str, tuple[dict[str, Any], search_pb2.GetFacetsRequest]] = {
    "one field": ({"field": "artist"}, search_pb2.GetFacetsRequest(fields=["artist"])),
    "several fields": (
        {"field": ["artist", "century", "framed"]},
        search_pb2.GetFacetsRequest(fields=["artist", "century", "framed"]),
    ),
    "under a filter": (
        {"field": "artist", "filter": json.dumps(TREE)},
        search_pb2.GetFacetsRequest(fields=["artist"], where=TREE_MESSAGE),
    ),
    "of a collection by name": (
        {"field": "year", "collection": "other"},
        search_pb2.GetFacetsRequest(fields=["year"], collection="other"),
    ),
}


@pytest.mark.parametrize("name", FACETS)
async def test_the_same_values_are_counted(doors: Doors, name: str) -> None:
    asked, message = FACETS[name]
    by_rest = await doors.rest.get("/v1/facets", params=asked)
    assert by_rest.status_code == 200, by_rest.text
    by_rpc = await doors.rpc.GetFacets(message)
    counted = {"collection": by_rpc.collection, "facets": facets_json(from_facets(by_rpc.facets))}
    assert counted == by_rest.json()
    assert all(counted["facets"].values())


@pytest.mark.parametrize(
    ("asked", "message", "expected"),
    [
        ({"field": "nothing"}, search_pb2.GetFacetsRequest(fields=["nothing"]), "invalid-filter"),
        ({}, search_pb2.GetFacetsRequest(), "invalid-request"),
        ({"field": ["artist"] * 17}, search_pb2.GetFacetsRequest(fields=["artist"] * 17), "invalid-request"),
        (
            {"field": "artist", "collection": "nowhere"},
            search_pb2.GetFacetsRequest(fields=["artist"], collection="nowhere"),
            "collection-not-found",
        ),
        (
            {"field": "artist", "filter": '{"exists": {"field": "nothing"}}'},
            search_pb2.GetFacetsRequest(
                fields=["artist"], where=Filter(exists=search_pb2.ExistsFilter(field="nothing"))
            ),
            "invalid-filter",
        ),
    ],
)
async def test_facets_that_cannot_be_counted_are_refused_alike(
    doors: Doors, asked: dict[str, Any], message: search_pb2.GetFacetsRequest, expected: str
) -> None:
    by_rest = await doors.rest.get("/v1/facets", params=asked)
    by_rpc = await refusal(doors.rpc.GetFacets(message))
    assert by_rest.json()["code"] == by_rpc.reason == expected


async def test_works_like_one_have_an_address_of_their_own(doors: Doors) -> None:
    first = (await doors.rest.get("/v1/works/work%2Fred/similar", params={"limit": 2})).json()
    by_rpc = await doors.rpc.Search(search_pb2.SearchRequest(work_id="work/red", limit=2))
    assert without_times(first) == as_json(by_rpc)
    assert "work/red" not in [hit["work"]["id"] for hit in first["hits"]]
    following = {"limit": 3, "cursor": first["next_cursor"]}
    rest = (await doors.rest.get("/v1/works/work%2Fred/similar", params=following)).json()
    whole = (await doors.rest.post("/v1/search", json={"like": "work/red", "limit": 5})).json()
    assert first["hits"] + rest["hits"] == whole["hits"]
    assert (await doors.rest.get("/v1/works/none/similar")).json()["code"] == "work-not-found"


async def test_the_map_is_the_same_by_both_doors(doors: Doors) -> None:
    address = f"/v1/collections/{COLLECTION}/map"
    asked = search_pb2.GetMapRequest(collection=COLLECTION)
    begun = await doors.rpc.GetMap(asked)
    assert (begun.tag, begun.count, begun.places) == ("", 0, b"")
    events = [event async for event in doors.rpc.FollowJob(search_pb2.FollowJobRequest(job_id=begun.job.id))]
    assert (events[-1].event, events[-1].job.state) == ("done", search_pb2.JOB_STATE_SUCCEEDED)
    by_rpc = await doors.rpc.GetMap(asked)
    by_rest = await doors.rest.get(address)
    assert by_rest.headers["etag"] == f'"{by_rpc.tag}"'
    assert by_rpc.places + by_rpc.colours == by_rest.content
    assert (len(by_rpc.places), by_rpc.HasField("job")) == (4 * by_rpc.count, False)
    known = await doors.rpc.GetMap(search_pb2.GetMapRequest(collection=COLLECTION, tag=by_rpc.tag))
    assert (known.tag, known.count, known.places, known.colours) == (by_rpc.tag, by_rpc.count, b"", b"")

    wanted = [2, 0, by_rpc.count]
    at = await doors.rpc.GetMapWorks(
        search_pb2.GetMapWorksRequest(collection=COLLECTION, tag=by_rpc.tag, points=wanted)
    )
    listed = (await doors.rest.get(f"{address}/works", params={"v": by_rpc.tag, "points": "2,0,999"})).json()["works"]
    assert [(item.point, item.work.id, item.work.title) for item in at.works] == [
        (item["point"], item["id"], item["title"]) for item in listed
    ]
    assert [item.point for item in at.works] == [2, 0], "a point that the map does not have is left out"
    shown = [picture_json(COLLECTION, item.work.id, from_stored_picture(item.picture)) for item in at.works]
    assert shown == [item["picture"] for item in listed]


@pytest.mark.parametrize(
    ("tag", "points", "expected"),
    [("another", [0], "not-found"), ("another", [], "invalid-request"), ("another", [0] * 201, "invalid-request")],
)
async def test_points_that_mean_nothing_are_refused_alike(
    doors: Doors, tag: str, points: list[int], expected: str
) -> None:
    asked = {"v": tag, "points": ",".join(map(str, points))}
    by_rest = await doors.rest.get(f"/v1/collections/{COLLECTION}/map/works", params=asked)
    message = search_pb2.GetMapWorksRequest(collection=COLLECTION, tag=tag, points=points)
    assert by_rest.json()["code"] == (await refusal(doors.rpc.GetMapWorks(message))).reason == expected
