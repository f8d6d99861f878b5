"""What the page's address asks for: the whole state of a search, read from GET parameters and written back to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from boonart import works
from boonart.search.facets import CENTURY
from boonart.search.queries import MAX_PARTS

PAGE_SIZE = 48
MOST_SHOWN = 480
DATED = 96
"""Matches that are put in the order of their dates: those beyond are too weak to stand beside the best."""
STEPS: Mapping[str, float] = {"less": 0.5, "normal": 1.0, "more": 2.0}
"""How much a part counts, by the name of its step."""
NOT = -0.5
"""How a part counts that is not wanted, beside one that is: with the same weight the rest would hardly matter."""
EVERYWHERE = "*"
"""Stands for all collections at once."""
_MOST_FILTERS = 40


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a query is made of.

    Attributes:
        kind: "text", "picture" or "like".
        value: the text, the uploaded picture's token, or the work's id.
        place: which text it is, from 0.
        weight: how much it counts; below 0 it leads away from what it names.
    """

    kind: str
    value: str
    place: int = 0
    weight: float = 1.0

    @property
    def unwanted(self) -> bool:
        """It leads away from what it names."""
        return self.weight < 0

    @property
    def step(self) -> str:
        """The nearest step of its weight."""
        size = abs(self.weight / NOT) if self.unwanted else self.weight
        return min(STEPS, key=lambda name: abs(STEPS[name] - size))


def weight_of(step: str, unwanted: bool) -> float:
    """The weight of a step."""
    return STEPS[step] * (NOT if unwanted else 1.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page's address asks for. Its parts together make the query.

    Attributes:
        text: the words in the search field.
        like: id of a work.
        picture: token of an uploaded picture.
        collection: name of one, `EVERYWHERE`, or "" for the one that is meant where none is named.
        more: how many times the list was made longer.
        min_relevance: matches below it are not shown, 0 to 1.
        also: further texts.
        text_weights: of `text` and `also`, in this order; 1 where it is shorter.
        chosen: values that a work must have, as (field, value): one of those of each field.
        target: "works", "descriptions", or "" for what fits the query.
        mode, ranker: as in `boonart.works`, or "" for what fits the query.
        sort: "date", or "" for the order of relevance.
    """

    text: str = ""
    like: str = ""
    picture: str = ""
    collection: str = ""
    more: int = 0
    min_relevance: float = 0.0
    also: tuple[str, ...] = ()
    text_weights: tuple[float, ...] = ()
    picture_weight: float = 1.0
    like_weight: float = 1.0
    chosen: tuple[tuple[str, str], ...] = ()
    target: str = ""
    mode: str = ""
    ranker: str = ""
    sort: str = ""

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def shown(self) -> int:
        """How many hits the page may show."""
        return DATED if self.sort else min(MOST_SHOWN, PAGE_SIZE * (1 + self.more))

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the query is made of, empty texts left out."""
        found = [
            Part("text", text, place, self.text_weights[place] if place < len(self.text_weights) else 1.0)
            for place, text in enumerate((self.text, *self.also))
            if text.strip()
        ]
        if self.picture:
            found.append(Part("picture", self.picture, weight=self.picture_weight))
        if self.like:
            found.append(Part("like", self.like, weight=self.like_weight))
        return tuple(found)

    @property
    def values_of(self) -> dict[str, tuple[str, ...]]:
        """The chosen values by field."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.chosen:
            found[name] = (*found.get(name, ()), value)
        return found

    # --- other searches from here ---

    def without(self, part: Part) -> Asked:
        """The same without one part."""
        if part.kind == "picture":
            return replace(self, picture="", picture_weight=1.0, more=0)
        if part.kind == "like":
            return replace(self, like="", like_weight=1.0, more=0)
        rest = [other for other in self.parts if other.kind == "text" and other.place != part.place]
        return self._with_texts(rest)

    def weighted(self, part: Part, weight: float) -> Asked:
        """The same with another weight of one part."""
        if part.kind == "picture":
            return replace(self, picture_weight=weight, more=0)
        if part.kind == "like":
            return replace(self, like_weight=weight, more=0)
        texts = [other for other in self.parts if other.kind == "text"]
        return self._with_texts([replace(text, weight=weight) if text == part else text for text in texts])

    def toggled(self, name: str, value: str) -> Asked:
        """The same with a value of a field chosen, or no longer so."""
        pair = (name, value)
        rest = tuple(other for other in self.chosen if other != pair)
        return replace(self, chosen=rest if pair in self.chosen else (*rest, pair), more=0)

    def _with_texts(self, texts: Iterable[Part]) -> Asked:
        listed = list(texts)
        weights = tuple(part.weight for part in listed)
        return replace(
            self,
            text=listed[0].value if listed else "",
            also=tuple(part.value for part in listed[1:]),
            text_weights=weights if any(weight != 1 for weight in weights) else (),
            more=0,
        )

    # --- addresses ---

    def fields(self) -> list[tuple[str, str]]:
        """The GET parameters, those that say nothing left out."""
        weights = ",".join(f"{weight:g}" for weight in self.text_weights)
        single = {
            "w": weights,
            "picture": self.picture,
            "pw": _number(self.picture_weight),
            "like": self.like,
            "lw": _number(self.like_weight),
            "collection": self.collection,
            "target": self.target,
            "mode": self.mode,
            "ranker": self.ranker,
            "sort": self.sort,
            "more": str(self.more or ""),
            "min_relevance": f"{self.min_relevance:g}" if self.min_relevance else "",
        }
        pairs = [("q", self.text)] if self.text or not any(self.also) else [("q", "")]
        pairs += [("q", text) for text in self.also]
        pairs += [(name, value) for name, value in single.items() if value]
        pairs += [("f", f"{name}:{value}") for name, value in self.chosen]
        return [pair for pair in pairs if pair[1] or (pair[0] == "q" and self.also)]

    def address(self, **changed: Any) -> str:
        """The page's address for this, with some values changed."""
        if changed:
            least = changed.pop("min_relevance", self.min_relevance)
            return replace(self, **changed, min_relevance=float(least or 0)).address()
        return "/?" + urlencode(self.fields())

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> Asked:
        """What GET parameters ask for; values that cannot be read count as not given."""
        given = list(pairs)
        single = {name: value for name, value in given if value}
        texts = [value.strip() for name, value in given if name == "q"][:MAX_PARTS]
        weights = [_weight(value) for value in single.get("w", "").split(",")[:MAX_PARTS]] if "w" in single else []
        if single.get("join") == "not" and texts:
            padded = [*weights, *[1.0] * len(texts)]
            weights = [*padded[: len(texts) - 1], weight_of("normal", True)]
        filters = [value.partition(":") for name, value in given if name == "f"][:_MOST_FILTERS]
        asked = cls(
            like=single.get("like", ""),
            picture=single.get("picture", ""),
            collection=single.get("collection", ""),
            more=min(int(single["more"]), 100) if single.get("more", "").isdecimal() else 0,
            min_relevance=_share(single.get("min_relevance", "")),
            picture_weight=_weight(single.get("pw", "")),
            like_weight=_weight(single.get("lw", "")),
            chosen=tuple(dict.fromkeys((name, value) for name, _, value in filters if name and value)),
            target=_one_of(works.Target, single.get("target", "")),
            mode=_one_of(works.Mode, single.get("mode", "")),
            ranker=_one_of(works.Ranker, single.get("ranker", "")),
            sort="date" if single.get("sort") == "date" else "",
        )
        found = [
            Part("text", text, place, weights[place] if place < len(weights) else 1.0)
            for place, text in enumerate(texts)
            if text
        ]
        more = asked.more
        return replace(asked._with_texts(found), more=more)

    @classmethod
    def at(cls, address: str) -> Asked:
        """What an address of this page asks for."""
        return cls.read(parse_qsl(urlsplit(address).query, keep_blank_values=True))


def work_address(work_id: str, collection: str, came_from: str = "") -> str:
    """Address of a work's own view.

    Args:
        came_from: address of the list of results to go back to, or "".
    """
    values = {"id": work_id, "collection": collection, "from": came_from}
    return "/work?" + urlencode({name: value for name, value in values.items() if value})


def compiled(asked: Asked, kinds: Mapping[str, str], leave_out: str = "") -> works.Filter | None:
    """The chosen values as a filter: of each field one of its values.

    Args:
        kinds: what can be filtered on, as `WorkIndex.fields` says; a field that is not there is left to the index.
        leave_out: a field whose values do not count.
    """
    groups: list[works.Filter] = []
    for name, values in asked.values_of.items():
        if name == leave_out:
            continue
        filters = [_holds(name, value, kinds.get(name, "keyword")) for value in values]
        groups.append(filters[0] if len(filters) == 1 else works.Or(tuple(filters)))
    if not groups:
        return None
    return groups[0] if len(groups) == 1 else works.And(tuple(groups))


def _holds(name: str, value: str, kind: str) -> works.Filter:
    number = value.removeprefix("-")
    if name == CENTURY and number.isdecimal():
        first = int(value)
        return works.Range("date_from", first, first + 99)
    if kind == "boolean":
        return works.Equals(name, value == "true")
    if kind == "integer" and number.isdecimal():
        return works.Equals(name, int(value))
    return works.Equals(name, value)


def _number(weight: float) -> str:
    return "" if weight == 1 else f"{weight:g}"


def _weight(text: str) -> float:
    """A weight, 1 where it cannot be read or says nothing."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 < abs(weight) <= 100 else 1.0


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        return 0.0
    return share if 0 <= share <= 1 else 0.0


def _one_of(kind: type[works.Target] | type[works.Mode] | type[works.Ranker], value: str) -> str:
    return value if value in [item.value for item in kind] else ""
