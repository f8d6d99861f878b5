"""How well the modes of a search do on a collection that is stored: names that must come first, and queries by subject.

These go the whole way of a search, through `boonart.search.Search` and the index, as a visitor's query does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from boonart.errors import SourceError
from boonart.ports import WorkIndex
from boonart.search import MAX_CANDIDATES, MAX_LIMIT, Search
from boonart.search.finding import plain
from boonart.works import Float32Array, Mode, Query, Ranker, Work

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Miss:
    """A name that did not come first.

    Attributes:
        kind: "id", "number", "title" or "artist".
        first: id of the work that came first, or "" where nothing was found.
    """

    kind: str
    text: str
    wanted: str
    first: str


@dataclass(frozen=True, slots=True)
class Named:
    """How often each kind of name came first.

    Attributes:
        works: how many works were drawn.
        asked, first: queries, and those answered by a right work first, by kind of name.
    """

    works: int
    asked: Mapping[str, int]
    first: Mapping[str, int]
    misses: tuple[Miss, ...]

    @property
    def figures(self) -> dict[str, float]:
        """Counts by flat name: `title.asked`, `title.first`."""
        counts: dict[str, float] = {}
        for kind, asked in self.asked.items():
            counts |= {f"{kind}.asked": float(asked), f"{kind}.first": float(self.first[kind])}
        return counts


def names_of(work: Work, collection: str) -> dict[str, str]:
    """What a work may be asked for by: its id, its title, its artist; and its number as its museum writes it, where the
    id is that with the collection's name before it ("tate-n03992" is N03992)."""
    names = {"id": work.id, "title": work.title, "artist": work.artist}
    prefix = f"{collection}-"
    if work.id.startswith(prefix):
        names["number"] = work.id.removeprefix(prefix).upper()
    return {kind: text for kind, text in names.items() if plain(text)}


def answers(kind: str, text: str, asked: Work, found: Work) -> bool:
    """Whether a work is a right answer to a name: for an id or number that very work; for a title or artist, which
    several works may share, any work that has it, whatever case, accents and punctuation."""
    if kind in {"id", "number"}:
        return found.id == asked.id
    return plain(getattr(found, kind)) == plain(text)


async def names_first(
    search: Search,
    index: WorkIndex,
    collection: str,
    *,
    count: int,
    seed: int,
    mode: Mode = Mode.HYBRID,
    ranker: Ranker = Ranker.NONE,
    advance: Advance = lambda done: None,
) -> Named:
    """Ask for each name of some works of a collection, drawn at random.

    Raises:
        CollectionNotFound: no such collection.
        SourceError: no work has both a title and an artist.
    """
    works = [found.work async for batch in index.scroll(collection) for found in batch]
    whole = sorted((work for work in works if plain(work.title) and plain(work.artist)), key=lambda work: work.id)
    if not whole:
        raise SourceError(f"No work of {collection!r} has a title and an artist.")
    drawn = np.random.default_rng(seed).choice(len(whole), min(count, len(whole)), replace=False)
    asked: dict[str, int] = {}
    first: dict[str, int] = {}
    misses: list[Miss] = []
    for place in drawn:
        work = whole[int(place)]
        for kind, text in names_of(work, collection).items():
            hits = (await search.run(Query(collection, text=text, mode=mode, limit=1, rerank=ranker))).hits
            right = bool(hits) and answers(kind, text, work, hits[0].work)
            asked[kind] = asked.get(kind, 0) + 1
            first[kind] = first.get(kind, 0) + right
            if not right:
                misses.append(Miss(kind, text, work.id, hits[0].work.id if hits else ""))
        advance(1)
    return Named(len(drawn), asked, first, tuple(misses))


async def ranked_by_search(
    search: Search,
    collection: str,
    texts: Sequence[str],
    ids: Sequence[str],
    *,
    mode: Mode,
    ranker: Ranker = Ranker.NONE,
    candidates: int = 100,
    advance: Advance = lambda done: None,
) -> Float32Array:
    """The order in which a search gives works, as scores.

    Args:
        ids: of the N works; others that the collection holds are passed over.
        candidates: how many are reranked; without a ranker all are listed.

    Returns:
        (Q, N) float32, higher is better; 0 for works that were not found.

    Raises:
        SourceError: more works than one answer lists.
    """
    if len(ids) > MAX_LIMIT:
        raise SourceError(f"{len(ids):,} works are more than one answer lists ({MAX_LIMIT:,}).")
    column = {work_id: number for number, work_id in enumerate(ids)}
    scores = np.zeros((len(texts), len(ids)), dtype=np.float32)
    window = MAX_CANDIDATES if ranker is Ranker.NONE else candidates
    for row, text in enumerate(texts):
        query = Query(collection, text=text, mode=mode, limit=MAX_LIMIT, candidates=window, rerank=ranker)
        for hit in (await search.run(query)).hits:
            if hit.work.id in column:
                scores[row, column[hit.work.id]] = 1.0 / hit.rank
        advance(1)
    return scores
