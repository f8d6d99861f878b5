"""Works that replace a certain version only, over REST and gRPC alike."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from doors_support import Doors, refusal
from gateway_support import painting

from boonart.encoders.fake import COLOURS
from boonart.rpc.v1 import search_pb2

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PICTURE = painting(COLOURS["red"])
MINE = "mine"


@pytest_asyncio.fixture(loop_scope="module")
async def filled(doors: Doors) -> AsyncIterator[Doors]:
    await doors.rest.post("/v1/collections", json={"name": MINE})
    assert (await put(doors, work("a", "First")))["summary"]["added"] == 1
    yield doors
    await doors.rest.delete(f"/v1/collections/{MINE}", params={"confirm": MINE})


def work(id_: str, title: str, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "title": title, "image": base64.b64encode(PICTURE).decode(), **fields}


async def put(doors: Doors, *works: dict[str, Any]) -> dict[str, Any]:
    response = await doors.rest.post(f"/v1/collections/{MINE}/works", json={"works": works})
    assert response.status_code == 200, response.text
    job: dict[str, Any] = response.json()
    return job


async def stored(doors: Doors, id_: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = (await doors.rest.get(f"/v1/works/{id_}", params={"collection": MINE})).json()
    return found


def codes(job: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(error["id"], error["place"], error["code"]) for error in job["errors"]]


async def test_a_work_of_the_version_is_replaced_and_of_another_is_not(filled: Doors) -> None:
    first = (await stored(filled))["version"]
    job = await put(filled, work("a", "Second", if_version=first))
    assert (job["state"], job["summary"]["updated"]) == ("succeeded", 1)
    second = await stored(filled)
    assert (second["title"], second["version"] != first) == ("Second", True)
    late = await put(filled, work("a", "Lost", if_version=first), work("b", "Beside it"))
    assert (late["state"], late["summary"]["added"]) == ("partial", 1)
    assert codes(late) == [("a", "works[0]", "version-mismatch")]
    assert second["version"] in late["errors"][0]["message"]
    assert await stored(filled) == second


async def test_a_work_may_be_stored_only_where_there_is_none(filled: Doors) -> None:
    job = await put(filled, work("a", "Lost", if_version="none"), work("new", "New", if_version="none"))
    assert codes(job) == [("a", "works[0]", "version-mismatch")]
    assert (await stored(filled))["title"] == "First"
    assert (await stored(filled, "new"))["title"] == "New"
    absent = await put(filled, work("gone", "Gone", if_version="0" * 64))
    assert codes(absent) == [("gone", "works[0]", "version-mismatch")]


async def test_of_many_who_replace_the_same_version_one_succeeds(filled: Doors) -> None:
    first = (await stored(filled))["version"]
    jobs = await asyncio.gather(*(put(filled, work("a", f"Number {n}", if_version=first)) for n in range(4)))
    assert sorted(job["state"] for job in jobs) == ["partial", "partial", "partial", "succeeded"]
    (winner,) = [number for number, job in enumerate(jobs) if job["state"] == "succeeded"]
    assert (await stored(filled))["title"] == f"Number {winner}"


async def test_the_first_record_of_an_id_counts_with_its_version(filled: Doors) -> None:
    first = (await stored(filled))["version"]
    job = await put(filled, work("a", "Second", if_version=first), work("a", "Third", if_version="none"))
    assert (job["summary"]["updated"], codes(job)) == (1, [("a", "works[1]", "record")])
    assert (await stored(filled))["title"] == "Second"


async def test_a_version_that_cannot_be_one_is_refused_at_its_place(doors: Doors) -> None:
    body = {"works": [work("a", "A"), work("b", "B", if_version="")]}
    by_rest = (await doors.rest.post(f"/v1/collections/{MINE}/works", json=body)).json()
    assert [fault["pointer"] for fault in by_rest["errors"]] == ["/works/1/if_version"]
    items = [
        search_pb2.WorkRecord(work=search_pb2.Work(id="a"), picture=PICTURE),
        search_pb2.WorkRecord(work=search_pb2.Work(id="b"), picture=PICTURE, if_version=""),
    ]
    refused = await refusal(doors.rpc.UpsertWorks(search_pb2.UpsertWorksRequest(collection=MINE, works=items)))
    assert (refused.reason, refused.field) == ("invalid-request", "works.1.if_version")


async def test_grpc_says_and_heeds_the_same_version(filled: Doors) -> None:
    asked = search_pb2.GetWorkRequest(collection=MINE, work_id="a")
    version = (await filled.rpc.GetWork(asked)).version
    assert version == (await stored(filled))["version"]

    async def replaced(title: str, if_version: str) -> search_pb2.Job:
        item = search_pb2.WorkRecord(work=search_pb2.Work(id="a", title=title), picture=PICTURE, if_version=if_version)
        return (await filled.rpc.UpsertWorks(search_pb2.UpsertWorksRequest(collection=MINE, works=[item]))).job

    lost = await replaced("Lost", "none")
    assert [error.code for error in lost.errors] == ["version-mismatch"]
    assert (await replaced("Second", version)).summary["updated"] == 1
    assert (await stored(filled))["title"] == "Second"
