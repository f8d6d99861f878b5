"""How many works hold each value of a field."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from boonart.dates import parse_years
from boonart.errors import InvalidFilter
from boonart.ports import WorkIndex
from boonart.search.ordering import FACET_VALUES, counted, ranked
from boonart.works import FacetCount, FacetScope, Hit, Query

CENTURY = "century"
"""The facet of the works' dates: the first year of each century, by the earliest year that a date may mean."""
_ALL_YEARS = 2_000


async def count_facets(
    index: WorkIndex, query: Query, hits: Sequence[Hit], most: int = FACET_VALUES
) -> Mapping[str, tuple[FacetCount, ...]]:
    """The query's facets, by field.

    Args:
        hits: all candidates, for `FacetScope.CANDIDATES`.
        most: values of each field.

    Raises:
        InvalidFilter: a field that is not stored or not counted.
    """
    if query.facet_scope is FacetScope.CANDIDATES:
        fields = await index.fields(query.collection)
        return {name: counted(hits, _Reader(name, fields), most) for name in query.facets}
    values = await asyncio.gather(*(_filtered(index, query, name, most) for name in query.facets))
    return dict(zip(query.facets, values, strict=True))


async def _filtered(index: WorkIndex, query: Query, name: str, most: int) -> tuple[FacetCount, ...]:
    if name != CENTURY:
        return ranked(await index.facet(query.collection, name, limit=most, where=query.where), most)
    centuries: Counter[str | int | bool] = Counter()
    for year, count in await index.facet(query.collection, "date_from", limit=_ALL_YEARS, where=query.where):
        centuries[100 * (int(year) // 100)] += count
    return ranked(centuries.items(), most)


class _Reader:
    """Reads a field's values off a hit."""

    def __init__(self, name: str, fields: Mapping[str, str]) -> None:
        self._name = name
        short = name.removeprefix("extra.")
        if name != CENTURY and name not in fields and f"extra.{short}" not in fields:
            raise InvalidFilter(
                f"The works have no field {name[:80]!r} to count.",
                hint=f"Known fields: {CENTURY}, {', '.join(sorted(fields))}.",
                field="facets",
            )

    def __call__(self, hit: Hit) -> Iterable[str | int | bool]:
        """The values, none where the work has none."""
        work = hit.work
        if self._name in {CENTURY, "date_from", "date_to"}:
            years = parse_years(work.date)
            if years is None:
                return []
            return [{CENTURY: 100 * (years.earliest // 100), "date_to": years.latest}.get(self._name, years.earliest)]
        if self._name == "subjects":
            return work.subjects
        value = getattr(work, self._name, None) or work.extra.get(self._name.removeprefix("extra."))
        return [] if value is None or value == "" or isinstance(value, float) else [value]
