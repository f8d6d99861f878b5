"""From candidates and scores to hits: the final order, variety, and the page's cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from boonart.search.finding import Found
from boonart.works import Answer, Candidate, FacetCount, Float32Array, Hit, Query, RerankScore, Total

FACET_VALUES = 20
"""Values that a facet lists, most works first."""
ALL_VALUES = 10_000
"""Values that are counted of each of several collections: a value that is rare in one may be common in all."""


def to_hits(
    query: Query, found: Found, scores: Mapping[str, RerankScore] | None, exact: Sequence[Candidate] = ()
) -> list[Hit]:
    """All candidates as hits in their final order, uncut; `rank` is set by `cut`.

    Works that the query names exactly come first, then reranked ones, then those beyond the reranker's window in
    the order in which they were found. Ties are broken by work id, so that a query always gives the same list.
    """
    named = {candidate.point_id: place for place, candidate in enumerate(exact)}
    position = {candidate.point_id: place for place, candidate in enumerate(found.candidates)}
    extra = [candidate for candidate in exact if candidate.point_id not in position]

    def order(candidate: Candidate) -> tuple[int, float, float, str]:
        point = candidate.point_id
        if point in named:
            return (0, named[point], 0.0, candidate.work.id)
        score = scores.get(point) if scores is not None else None
        if score is not None:
            return (1, -score.score, 0.0, candidate.work.id)
        shown = found.scores.get(point, candidate.score)
        return (2, -shown, position[point], candidate.work.id)

    def hit(candidate: Candidate) -> Hit:
        point = candidate.point_id
        score = scores.get(point) if scores is not None else None
        matched = found.matched_by.get(point, ())
        return Hit(
            rank=0,
            work=candidate.work,
            score=score.score if score is not None else found.scores.get(point, candidate.score),
            global_score=candidate.score,
            picture=candidate.picture,
            relation_score=score.relation_score if score is not None else None,
            relevance=score.relevance if score is not None else None,
            explanation=score.explanation if score is not None else (),
            description_composed=candidate.description_composed,
            collection=query.collection,
            matched_by=(*matched, "exact") if point in named else matched,
        )

    return [hit(candidate) for candidate in sorted([*found.candidates, *extra], key=order)]


def cut(query: Query, hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """The page: without what is not relevant enough or beyond an artist's share, ranked from 1."""
    page = islice(kept(query, hits), query.limit)
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(page, start=1))


def kept(query: Query, hits: Iterable[Hit]) -> Iterator[Hit]:
    """The hits without what is not relevant enough or beyond an artist's share."""
    listed = list(hits)
    # Where relevance is known at all, a hit beyond the reranker's window is not known to be relevant enough.
    calibrated = query.min_relevance > 0 and any(hit.relevance is not None for hit in listed)
    by_artist: Counter[str] = Counter()
    for hit in listed:
        if "exact" not in hit.matched_by and calibrated and (hit.relevance or 0.0) < query.min_relevance:
            continue
        artist = hit.work.artist.casefold()
        if query.per_artist and artist:
            if by_artist[artist] >= query.per_artist:
                continue
            by_artist[artist] += 1
        yield hit


def count_kept(query: Query, hits: Iterable[Hit]) -> int:
    """How many hits there are on all pages together."""
    return sum(1 for _ in kept(query, hits))


def vary(hits: Sequence[Hit], vectors: Mapping[str, Float32Array], diversity: float) -> list[Hit]:
    """The hits in an order that avoids what looks like those before it: maximal marginal relevance.

    Each next hit has the highest (1 - diversity) x score - diversity x likeness, its score scaled to 0..1 and its
    likeness the highest cosine with a hit before it (Carbonell and Goldstein 1998). Hits without a vector count as
    unlike everything.

    Args:
        vectors: (D,) of length 1 by work id.
    """
    if not hits:
        return []
    worst, best = min(hit.score for hit in hits), max(hit.score for hit in hits)
    span = (best - worst) or 1.0
    scaled = {hit.work.id: (hit.score - worst) / span for hit in hits}
    likeness = {hit.work.id: 0.0 for hit in hits}
    waiting, ordered = list(hits), []
    while waiting:
        following = max(
            waiting,
            key=lambda hit: (1 - diversity) * scaled[hit.work.id] - diversity * likeness[hit.work.id],
        )
        waiting.remove(following)
        ordered.append(following)
        if (vector := vectors.get(following.work.id)) is None:
            continue
        for hit in waiting:
            if (other := vectors.get(hit.work.id)) is not None:
                likeness[hit.work.id] = max(likeness[hit.work.id], float(vector @ other))
    return ordered


def merge(query: Query, answers: Sequence[Answer]) -> Answer:
    """The answers of several collections as one, best first."""

    def order(hit: Hit) -> tuple[int, float, str, str]:
        tier = 0 if "exact" in hit.matched_by else 1 if hit.relation_score is not None else 2
        return (tier, -hit.score, hit.collection, hit.work.id)

    hits = sorted((hit for answer in answers for hit in answer.hits), key=order)
    facets: dict[str, Counter[str | int | bool]] = {}
    stages: dict[str, float] = {}
    degraded: dict[str, str] = {}
    for answer in answers:
        for name, values in answer.facets.items():
            facets.setdefault(name, Counter()).update({value.value: value.count for value in values})
        for name, milliseconds in answer.stages.items():
            stages[name] = max(stages.get(name, 0.0), milliseconds)
        degraded.update(answer.degraded)
    return Answer(
        hits=cut(query, hits),
        target=answers[0].target,
        ranker=max((answer.ranker for answer in answers), key=lambda ranker: ranker != "none"),
        stages=stages,
        degraded=degraded,
        models=max((answer.models for answer in answers), key=len),
        facets={name: ranked(counts.items()) for name, counts in facets.items()},
        total=_in_all(query, answers, hits),
        warnings=tuple(dict.fromkeys(notice for answer in answers for notice in answer.warnings)),
    )


def _in_all(query: Query, answers: Sequence[Answer], hits: Sequence[Hit]) -> Total | None:
    """The totals of several collections together."""
    totals = [answer.total for answer in answers if answer.total is not None]
    if len(totals) < len(answers):
        return None
    if query.per_artist:
        # An artist's share holds for all collections together, so only those at hand are known.
        complete = all(
            total.exact and total.value == len(answer.hits) for total, answer in zip(totals, answers, strict=True)
        )
        return Total(count_kept(query, hits), complete)
    return Total(sum(total.value for total in totals), all(total.exact for total in totals))


def ranked(counts: Iterable[tuple[str | int | bool, int]], most: int = FACET_VALUES) -> tuple[FacetCount, ...]:
    """Counted values, most works first, and no more of them than `most`."""
    ordered = sorted(counts, key=lambda item: (-item[1], str(item[0])))
    return tuple(FacetCount(value, count) for value, count in ordered[:most])


def counted(
    hits: Sequence[Hit], read: Callable[[Hit], Iterable[str | int | bool]], most: int = FACET_VALUES
) -> tuple[FacetCount, ...]:
    """The values that `read` gives for each hit, counted once a hit."""
    return ranked(Counter(value for hit in hits for value in dict.fromkeys(read(hit))).items(), most)
