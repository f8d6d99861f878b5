"""The reranker's process: `python -m boonart_services.reranker`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import grpc
import numpy as np

from boonart.bootstrap import build_encoder, build_index, build_reranker
from boonart.errors import BoonArtError, ConfigurationError, ModelNotAvailable
from boonart.observability import Metrics
from boonart.ports import Encoder, Features, Reranker, WorkIndex
from boonart.rpc.process import run_process
from boonart.rpc.v1 import reranker_pb2, reranker_pb2_grpc
from boonart.settings import read_settings_as
from boonart.works import REGIONS, ImageEmbedding, ModelCard, TextEmbedding
from boonart_services.reranker.servicer import RerankerFigures, RerankerServicer
from boonart_services.reranker.settings import RerankerSettings

_FIGURES = {
    "running": ("queue_depth", "Queries that are scored or wait for it."),
    "queries": ("reranked_queries", "Queries scored so far."),
    "candidates": ("reranked_candidates", "Candidates scored so far."),
    "refused": ("refused_items", "Queries turned away because the queue was full."),
}


class Fetched:
    """An index's features, counted: each is one that the reranker's bank did not hold."""

    def __init__(self, index: WorkIndex) -> None:
        self._index = index
        self.count = 0

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """As `ports.WorkIndex.features`."""
        self.count += len(point_ids)
        return await self._index.features(collection, point_ids, side)


@dataclass(frozen=True, slots=True)
class RerankerParts:
    """The reranker, the index that it reads, and the encoder's card, whose sizes the probe needs."""

    reranker: Reranker
    encoder_card: ModelCard
    index: WorkIndex | None = None
    encoder: Encoder | None = None
    fetched: Fetched | None = None

    async def close(self) -> None:
        """Release everything."""
        await self.reranker.close()
        if self.encoder is not None:
            await self.encoder.close()
        if self.index is not None:
            await self.index.close()


class RerankerService:
    """The reranker as `rpc.process` runs it.

    Args:
        build: makes the parts; takes seconds and runs in a thread.
    """

    name = "reranker"
    full_name = reranker_pb2.DESCRIPTOR.services_by_name["RerankerService"].full_name

    def __init__(self, settings: RerankerSettings, build: Callable[[RerankerSettings], RerankerParts]) -> None:
        self._settings = settings
        self._build = build
        self._servicer: RerankerServicer | None = None
        self._parts: RerankerParts | None = None

    def register(self, server: grpc.aio.Server, fail: Callable[[BoonArtError], None]) -> None:
        """Add the servicer; see `rpc.process.Service`."""
        self._servicer = RerankerServicer(
            max_candidates=self._settings.max_candidates,
            max_items=self._settings.max_items,
            max_queries=self._settings.max_queries,
        )
        reranker_pb2_grpc.add_RerankerServiceServicer_to_server(self._servicer, server)

    async def load(self, metrics: Metrics) -> None:
        """Load the model; see `rpc.process.Service`."""
        self._parts = await asyncio.to_thread(self._build, self._settings)
        assert self._servicer is not None, "registered before it is loaded"
        for attribute, (name, meaning) in _FIGURES.items():
            metrics.watch(name, meaning, partial(_read_figure, self._servicer.figures, attribute))
        fetched = self._parts.fetched
        if fetched is not None:
            metrics.watch("bank_misses", "Candidates whose features were fetched so far.", lambda: float(fetched.count))
        self._servicer.reranker = self._parts.reranker

    async def probe(self) -> None:
        """Prepare a text and a picture: the network's own half of every query."""
        assert self._parts is not None, "loaded before it is probed"
        sizes = self._parts.encoder_card.dimensions
        vector = np.full(sizes["D"], sizes["D"] ** -0.5, dtype=np.float32)
        text = TextEmbedding(vector, np.full((1, sizes["Wt"]), 0.1, dtype=np.float16), ("painting",))
        image = ImageEmbedding(vector, np.full((REGIONS, sizes["Wi"]), 0.1, dtype=np.float16))
        await self._parts.reranker.prepare_texts([text])
        await self._parts.reranker.prepare_images([image])

    async def close(self) -> None:
        """Release the model and the connections."""
        if self._parts is not None:
            await self._parts.close()


def _read_figure(figures: RerankerFigures, attribute: str) -> float:
    return float(getattr(figures, attribute))


def build(settings: RerankerSettings) -> RerankerParts:
    """The reranker that belongs to the encoder at `encoder_url`, in this process.

    Raises:
        ConfigurationError: no encoder's address, or the settings point to another reranker.
        ModelNotAvailable: no weights for that encoder on this machine.
        Unavailable: the encoder does not come up.
    """
    if settings.reranker_url or settings.reranker == "none":
        raise ConfigurationError(
            "This process is a reranker itself, but the settings ask for another or for none.",
            hint="Leave BOONART_RERANKER_URL unset here, and BOONART_RERANKER at auto or a name.",
            field="reranker_url" if settings.reranker_url else "reranker",
        )
    if not settings.encoder_url:
        raise ConfigurationError(
            "The reranker has to know the encoder that it belongs to.",
            hint="Set BOONART_ENCODER_URL=grpc://HOST:PORT.",
            field="encoder_url",
        )
    encoder = build_encoder(settings)
    index = build_index(settings)
    fetched = Fetched(index)
    reranker = build_reranker(settings, encoder, fetched)
    if reranker is None:
        raise ModelNotAvailable(
            f"There are no reranker weights for the encoder {encoder.card.id}.",
            hint="Train them (boonart train vitr), or leave this service out: answers are then in global order.",
        )
    return RerankerParts(reranker, encoder.card, index, encoder, fetched)


def main() -> int:
    """Run until SIGTERM; the exit status."""
    try:
        settings = read_settings_as(RerankerSettings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run_process(RerankerService(settings, build), settings)
