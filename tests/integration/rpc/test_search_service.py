"""SearchService over a real connection, on the gateway's own state."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from doors_support import refusal
from PIL import Image
from rpc_support import COLLECTION, ColourIndex, FakeReranker, as_index, batching, serving_settings

from boonart.bootstrap import Parts
from boonart.encoders.fake import FakeEncoder
from boonart.errors import WorkNotFound
from boonart.observability import Metrics
from boonart.ports import Renditions
from boonart.rpc.channels import ChannelOptions
from boonart.rpc.v1 import search_pb2, search_pb2_grpc
from boonart.search import Search
from boonart.settings import Settings
from boonart_services.gateway.context import Context
from boonart_services.gateway.grpc_search import search_server

pytestmark = pytest.mark.integration


class OnePicture:
    def put(self, collection: str, key: str, renditions: Renditions) -> None:
        raise AssertionError("nothing is stored by a search")

    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        if (collection, key) != (COLLECTION, "key"):
            raise WorkNotFound("Nothing under this key.")
        return rendition.encode(), "image/webp"


@contextlib.asynccontextmanager
async def gateway(
    tmp_path: Path, reranker: FakeReranker | None = None, **settings: object
) -> AsyncIterator[tuple["search_pb2_grpc.SearchServiceAsyncStub", Metrics]]:
    model = FakeEncoder()
    index = as_index(ColourIndex(model))
    async with batching(model) as encoder:
        search = Search(encoder, index, reranker, rerank_deadline=0.3)
        values = Settings(home=tmp_path, **settings)  # type: ignore[arg-type]
        parts = Parts(values, encoder, index, reranker, OnePicture(), search)
        here = Context(parts)
        server = search_server(here, serving_settings())
        port = await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", ChannelOptions().arguments()) as channel:
            yield search_pb2_grpc.SearchServiceStub(channel), here.metrics
        await server.stop()


async def test_a_text_finds_works(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (stub, metrics):
        answer = await stub.Search(search_pb2.SearchRequest(collection=COLLECTION, text="a red cow", limit=3))
        text = metrics.text()
    assert [hit.rank for hit in answer.hits] == [1, 2, 3]
    assert answer.hits[0].work.title == "Red"
    assert answer.target == search_pb2.TARGET_WORKS
    assert not answer.hits[0].HasField("relevance")
    assert 'boonart_stage_seconds_count{stage="encode"} 1.0' in text


async def test_the_only_collection_need_not_be_named(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (stub, _):
        answer = await stub.Search(search_pb2.SearchRequest(text="blue"))
    assert answer.hits[0].work.id == "blue"


async def test_a_reranked_hit_carries_its_scores(tmp_path: Path) -> None:
    async with gateway(tmp_path, FakeReranker()) as (stub, _):
        answer = await stub.Search(search_pb2.SearchRequest(text="red"))
    assert answer.hits[-1].work.id == "red"
    assert (answer.hits[0].relation_score, answer.hits[0].relevance) == (0.25, 0.5)
    assert answer.models["reranker"] == "fake-reranker"


async def test_what_was_left_out_is_said_and_counted(tmp_path: Path) -> None:
    async with gateway(tmp_path, FakeReranker(pause=60.0)) as (stub, metrics):
        answer = await stub.Search(search_pb2.SearchRequest(text="red"))
        text = metrics.text()
    assert list(answer.degraded) == ["rerank"]
    assert 'boonart_degraded_total{stage="rerank"} 1.0' in text


async def test_a_picture_and_a_work_find_works(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), (50, 80, 190)).save(file, "PNG")
    async with gateway(tmp_path) as (stub, _):
        by_picture = await stub.Search(
            search_pb2.SearchRequest(picture=file.getvalue(), target=search_pb2.TARGET_WORKS)
        )
        by_work = await stub.Search(search_pb2.SearchRequest(work_id="blue"))
    assert by_picture.hits[0].work.id == "blue"
    assert "blue" not in [hit.work.id for hit in by_work.hits]


@pytest.mark.parametrize(
    ("request_", "code", "expected"),
    [
        (search_pb2.SearchRequest(text=" "), grpc.StatusCode.INVALID_ARGUMENT, "invalid-query"),
        (search_pb2.SearchRequest(text="x" * 3000), grpc.StatusCode.INVALID_ARGUMENT, "invalid-query"),
        (search_pb2.SearchRequest(text="cow", limit=0), grpc.StatusCode.INVALID_ARGUMENT, "invalid-query"),
        (search_pb2.SearchRequest(text="cow", collection="no"), grpc.StatusCode.NOT_FOUND, "collection-not-found"),
        (search_pb2.SearchRequest(work_id="no"), grpc.StatusCode.NOT_FOUND, "work-not-found"),
        (search_pb2.SearchRequest(picture=b"no picture"), grpc.StatusCode.INVALID_ARGUMENT, "unsupported-picture"),
        (
            search_pb2.SearchRequest(text="cow", where=search_pb2.Filter()),
            grpc.StatusCode.INVALID_ARGUMENT,
            "invalid-filter",
        ),
    ],
)
async def test_a_wrong_request_is_told_what_is_wrong(
    tmp_path: Path, request_: search_pb2.SearchRequest, code: grpc.StatusCode, expected: str
) -> None:
    async with gateway(tmp_path) as (stub, _):
        refused = await refusal(stub.Search(request_))
    assert (refused.status, refused.reason) == (code, expected)


async def test_a_picture_over_the_gateways_limit_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_picture_bytes=2048) as (stub, _):
        refused = await refusal(stub.Search(search_pb2.SearchRequest(picture=b"x" * 4096)))
    assert refused.reason == "picture-too-large"


async def test_works_pictures_and_collections(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (stub, _):
        work = await stub.GetWork(search_pb2.GetWorkRequest(work_id="red"))
        shown = await stub.GetPicture(search_pb2.GetPictureRequest(work_id="red"))
        small = await stub.GetPicture(
            search_pb2.GetPictureRequest(work_id="red", rendition=search_pb2.RENDITION_THUMBNAIL)
        )
        listed = await stub.ListCollections(search_pb2.ListCollectionsRequest())
        refused = await refusal(stub.GetWork(search_pb2.GetWorkRequest(work_id="no")))
    assert work.work.title == "Red"
    assert (work.picture.width, work.picture.height) == (4, 3)
    assert (shown.data, shown.media_type, small.data) == (b"display", "image/webp", b"thumbnail")
    assert [(item.name, item.count) for item in listed.collections] == [(COLLECTION, 8)]
    assert refused.reason == "work-not-found"


async def test_a_gateway_that_loads_is_unavailable() -> None:
    server = search_server(Context(), serving_settings())
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        refused = await refusal(stub.Search(search_pb2.SearchRequest(collection="c", text="cow")))
    await server.stop()
    assert refused.status is grpc.StatusCode.UNAVAILABLE
    assert refused.reason == "unavailable"


async def test_searches_run_side_by_side(tmp_path: Path) -> None:
    async with gateway(tmp_path) as (stub, _):
        answers = await asyncio.gather(*(stub.Search(search_pb2.SearchRequest(text=f"red {n}")) for n in range(32)))
    assert {answer.hits[0].work.id for answer in answers} == {"red"}
