"""What REST offers, gRPC offers: the same request by both doors gives the same answer, and the same error."""

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from gateway_support import COLLECTION, client_of, colour_parts, painting
from google.rpc import error_details_pb2, status_pb2
from page_gateway import ColourReranker
from rpc_support import serving_settings

from boonart.encoders.fake import COLOURS
from boonart.keys import KeyFile
from boonart.keys import Scope as KeyScope
from boonart.rpc.channels import ChannelOptions
from boonart.rpc.search_mapping import (
    from_collection,
    from_facets,
    from_search_response,
    from_stored_picture,
    from_work,
)
from boonart.rpc.status import DETAILS_KEY
from boonart.rpc.v1 import common_pb2, search_pb2, search_pb2_grpc
from boonart_services.gateway.access import Rules
from boonart_services.gateway.answers import answer_json, facets_json, picture_json, work_json
from boonart_services.gateway.grpc_access import GrpcAccess
from boonart_services.gateway.grpc_search import search_server
from boonart_services.gateway.main import create_app

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PICTURE = painting(COLOURS["blue"])
BASE64 = base64.b64encode(PICTURE).decode()
Search = search_pb2.SearchRequest
Part = search_pb2.QueryPart
Filter = search_pb2.Filter


def equals(field: str, text: str) -> search_pb2.Filter:
    return Filter(equals=search_pb2.EqualsFilter(field=field, value=search_pb2.Value(text=text)))


def group(*filters: search_pb2.Filter) -> search_pb2.FilterGroup:
    return search_pb2.FilterGroup(filters=filters)


def negated(inner: search_pb2.Filter) -> search_pb2.Filter:
    made = Filter()
    getattr(made, "not").CopyFrom(inner)
    return made


BY_ADA = {"eq": {"field": "artist", "value": "Ada Grey"}}
TREE = {
    "and": [
        {"or": [BY_ADA, {"in": {"field": "year", "values": [1881, 1882]}}]},
        {"not": {"eq": {"field": "framed", "value": False}}},
        {"range": {"field": "year", "gte": 1880, "lte": 1886}},
        {"exists": {"field": "description"}},
        {"words": {"field": "description", "text": "square ground"}},
        {"date": {"from": 1880, "to": 1890}},
    ]
}
TREE_MESSAGE = Filter(
    all=group(
        Filter(
            any=group(
                equals("artist", "Ada Grey"),
                Filter(
                    one_of=search_pb2.OneOfFilter(
                        field="year", values=[search_pb2.Value(integer=1881), search_pb2.Value(integer=1882)]
                    )
                ),
            )
        ),
        negated(Filter(equals=search_pb2.EqualsFilter(field="framed", value=search_pb2.Value(flag=False)))),
        Filter(range=search_pb2.RangeFilter(field="year", minimum=1880, maximum=1886)),
        Filter(exists=search_pb2.ExistsFilter(field="description")),
        Filter(words=search_pb2.WordsFilter(field="description", text="square ground")),
        Filter(date=search_pb2.DateFilter(earliest=1880, latest=1890)),
    )
)
SEARCHES: dict[str, tuple[dict[str, Any], search_pb2.SearchRequest]] = {
    "a text": ({"text": "a red square"}, Search(text="a red square")),
    "a picture": ({"image": BASE64}, Search(picture=PICTURE)),
    "a picture for works": (
        {"image": BASE64, "target": "works"},
        Search(picture=PICTURE, target=search_pb2.TARGET_WORKS),
    ),
    "a work": ({"like": "work/red"}, Search(work_id="work/red")),
    "parts with weights": (
        {"query": [{"like": "work/red"}, {"text": "blue"}, {"image": BASE64, "weight": -0.5}]},
        Search(parts=[Part(work_id="work/red"), Part(text="blue"), Part(picture=PICTURE, weight=-0.5)]),
    ),
    "keyword": ({"text": "yellow", "mode": "keyword"}, Search(text="yellow", mode=search_pb2.MODE_KEYWORD)),
    "hybrid": (
        {"text": '"red ground"', "mode": "hybrid", "keyword_weight": 2.0},
        Search(text='"red ground"', mode=search_pb2.MODE_HYBRID, keyword_weight=2.0),
    ),
    "an exact title": (
        {"text": "green SQUARE", "mode": "hybrid"},
        Search(text="green SQUARE", mode=search_pb2.MODE_HYBRID),
    ),
    "a filter of every kind": ({"text": "red", "filter": TREE}, Search(text="red", where=TREE_MESSAGE)),
    "facets": (
        {"text": "red", "facets": ["artist", "century", "framed"]},
        Search(text="red", facets=["artist", "century", "framed"]),
    ),
    "facets of the candidates": (
        {"text": "yellow", "mode": "keyword", "facets": ["artist"], "facet_scope": "candidates"},
        Search(
            text="yellow",
            mode=search_pb2.MODE_KEYWORD,
            facets=["artist"],
            facet_scope=search_pb2.FACET_SCOPE_CANDIDATES,
        ),
    ),
    "one hit an artist": ({"text": "red", "per_artist": 1}, Search(text="red", per_artist=1)),
    "diversity": ({"text": "red", "diversity": 0.9}, Search(text="red", diversity=0.9)),
    "a least relevance": (
        {"text": "a red square", "min_relevance": 0.5},
        Search(text="a red square", min_relevance=0.5),
    ),
    "without reranking": ({"text": "red", "rerank": "none"}, Search(text="red", rerank=common_pb2.RANKER_NONE)),
    "few candidates": ({"text": "red", "candidates": 2}, Search(text="red", candidates=2)),
    "explanations": ({"text": "a red square", "explain": True}, Search(text="a red square", explain=True)),
    "several collections": (
        {"text": "red", "collections": [COLLECTION, "other"], "limit": 3},
        Search(text="red", collections=[COLLECTION, "other"], limit=3),
    ),
    "a collection by name": ({"text": "red", "collection": "other"}, Search(text="red", collection="other")),
}
ERRORS: dict[str, tuple[dict[str, Any], search_pb2.SearchRequest, grpc.StatusCode]] = {
    "nothing": ({"text": " "}, Search(text=" "), grpc.StatusCode.INVALID_ARGUMENT),
    "too long": ({"text": "x" * 3000}, Search(text="x" * 3000), grpc.StatusCode.INVALID_ARGUMENT),
    "an unknown field": (
        {"text": "x", "filter": {"eq": {"field": "nothing", "value": "x"}}},
        Search(text="x", where=equals("nothing", "x")),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "an unknown collection": (
        {"text": "x", "collection": "nowhere"},
        Search(text="x", collection="nowhere"),
        grpc.StatusCode.NOT_FOUND,
    ),
    "both one collection and several": (
        {"text": "x", "collection": "other", "collections": ["other"]},
        Search(text="x", collection="other", collections=["other"]),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "an unknown work": ({"like": "none"}, Search(work_id="none"), grpc.StatusCode.NOT_FOUND),
    "no picture": (
        {"image": base64.b64encode(b"no picture").decode()},
        Search(picture=b"no picture"),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "a damaged cursor": (
        {"text": "x", "cursor": "damaged"},
        Search(text="x", cursor="damaged"),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "a facet of nothing": (
        {"text": "x", "facets": ["nothing"]},
        Search(text="x", facets=["nothing"]),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
}


@dataclass
class Doors:
    rest: httpx.AsyncClient
    rpc: "search_pb2_grpc.SearchServiceAsyncStub"
    channel: grpc.aio.Channel


@contextlib.asynccontextmanager
async def opened(home: Path, access: GrpcAccess | None = None) -> AsyncIterator[Doors]:
    names = (COLLECTION, "other")
    async with colour_parts(
        home,
        collections=names,
        default_collection=COLLECTION,
        reranker=ColourReranker(),  # type: ignore[arg-type]
    ) as parts:
        app = create_app(parts)
        server = search_server(app.state.context, serving_settings(), access)
        port = await server.start()
        options = ChannelOptions().arguments()
        async with client_of(app) as rest, grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            yield Doors(rest, search_pb2_grpc.SearchServiceStub(channel), channel)
        await server.stop()
        await app.state.context.jobs.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with opened(tmp_path_factory.mktemp("home")) as both:
        yield both


def as_json(message: search_pb2.SearchResponse) -> dict[str, Any]:
    """What gRPC answered, in the form of REST."""
    body = answer_json(from_search_response(message), message.collection, {}, 0.0, message.next_cursor)
    return without_times(body)


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"stages", "took_ms"}}


def reason(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    metadata: Any = error.trailing_metadata()
    assert status_pb2.Status.FromString(dict(metadata)[DETAILS_KEY]).details[0].Unpack(info)
    return info.reason


@pytest.mark.parametrize("name", SEARCHES)
async def test_the_same_search_has_the_same_answer(doors: Doors, name: str) -> None:
    body, message = SEARCHES[name]
    by_rest = await doors.rest.post("/v1/search", json=body)
    assert by_rest.status_code == 200, by_rest.text
    by_rpc = await doors.rpc.Search(message)
    assert as_json(by_rpc) == without_times(by_rest.json())
    assert set(by_rpc.stages) <= set(by_rest.json()["stages"])
    assert by_rest.json()["hits"]


async def test_every_option_of_rest_is_tried() -> None:
    """A field that REST gains and gRPC lacks shows here."""
    from boonart_services.gateway.schemas import SearchRequest

    tried = {name for body, _ in SEARCHES.values() for name in body} | {"cursor"}
    assert set(SearchRequest.model_fields) == tried


@pytest.mark.parametrize("name", ERRORS)
async def test_the_same_mistake_has_the_same_error(doors: Doors, name: str) -> None:
    body, message, code = ERRORS[name]
    by_rest = await doors.rest.post("/v1/search", json=body)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await doors.rpc.Search(message)
    assert caught.value.code() is code
    assert reason(caught.value) == by_rest.json()["code"]


async def test_pages_may_change_doors(doors: Doors) -> None:
    whole = as_json(await doors.rpc.Search(Search(text="a red square")))["hits"]
    first = (await doors.rest.post("/v1/search", json={"text": "a red square", "limit": 3})).json()
    second = await doors.rpc.Search(Search(text="a red square", limit=2, cursor=first["next_cursor"]))
    body = {"text": "a red square", "limit": 10, "cursor": second.next_cursor}
    third = (await doors.rest.post("/v1/search", json=body)).json()
    assert first["hits"] + as_json(second)["hits"] + third["hits"] == whole
    assert "next_cursor" not in third


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
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await doors.rpc.GetFacets(message)
    assert by_rest.json()["code"] == reason(caught.value) == expected


async def test_works_like_one_have_an_address_of_their_own(doors: Doors) -> None:
    first = (await doors.rest.get("/v1/works/work%2Fred/similar", params={"limit": 2})).json()
    by_rpc = await doors.rpc.Search(Search(work_id="work/red", limit=2))
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
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await doors.rpc.GetMapWorks(search_pb2.GetMapWorksRequest(collection=COLLECTION, tag=tag, points=points))
    assert by_rest.json()["code"] == reason(caught.value) == expected


OF_THE_PROCESS = {"health", "ready"}
"""Operations that gRPC has as its standard health service."""


async def test_every_operation_of_rest_has_a_method() -> None:
    """One that REST gains and gRPC lacks shows here, and so does the other way round."""
    root = Path(__file__).parents[3]
    document = json.loads((root / "docs" / "openapi.json").read_text(encoding="utf-8"))
    operations = {
        f"{verb.upper()} {re.sub('{.*?}', '{}', address)}"
        for address, path in document["paths"].items()
        for verb, operation in path.items()
        if operation["operationId"] not in OF_THE_PROCESS
    }
    table = re.findall(r"^\| `([A-Z]\w+)` \| (.*?) \|", (root / "docs" / "api.md").read_text(encoding="utf-8"), re.M)
    paired = set()
    for _, addresses in table:
        last = ""
        for part in re.findall(r"`([^`]+)`", addresses):
            verb, _, path = part.rpartition(" ")
            verb = verb or last.partition(" ")[0]
            # "`GET /v1/works/{id}/image`, `/thumbnail`" names the other end of the same address.
            whole = path if path.startswith("/v1") else last.partition(" ")[2].rpartition("/")[0] + path
            last = f"{verb} {whole}"
            paired.add(re.sub("{.*?}", "{}", last))
    assert paired == operations
    assert {name for name, _ in table} == set(METHODS)


async def test_works_and_pictures(doors: Doors) -> None:
    rest = (await doors.rest.get("/v1/works/work%2Fred")).json()
    found = await doors.rpc.GetWork(search_pb2.GetWorkRequest(work_id="work/red"))
    picture = picture_json(COLLECTION, "work/red", from_stored_picture(found.picture))
    assert rest == {"collection": COLLECTION, **work_json(from_work(found.work)), "picture": picture}
    shown = await doors.rpc.GetPicture(search_pb2.GetPictureRequest(work_id="work/red"))
    assert shown.data == (await doors.rest.get("/v1/works/work%2Fred/image")).content


async def test_collections_are_described_alike(doors: Doors) -> None:
    rest = (await doors.rest.get("/v1/collections")).json()
    listed = await doors.rpc.ListCollections(search_pb2.ListCollectionsRequest())
    assert listed.default_collection == rest["default"] == COLLECTION
    assert [(item.name, item.count) for item in listed.collections] == [
        (item["name"], item["works"]) for item in rest["collections"]
    ]
    one = (await doors.rest.get(f"/v1/collections/{COLLECTION}")).json()
    found = await doors.rpc.GetCollection(search_pb2.GetCollectionRequest(collection=COLLECTION))
    info = from_collection(found.collection)
    assert (dict(found.fields), found.searchable) == (one["fields"], one["searchable"])
    assert (info.name, info.count, info.version, info.manifest.embed_size) == (
        one["name"],
        one["works"],
        one["version"],
        one["embed_size"],
    )


def record(number: int, picture: bytes = PICTURE, **fields: Any) -> search_pb2.WorkRecord:
    work = search_pb2.Work(id=f"n{number}", title=f"Number {number}", artist="Ada Grey", **fields)
    work.extra["room"].integer = 3
    return search_pb2.WorkRecord(work=work, picture=picture)


async def test_a_collection_lives_and_dies_over_grpc(doors: Doors) -> None:
    rpc = doors.rpc
    made = await rpc.CreateCollection(search_pb2.CreateCollectionRequest(collection="mine"))
    assert (made.collection.name, made.collection.count) == ("mine", 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.CreateCollection(search_pb2.CreateCollectionRequest(collection="mine"))
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.ALREADY_EXISTS, "collection-exists")
    works = [record(1), record(2), record(3, b"")]
    job = (await rpc.UpsertWorks(search_pb2.UpsertWorksRequest(collection="mine", works=works))).job
    assert job.state == search_pb2.JOB_STATE_PARTIAL
    assert (job.summary["added"], job.failed, job.errors[0].id, job.errors[0].code) == (2, 1, "n3", "record")
    over_rest = (await doors.rest.get(f"/v1/jobs/{job.id}")).json()
    assert (over_rest["state"], over_rest["summary"]) == ("partial", dict(job.summary))
    events = [event async for event in rpc.FollowJob(search_pb2.FollowJobRequest(job_id=job.id))]
    assert (events[0].event, events[-1].event) == ("state", "done")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    later = [event.seq async for event in rpc.FollowJob(search_pb2.FollowJobRequest(job_id=job.id, after=1))]
    assert later == [event.seq for event in events[1:]]
    assert job.id in [item.id for item in (await rpc.ListJobs(search_pb2.ListJobsRequest())).jobs]
    cancelled = await rpc.CancelJob(search_pb2.CancelJobRequest(job_id=job.id))
    assert cancelled.job.state == (await rpc.GetJob(search_pb2.GetJobRequest(job_id=job.id))).job.state
    found = await rpc.GetWork(search_pb2.GetWorkRequest(collection="mine", work_id="n1"))
    assert found.work.extra["room"].integer == 3
    asked = search_pb2.DeleteWorksRequest(collection="mine", work_ids=["n1", "unknown"])
    assert (await rpc.DeleteWorks(asked)).deleted == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.DeleteCollection(search_pb2.DeleteCollectionRequest(collection="mine"))
    assert reason(caught.value) == "invalid-request"
    await rpc.DeleteCollection(search_pb2.DeleteCollectionRequest(collection="mine", confirm="mine"))
    assert (await doors.rest.get("/v1/collections/mine")).status_code == 404


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        (search_pb2.UpsertWorksRequest(collection=COLLECTION), "works"),
        (search_pb2.UpsertWorksRequest(collection=COLLECTION, works=[record(1), search_pb2.WorkRecord()]), "works.1"),
        (search_pb2.UpsertWorksRequest(collection=COLLECTION, works=[record(1, medium="x" * 5000)]), "works.0"),
    ],
)
async def test_works_are_held_to_the_bounds_of_rest(
    doors: Doors, request_: search_pb2.UpsertWorksRequest, place: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await doors.rpc.UpsertWorks(request_)
    assert reason(caught.value) == "invalid-request"
    assert place in str(caught.value.details())


async def test_an_unknown_job_is_said_also_where_it_would_be_followed(doors: Doors) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in doors.rpc.FollowJob(search_pb2.FollowJobRequest(job_id="none")):
            pass
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "not-found")


NEEDED = {
    **dict.fromkeys(("Search", "GetWork", "GetPicture", "ListCollections", "GetCollection"), KeyScope.SEARCH),
    **dict.fromkeys(("GetFacets", "GetMap", "GetMapWorks"), KeyScope.SEARCH),
    **dict.fromkeys(("UpsertWorks", "DeleteWorks", "ListJobs", "GetJob", "CancelJob", "FollowJob"), KeyScope.WRITE),
    **dict.fromkeys(("CreateCollection", "DeleteCollection"), KeyScope.ADMIN),
}
METHODS = search_pb2.DESCRIPTOR.services_by_name["SearchService"].methods_by_name


async def outcome(doors: Doors, name: str, **metadata: str) -> str:
    """The reason of a call's error, or "" where it was let in and succeeded."""
    method = METHODS[name]
    message = getattr(search_pb2, method.input_type.name)()
    call = getattr(doors.rpc, name)(
        message, metadata=[(key.replace("_", "-"), value) for key, value in metadata.items()]
    )
    try:
        if method.server_streaming:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return reason(error)
    return ""


async def test_a_key_reaches_as_far_over_grpc_as_over_rest(tmp_path: Path) -> None:
    assert set(NEEDED) == set(METHODS)
    keys = KeyFile(tmp_path / "keys.json")
    given = {scope: keys.create(scope.value, scope)[1] for scope in KeyScope}
    async with opened(tmp_path, GrpcAccess(Rules(keys, 0), None)) as doors:
        for name, needed in NEEDED.items():
            assert await outcome(doors, name) == "unauthenticated"
            assert await outcome(doors, name, x_api_key="boon_1_wrong") == "unauthenticated"
            for scope, key in given.items():
                for metadata in ({"authorization": f"Bearer {key}"}, {"x_api_key": key}):
                    refused = await outcome(doors, name, **metadata) == "forbidden"
                    assert refused == (not scope.includes(needed)), (name, scope)


async def test_without_a_key_as_much_is_allowed_as_the_settings_say(tmp_path: Path) -> None:
    async with opened(tmp_path, GrpcAccess(Rules(KeyFile(tmp_path / "keys.json"), 0), KeyScope.SEARCH)) as doors:
        assert await outcome(doors, "ListCollections") == ""
        assert await outcome(doors, "ListJobs") == "unauthenticated"


async def test_a_caller_may_be_too_fast(tmp_path: Path) -> None:
    rules = Rules(KeyFile(tmp_path / "keys.json"), 2)
    async with opened(tmp_path, GrpcAccess(rules, KeyScope.ADMIN)) as doors:
        answers = [await outcome(doors, "ListCollections") for _ in range(3)]
    assert answers == ["", "", "rate-limited"]


async def test_the_token_of_a_token_file_opens_everything(tmp_path: Path) -> None:
    access = GrpcAccess(Rules(KeyFile(tmp_path / "keys.json"), 0), None, has_token=True)
    async with opened(tmp_path, access) as doors:
        assert await outcome(doors, "ListJobs", authorization="Bearer checked before") == ""
        assert await outcome(doors, "ListJobs", x_api_key="boon_1_wrong") == "unauthenticated"


async def test_the_description_says_which_scope_each_method_needs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \|.*\| (search|write|admin) \|$", text, re.MULTILINE))
    assert rows == {name: scope.value for name, scope in NEEDED.items()}
