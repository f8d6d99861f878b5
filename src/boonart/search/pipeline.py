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

import numpy as np

from boonart import observability
from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    DeadlineExceeded,
    InvalidQuery,
    Overloaded,
    Unavailable,
    WorkNotFound,
)
from boonart.manifests import check_manifest
from boonart.ports import CollectionInfo, Encoder, Reranker, RerankRequest, WorkIndex
from boonart.search.combining import Part, rerank_parts
from boonart.search.facets import count_facets
from boonart.search.finding import FUSED, Found, by_keyword, by_vector, fuse, holds_phrases, named_exactly, with_cosines
from boonart.search.ordering import ALL_VALUES, FACET_VALUES, cut, merge, to_hits, vary
from boonart.search.queries import Wording, check, naming, parts_of, positive_text, vector_name
from boonart.search.totals import count_all, without_effect
from boonart.works import (
    Answer,
    Candidate,
    FacetCount,
    Filter,
    Float32Array,
    Hit,
    ImageEmbedding,
    Mode,
    ModelCard,
    Query,
    QueryPart,
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
VANISHING = 1e-3
"""Length below which a weighted sum of vectors of length 1 has no direction worth following."""
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
    """A query as vectors.

    Attributes:
        vector: (D,), the direction to search in.
        parts: what it is made of.
    """

    vector: Float32Array
    parts: tuple[Part, ...]


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
            InvalidFilter: a filter or facet on a field that is not stored.
            CollectionNotFound: no such collection.
            ModelMismatch: other models made the collection.
            WorkNotFound: `work_id` is not in it.
            Overloaded: the encoder's queue is full.
            Unavailable: the index cannot answer now, or the encoder cannot and the query has no words to go by.
        """
        target = check(query)
        if not query.collections:
            with naming("collection", CollectionNotFound):
                return await self._run_one(query, target)
        names = dict.fromkeys(query.collections)
        each = [replace(query, collection=name, collections=(), per_artist=0, target=target) for name in names]
        return merge(query, await asyncio.gather(*(self._run_among(query, one, target) for one in each)))

    async def _run_among(self, query: Query, one: Query, target: Target) -> Answer:
        """Answer in one of the query's several collections."""
        with naming(f"collections.{query.collections.index(one.collection)}", CollectionNotFound):
            return await self._run_one(one, target, ALL_VALUES)

    async def _run_one(self, query: Query, target: Target, facet_values: int = FACET_VALUES) -> Answer:
        stages = Stages()
        info, has_features, degraded = await self._check_models(query.collection)
        embedded: _Embedded | None = None
        if query.mode is not Mode.KEYWORD:
            try:
                with stages.measure("encode"):
                    embedded = await self._embed(query)
            except Overloaded:
                # Who comes to a full house is asked to come again; a poorer answer would only hide it.
                raise
            except Unavailable as error:
                if not positive_text(query).strip():
                    raise
                logger.warning("answered by keywords: %s", error)
                degraded = {
                    "encode": error.message,
                    **_only_if_named(query, "nothing can be compared without the encoder"),
                }
        with stages.measure("candidates"):
            found, exact = await self._find(query, target, embedded)
        ranker = Ranker.NONE
        scores: dict[str, RerankScore] | None = None
        if embedded is None:
            if "encode" not in degraded:
                degraded = _only_if_named(query, "a keyword search compares no pictures")
        elif not found.candidates or query.rerank is Ranker.NONE:
            degraded = {}
        elif not any(part.comparable(target) for part in embedded.parts):
            degraded = _only_if_named(query, f"the ranker {query.rerank} compares texts with pictures and nothing else")
        elif has_features:
            with stages.measure("rerank"):
                ranker, scores, degraded = await self._rerank(query, target, embedded, found.candidates)
        elif not degraded:
            degraded = self._without_reranker(query)
        hits = to_hits(query, found, scores, exact)
        if query.min_relevance > 0 and hits and all(hit.relevance is None for hit in hits):
            degraded = {**degraded, "min_relevance": "nothing is left out: no hit of this query has a relevance"}
        if query.diversity:
            with stages.measure("diversity"):
                hits = await self._vary(query, hits)
        facets: Mapping[str, tuple[FacetCount, ...]] = {}
        if query.facets:
            with stages.measure("facets"):
                facets = await count_facets(self._index, query, hits, facet_values)
        page = cut(query, hits)
        if embedded is not None and query.mode is Mode.HYBRID:
            page = await with_cosines(self._index, query.collection, vector_name(target), embedded.vector, page)
        models = {} if embedded is None else {"encoder": self._encoder.card.id}
        if self._reranker is not None and scores is not None:
            models["reranker"] = self._reranker.card.id
        return Answer(
            hits=page,
            target=target,
            ranker=ranker,
            stages=stages.milliseconds,
            degraded=degraded,
            models=models,
            facets=facets,
            total=await count_all(self._index, query, target, info, found, hits),
            warnings=without_effect(query, ranker),
            index_generation=info.version,
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
        _, has_features, degraded = await self._check_models(query.collection)
        if degraded:
            raise Unavailable(degraded["rerank"])
        candidates = await self._index.get(query.collection, [work_id])
        if not candidates:
            raise WorkNotFound(f"There is no work {work_id[:80]!r} in {query.collection!r}.")
        if query.work_id or query.parts or not has_features:
            raise InvalidQuery(
                "There is nothing to explain: nothing compared words with regions here.",
                hint="Search by a text or for descriptions, in a collection that was made with a reranker.",
                field="collection" if not has_features else "work_id",
            )
        embedded = await self._embed(query)
        if query.rerank is Ranker.NONE or not embedded.parts[0].comparable(target):
            raise InvalidQuery("Only words and pictures are compared with each other.", field="target")
        _, scores, degraded = await self._rerank(query, target, embedded, candidates)
        if scores is None:
            raise Unavailable(degraded.get("rerank", "There is no reranker."))
        (hit,) = cut(query, to_hits(query, by_vector(candidates), scores))
        if not hit.explanation:
            raise WorkNotFound(f"The work {work_id[:80]!r} has nothing that the query could be compared with.")
        return hit

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

    async def _check_models(self, collection: str) -> tuple[CollectionInfo, bool, Mapping[str, str]]:
        """Refuse a collection that other models made.

        Returns:
            The collection, whether it holds this reranker's features, and what is degraded where the reranker is not to
            be had.

        Raises:
            ModelMismatch: with the command that mends it.
        """
        info = await self._index.describe(collection)
        reranker: ModelCard | None = None
        degraded: Mapping[str, str] = {}
        if self._reranker is not None:
            try:
                reranker = self._reranker.card
            except Unavailable as error:
                # A remote one that has not been reached since this process started.
                degraded = {"rerank": error.message}
        check_manifest(info.manifest, self._encoder.card, reranker, collection=collection)
        return info, reranker is not None and bool(info.manifest.reranker_id), degraded

    async def _embed(self, query: Query) -> _Embedded:
        """The query as one direction.

        Raises:
            InvalidQuery: its parts cancel each other out.
        """
        wording = query.mode is not Mode.VECTOR
        parts = parts_of(query)
        places = [f"query.{number}.work_id" for number in range(len(parts))] if query.parts else ["work_id"]
        embedded = await asyncio.gather(
            *(
                self._embed_part(query.collection, part, wording, place)
                for part, place in zip(parts, places, strict=True)
            )
        )
        if len(parts) == 1:
            return _Embedded(embedded[0].vector, tuple(embedded))
        total = sum(part.weight * part.vector for part in embedded)
        vector = np.asarray(total, dtype=np.float32)
        length = float(np.linalg.norm(vector))
        if length < VANISHING:
            raise InvalidQuery(
                "The parts of the query cancel each other out.", hint="Change their weights.", field="query"
            )
        return _Embedded(vector / np.float32(length), tuple(embedded))

    async def _embed_part(self, collection: str, part: QueryPart, unquoted: bool, place: str) -> Part:
        if part.work_id:
            with naming(place, WorkNotFound):
                return Part(await self._index.vector(collection, part.work_id, "image"), None, part.weight)
        encoded: Sequence[TextEmbedding | ImageEmbedding | BoonArtError]
        if part.picture is not None:
            encoded = await self._encoder.encode_images([part.picture])
        else:
            encoded = await self._encode_text(Wording.of(part.text).text if unquoted else part.text)
        embedding = encoded[0]
        if isinstance(embedding, BoonArtError):
            raise embedding
        return Part(embedding.global_vector, embedding, part.weight)

    async def _encode_text(self, text: str) -> Sequence[TextEmbedding | BoonArtError]:
        try:
            async with asyncio.timeout(self._encode_deadline) as scope:
                return await self._encoder.encode_texts([text])
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise DeadlineExceeded(f"The encoder did not answer within {self._encode_deadline:g} s.") from error

    async def _find(self, query: Query, target: Target, embedded: _Embedded | None) -> tuple[Found, list[Candidate]]:
        """The candidates, and those among them or beside them that the query names exactly."""
        given = {part.work_id for part in parts_of(query) if part.work_id}
        if query.mode is Mode.VECTOR and embedded is not None:
            # More than asked for, because a work is its own nearest neighbour and is then left out.
            wanted = max(query.limit, query.candidates) + len(given)
            near = await self._near(query, target, embedded, wanted, query.where)
            found = by_vector([candidate for candidate in near if candidate.work.id not in given])
            return replace(found, complete=len(near) < wanted), []
        if query.mode is Mode.VECTOR:
            # The encoder is away, and nobody asked for keywords: no more is promised than an answer.
            text = positive_text(query)
            worded = await self._index.search_keywords(query.collection, text, limit=query.limit, where=query.where)
            found = by_keyword([candidate for candidate in worded if candidate.work.id not in given])
            return replace(found, complete=len(worded) < query.limit), []
        wording = Wording.of(positive_text(query))
        where = wording.where(query.where)
        window = max(FUSED, query.candidates)
        worded = await self._index.search_keywords(query.collection, wording.text, limit=window, where=where)
        keyword = [
            candidate
            for candidate in worded
            if candidate.work.id not in given and holds_phrases(candidate.work, wording)
        ]
        size = (await self._index.describe(query.collection)).manifest.global_size
        exact = await named_exactly(self._index, query.collection, size, wording.text, query.where, keyword)
        if embedded is None:
            return replace(by_keyword(keyword), complete=len(worded) < window), exact
        near = await self._near(query, target, embedded, window, where)
        kept = [
            candidate for candidate in near if candidate.work.id not in given and holds_phrases(candidate.work, wording)
        ]
        return replace(fuse(kept, keyword, query.keyword_weight), complete=max(len(near), len(worded)) < window), exact

    async def _near(
        self, query: Query, target: Target, embedded: _Embedded, limit: int, where: Filter | None
    ) -> list[Candidate]:
        name = vector_name(target)
        return await self._index.search(query.collection, embedded.vector, name=name, limit=limit, where=where)

    async def _vary(self, query: Query, hits: list[Hit]) -> list[Hit]:
        """The hits with their first `candidates` made to differ from each other; exact ones stay where they are."""
        start = sum("exact" in hit.matched_by for hit in hits)
        window = hits[start : start + query.candidates]
        vectors = await self._index.vectors(query.collection, [hit.work.id for hit in window], "image")
        return [*hits[:start], *vary(window, vectors, query.diversity), *hits[start + query.candidates :]]

    async def _rerank(
        self, query: Query, target: Target, embedded: _Embedded, candidates: Sequence[Candidate]
    ) -> tuple[Ranker, dict[str, RerankScore] | None, Mapping[str, str]]:
        """The ranker used, its scores by point id, and what was degraded and why."""
        if self._reranker is None:
            return Ranker.NONE, None, {}
        window = candidates[: query.candidates]
        first = embedded.parts[0].embedding
        try:
            async with asyncio.timeout(self._rerank_deadline):
                if len(embedded.parts) == 1 and first is not None:
                    request = RerankRequest(query.collection, first, window, query.rerank, query.explain)
                    scores = await self._reranker.rerank(request)
                else:
                    scores = await rerank_parts(self._reranker, self._index, query, target, embedded.parts, window)
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
