"""What the page's templates show, worked out beforehand so that they only place it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from boonart.dates import parse_years
from boonart.errors import BoonArtError
from boonart.ports import CollectionInfo
from boonart.works import Answer, Candidate, Hit, Mode, Ranker, Target, Work
from boonart_services.gateway.asked import (
    EVERYWHERE,
    MOST_SHOWN,
    PAGE_SIZE,
    STEPS,
    Asked,
    Part,
    weight_of,
    work_address,
)
from boonart_services.gateway.examples import EXAMPLES
from boonart_services.gateway.page_facets import Choice, Facet, labels_of, title_of
from boonart_services.gateway.page_pictures import PagePicture, page_picture
from boonart_services.gateway.problems import kind_of

__all__ = ["MOST_SHOWN", "PAGE_SIZE", "Asked", "View", "to_results", "work_title"]

EAGER = 6
"""Pictures that are loaded at once; the others when they come near the window."""
WEAK_BELOW = 0.01
"""Relevance under which a match is called weak. Far below one half: relevance is fitted on full sentences, of which one
picture alone is right; short queries are given a few hundredths even where they are answered rightly."""
LEAST = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Choices of the least relevance shown."""
_UNDATED = 10_000


def work_title(work: Work) -> str:
    """A work's title, or what stands for one."""
    return work.title or f"Untitled ({work.id})"


def source_address(work: Work) -> str:
    """Address of the source's own page, or "": out of a record nothing but the web, or it could run a script."""
    return work.source_url if work.source_url.startswith(("https://", "http://")) else ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One hit on the page.

    Attributes:
        collection: where the work is.
        address: of the work's own view.
        source: the source's own page, or "".
        similar: address of the page of similar works.
        why: address of the page that shows where each word looked, or "" where nothing compared words with regions.
    """

    rank: int
    work: Work
    collection: str
    address: str
    source: str
    similar: str
    why: str
    picture: PagePicture | None
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
        notes: stages that the answer had to do without, each with the reason.
        more: address of the same list made longer, or "".
        has_relevance: the hits carry a calibrated relevance.
        fresh_from: rank of the first hit that the list gained when it was last made longer.
    """

    tiles: list[Tile]
    descriptions: bool
    milliseconds: float
    weak_from: int
    notes: list[tuple[str, str]]
    more: str
    has_relevance: bool
    fresh_from: int = 1

    @property
    def fresh(self) -> list[Tile]:
        """The tiles from there on."""
        return [tile for tile in self.tiles if tile.rank >= self.fresh_from]


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of the query, with what can be done with it.

    Attributes:
        steps: how much it may count: the step's name, its address, whether it is this.
        toggled: address where it is not wanted if it is wanted now, and the other way round.
    """

    part: Part
    steps: Sequence[tuple[str, str, bool]]
    toggled: str
    removed: str


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A chosen value of a facet: the field, what stands for it where the texts name none, and the value's label."""

    name: str
    title: str
    label: str
    removed: str


@dataclass(slots=True)
class View:
    """Everything a template may use.

    Attributes:
        kind: code of the error, such as "unavailable".
        has_reranker: rankers can be chosen.
    """

    asked: Asked
    collections: list[CollectionInfo] = field(default_factory=list)
    collection: str = ""
    results: Results | None = None
    liked: Work | None = None
    error: str = ""
    hint: str = ""
    kind: str = ""
    examples: tuple[str, ...] = EXAMPLES
    paintings: Sequence[Tile] = ()
    facets: Sequence[Facet] = ()
    has_reranker: bool = False

    def fail(self, error: BoonArtError) -> int:
        """Show an error in place of what was asked for; returns its status."""
        kind = kind_of(error)
        self.error, self.hint, self.kind = error.message, error.hint, kind.code
        return kind.status

    @property
    def least(self) -> list[tuple[str, int, bool]]:
        """The choices of the least relevance shown: value, percent, chosen. None where nothing has a relevance."""
        asked = self.asked.min_relevance
        if not asked and not (self.results and self.results.has_relevance):
            return []
        steps = sorted({*LEAST, asked})
        return [(f"{step:g}", round(100 * step), step == asked) for step in steps]

    @property
    def modes(self) -> list[tuple[str, bool]]:
        """The ways to find candidates, the usual one first: name, chosen."""
        usual = usual_mode(self.asked)
        others = [mode for mode in Mode if mode is not usual]
        return [(mode.value, mode.value == (self.asked.mode or usual.value)) for mode in (usual, *others)]

    @property
    def rankers(self) -> list[tuple[str, bool]]:
        """The ways to order them: name, chosen."""
        if not self.has_reranker:
            return []
        return [(ranker.value, ranker.value == (self.asked.ranker or Ranker.DEFAULT.value)) for ranker in Ranker]

    @property
    def chips(self) -> list[Chip]:
        """The parts of the query; none where the words in the field are all of it."""
        parts = self.asked.parts
        if len(parts) == 1 and parts[0].kind == "text" and parts[0].weight == 1:
            return []
        return [_chip(self.asked, part) for part in parts]

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What the search field's form sends along beside what can be set in it."""
        settable = {"more", "min_relevance", "mode", "ranker", "collection"}
        texts = [("q", text) for text in self.asked.also]
        return texts + [(name, value) for name, value in self.asked.fields() if name not in settable | {"q"}]

    @property
    def narrowed(self) -> list[Narrowed]:
        """The chosen values of facets."""
        return [
            Narrowed(name, title_of(name), labels_of(name, [value])[value], self.asked.toggled(name, value).address())
            for name, value in self.asked.chosen
        ]

    @property
    def places(self) -> list[Choice]:
        """The collections to search in, all at once being one of them; none where there is no choice."""
        if len(self.collections) < 2:
            return []
        everything = sum(info.count for info in self.collections)
        names = [(EVERYWHERE, everything), *((info.name, info.count) for info in self.collections)]
        asked = replace(self.asked, more=0, chosen=())
        return [
            Choice(name, name, name, count, name == self.collection, asked.address(collection=name))
            for name, count in names
            if name != EVERYWHERE or not self.asked.like
        ]

    def with_target(self, target: str) -> str:
        """The address of the same search for works or for descriptions."""
        return replace(self.asked, target=target, more=0).address()

    def sorted_by(self, sort: str) -> str:
        """The address of the same search in another order."""
        return replace(self.asked, sort=sort, more=0).address()


def usual_mode(asked: Asked) -> Mode:
    """How candidates are found where nothing else is asked for: words count beside meaning where words are all."""
    parts = asked.parts
    return Mode.HYBRID if len(parts) == 1 and parts[0].kind == "text" else Mode.VECTOR


def _chip(asked: Asked, part: Part) -> Chip:
    return Chip(
        part,
        [(step, asked.weighted(part, weight_of(step, part.unwanted)).address(), step == part.step) for step in STEPS],
        asked.weighted(part, weight_of(part.step, not part.unwanted)).address(),
        asked.without(part).address(),
    )


def to_results(answer: Answer, asked: Asked, collection: str, milliseconds: float) -> Results:
    """An answer as the page shows it."""
    hits = _by_date(answer.hits) if asked.sort == "date" else list(answer.hits)
    weak_from = 0
    if not asked.sort:
        weak_from = next((h.rank for h in hits if h.relevance is not None and h.relevance < WEAK_BELOW), 0)
    longer = len(hits) == asked.shown and asked.shown < MOST_SHOWN and not asked.sort
    return Results(
        tiles=[_tile(hit, asked, collection, weak_from) for hit in hits],
        descriptions=answer.target is Target.DESCRIPTIONS,
        milliseconds=milliseconds,
        weak_from=weak_from,
        notes=list(answer.degraded.items()),
        more=asked.address(more=asked.more + 1) + f"#w{len(hits) + 1}" if longer else "",
        has_relevance=any(hit.relevance is not None for hit in hits),
        fresh_from=PAGE_SIZE * asked.more + 1,
    )


def to_tiles(candidates: Sequence[Candidate], collection: str) -> list[Tile]:
    """Works that nobody searched for, as tiles."""
    return [
        _tile(Hit(rank, found.work, 0.0, 0.0, found.picture), Asked(), collection, 0)
        for rank, found in enumerate(candidates, start=1)
    ]


def _by_date(hits: Sequence[Hit]) -> list[Hit]:
    """The hits from the oldest to the newest, those without a date at the end, ranked anew."""

    def year(hit: Hit) -> int:
        years = parse_years(hit.work.date)
        return years.earliest if years else _UNDATED

    return [replace(hit, rank=rank) for rank, hit in enumerate(sorted(hits, key=year), start=1)]


def _why(hit: Hit, asked: Asked, collection: str) -> str:
    """Address of a hit's explanation; "" where the relation network did not compare it."""
    if hit.relation_score is None or len(asked.parts) != 1 or asked.like:
        return ""
    query = {"picture": asked.picture} if asked.picture else {"q": asked.text}
    return "/why?" + urlencode({**query, "work": hit.work.id, "collection": collection})


def _tile(hit: Hit, asked: Asked, collection: str, weak_from: int) -> Tile:
    collection = hit.collection or collection
    return Tile(
        rank=hit.rank,
        work=hit.work,
        collection=collection,
        address=work_address(hit.work.id, collection, asked.address() if asked else ""),
        source=source_address(hit.work),
        similar="/?" + urlencode({"like": hit.work.id, "collection": collection}),
        why=_why(hit, asked, collection),
        picture=page_picture(collection, hit.work.id, hit.picture),
        eager=hit.rank <= EAGER,
        weak=bool(weak_from) and hit.rank >= weak_from,
        composed=hit.description_composed,
    )
