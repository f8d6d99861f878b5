"""The use case of a query: encode it, find candidates, put them in order, answer.

Knows the ports alone. Data flows one way: query -> embedding -> candidates -> scores -> hits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from boonart import observability
from boonart.errors import BoonArtError, DeadlineExceeded, InvalidQuery, Overloaded, Unavailable, WorkNotFound
from boonart.manifests import check_manifest
from boonart.ports import Encoder, Reranker, RerankRequest, WorkIndex
from boonart.search.queries import check
from boonart.works import (
    Answer,
    Candidate,
    Float32Array,
    Hit,
    ImageEmbedding,
    ModelCard,
    Query,
    Ranker,
    RerankScore,
    Target,
    TextEmbedding,
)

logger = logging.getLogger(__name__)

RERANK_DEADLINE = 2.0
"""Seconds the reranker may take before the global order is given instead."""
ENCODE_DEADLINE = 5.0
"""Seconds the encoder may take for a text before the works that share its words are given instead."""
_NAMED = (Ranker.LATE, Ranker.VITR, Ranker.ROLE)
"""Rankers that one asks for by name: an answer without them says why."""


@dataclass(slots=True)
class Stages:
    """Milliseconds by stage, in the order in which the stages ran."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time that the body takes to stage `name`, also when it fails."""
        start = time.perf_counter()
        try:
            with observability.span(name):
                yield
        finally:
            elapsed = 1000 * (time.perf_counter() - start)
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + elapsed


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A query as vectors. `tokens` is None for an existing work, whose tokens are not stored."""

    vector: Float32Array
    embedding: TextEmbedding | ImageEmbedding | None


class Search:
    """Answers queries over the collections of one index.

    Args:
        reranker: None where none fits the encoder or none is wanted; answers are then in global order.
        rerank_deadline: seconds, see `RERANK_DEADLINE`.
        encode_deadline: seconds, see `ENCODE_DEADLINE`.
        no_reranker: why there is no reranker though one is wanted, for `Answer.degraded`; "" where none is wanted.
    """

    def __init__(
        self,
        encoder: Encoder,
        index: WorkIndex,
        reranker: Reranker | None = None,
        *,
        rerank_deadline: float = RERANK_DEADLINE,
        encode_deadline: float = ENCODE_DEADLINE,
        no_reranker: str = "",
    ) -> None:
        self._encoder = encoder
        self._index = index
        self._reranker = reranker
        self._rerank_deadline = rerank_deadline
        self._encode_deadline = encode_deadline
        self._no_reranker = no_reranker

    async def run(self, query: Query) -> Answer:
        """Answer one query.

        Raises:
            InvalidQuery: empty, too long, or contradictory.
            InvalidFilter: a filter on a field that is not stored.
            CollectionNotFound: no such collection.
            ModelMismatch: other models made the collection.
            WorkNotFound: `work_id` is not in it.
            Overloaded: the encoder's queue is full.
            Unavailable: the index cannot answer now, or the encoder cannot and the query has no words to go by.
        """
        target = check(query)
        stages = Stages()
        has_features, degraded = await self._check_models(query.collection)
        try:
            with stages.measure("encode"):
                embedded = await self._embed(query)
        except Overloaded:
            # Who comes to a full house is asked to come again; a poorer answer would only hide it.
            raise
        except Unavailable as error:
            if not query.text:
                raise
            logger.warning("answered by keywords: %s", error)
            return await self._by_keywords(query, target, stages, error.message)
        with stages.measure("candidates"):
            candidates = await self._candidates(query, target, embedded.vector)
        ranker = Ranker.NONE
        scores: dict[str, RerankScore] | None = None
        if not candidates or query.rerank is Ranker.NONE:
            degraded = {}
        elif not _can_rerank(query, target, embedded):
            degraded = _only_if_named(query, f"the ranker {query.rerank} compares texts with pictures and nothing else")
        elif has_features:
            with stages.measure("rerank"):
                ranker, scores, degraded = await self._rerank(query, embedded, candidates)
        elif not degraded:
            degraded = self._without_reranker(query)
        hits = _hits(query, candidates, scores)
        models = {"encoder": self._encoder.card.id}
        if self._reranker is not None and scores is not None:
            models["reranker"] = self._reranker.card.id
        return Answer(
            hits=hits,
            target=target,
            ranker=ranker,
            stages=stages.milliseconds,
            degraded=degraded,
            models=models,
        )

    async def explain(self, query: Query, work_id: str) -> Hit:
        """Why one work fits a query, wherever it stands among the hits: its hit, alone, with the map of each word.

        For a text the maps lie over the work's picture; for a picture they are those of the words of the work's
        description and lie over the query's picture.

        Raises:
            InvalidQuery: as `run`, or one whose hits the relation network does not compare.
            WorkNotFound: no such work, or it has nothing to compare the query with.
            Unavailable: the encoder, the index or the reranker cannot answer now.
        """
        query = replace(query, explain=True, min_relevance=0.0, limit=1, candidates=1)
        target = check(query)
        has_features, degraded = await self._check_models(query.collection)
        if degraded:
            raise Unavailable(degraded["rerank"])
        candidates = await self._index.get(query.collection, [work_id])
        if not candidates:
            raise WorkNotFound(f"There is no work {work_id[:80]!r} in {query.collection!r}.")
        if query.work_id or not has_features:
            raise InvalidQuery(
                "There is nothing to explain: nothing compared words with regions here.",
                hint="Search by a text or for descriptions, in a collection that was made with a reranker.",
                field="work_id" if query.work_id else "collection",
            )
        embedded = await self._embed(query)
        if not _can_rerank(query, target, embedded):
            raise InvalidQuery("Only words and pictures are compared with each other.", field="target")
        _, scores, degraded = await self._rerank(query, embedded, candidates)
        if scores is None:
            raise Unavailable(degraded.get("rerank", "There is no reranker."))
        (hit,) = _hits(query, candidates, scores)
        if not hit.explanation:
            raise WorkNotFound(f"The work {work_id[:80]!r} has nothing that the query could be compared with.")
        return hit

    async def _by_keywords(self, query: Query, target: Target, stages: Stages, reason: str) -> Answer:
        """The works that share the query's words: what is left without the encoder."""
        with stages.measure("candidates"):
            candidates = await self._index.search_keywords(
                query.collection, query.text, limit=query.limit, where=query.where
            )
        degraded = {"encode": reason, **_only_if_named(query, "nothing can be compared without the encoder")}
        hits = _hits(query, candidates, None)
        return Answer(hits=hits, target=target, ranker=Ranker.NONE, stages=stages.milliseconds, degraded=degraded)

    def _without_reranker(self, query: Query) -> Mapping[str, str]:
        """Why an answer that could have been reranked was not."""
        if self._reranker is not None:
            return {
                "rerank": f"the collection {query.collection!r} was made without the reranker; "
                f"run `boonart reindex {query.collection}`"
            }
        if self._no_reranker:
            return {"rerank": self._no_reranker}
        return _only_if_named(query, f"there is no reranker, so that {query.rerank} cannot be had")

    async def _check_models(self, collection: str) -> tuple[bool, Mapping[str, str]]:
        """Refuse a collection that other models made.

        Returns:
            Whether it holds this reranker's features, and what is degraded where the reranker is not to be had.

        Raises:
            ModelMismatch: with the command that mends it.
        """
        manifest = (await self._index.describe(collection)).manifest
        reranker: ModelCard | None = None
        degraded: Mapping[str, str] = {}
        if self._reranker is not None:
            try:
                reranker = self._reranker.card
            except Unavailable as error:
                # A remote one that has not been reached since this process started.
                degraded = {"rerank": error.message}
        check_manifest(manifest, self._encoder.card, reranker, collection=collection)
        return reranker is not None and bool(manifest.reranker_id), degraded

    async def _embed(self, query: Query) -> _Embedded:
        if query.work_id:
            vector = await self._index.vector(query.collection, query.work_id, "image")
            return _Embedded(vector, None)
        encoded: Sequence[TextEmbedding | ImageEmbedding | BoonArtError]
        if query.picture is not None:
            encoded = await self._encoder.encode_images([query.picture])
        else:
            encoded = await self._encode_text(query.text)
        embedding = encoded[0]
        if isinstance(embedding, BoonArtError):
            raise embedding
        return _Embedded(embedding.global_vector, embedding)

    async def _encode_text(self, text: str) -> Sequence[TextEmbedding | BoonArtError]:
        try:
            async with asyncio.timeout(self._encode_deadline) as scope:
                return await self._encoder.encode_texts([text])
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise DeadlineExceeded(f"The encoder did not answer within {self._encode_deadline:g} s.") from error

    async def _candidates(self, query: Query, target: Target, vector: Float32Array) -> list[Candidate]:
        name = "image" if target is Target.WORKS else "description"
        # One more than asked for, because a work is its own nearest neighbour and is then left out.
        wanted = max(query.limit, query.candidates) + (1 if query.work_id else 0)
        found = await self._index.search(query.collection, vector, name=name, limit=wanted, where=query.where)
        return [candidate for candidate in found if candidate.work.id != query.work_id]

    async def _rerank(
        self, query: Query, embedded: _Embedded, candidates: Sequence[Candidate]
    ) -> tuple[Ranker, dict[str, RerankScore] | None, Mapping[str, str]]:
        """The ranker used, its scores by point id, and what was degraded and why."""
        if self._reranker is None or embedded.embedding is None:
            return Ranker.NONE, None, {}
        request = RerankRequest(
            collection=query.collection,
            query=embedded.embedding,
            candidates=candidates[: query.candidates],
            ranker=query.rerank,
            explain=query.explain,
        )
        try:
            async with asyncio.timeout(self._rerank_deadline):
                scores = await self._reranker.rerank(request)
        except TimeoutError:
            reason = f"the reranker did not answer within {self._rerank_deadline:g} s"
            logger.warning("answered without reranking: %s", reason)
            return Ranker.NONE, None, {"rerank": reason}
        except BoonArtError as error:
            # Down, full, without this ranker, or at fault itself: the global order is there all the same.
            logger.warning("answered without reranking: %s", error)
            return Ranker.NONE, None, {"rerank": error.message}
        return query.rerank, {score.point_id: score for score in scores}, {}


def _only_if_named(query: Query, reason: str) -> dict[str, str]:
    """What is degraded where a ranker was asked for by name and cannot be used; nothing where none was."""
    return {"rerank": reason} if query.rerank in _NAMED else {}


def _can_rerank(query: Query, target: Target, embedded: _Embedded) -> bool:
    """The relation network compares a text with pictures or a picture with texts, nothing else."""
    if query.rerank is Ranker.NONE or embedded.embedding is None:
        return False
    is_text = isinstance(embedded.embedding, TextEmbedding)
    return is_text == (target is Target.WORKS)


def _hits(query: Query, candidates: Sequence[Candidate], scores: Mapping[str, RerankScore] | None) -> tuple[Hit, ...]:
    """Candidates in their final order, cut to the page.

    Reranked candidates come first; those beyond the reranker's window follow in global order. Ties are broken
    by work id so that the same query always gives the same list.
    """

    def order(candidate: Candidate) -> tuple[int, float, str]:
        score = scores.get(candidate.point_id) if scores is not None else None
        if score is None:
            return (1, -candidate.score, candidate.work.id)
        return (0, -score.score, candidate.work.id)

    hits: list[Hit] = []
    for candidate in sorted(candidates, key=order):
        score = scores.get(candidate.point_id) if scores is not None else None
        relevance = score.relevance if score is not None else None
        if relevance is not None and relevance < query.min_relevance:
            continue
        hits.append(
            Hit(
                rank=len(hits) + 1,
                work=candidate.work,
                score=score.score if score is not None else candidate.score,
                global_score=candidate.score,
                picture=candidate.picture,
                relation_score=score.relation_score if score is not None else None,
                relevance=relevance,
                explanation=score.explanation if score is not None else (),
                description_composed=candidate.description_composed,
            )
        )
        if len(hits) == query.limit:
            break
    return tuple(hits)
