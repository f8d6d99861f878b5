"""Several things searched for at once, put in order as one.

Each part of a query that the relation network can compare with the candidates (a text with pictures, or a picture with
descriptions) is compared on its own, and every other part counts by its cosine. A ranker's score is a weighted cosine
plus what the network says (see `boonart.vitr.mixture`), the same weights for every text, so the scores of several texts
can be added by the weights that the query gives them; and the weight of the cosine in them, which can be read off
them, puts the cosines of the other parts on the same scale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from boonart.ports import Reranker, RerankRequest, WorkIndex
from boonart.search.queries import vector_name
from boonart.works import (
    Candidate,
    Float32Array,
    ImageEmbedding,
    Query,
    RerankScore,
    Target,
    TextEmbedding,
    WordMap,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a query as vectors.

    Attributes:
        vector: (D,), of length 1.
        embedding: what the network can compare, or None for an existing work, whose tokens are not stored.
        weight: as the query gives it.
    """

    vector: Float32Array
    embedding: TextEmbedding | ImageEmbedding | None
    weight: float = 1.0

    def comparable(self, target: Target) -> bool:
        """The relation network compares a text with pictures or a picture with texts, nothing else."""
        if self.embedding is None:
            return False
        return isinstance(self.embedding, TextEmbedding) == (target is Target.WORKS)


@dataclass(frozen=True, slots=True)
class Compared:
    """A part with what it says of each candidate.

    Attributes:
        cosines: by point id.
        scores: by point id, or empty where the network does not compare it.
    """

    weight: float
    cosines: Mapping[str, float]
    scores: Mapping[str, RerankScore]


async def rerank_parts(
    reranker: Reranker,
    index: WorkIndex,
    query: Query,
    target: Target,
    parts: Sequence[Part],
    candidates: Sequence[Candidate],
) -> list[RerankScore]:
    """The candidates scored by all parts of the query.

    Raises:
        BoonArtError: as the reranker's and the index's.
    """
    ids = [candidate.work.id for candidate in candidates]
    vectors = await index.vectors(query.collection, ids, vector_name(target))

    async def compare(part: Part) -> Compared:
        near = [
            replace(candidate, score=float(part.vector @ vectors[candidate.work.id]))
            for candidate in candidates
            if candidate.work.id in vectors
        ]
        cosines = {candidate.point_id: candidate.score for candidate in near}
        if not part.comparable(target) or part.embedding is None:
            return Compared(part.weight, cosines, {})
        explain = query.explain and part.weight > 0
        request = RerankRequest(query.collection, part.embedding, near, query.rerank, explain)
        scores = await reranker.rerank(request)
        return Compared(part.weight, cosines, {score.point_id: score for score in scores})

    return combine(await asyncio.gather(*(compare(part) for part in parts)))


def combine(parts: Sequence[Compared]) -> list[RerankScore]:
    """Each candidate's weighted mean over the parts, best first.

    `relation_score` is the share of the network in it. There is no `relevance`: the calibration is that of one text.
    """
    cosine = cosine_weight(parts)
    whole = sum(abs(part.weight) for part in parts)
    points = dict.fromkeys(point for part in parts for point in part.cosines)
    found = []
    for point in points:
        score, relation = 0.0, 0.0
        maps: tuple[WordMap, ...] = ()
        for part in parts:
            compared = part.scores.get(point)
            if compared is None:
                score += part.weight * cosine * part.cosines[point]
                continue
            score += part.weight * compared.score
            relation += part.weight * (compared.relation_score or 0.0)
            maps += compared.explanation
        found.append(RerankScore(point, score / whole, relation / whole, None, maps))
    return sorted(found, key=lambda score: -score.score)


def cosine_weight(parts: Sequence[Compared]) -> float:
    """What a cosine counts in the scores: the least-squares slope of what is left of them without the network's share.

    1 where it cannot be read off them.
    """
    above, below = 0.0, 0.0
    for part in parts:
        for point, score in part.scores.items():
            if score.relation_score is not None and point in part.cosines:
                above += (score.score - score.relation_score) * part.cosines[point]
                below += part.cosines[point] ** 2
    return above / below if above > 0 and below > 0 else 1.0
