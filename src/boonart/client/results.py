"""What the client returns: typed, and at home in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PREVIEWS = 24
"""Pictures that a page shows in a notebook."""


@dataclass(frozen=True, slots=True)
class WordMap:
    """Where a word looked: 7 rows of 7 weights, from the top; they sum to 1."""

    word: str
    weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class FoundWork:
    """A hit.

    Attributes:
        rank: from 1, over all pages.
        score: orders the hits of one answer; not comparable between queries.
        relevance: probability that the hit is right, or None without a calibration.
        matched_by: "vector", "keyword", "exact".
        thumbnail_url, image_url: absolute addresses, or "" without a picture.
        raw: the hit as the server sent it.
    """

    rank: int
    id: str
    title: str
    artist: str
    date: str
    description: str
    collection: str
    score: float
    global_score: float
    relation_score: float | None = None
    relevance: float | None = None
    matched_by: tuple[str, ...] = ()
    source_url: str = ""
    thumbnail_url: str = ""
    image_url: str = ""
    explanation: tuple[WordMap, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """The painting with its caption, for notebooks."""
        caption = html.escape(", ".join(part for part in (self.artist, self.date) if part))
        title = html.escape(self.title or self.id)
        if self.source_url.startswith(("https://", "http://")):
            title = f'<a href="{html.escape(self.source_url)}">{title}</a>'
        picture = f'<img src="{html.escape(self.thumbnail_url)}" alt="" height="160"><br>' if self.thumbnail_url else ""
        style = "display:inline-block;margin:8px;max-width:280px"
        return f'<figure style="{style}">{picture}<b>{title}</b><br>{caption}</figure>'


@dataclass(frozen=True, slots=True)
class Page(Sequence[FoundWork]):
    """The hits of one answer: a sequence of `FoundWork`.

    Attributes:
        next_cursor: for the next page, or "" on the last one.
        facets: counted values by field, most first.
        degraded: stages that were left out, with the reason.
        total: how many works the query finds, also beyond the last page, or None where the server does not say.
        total_is_exact: these and no more; otherwise at least these.
        warnings: options that had no effect, with the reason.
        index_generation: version of the collection that was searched; 0 for several.
        raw: the answer as the server sent it.
    """

    hits: tuple[FoundWork, ...]
    target: str
    ranker: str
    took_ms: float
    next_cursor: str = ""
    facets: Mapping[str, tuple[tuple[str | int | bool, int], ...]] = field(default_factory=dict)
    degraded: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    total_is_exact: bool = False
    warnings: Mapping[str, str] = field(default_factory=dict)
    index_generation: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """How many hits there are."""
        return len(self.hits)

    def __iter__(self) -> Iterator[FoundWork]:
        """The hits, best first."""
        return iter(self.hits)

    def __getitem__(self, place: Any) -> Any:
        """A hit, or several of them."""
        return self.hits[place]

    def to_pandas(self) -> Any:
        """The hits as a `pandas.DataFrame`, a row each.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas  # type: ignore[import-untyped, unused-ignore]

        names = ("rank", "id", "title", "artist", "date", "relevance", "score", "collection", "source_url")
        return pandas.DataFrame([{name: getattr(hit, name) for name in names} for hit in self.hits], columns=names)

    def _repr_html_(self) -> str:
        """The paintings beside each other, for notebooks."""
        shown = "".join(hit._repr_html_() for hit in self.hits[:PREVIEWS])
        return shown or "<p>Nothing found.</p>"


def to_facets(body: Mapping[str, Any]) -> dict[str, tuple[tuple[str | int | bool, int], ...]]:
    """Counted values by field."""
    return {name: tuple((item["value"], item["count"]) for item in values) for name, values in body.items()}


def to_page(body: Mapping[str, Any], base_url: str) -> Page:
    """An answer of the server as a page.

    Args:
        base_url: where its pictures are, or "" where they have no addresses.
    """
    return Page(
        hits=tuple(_to_hit(hit, base_url) for hit in body["hits"]),
        target=body["target"],
        ranker=body["ranker"],
        took_ms=body["took_ms"],
        next_cursor=body.get("next_cursor", ""),
        facets=to_facets(body.get("facets", {})),
        degraded=body["degraded"],
        total=body.get("total", {}).get("value"),
        total_is_exact=body.get("total", {}).get("relation") == "eq",
        warnings={warning["field"]: warning["message"] for warning in body.get("warnings", ())},
        index_generation=body.get("index_generation", 0),
        raw=body,
    )


def _to_hit(hit: Mapping[str, Any], base_url: str) -> FoundWork:
    work = hit["work"]
    picture = hit.get("picture", {}) if base_url else {}
    return FoundWork(
        rank=hit["rank"],
        id=work["id"],
        title=work.get("title", ""),
        artist=work.get("artist", ""),
        date=work.get("date", ""),
        description=work.get("description", ""),
        collection=hit["collection"],
        score=hit["score"],
        global_score=hit["global_score"],
        relation_score=hit.get("relation_score"),
        relevance=hit.get("relevance"),
        matched_by=tuple(hit["matched_by"]),
        source_url=work.get("source_url", ""),
        thumbnail_url=base_url + picture["thumbnail_url"] if picture else "",
        image_url=base_url + picture["image_url"] if picture else "",
        explanation=tuple(
            WordMap(item["word"], tuple(tuple(row) for row in item["weights"])) for item in hit.get("explanation", ())
        ),
        raw=hit,
    )
