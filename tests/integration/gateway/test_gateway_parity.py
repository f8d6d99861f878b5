"""What REST offers, gRPC offers: the same request by both doors gives the same answer, and the same error."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from doors_support import (
    BY_ADA,
    TREE,
    TREE_MESSAGE,
    Doors,
    as_json,
    ended,
    equals,
    opened,
    reason,
    refusal,
    without_times,
)
from gateway_support import COLLECTION, painting

from boonart.encoders.fake import COLOURS
from boonart.keys import KeyFile
from boonart.keys import Scope as KeyScope
from boonart.rpc.search_mapping import from_collection, from_stored_picture, from_work
from boonart.rpc.v1 import common_pb2, search_pb2
from boonart_services.gateway.access import Rules
from boonart_services.gateway.answers import picture_json, work_json
from boonart_services.gateway.grpc_access import GrpcAccess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PICTURE = painting(COLOURS["blue"])
BASE64 = base64.b64encode(PICTURE).decode()
Search = search_pb2.SearchRequest
Part = search_pb2.QueryPart


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
    "options without effect": (
        {"text": "red", "keyword_weight": 2.0, "rerank": "none", "explain": True, "facet_scope": "candidates"},
        Search(
            text="red",
            keyword_weight=2.0,
            rerank=common_pb2.RANKER_NONE,
            explain=True,
            facet_scope=search_pb2.FACET_SCOPE_CANDIDATES,
        ),
    ),
    "a total of more than was looked at": (
        {"text": "red", "limit": 1, "candidates": 1, "filter": BY_ADA},
        Search(text="red", limit=1, candidates=1, where=equals("artist", "Ada Grey")),
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
    by_rpc = await refusal(doors.rpc.Search(message))
    assert (by_rpc.status, by_rpc.reason) == (code, by_rest.json()["code"])


@pytest.mark.parametrize(
    ("body", "pointer", "message", "field"),
    [
        (
            {"query": [{"text": "x"}, {"like": "none"}]},
            "/query/1/like",
            Search(parts=[Part(text="x"), Part(work_id="none")]),
            "parts.1.work_id",
        ),
        (
            {"query": [{"text": "x", "weight": 0}]},
            "/query/0/weight",
            Search(parts=[Part(text="x", weight=0.0)]),
            "parts.0.weight",
        ),
        ({"like": "none"}, "/like", Search(work_id="none"), "work_id"),
        (
            {"text": "x", "collections": [COLLECTION, "nowhere"]},
            "/collections/1",
            Search(text="x", collections=[COLLECTION, "nowhere"]),
            "collections.1",
        ),
        (
            {"text": "x", "filter": {"eq": {"field": "nothing", "value": "x"}}},
            "/filter/eq/field",
            Search(text="x", where=equals("nothing", "x")),
            "where.nothing",
        ),
    ],
)
async def test_each_door_names_a_field_as_its_requests_do(
    doors: Doors, body: dict[str, Any], pointer: str, message: search_pb2.SearchRequest, field: str
) -> None:
    by_rest = (await doors.rest.post("/v1/search", json=body)).json()
    assert [fault["pointer"] for fault in by_rest["errors"]] == [pointer]
    assert (await refusal(doors.rpc.Search(message))).field == field


async def test_pages_may_change_doors(doors: Doors) -> None:
    whole = as_json(await doors.rpc.Search(Search(text="a red square")))["hits"]
    first = (await doors.rest.post("/v1/search", json={"text": "a red square", "limit": 3})).json()
    second = await doors.rpc.Search(Search(text="a red square", limit=2, cursor=first["next_cursor"]))
    body = {"text": "a red square", "limit": 10, "cursor": second.next_cursor}
    third = (await doors.rest.post("/v1/search", json=body)).json()
    assert first["hits"] + as_json(second)["hits"] + third["hits"] == whole
    assert "next_cursor" not in third


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
    named = {"collection": COLLECTION, "version": found.version}
    assert rest == {**named, **work_json(from_work(found.work)), "picture": picture}
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
    twice = await refusal(rpc.CreateCollection(search_pb2.CreateCollectionRequest(collection="mine")))
    assert (twice.status, twice.reason) == (grpc.StatusCode.ALREADY_EXISTS, "collection-exists")
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
    unconfirmed = await refusal(rpc.DeleteCollection(search_pb2.DeleteCollectionRequest(collection="mine")))
    assert unconfirmed.reason == "invalid-request"
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
    refused = await refusal(doors.rpc.UpsertWorks(request_))
    assert refused.reason == "invalid-request"
    assert place in refused.detail


async def test_an_unknown_job_is_said_also_where_it_would_be_followed(doors: Doors) -> None:
    refused = await refusal(doors.rpc.FollowJob(search_pb2.FollowJobRequest(job_id="none")))
    assert (refused.status, refused.reason) == (grpc.StatusCode.NOT_FOUND, "not-found")


NEEDED = {
    **dict.fromkeys(("Search", "GetWork", "GetPicture", "ListCollections", "GetCollection"), KeyScope.SEARCH),
    **dict.fromkeys(("GetFacets", "GetMap", "GetMapWorks", "GetLimits"), KeyScope.SEARCH),
    **dict.fromkeys(("UpsertWorks", "DeleteWorks", "ListJobs", "GetJob", "CancelJob", "FollowJob"), KeyScope.WRITE),
    **dict.fromkeys(("CreateCollection", "DeleteCollection"), KeyScope.ADMIN),
}
METHODS = search_pb2.DESCRIPTOR.services_by_name["SearchService"].methods_by_name


async def outcome(doors: Doors, name: str, **metadata: str) -> str:
    """The reason of a call's error, or "" where it was let in and succeeded."""
    message = getattr(search_pb2, METHODS[name].input_type.name)()
    call = getattr(doors.rpc, name)(
        message, metadata=[(key.replace("_", "-"), value) for key, value in metadata.items()]
    )
    try:
        await ended(call)
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
