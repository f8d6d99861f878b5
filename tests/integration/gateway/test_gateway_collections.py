"""Collections and jobs over REST, on a real index."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateway_support import Gateway, assert_problem, gateway, painting

from boonart.encoders.fake import COLOURS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("home"), collections=()) as running:
        yield running


def record(id_: str, colour: str = "red", **fields: object) -> dict[str, object]:
    return {
        "id": id_,
        "title": f"A {colour} square",
        "image": base64.b64encode(painting(COLOURS[colour])).decode(),
        **fields,
    }


async def made(here: Gateway, name: str, *works: dict[str, object]) -> dict[str, Any]:
    created = await here.client.post("/v1/collections", json={"name": name})
    assert created.status_code == 201, created.text
    assert created.headers["location"] == f"/v1/collections/{name}"
    if not works:
        return created.json()  # type: ignore[no-any-return]
    stored = await here.client.post(f"/v1/collections/{name}/works", json={"works": works})
    assert stored.status_code == 200, stored.text
    return stored.json()  # type: ignore[no-any-return]


def held_back(here: Gateway) -> asyncio.Event:
    """No picture is encoded before the event is set."""
    gate = asyncio.Event()
    encode = here.parts.encoder.encode_images

    async def slow(pictures: Any) -> Any:
        await gate.wait()
        return await encode(pictures)

    here.parts.encoder.encode_images = slow  # type: ignore[method-assign]
    return gate


async def test_a_collection_is_made_filled_searched_and_deleted(here: Gateway) -> None:
    assert (await made(here, "one"))["works"] == 0
    assert_problem(await here.client.post("/v1/collections", json={"name": "one"}), 409, "collection-exists")
    works = [record("a", "red", date="c.1861", extra={"room": 3, "shown": True}), record("b", "blue")]
    job = (await here.client.post("/v1/collections/one/works", json={"works": works})).json()
    assert (job["state"], job["done"], job["errors"]) == ("succeeded", 2, [])
    assert job["summary"] == {"added": 2, "updated": 0, "unchanged": 0, "quarantined": 0}
    described = (await here.client.get("/v1/collections/one")).json()
    assert (described["works"], described["searchable"], described["encoder"]) == (2, True, "fake-32")
    assert described["fields"]["extra.room"] == "integer"
    found = (await here.client.post("/v1/search", json={"text": "red", "collection": "one"})).json()
    assert found["hits"][0]["work"]["id"] == "a"
    picture = await here.client.get(found["hits"][0]["picture"]["thumbnail_url"])
    assert picture.status_code == 200
    again = (await here.client.post("/v1/collections/one/works", json={"works": works})).json()
    assert again["summary"]["unchanged"] == 2
    assert_problem(await here.client.delete("/v1/collections/one"), 422, "invalid-request", "/confirm")
    assert_problem(await here.client.delete("/v1/collections/one?confirm=two"), 422, "invalid-request", "/confirm")
    assert (await here.client.delete("/v1/collections/one?confirm=one")).status_code == 204
    assert_problem(await here.client.get("/v1/collections/one"), 404, "collection-not-found")
    assert not (here.parts.settings.pictures_folder / "one").exists(), "the pictures go too"


async def test_a_work_that_cannot_be_used_costs_only_itself(here: Gateway) -> None:
    bad = record("bad", image=base64.b64encode(b"no picture").decode())
    job = await made(here, "partial", record("good"), bad, record("worse", image="%%"))
    assert job["state"] == "partial"
    assert (job["done"], job["failed"]) == (3, 2)
    assert {(error["id"], error["place"], error["code"]) for error in job["errors"]} == {
        ("bad", "works[1]", "unsupported-picture"),
        ("worse", "works[2]", "record"),
    }


async def test_works_are_deleted_by_id(here: Gateway) -> None:
    await made(here, "fewer", record("a"), record("b", "blue"))
    answer = await here.client.post("/v1/collections/fewer/works/delete", json={"ids": ["a", "nobody"]})
    assert answer.json() == {"deleted": 1}
    assert (await here.client.get("/v1/collections/fewer")).json()["works"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/collections", {"name": "../x"}, 422),
        ("POST", "/v1/collections", {}, 422),
        ("POST", "/v1/collections/nowhere/works", {"works": [{"id": "a", "image": ""}]}, 404),
        ("POST", "/v1/collections/nowhere/works", {"works": []}, 422),
        ("POST", "/v1/collections/nowhere/works", {"works": [{"id": "a", "image": "", "colour": 1}]}, 422),
        ("POST", "/v1/collections/nowhere/works/delete", {"ids": ["a"]}, 404),
        ("DELETE", "/v1/collections/nowhere?confirm=nowhere", None, 404),
        ("GET", "/v1/collections/..%2Fx", None, 422),
        ("GET", "/v1/jobs/none", None, 404),
        ("GET", "/v1/jobs/none/events", None, 404),
        ("POST", "/v1/jobs/none/cancel", None, 404),
    ],
)
async def test_what_cannot_be_is_a_problem(here: Gateway, method: str, path: str, body: object, status: int) -> None:
    response = await here.client.request(method, path, json=body)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code in {status, 404}


async def test_a_job_is_followed_event_by_event(here: Gateway) -> None:
    await made(here, "followed")
    body = {"works": [record(str(n), colour) for n, colour in enumerate(COLOURS)], "wait": False}
    started = await here.client.post("/v1/collections/followed/works", json=body)
    assert started.status_code == 202
    job_id = started.json()["id"]
    assert started.headers["location"] == f"/v1/jobs/{job_id}"
    stream = await here.client.get(f"/v1/jobs/{job_id}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in stream.text.strip().split("\n\n")]
    assert events[0]["event"] == "state"
    assert events[-1]["event"] == "done"
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    last = json.loads(events[-1]["data"])
    assert (last["state"], last["done"], last["total"]) == ("succeeded", 8, 8)
    rest = await here.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": events[-2]["id"]})
    assert rest.text.count("event: ") == 1
    assert (await here.client.get("/v1/jobs")).json()["jobs"][0]["id"] == job_id


async def test_a_job_is_cancelled_and_keeps_what_is_stored(tmp_path: Path) -> None:
    async with gateway(tmp_path, collections=()) as here:
        await made(here, "stopped")
        held_back(here)
        body = {"works": [record("a")], "wait": False}
        job_id = (await here.client.post("/v1/collections/stopped/works", json=body)).json()["id"]
        assert (await here.client.get(f"/v1/jobs/{job_id}")).json()["state"] == "running"
        cancelled = (await here.client.post(f"/v1/jobs/{job_id}/cancel")).json()
        assert cancelled["state"] in {"cancelling", "cancelled"}
        await here.client.get(f"/v1/jobs/{job_id}/events")
        assert (await here.client.get(f"/v1/jobs/{job_id}")).json()["state"] == "cancelled"
        again = (await here.client.post(f"/v1/jobs/{job_id}/cancel")).json()
        assert again["state"] == "cancelled"


async def test_only_so_many_jobs_run_at_once(tmp_path: Path) -> None:
    async with gateway(tmp_path, collections=()) as here:
        await made(here, "busy")
        gate = held_back(here)
        answers = [
            await here.client.post("/v1/collections/busy/works", json={"works": [record(str(n))], "wait": False})
            for n in range(5)
        ]
        assert [answer.status_code for answer in answers] == [202] * 4 + [429]
        gate.set()
        for answer in answers[:4]:
            await here.client.get(f"/v1/jobs/{answer.json()['id']}/events")
