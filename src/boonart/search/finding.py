"""Candidates: from vectors, from keywords, or from both lists fused; and works that are named exactly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from boonart.ports import WorkIndex
from boonart.search.queries import Wording
from boonart.works import And, Candidate, Equals, Filter, Float32Array, Hit, Or, Work

RRF_K = 60
"""Damping of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): a list's place r counts 1 / (60 + r)."""
FUSED = 200
"""Works that each list of a hybrid search gives, whatever the page's length, so that longer pages keep the order."""
_NUMBER_FIELD = re.compile(
    r"(?:extra\.)?(?:accession|inventory|object|catalogue|inv)[ _.-]?(?:number|no|nr|id)?\.?", re.I
)


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates in the order in which they were found.

    Attributes:
        scores: what the order comes from, by point id, where it is not the candidates' own score.
        matched_by: what found each of them, by point id.
        complete: there are no more than these.
        by_words: by their words alone.
    """

    candidates: list[Candidate]
    scores: Mapping[str, float] = field(default_factory=dict)
    matched_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    complete: bool = False
    by_words: bool = False


def fuse(vector: Sequence[Candidate], keyword: Sequence[Candidate], keyword_weight: float) -> Found:
    """Both lists as one, by reciprocal rank fusion; a candidate keeps its cosine as its own score.

    Ties go to the work whose id comes first.
    """
    scores: dict[str, float] = {}
    matched: dict[str, tuple[str, ...]] = {}
    known: dict[str, Candidate] = {}
    for name, weight, candidates in (("vector", 1.0, vector), ("keyword", keyword_weight, keyword)):
        for place, candidate in enumerate(candidates, start=1):
            point = candidate.point_id
            scores[point] = scores.get(point, 0.0) + weight / (RRF_K + place)
            matched[point] = (*matched.get(point, ()), name)
            known.setdefault(point, candidate if name == "vector" else without_score(candidate))
    ordered = sorted(known.values(), key=lambda candidate: (-scores[candidate.point_id], candidate.work.id))
    return Found(ordered, scores, matched)


def by_vector(candidates: list[Candidate]) -> Found:
    """What a vector search found."""
    return Found(candidates, {}, {candidate.point_id: ("vector",) for candidate in candidates})


def by_keyword(candidates: Sequence[Candidate]) -> Found:
    """What a keyword search found; its scores are no cosines."""
    return Found(
        [without_score(candidate) for candidate in candidates],
        {candidate.point_id: candidate.score for candidate in candidates},
        {candidate.point_id: ("keyword",) for candidate in candidates},
        by_words=True,
    )


def without_score(candidate: Candidate) -> Candidate:
    """The candidate without a score that is no cosine."""
    return replace(candidate, score=0.0)


def holds_phrases(work: Work, wording: Wording) -> bool:
    """Whether each phrase stands in one of the work's texts, words in order and nothing between them."""
    texts = [f" {plain(text)} " for text in (work.title, work.artist, work.description, *work.subjects)]
    return all(any(f" {plain(phrase)} " in text for text in texts) for phrase in wording.phrases)


async def named_exactly(
    index: WorkIndex, collection: str, size: int, text: str, where: Filter | None, found: Sequence[Candidate]
) -> list[Candidate]:
    """The works whose id, number, title or artist is the whole text, in this order of importance.

    Args:
        size: D of the collection.
        found: the keyword list, which holds those written in another case or with other accents.
    """
    wanted = plain(text)
    if not wanted:
        return []
    numbers = [name for name in await index.fields(collection) if _NUMBER_FIELD.fullmatch(name)]
    filters: list[Filter] = [Equals(name, text) for name in (*numbers, "title", "artist")]
    ids = list(dict.fromkeys((text, text.lower(), text.upper(), f"{collection}-{text.lower()}")))
    candidates = {candidate.point_id: candidate for candidate in await index.get(collection, ids)}
    by_id = set(candidates)
    if by_id and where is not None:
        for point in list(by_id):
            named = And((Equals("id", candidates[point].work.id), where))
            if not await index.count(collection, named):
                by_id.discard(point)
                del candidates[point]
    equal = Or(tuple(filters))
    narrowed = And((equal, where)) if where is not None else equal
    # Only the filter counts here, and every work has a picture's vector, so any direction will do.
    direction = np.full(size, size**-0.5, dtype=np.float32)
    for candidate in await index.search(collection, direction, name="image", limit=FUSED, where=narrowed):
        candidates.setdefault(candidate.point_id, without_score(candidate))
    for candidate in found:
        candidates.setdefault(candidate.point_id, candidate)

    def importance(candidate: Candidate) -> int | None:
        work = candidate.work
        values = [str(work.extra.get(name.removeprefix("extra."), "")) for name in numbers]
        if candidate.point_id in by_id or wanted in {plain(value) for value in values}:
            return 0
        if plain(work.title) == wanted:
            return 1
        return 2 if plain(work.artist) == wanted else None

    ranked = [(importance(candidate), candidate) for candidate in candidates.values()]
    kept = [(level, candidate) for level, candidate in ranked if level is not None]
    return [candidate for _, candidate in sorted(kept, key=lambda item: (item[0], item[1].work.id))]


async def with_cosines(
    index: WorkIndex, collection: str, name: str, vector: Float32Array, hits: Sequence[Hit]
) -> tuple[Hit, ...]:
    """The hits with the cosines of those that only their words found.

    Args:
        name: of the stored vectors to compare with, "image" or "description".
        vector: (D,), of length 1.
    """
    missing = [hit.work.id for hit in hits if "vector" not in hit.matched_by]
    vectors = await index.vectors(collection, missing, name) if missing else {}
    return tuple(
        replace(hit, global_score=float(vector @ vectors[hit.work.id])) if hit.work.id in vectors else hit
        for hit in hits
    )


def plain(text: str) -> str:
    """Lower case, without accents, words apart by single spaces: "Cézanne, Paul" becomes "cezanne paul"."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(re.findall(r"\w+", letters))
