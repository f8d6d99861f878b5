"""What a query may say."""

from __future__ import annotations

from boonart.errors import InvalidQuery
from boonart.works import Query, Target

MAX_TEXT = 2_000
"""Longest text query in characters. Encoders read far less, so a longer text is surely a mistake."""
MAX_LIMIT = 1_000
MAX_CANDIDATES = 1_000


def check(query: Query) -> Target:
    """Refuse a query that cannot be answered; return what it searches.

    Raises:
        InvalidQuery: with the field at fault.
    """
    text = query.text.strip()
    given = [
        name
        for name, value in (("text", text), ("picture", query.picture), ("work_id", query.work_id))
        if value is not None and value != ""
    ]
    if not given:
        raise InvalidQuery("The query is empty.", hint="Give a text, a picture or the id of a work.", field="text")
    if len(given) > 1:
        raise InvalidQuery(
            f"The query has {' and '.join(given)} at once.", hint="Give exactly one of them.", field=given[1]
        )
    if len(text) > MAX_TEXT:
        raise InvalidQuery(
            f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read.",
            hint="Shorten it to a sentence or a paragraph.",
            field="text",
        )
    for name, value, most in (
        ("limit", query.limit, MAX_LIMIT),
        ("candidates", query.candidates, MAX_CANDIDATES),
    ):
        if not 1 <= value <= most:
            raise InvalidQuery(f"{name} is {value}; it must be from 1 to {most:,}.", field=name)
    if not 0.0 <= query.min_relevance <= 1.0:
        raise InvalidQuery("min_relevance must be from 0 to 1.", field="min_relevance")
    if query.target is not None:
        return query.target
    return Target.DESCRIPTIONS if query.picture is not None else Target.WORKS
