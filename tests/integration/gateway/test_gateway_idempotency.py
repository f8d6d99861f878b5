"""Writes with an Idempotency-Key, over REST and gRPC alike, on a real index."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from doors_support import Doors, refusal
from gateway_support import assert_problem, client_of, colour_parts, painting

from boonart.encoders.fake import COLOURS
from boonart.keys import KeyFile, Scope
from boonart.rpc.v1 import search_pb2
from boonart_services.gateway.main import create_app

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PICTURE = painting(COLOURS["red"])


def work(id_: str) -> dict[str, Any]:
    return {"id": id_, "title": "x" * 600, "image": base64.b64encode(PICTURE).decode()}


async def send(client: httpx.AsyncClient, method: str, path: str, key: str, **given: Any) -> httpx.Response:
    return await client.request(method, path, headers={"Idempotency-Key": key, **given.pop("headers", {})}, **given)


def same(first: httpx.Response, again: httpx.Response) -> bool:
    """Whether the second is the first, given again."""
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    kept = ("content-type", "location")
    return (first.status_code, first.content, [first.headers.get(name) for name in kept]) == (
        again.status_code,
        again.content,
        [again.headers.get(name) for name in kept],
    )


async def test_every_write_is_done_once(doors: Doors) -> None:
    rest = doors.rest
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/collections", {"json": {"name": "mine"}}),
        ("POST", "/v1/collections/mine/works", {"json": {"works": [work("a"), work("b")]}}),
        ("POST", "/v1/collections/mine/works/delete", {"json": {"ids": ["a"]}}),
        ("DELETE", "/v1/collections/mine", {"params": {"confirm": "mine"}}),
    ]
    for number, (method, path, given) in enumerate(requests):
        first = await send(rest, method, path, f"write-{number}", **given)
        assert first.is_success, first.text
        again = await send(rest, method, path, f"write-{number}", **given)
        assert same(first, again), path
    # It was deleted, and made again only because the key is another one.
    assert (await rest.get("/v1/collections/mine")).status_code == 404
    assert (await send(rest, "POST", "/v1/collections", "write-9", json={"name": "mine"})).status_code == 201
    assert (await rest.delete("/v1/collections/mine", params={"confirm": "mine"})).status_code == 204


async def test_an_answer_that_was_compressed_is_given_again_whole(doors: Doors) -> None:
    await doors.rest.post("/v1/collections", json={"name": "long"})
    given = {"json": {"works": [{**work(str(n)), "image": "%%"} for n in range(30)]}}
    first = await send(doors.rest, "POST", "/v1/collections/long/works", "compressed", **given)
    assert first.headers["content-encoding"] == "gzip"
    again = await send(doors.rest, "POST", "/v1/collections/long/works", "compressed", **given)
    assert same(first, again)
    plain = {"Accept-Encoding": "identity"}
    whole = await send(doors.rest, "POST", "/v1/collections/long/works", "compressed", headers=plain, **given)
    assert whole.json() == first.json()
    await doors.rest.delete("/v1/collections/long", params={"confirm": "long"})


async def test_a_job_is_cancelled_once(doors: Doors) -> None:
    await doors.rest.post("/v1/collections", json={"name": "stopped"})
    stored = await doors.rest.post("/v1/collections/stopped/works", json={"works": [work("a")]})
    path = f"/v1/jobs/{stored.json()['id']}/cancel"
    assert same(await send(doors.rest, "POST", path, "c"), await send(doors.rest, "POST", path, "c"))
    await doors.rest.delete("/v1/collections/stopped", params={"confirm": "stopped"})


async def test_a_refusal_is_given_again_and_another_body_is_refused(doors: Doors) -> None:
    body = {"json": {"name": "colours"}}
    assert_problem(await send(doors.rest, "POST", "/v1/collections", "taken", **body), 409, "collection-exists")
    assert_problem(await send(doors.rest, "POST", "/v1/collections", "taken", **body), 409, "collection-exists")
    other = await send(doors.rest, "POST", "/v1/collections", "taken", json={"name": "others"})
    assert_problem(other, 422, "idempotency-mismatch", "/Idempotency-Key")
    assert (await doors.rest.get("/v1/collections/others")).status_code == 404
    for key in ("k" * 256, "k\u00e4".encode()):
        refused = await doors.rest.post("/v1/collections", json={"name": "x"}, headers={"Idempotency-Key": key})
        assert refused.status_code == 422


async def test_while_it_is_under_way_the_same_request_waits_for_its_turn(doors: Doors) -> None:
    await doors.rest.post("/v1/collections", json={"name": "slow"})
    given = {"json": {"works": [work("a")]}}
    both = await asyncio.gather(
        *(send(doors.rest, "POST", "/v1/collections/slow/works", "twice", **given) for _ in range(2))
    )
    assert sorted(response.status_code for response in both) == [200, 409]
    (refused,) = [response for response in both if response.status_code == 409]
    assert_problem(refused, 409, "request-in-progress")
    assert int(refused.headers["retry-after"]) > 0
    await doors.rest.delete("/v1/collections/slow", params={"confirm": "slow"})


async def test_the_same_holds_over_grpc(doors: Doors) -> None:
    def create(name: str) -> Any:
        asked = search_pb2.CreateCollectionRequest(collection=name)
        return doors.rpc.CreateCollection(asked, metadata=[("idempotency-key", "k")])

    made = await create("remote")
    again = create("remote")
    assert await again == made
    assert ("idempotency-replayed", "true") in [tuple(pair) for pair in await again.trailing_metadata()]
    refused = await refusal(create("another"))
    assert (refused.status, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "idempotency-mismatch")
    asked = search_pb2.DeleteCollectionRequest(collection="remote", confirm="remote")
    for _ in range(2):
        await doors.rpc.DeleteCollection(asked, metadata=[("idempotency-key", "k")])
    assert (await refusal(doors.rpc.DeleteCollection(asked))).reason == "collection-not-found"


async def test_a_key_is_that_of_its_caller(tmp_path: Path) -> None:
    async with colour_parts(tmp_path, collections=(), host="0.0.0.0") as parts:
        keys = KeyFile(parts.settings.keys_file)
        given = [keys.create(name, Scope.ADMIN)[1] for name in ("one", "two")]
        async with client_of(create_app(parts)) as client:
            codes = [
                (
                    await send(
                        client,
                        "POST",
                        "/v1/collections",
                        "k",
                        json={"name": "mine"},
                        headers={"Authorization": f"Bearer {key}"},
                    )
                ).status_code
                for key in (*given, given[0])
            ]
    assert codes == [201, 409, 201]
