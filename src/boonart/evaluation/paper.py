"""The experiments of the BoonArt paper (Gong, Cosma, Finke 2023) on any collection.

Table I and Figure 4: twenty queries against a keyword search. Figure 5: picture queries and the descriptions found.
Table II: recall on a held-out split. Section III-E: time a query.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode
from boonart.errors import WorkNotFound
from boonart.evaluation.contact_sheets import Cell, Panel, contact_sheet
from boonart.evaluation.keyword import KeywordSearch
from boonart.works import Answer, Hit, Picture, Query, Ranker, Target, Work

TABLE1_QUERIES = (
    "a cow in the room",
    "a red cow in the room",
    "airplane flying with another airplane",
    "a man sitting with his dog",
    "train in the town",
    "a man riding a horse with another horse",
    "a brown dog with a white dog",
    "white car on the street",
    "impression painting of river in a town",
    "impression painting of sheep in the rain",
    "impression painting of trees and horse",
    "impression painting of ruin in the landscape",
    "abstract painting of bird on the table",
    "abstract painting of a boat behinds another",
    "abstract painting of a person with red hair",
    "abstract painting of a town in the dark night",
    "still life of flower",
    "still life of yellow flower",
    "still life of cat on the chair",
    "still life of fruits on the blue tablecloth",
)
"""Table I of the paper, word for word."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One query's best hits by meaning and by keywords.

    Attributes:
        right: ids of the works that satisfy the query, empty where nobody has said.
    """

    query: str
    found: tuple[Hit, ...]
    keyword: tuple[Work, ...]
    right: frozenset[str] = frozenset()


async def all_works(parts: Parts, collection: str) -> dict[str, tuple[Work, str]]:
    """Every work of a collection with its picture's key, by id."""
    works: dict[str, tuple[Work, str]] = {}
    async for batch in parts.index.scroll(collection):
        works |= {item.work.id: (item.work, item.picture.key) for item in batch}
    return works


def table1(
    parts: Parts,
    collection: str,
    queries: Sequence[str] = TABLE1_QUERIES,
    *,
    right: Mapping[str, frozenset[str]] | None = None,
    ranker: Ranker = Ranker.DEFAULT,
    limit: int = 3,
) -> list[Comparison]:
    """The best hits of each query, beside those of a keyword search over titles and descriptions."""

    async def run() -> list[Comparison]:
        keyword = KeywordSearch([work for work, _ in (await all_works(parts, collection)).values()])
        compared = []
        for text in queries:
            answer = await parts.search.run(Query(collection, text=text, limit=limit, rerank=ranker))
            by_keyword = tuple(work for work, _ in keyword.search(text, limit))
            compared.append(Comparison(text, answer.hits, by_keyword, (right or {}).get(text, frozenset())))
        return compared

    return asyncio.run(run())


def has_ranker(parts: Parts, collection: str, ranker: Ranker) -> bool:
    """Whether the reranker's weights have this ranker; imported ones may not, and a search then goes without."""
    answer = asyncio.run(parts.search.run(Query(collection, text=TABLE1_QUERIES[0], limit=1, rerank=ranker)))
    return "rerank" not in answer.degraded


def first_right(compared: Sequence[Comparison]) -> int:
    """How many queries have a right work first; those without a known answer do not count."""
    return sum(bool(row.found) and row.found[0].work.id in row.right for row in compared)


def stored_picture(parts: Parts, collection: str, key: str) -> Picture:
    """A work's display picture, decoded.

    Raises:
        WorkNotFound: the work has none.
    """
    return decode(parts.pictures.read(collection, key, "display")[0])


def shown(parts: Parts, collection: str, key: str) -> Picture | None:
    """A work's display picture for a sheet, or None where there is none."""
    try:
        return stored_picture(parts, collection, key)
    except WorkNotFound:
        return None


def figure4(parts: Parts, collection: str, compared: Sequence[Comparison], file: Path) -> Path:
    """The top hit of each query by meaning and by keywords, as a contact sheet."""
    keys = {id_: key for id_, (_, key) in asyncio.run(all_works(parts, collection)).items()}

    def cell(label: str, work: Work | None, right: frozenset[str]) -> Cell:
        if work is None:
            return Cell(label, "nothing found")
        known = work.id in right if right else None
        return Cell(label, work.title or work.id, shown(parts, collection, keys[work.id]), known)

    panels = []
    for number, row in enumerate(compared, start=1):
        best = row.found[0].work if row.found else None
        keyword = row.keyword[0] if row.keyword else None
        cells = (cell("BoonArt", best, row.right), cell("keyword search", keyword, row.right))
        panels.append(Panel(f"{number}. {row.query}", cells))
    return contact_sheet(f"Figure 4 on {collection}", panels, file)


@dataclass(frozen=True, slots=True)
class PictureQuery:
    """A picture to search with.

    Attributes:
        work_id: the work whose picture it is, whose description is the right answer; "" for a picture from elsewhere.
    """

    picture: Picture
    work_id: str = ""


def figure5(
    parts: Parts, collection: str, queries: Sequence[PictureQuery], file: Path, *, ranker: Ranker = Ranker.DEFAULT
) -> tuple[Path, int]:
    """Picture queries, the best description of each and its painting, as a contact sheet.

    Returns:
        The file, and for how many queries the description of the very work came first.
    """

    async def run() -> list[Answer]:
        asked = [
            Query(collection, picture=query.picture, target=Target.DESCRIPTIONS, limit=1, rerank=ranker)
            for query in queries
        ]
        return [await parts.search.run(query) for query in asked]

    panels, first = [], 0
    for query, answer in zip(queries, asyncio.run(run()), strict=True):
        found = Cell("best description", "no work has a description")
        if answer.hits:
            hit = answer.hits[0]
            own = hit.work.id == query.work_id if query.work_id else None
            first += bool(own)
            found = Cell("best description", hit.work.description, shown(parts, collection, hit.picture.key), own)
        panels.append(Panel("", (Cell("picture query", query.work_id, query.picture), found)))
    title = f"Figure 5 on {collection}"
    return contact_sheet(title, panels, file, columns=2, caption_lines=4), first


def timing(
    parts: Parts,
    collection: str,
    texts: Sequence[str],
    pictures: Sequence[Picture],
    advance: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Median milliseconds a query, both ways, after one warm-up each; section III-E of the paper."""

    async def median(queries: Sequence[Query]) -> float:
        await parts.search.run(queries[0])
        times = []
        for query in queries:
            answer = await parts.search.run(query)
            times.append(sum(answer.stages.values()))
            advance()
        return statistics.median(times)

    async def run() -> dict[str, float]:
        one = Query(collection, limit=10)
        return {
            "text_to_image.median_ms": await median([replace(one, text=text) for text in texts]),
            "image_to_text.median_ms": await median([replace(one, picture=picture) for picture in pictures]),
        }

    return asyncio.run(run())
