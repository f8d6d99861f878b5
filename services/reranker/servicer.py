"""The reranker behind gRPC: messages in, the reranker port's calls, messages out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from boonart.errors import InvalidRequest, Overloaded, Unavailable
from boonart.ports import Reranker
from boonart.rpc import mapping
from boonart.rpc.channels import CONTRACT_VERSION, software_version
from boonart.rpc.v1 import reranker_pb2, reranker_pb2_grpc
from boonart.works import Ranker

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class RerankerFigures:
    """What has happened so far; read by metrics.

    Attributes:
        running: queries that are scored or wait for it now.
        queries: answered.
        candidates: scored.
        refused: queries turned away because the queue was full.
    """

    running: int = 0
    queries: int = 0
    candidates: int = 0
    refused: int = 0


class RerankerServicer(reranker_pb2_grpc.RerankerServiceServicer):
    """Answers Unavailable until it is given its reranker.

    Args:
        max_candidates: most candidates of one query.
        max_items: most pictures or texts to prepare in one call.
        max_queries: most queries that are scored or wait for it; more are refused with Overloaded.
    """

    def __init__(self, *, max_candidates: int, max_items: int, max_queries: int) -> None:
        self.reranker: Reranker | None = None
        self.figures = RerankerFigures()
        self._max_candidates = max_candidates
        self._max_items = max_items
        self._max_queries = max_queries

    async def PrepareImages(
        self, request: reranker_pb2.PrepareImagesRequest, context: Context
    ) -> reranker_pb2.PrepareImagesResponse:
        """Filtered regions of pictures."""
        reranker = self._loaded()
        _check_count(len(request.images), self._max_items, "images")
        images = [mapping.from_image_embedding(image, f"images[{n}]") for n, image in enumerate(request.images)]
        regions = await reranker.prepare_images(images) if images else []
        return reranker_pb2.PrepareImagesResponse(
            regions=[mapping.to_features(rows) for rows in regions], model_id=reranker.card.id
        )

    async def PrepareTexts(
        self, request: reranker_pb2.PrepareTextsRequest, context: Context
    ) -> reranker_pb2.PrepareTextsResponse:
        """Projected words of texts."""
        reranker = self._loaded()
        _check_count(len(request.texts), self._max_items, "texts")
        texts = [mapping.from_text_embedding(text, f"texts[{n}]") for n, text in enumerate(request.texts)]
        words = await reranker.prepare_texts(texts) if texts else []
        return reranker_pb2.PrepareTextsResponse(
            words=[mapping.to_features(rows) for rows in words], model_id=reranker.card.id
        )

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Context) -> reranker_pb2.RerankResponse:
        """Score the candidates of one query."""
        reranker = self._loaded()
        _check_count(len(request.candidates), self._max_candidates, "candidates")
        wanted = mapping.from_rerank_request(request)
        if wanted.ranker is Ranker.NONE:
            raise InvalidRequest("RANKER_NONE asks for no reranking; leave the call out.", field="ranker")
        if self.figures.running >= self._max_queries:
            self.figures.refused += 1
            raise Overloaded("The reranker's queue is full.", hint="Add rerankers, or ask for fewer candidates.")
        self.figures.running += 1
        try:
            scores = await reranker.rerank(wanted)
        finally:
            self.figures.running -= 1
        self.figures.queries += 1
        self.figures.candidates += len(scores)
        return reranker_pb2.RerankResponse(
            scores=[mapping.to_rerank_score(score) for score in scores], model_id=reranker.card.id
        )

    async def GetModel(
        self, request: reranker_pb2.RerankerServiceGetModelRequest, context: Context
    ) -> reranker_pb2.RerankerServiceGetModelResponse:
        """What the reranker is."""
        return reranker_pb2.RerankerServiceGetModelResponse(
            card=mapping.to_card(self._loaded().card),
            contract_version=CONTRACT_VERSION,
            software_version=software_version(),
        )

    def _loaded(self) -> Reranker:
        if self.reranker is None:
            raise Unavailable("The reranker is loading its model.", retry_after=5.0)
        return self.reranker


def _check_count(count: int, most: int, field: str) -> None:
    if count > most:
        raise InvalidRequest(
            f"The call has {count:,} {field}; at most {most:,} are taken.",
            hint="Send them in several calls.",
            field=field,
        )
