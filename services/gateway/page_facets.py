"""The filters beside the results: values of the works' fields, each with the works that choosing it leaves."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from boonart import works
from boonart.errors import BoonArtError
from boonart.ports import WorkIndex
from boonart.search.facets import CENTURY, count_facets
from boonart_services.gateway.asked import Asked, compiled

logger = logging.getLogger(__name__)

FIRST = ("artist", CENTURY, "subjects", "medium")
"""Fields of every collection that are offered, in this order; those of its own records follow."""
MOST_OWN = 3
"""Fields of the records that are offered beside them: more would make a list that nobody reads."""
SHOWN = 7
"""Values that are seen at once; the others stand behind "more"."""
_COUNTED = {"keyword", "boolean"}
Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be chosen.

    Attributes:
        count: works that are left with it, or None where that is not known.
        address: of the same search with it chosen, or no longer so.
    """

    value: str
    label: str
    path: str
    count: int | None
    chosen: bool
    address: str


@dataclass(frozen=True, slots=True)
class Facet:
    """A field with its values.

    Attributes:
        name: "artist", "century", or a field of the records such as "extra.school".
        title: what stands for a field that the page's texts do not name.
    """

    name: str
    title: str
    choices: Sequence[Choice]

    @property
    def first(self) -> Sequence[Choice]:
        """The values seen at once: those chosen, and the commonest."""
        return [choice for place, choice in enumerate(self.choices) if place < SHOWN or choice.chosen]

    @property
    def rest(self) -> Sequence[Choice]:
        """The others."""
        return [choice for place, choice in enumerate(self.choices) if place >= SHOWN and not choice.chosen]


async def fields_of(index: WorkIndex, names: Sequence[str]) -> Mapping[str, str]:
    """What can be filtered on in these collections: the kind by the field's name."""
    found: dict[str, str] = {}
    for fields in await asyncio.gather(*(index.fields(name) for name in names)):
        found |= fields
    return found


async def facets_of(index: WorkIndex, names: Sequence[str], asked: Asked, kinds: Mapping[str, str]) -> list[Facet]:
    """The facets of a search; none of a field that tells the works not apart.

    A field's own choices do not narrow its counts, so that a second value can be chosen beside the first.
    """
    own = [name for name, kind in kinds.items() if name.startswith("extra.") and kind in _COUNTED]
    offered = [*FIRST, *sorted(own)]
    offered += [name for name in asked.values_of if name not in offered]
    counts = await asyncio.gather(*(_counted(index, names, asked, kinds, name) for name in offered))
    facets, own_shown = [], 0
    for name, counted in zip(offered, counts, strict=True):
        chosen = asked.values_of.get(name, ())
        if not chosen and not _tells_apart(counted, strictly=name not in FIRST):
            continue
        if name not in FIRST and not chosen:
            if own_shown == MOST_OWN:
                continue
            own_shown += 1
        facets.append(_facet(name, counted, chosen, asked))
    return facets


async def _counted(
    index: WorkIndex, names: Sequence[str], asked: Asked, kinds: Mapping[str, str], field: str
) -> Counter[Value]:
    where = compiled(asked, kinds, leave_out=field)
    total: Counter[Value] = Counter()
    for name in names:
        query = works.Query(name, where=where, facets=(field,))
        try:
            found = await count_facets(index, query, ())
        except BoonArtError as error:
            # A field that one of several collections lacks, or that is not counted.
            logger.debug("%s is not counted in %s: %s", field, name, error)
            continue
        for item in found.get(field, ()):
            total[item.value] += item.count
    return total


def _tells_apart(counted: Counter[Value], *, strictly: bool) -> bool:
    """Whether choosing one of the values helps: there are several, and they are shared by works.

    Args:
        strictly: leave out numbers and names that nearly every work has of its own, too.
    """
    if len(counted) < 2 or max(counted.values()) < 2:
        return False
    return not strictly or sum(counted.values()) >= 3 * len(counted)


def _facet(name: str, counted: Counter[Value], chosen: Sequence[str], asked: Asked) -> Facet:
    values: list[tuple[str, int | None]] = [(written(value), count) for value, count in counted.most_common()]
    known = {value for value, _ in values}
    values += [(value, None) for value in chosen if value not in known]
    if name == CENTURY:
        values.sort(key=lambda item: int(item[0]) if item[0].lstrip("-").isdecimal() else 0)
    labels = labels_of(name, [value for value, _ in values])
    choices = [
        Choice(value, labels[value], value, count, value in chosen, asked.toggled(name, value).address())
        for value, count in values
    ]
    return Facet(name, title_of(name), choices)


def written(value: Value) -> str:
    """A value as it stands in an address."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def title_of(name: str) -> str:
    """A field's name for people: "school of painting" of "extra.school_of_painting"."""
    return name.removeprefix("extra.").replace("_", " ").strip().capitalize()


def labels_of(name: str, values: Iterable[str]) -> dict[str, str]:
    """What stands for each value: a century's years, the particular end of a subject's path."""
    listed = list(values)
    if name == CENTURY:
        return {value: _years(value) for value in listed}
    if name != "subjects":
        return {value: value for value in listed}
    ends = Counter(map(works.subject_name, listed))
    labels = {}
    for value in listed:
        parts = [part.strip() for part in value.split(">")]
        labels[value] = " › ".join(parts[-2:]) if ends[parts[-1]] > 1 else parts[-1]
    return labels


def _years(value: str) -> str:
    if not value.lstrip("-").isdecimal():
        return value
    first = int(value)
    return f"{first}–{first + 99}".replace("-", "−")
