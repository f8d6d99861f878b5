"""Table I as one HTML page: each query's hits by meaning beside those of a keyword search."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from boonart.bootstrap import Parts
from boonart.errors import WorkNotFound
from boonart.evaluation.paper import Comparison, all_works
from boonart.works import Work

_LINKS = ("http://", "https://")


def table1_page(
    parts: Parts, collection: str, compared: Sequence[Comparison], folder: Path, *, ranker: str = "default"
) -> Path:
    """Write the page, its pictures beside it, and return its path.

    Args:
        ranker: how the hits were put in order, for the line that says so.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    keys = {id_: key for id_, (_, key) in asyncio.run(all_works(parts, collection)).items()}
    tiles = _Tiles(parts, collection, keys, pictures)
    rows = []
    for number, row in enumerate(compared, start=1):
        found = "".join(tiles.tile(hit.work, row.right) for hit in row.found)
        keyword = "".join(tiles.tile(work, row.right) for work in row.keyword)
        rows.append(
            f'<tr><th scope="row"><span class="number">{number}</span> {escape(row.query)}</th>'
            f'<td data-label="BoonArt">{_cell(found)}</td><td data-label="Keyword search">{_cell(keyword)}</td></tr>'
        )
    models = escape(", ".join(filter(None, [parts.encoder.card.id, parts.reranker.card.id if parts.reranker else ""])))
    page = folder / "table1.html"
    page.write_text(
        _PAGE.format(
            collection=escape(collection),
            works=f"{len(keys):,}",
            summary=_summary(compared),
            models=models,
            ranker=escape(ranker),
            rows="\n".join(rows),
        ),
        encoding="utf-8",
    )
    return page


class _Tiles:
    """Figures of works, with their pictures written once each."""

    def __init__(self, parts: Parts, collection: str, keys: Mapping[str, str], folder: Path) -> None:
        self._parts, self._collection, self._keys, self._folder = parts, collection, keys, folder

    def tile(self, work: Work, right: frozenset[str]) -> str:
        """A work's picture over its title, marked right or wrong where that is known."""
        title = escape(work.title or work.id)
        name = f"{_safe(work.id)}.webp"
        try:
            data, _ = self._parts.pictures.read(self._collection, self._keys[work.id], "thumbnail")
            (self._folder / name).write_bytes(data)
            picture = f'<img src="pictures/{name}" alt="" loading="lazy">'
        except WorkNotFound:
            picture = '<span class="none">no picture</span>'
        if work.source_url.startswith(_LINKS):
            picture = f'<a href="{escape(work.source_url)}" title="{title}">{picture}</a>'
        kind, mark = "", ""
        if right:
            kind, said, sign = ("right", "right", "✓") if work.id in right else ("wrong", "not asked for", "✗")
            mark = f'<span class="mark" role="img" aria-label="{said}">{sign}</span> '
        return f'<figure class="{kind}">{picture}<figcaption>{mark}{title}</figcaption></figure>'


def _cell(tiles: str) -> str:
    return f'<div class="tiles">{tiles}</div>' if tiles else '<p class="nothing">nothing found</p>'


def _summary(compared: Sequence[Comparison]) -> str:
    known = [row for row in compared if row.right]
    if not known:
        return "Which works are right is not known for this collection: look and judge."
    found = sum(bool(row.found) and row.found[0].work.id in row.right for row in known)
    keyword = sum(bool(row.keyword) and row.keyword[0].id in row.right for row in known)
    return (
        f"Right work first: BoonArt <strong>{found}</strong> of {len(known)}, "
        f"keyword search <strong>{keyword}</strong> of {len(known)}."
    )


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Table I on {collection}</title>
<style>
:root {{ color-scheme: light dark; --ink: #222; --grey: #5c5c5c; --paper: #fafaf8; --rule: #d8d8d2; --well: #efefeb;
  --right: #00694d; --wrong: #a34100 }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e8e8e4; --grey: #a8a8a2; --paper: #17181a; --rule: #35373b;
  --well: #222428; --right: #52c9a3; --wrong: #f0975a }} }}
* {{ box-sizing: border-box }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1.5rem;
  color: var(--ink); background: var(--paper) }}
h1 {{ font-size: 1.6rem; margin: 0 }}
.about {{ color: var(--grey); margin: .25rem 0 1.5rem }}
.about strong {{ color: var(--ink) }}
table {{ border-collapse: collapse; width: 100%; table-layout: fixed }}
th, td {{ border-top: 1px solid var(--rule); padding: .9rem .75rem; vertical-align: top; text-align: left }}
thead th {{ position: sticky; top: 0; background: var(--paper); z-index: 1; padding: .6rem .75rem }}
th:first-child {{ width: 18%; padding-left: 0; font-weight: 600 }}
.number {{ color: var(--grey); font-weight: 400; display: inline-block; min-width: 1.4em }}
.tiles {{ display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .75rem; align-items: start }}
figure {{ margin: 0 }}
figure:first-child {{ font-weight: 600 }}
img, .none {{ display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: var(--well) }}
.none {{ display: grid; place-items: center; color: var(--grey); font-size: .8rem }}
figcaption {{ font-size: .82rem; line-height: 1.35; margin-top: .3rem; min-height: 2.7em }}
.right .mark {{ color: var(--right) }}
.wrong .mark {{ color: var(--wrong) }}
.nothing {{ color: var(--grey); margin: 0 }}
@media (max-width: 48rem) {{
  body {{ margin-top: 1rem; padding: 0 1rem }}
  thead {{ display: none }}
  table, tbody, tr, th, td {{ display: block; width: 100% }}
  tr {{ border-top: 1px solid var(--rule); padding: .75rem 0 }}
  th, td, th:first-child {{ border: 0; padding: .25rem 0; width: 100% }}
  td::before {{ content: attr(data-label); display: block; font-size: .82rem; color: var(--grey) }}
}}
</style>
<h1>Table I on {collection}</h1>
<p class="about">{works} works. {summary}<br>Ranker {ranker}, {models}. The best hit stands first, in bold.</p>
<table>
<thead><tr><th scope="col">Query</th><th scope="col">BoonArt</th>
<th scope="col">Keyword search over titles and descriptions</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</html>
"""
