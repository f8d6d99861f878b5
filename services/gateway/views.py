"""What the page's templates show, worked out beforehand so that they only place it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from boonart.ports import CollectionInfo
from boonart.works import Answer, Hit, Target, Work
from boonart_services.gateway.answers import picture_json

PAGE_SIZE = 24
MOST_SHOWN = 240
EAGER = 6
"""Pictures that are loaded at once; the others when they come near the window."""
WEAK_BELOW = 0.5
"""Relevance under which a match is called weak: more likely wrong than right."""
LEAST = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Choices of the least relevance shown."""
EXAMPLES = (
    "a man sitting with his dog",
    "a cow in the room",
    "impression painting of sheep in the rain",
    "still life of yellow flower",
    "a boat on a stormy sea",
)
_LEFT_OUT = {
    "rerank": "The order does not take into account how things relate",
    "encode": "The order comes from the words alone, not from what the pictures show",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page's address asks for; at most one of `text`, `like` and `picture` counts.

    Attributes:
        picture: token of an uploaded picture.
        more: how many times the list was made longer.
        min_relevance: matches below it are not shown, 0 to 1.
    """

    text: str = ""
    like: str = ""
    picture: str = ""
    collection: str = ""
    more: int = 0
    min_relevance: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.like or self.picture)

    @property
    def shown(self) -> int:
        """How many hits the page may show."""
        return min(MOST_SHOWN, PAGE_SIZE * (1 + self.more))

    def address(self, **changed: Any) -> str:
        """The page's address for this, with some values changed."""
        values = {
            "q": self.text,
            "like": self.like,
            "picture": self.picture,
            "collection": self.collection,
            "more": self.more,
            "min_relevance": f"{self.min_relevance:g}" if self.min_relevance else "",
            **changed,
        }
        return "/?" + urlencode({name: value for name, value in values.items() if value})


def work_title(work: Work) -> str:
    """A work's title, or what stands for one."""
    return work.title or f"Untitled ({work.id})"


@dataclass(frozen=True, slots=True)
class Tile:
    """One hit on the page.

    Attributes:
        link: the source's own page, or the picture, or "".
        similar: address of the page of similar works.
        why: address of the page that shows where each word looked, or "" where nothing compared words with regions.
    """

    rank: int
    work: Work
    link: str
    similar: str
    why: str
    picture: dict[str, Any] | None
    colour: str
    eager: bool
    weak: bool
    composed: bool

    @property
    def title(self) -> str:
        """The work's title, or what stands for one."""
        return work_title(self.work)

    @property
    def description(self) -> str:
        """Its description, without the title that composed descriptions begin with and that stands above it."""
        title, text = self.work.title.strip(" ."), self.work.description.strip()
        if title and text.startswith(title):
            text = text.removeprefix(title).strip(" .;:,")
        return text


@dataclass(frozen=True, slots=True)
class Results:
    """An answer as the page shows it.

    Attributes:
        weak_from: rank of the first weak match, or 0.
        notes: what the answer had to do without.
        more: address of the same list made longer, or "".
        has_relevance: the hits carry a calibrated relevance.
    """

    tiles: list[Tile]
    descriptions: bool
    milliseconds: float
    weak_from: int
    notes: list[str]
    more: str
    has_relevance: bool


@dataclass(slots=True)
class View:
    """Everything a template may use."""

    asked: Asked
    collections: list[CollectionInfo] = field(default_factory=list)
    collection: str = ""
    results: Results | None = None
    liked: Work | None = None
    error: str = ""
    hint: str = ""
    examples: tuple[str, ...] = EXAMPLES

    @property
    def least(self) -> list[tuple[str, str, bool]]:
        """The choices of the least relevance shown: value, words, chosen. None where nothing has a relevance."""
        asked = self.asked.min_relevance
        if not asked and not (self.results and self.results.has_relevance):
            return []
        steps = sorted({*LEAST, asked})
        return [(f"{step:g}", f"at least {step:.0%} sure" if step else "all matches", step == asked) for step in steps]

    @property
    def heading(self) -> str:
        """What the page's title begins with."""
        if self.error:
            return "Error"
        if self.liked is not None:
            return f"Like {self.liked.title or self.liked.id}"
        return "Search with a picture" if self.asked.picture else self.asked.text.strip()


def to_results(answer: Answer, asked: Asked, collection: str, milliseconds: float) -> Results:
    """An answer as the page shows it."""
    weak_from = next((h.rank for h in answer.hits if h.relevance is not None and h.relevance < WEAK_BELOW), 0)
    longer = len(answer.hits) == asked.shown and asked.shown < MOST_SHOWN
    return Results(
        tiles=[_tile(hit, asked, collection, weak_from) for hit in answer.hits],
        descriptions=answer.target is Target.DESCRIPTIONS,
        milliseconds=milliseconds,
        weak_from=weak_from,
        notes=[f"{_LEFT_OUT.get(stage, stage)}: {reason}." for stage, reason in answer.degraded.items()],
        more=asked.address(more=asked.more + 1) + f"#w{len(answer.hits) + 1}" if longer else "",
        has_relevance=any(hit.relevance is not None for hit in answer.hits),
    )


def _why(hit: Hit, asked: Asked, collection: str) -> str:
    """Address of a hit's explanation; "" where the relation network did not compare it."""
    if hit.relation_score is None or asked.like:
        return ""
    query = {"picture": asked.picture} if asked.picture else {"q": asked.text}
    return "/why?" + urlencode({**query, "work": hit.work.id, "collection": collection})


def _tile(hit: Hit, asked: Asked, collection: str, weak_from: int) -> Tile:
    picture = picture_json(collection, hit.work.id, hit.picture)
    source = hit.work.source_url
    if not source.startswith(("https://", "http://")):
        # An address out of a record: nothing but the web, or it could run a script.
        source = picture["image_url"] if picture else ""
    return Tile(
        rank=hit.rank,
        work=hit.work,
        link=source,
        similar="/?" + urlencode({"like": hit.work.id, "collection": collection}),
        why=_why(hit, asked, collection),
        picture=picture,
        colour=colour_class(hit.picture.colour),
        eager=hit.rank <= EAGER,
        weak=bool(weak_from) and hit.rank >= weak_from,
        composed=hit.description_composed,
    )


def colour_class(colour: str) -> str:
    """The placeholder class of a colour: one of 24, since styles in the page itself are not allowed.

    `g0` to `g5` are greys from dark to light; `h<hue>-<lightness>` are six hues in three lightnesses.
    """
    try:
        number = int(colour.removeprefix("#"), 16)
    except ValueError:
        return "g3"
    red, green, blue = ((number >> shift & 255) / 255 for shift in (16, 8, 0))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < 0.15:
        return f"g{min(5, int(lightness * 6))}"
    return f"h{int(hue * 6 + 0.5) % 6}-{min(2, int(lightness * 3))}"
