"""The experiments of the BoonArt paper (Gong, Cosma, Finke 2023) on any collection.

Table I and Figure 4: twenty queries against a keyword search. Figure 5: picture queries and the descriptions found.
Table II: recall on a held-out split. Section III-E: time a query.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode
from boonart.evaluation.keyword import KeywordSearch
from boonart.works import Hit, Picture, Query, Ranker, Target, Work

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

TILE = 200
"""Side of a picture in a contact sheet, in pixels."""


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


def first_right(compared: Sequence[Comparison]) -> int:
    """How many queries have a right work first; those without a known answer do not count."""
    return sum(bool(row.found) and row.found[0].work.id in row.right for row in compared)


def table1_page(parts: Parts, collection: str, compared: Sequence[Comparison], folder: Path) -> Path:
    """One HTML page with the hits side by side, its pictures beside it. Returns the page's path."""
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    keys = {id_: key for id_, (_, key) in asyncio.run(all_works(parts, collection)).items()}

    def tile(work: Work, mark: str) -> str:
        name = f"{_safe(work.id)}.webp"
        data, _ = parts.pictures.read(collection, keys[work.id], "thumbnail")
        (pictures / name).write_bytes(data)
        caption = escape(work.title or work.id)
        return f'<figure><img src="pictures/{name}" alt="{caption}"><figcaption>{mark}{caption}</figcaption></figure>'

    rows = []
    for number, row in enumerate(compared, start=1):
        found = [tile(hit.work, _mark(hit.work.id, row.right)) for hit in row.found]
        keyword = [tile(work, _mark(work.id, row.right)) for work in row.keyword] or ["<p>nothing found</p>"]
        cells = f"<td>{''.join(found)}</td><td>{''.join(keyword)}</td>"
        rows.append(f'<tr><th scope="row">{number}. {escape(row.query)}</th>{cells}</tr>')
    page = folder / "table1.html"
    page.write_text(_PAGE.format(collection=escape(collection), rows="\n".join(rows)), encoding="utf-8")
    return page


def _mark(work_id: str, right: frozenset[str]) -> str:
    if not right:
        return ""
    return "✓ " if work_id in right else "✗ "


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Table I on {collection}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fafaf8 }}
table {{ border-collapse: collapse }}
th, td {{ border-top: 1px solid #ccc; padding: .75rem; vertical-align: top; text-align: left }}
figure {{ display: inline-block; margin: 0 .5rem 0 0; width: 11rem }}
img {{ width: 100%; height: 8rem; object-fit: contain; background: #eee }}
figcaption {{ font-size: .8rem }}
</style>
<h1>Table I on {collection}</h1>
<table><thead><tr><th>Query</th><th>BoonArt</th><th>Keyword search over titles and descriptions</th></tr></thead>
<tbody>
{rows}
</tbody></table></html>
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture and the text under it."""

    pixels: Picture | None
    caption: str


def contact_sheet(rows: Sequence[Sequence[Cell]], heads: Sequence[str], file: Path) -> Path:
    """Rows of captioned pictures under column heads, as one PNG or WebP file."""
    font = ImageFont.load_default(size=14)
    columns = max(len(heads), max(len(row) for row in rows))
    line, text_lines = 18, 4
    height = TILE + text_lines * line + 16
    sheet = Image.new("RGB", (columns * (TILE + 16) + 16, len(rows) * height + 40), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((16 + column * (TILE + 16), 10), head, fill="black", font=font)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            left, top = 16 + x * (TILE + 16), 36 + y * height
            if cell.pixels is not None:
                picture = Image.fromarray(cell.pixels.pixels)
                picture.thumbnail((TILE, TILE))
                sheet.paste(picture, (left + (TILE - picture.width) // 2, top + (TILE - picture.height) // 2))
            for number, words in enumerate(_wrap(cell.caption, draw, font)[:text_lines]):
                draw.text((left, top + TILE + 4 + number * line), words, fill="#333", font=font)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)
    return file


def _wrap(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) <= TILE:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line]


def stored_picture(parts: Parts, collection: str, key: str) -> Picture:
    """A work's thumbnail, decoded."""
    return decode(parts.pictures.read(collection, key, "thumbnail")[0])


def figure4(parts: Parts, collection: str, compared: Sequence[Comparison], file: Path) -> Path:
    """The top hit of each query by meaning and by keywords, as a contact sheet."""
    keys = {id_: key for id_, (_, key) in asyncio.run(all_works(parts, collection)).items()}

    def cell(work: Work | None) -> Cell:
        if work is None:
            return Cell(None, "nothing found")
        return Cell(stored_picture(parts, collection, keys[work.id]), work.title)

    rows = []
    for row in compared:
        best = row.found[0].work if row.found else None
        keyword = row.keyword[0] if row.keyword else None
        rows.append([Cell(None, row.query), cell(best), cell(keyword)])
    return contact_sheet(rows, ("query", "BoonArt", "keyword search"), file)


def figure5(parts: Parts, collection: str, pictures: Sequence[Picture], file: Path) -> Path:
    """Picture queries, the best description of each and its painting, as a contact sheet."""
    rows = []
    for picture in pictures:
        query = Query(collection, picture=picture, target=Target.DESCRIPTIONS, limit=1)
        hits = asyncio.run(parts.search.run(query)).hits
        row = [Cell(picture, "query")]
        if hits:
            found = stored_picture(parts, collection, hits[0].picture.key)
            row.append(Cell(found, hits[0].work.description))
        rows.append(row)
    return contact_sheet(rows, ("picture query", "best description and its painting"), file)


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
