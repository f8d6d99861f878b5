"""What the tests of the services share: a counting encoder, a fake reranker and index, servers, a slow network."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from boonart.encoders.batching import BatchingEncoder, BatchingLimits
from boonart.encoders.fake import FakeEncoder
from boonart.encoders.pictures import decode
from boonart.errors import BoonArtError, CollectionNotFound, WorkNotFound
from boonart.observability import Metrics
from boonart.ports import CollectionInfo, Encoder, Features, Reranker, RerankRequest, WorkIndex
from boonart.rpc.serving import Server
from boonart.rpc.settings import ServingSettings
from boonart.rpc.v1 import encoder_pb2_grpc, reranker_pb2_grpc
from boonart.works import (
    Candidate,
    Filter,
    Float16Array,
    Float32Array,
    ImageEmbedding,
    Manifest,
    ModelCard,
    Picture,
    RerankScore,
    StoredPicture,
    TextEmbedding,
    Work,
)
from boonart_services.encoder.main import EncoderService
from boonart_services.encoder.servicer import EncoderServicer
from boonart_services.reranker.main import RerankerService
from boonart_services.reranker.servicer import RerankerServicer

COLLECTION = "colours"
COLOUR_WORDS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")


class CountingEncoder(FakeEncoder):
    """Remembers each forward pass, and waits at a gate before it."""

    def __init__(self, size: int = 32) -> None:
        super().__init__(size)
        self.passes: list[list[str]] = []
        self.pictures = 0
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Event()

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self.at_gate.set()
        self.gate.wait(60)
        self.passes.append(list(texts))
        return super().encode_texts(texts)

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        self.pictures += len(pictures)
        return super().encode_images(pictures)


class FakeReranker:
    """Reverses the global order, so that one sees who ordered.

    Args:
        pause: seconds that a rerank takes.
    """

    def __init__(self, *, encoder_id: str = "fake-32", name: str = "fake-reranker", pause: float = 0.0) -> None:
        self._card = ModelCard(name, "reranker", "1" * 16, {"E": 8, "D": 32}, encoder_id=encoder_id)
        self.pause = pause
        self.begun = 0
        self.finished = 0

    @property
    def card(self) -> ModelCard:
        return self._card

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        return [image.tokens[:, :8] for image in images]

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        return [text.tokens[:, :8] for text in texts]

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        self.begun += 1
        await asyncio.sleep(self.pause)
        self.finished += 1
        scores = [RerankScore(candidate.point_id, -candidate.score, 0.25, 0.5) for candidate in request.candidates]
        return sorted(scores, key=lambda score: -score.score)

    async def close(self) -> None:
        pass


class ColourIndex:
    """One collection with a work a colour, compared in numpy: the part of `ports.WorkIndex` that a query needs."""

    def __init__(self, model: FakeEncoder, *, reranker_id: str = "fake-reranker") -> None:
        embeddings = model.encode_texts(COLOUR_WORDS)
        self._vectors = np.stack([embedding.global_vector for embedding in embeddings])
        self._works = [
            Candidate(f"p-{word}", Work(word, title=word.title()), 0.0, f"hash-{word}", StoredPicture("key", (4, 3)))
            for word in COLOUR_WORDS
        ]
        manifest = Manifest(model.card.id, 32, reranker_id, 8 if reranker_id else 0)
        self._info = CollectionInfo(COLLECTION, 1, len(self._works), manifest)

    async def collections(self) -> list[CollectionInfo]:
        return [self._info]

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        if collection != COLLECTION:
            raise CollectionNotFound(f"There is no collection {collection}.")
        return self._info

    async def get(self, collection: str, work_ids: Sequence[str]) -> list[Candidate]:
        await self.describe(collection)
        return [candidate for candidate in self._works if candidate.work.id in work_ids]

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        if work_id not in COLOUR_WORDS:
            raise WorkNotFound(f"There is no work {work_id}.")
        return self._vectors[COLOUR_WORDS.index(work_id)]

    async def search(
        self,
        collection: str,
        vector: Float32Array,
        *,
        name: str,
        limit: int,
        where: Filter | None = None,
        exact: bool = False,
    ) -> list[Candidate]:
        scores = self._vectors @ vector
        best = np.argsort(-scores)[:limit]
        return [
            Candidate(self._works[n].point_id, self._works[n].work, float(scores[n]), self._works[n].content_hash)
            for n in best
        ]

    async def search_keywords(
        self, collection: str, text: str, *, limit: int, where: Filter | None = None
    ) -> list[Candidate]:
        words = text.lower().split()
        return [replace(found, score=1.0) for found in self._works if found.work.id in words][:limit]

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        return {}

    async def close(self) -> None:
        pass


@dataclass
class Running:
    """A server in this process.

    Attributes:
        failures: errors after which the process would have been restarted.
    """

    server: Server
    port: int
    metrics: Metrics
    failures: list[BoonArtError] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"


def serving_settings(**given: object) -> ServingSettings:
    values: dict[str, object] = {"grpc_port": 0, "drain_delay": 0.0, "grace": 0.5, **given}
    return ServingSettings(**values)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def encoder_server(
    encoder: Encoder | None, *, settings: ServingSettings | None = None, max_items: int = 1024
) -> AsyncIterator[Running]:
    """The encoder's servicer on a free port; `None` is a model that still loads."""
    failures: list[BoonArtError] = []
    servicer = EncoderServicer(decode=decode, max_items=max_items, fail=failures.append)
    servicer.encoder = encoder
    async with _running(
        EncoderService.full_name,
        lambda server: encoder_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server),
        settings or serving_settings(),
        failures,
    ) as running:
        await running.server.set_serving(encoder is not None)
        yield running


@contextlib.asynccontextmanager
async def reranker_server(
    reranker: Reranker, *, settings: ServingSettings | None = None, max_queries: int = 128
) -> AsyncIterator[Running]:
    """The reranker's servicer on a free port."""
    servicer = RerankerServicer(max_candidates=1000, max_items=1024, max_queries=max_queries)
    servicer.reranker = reranker
    async with _running(
        RerankerService.full_name,
        lambda server: reranker_pb2_grpc.add_RerankerServiceServicer_to_server(servicer, server),
        settings or serving_settings(),
        [],
    ) as running:
        await running.server.set_serving(True)
        yield running


@contextlib.asynccontextmanager
async def _running(
    name: str, register: Callable[..., None], settings: ServingSettings, failures: list[BoonArtError]
) -> AsyncIterator[Running]:
    metrics = Metrics()
    server = Server(settings, [name], register, metrics=metrics, on_out_of_memory=failures.append)
    port = await server.start()
    try:
        yield Running(server, port, metrics, failures)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def batching(model: FakeEncoder, limits: BatchingLimits | None = None) -> AsyncIterator[BatchingEncoder]:
    """The model behind its batching shell."""
    encoder = BatchingEncoder(model, limits)
    try:
        yield encoder
    finally:
        if isinstance(model, CountingEncoder):
            model.gate.set()
        await encoder.close()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Wire:
    """A TCP proxy on loopback whose two directions can be stopped, as a bad network or a stuck peer does."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.to_server = asyncio.Event()
        self.to_client = asyncio.Event()
        self.to_server.set()
        self.to_client.set()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**12)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=2**12)
        except OSError:
            writer.close()
            return
        out = asyncio.create_task(self._pump(reader, far_writer, self.to_server))
        back = asyncio.create_task(self._pump(far_reader, writer, self.to_client))
        self._tasks |= {out, back}
        await asyncio.wait([out, back], return_when=asyncio.FIRST_COMPLETED)
        for task in (out, back):
            task.cancel()
        for end in (writer, far_writer):
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while True:
                await passing.wait()
                data = await reader.read(65536)
                if not data:
                    return
                await passing.wait()
                writer.write(data)
                await writer.drain()


def as_index(index: ColourIndex) -> WorkIndex:
    """The fake as the port; only what a query needs is there."""
    return index  # type: ignore[return-value]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition that must come true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
