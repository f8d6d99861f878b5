"""What a query may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from boonart.errors import BoonArtError, InvalidQuery
from boonart.works import And, Filter, Mode, Or, Query, QueryPart, Target, Words

MAX_TEXT = 2_000
"""Longest text query in characters. Encoders read far less, so a longer text is surely a mistake."""
MAX_LIMIT = 1_000
MAX_CANDIDATES = 1_000
MAX_PARTS = 16
MAX_COLLECTIONS = 16
MAX_FACETS = 16
KEYWORD_FIELDS = ("title", "artist", "description", "subjects")
"""Fields whose words a keyword search reads."""
_QUOTED = re.compile(r'(?<!\w)["“”„]([^"“”„]+)["“”](?!\w)')


@dataclass(frozen=True, slots=True)
class Wording:
    """A text query as keywords.

    Attributes:
        text: without quotation marks.
        phrases: what stood between them: it must occur as it is.
    """

    text: str
    phrases: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Wording:
        """Take the quotation marks out of a text."""
        phrases = tuple(phrase.strip() for phrase in _QUOTED.findall(text) if phrase.strip())
        return cls(_QUOTED.sub(r" \1 ", text).strip(), phrases)

    def where(self, otherwise: Filter | None) -> Filter | None:
        """`otherwise`, and that each phrase's words are in one field."""
        filters = [Or(tuple(Words(field, phrase) for field in KEYWORD_FIELDS)) for phrase in self.phrases]
        if not filters:
            return otherwise
        return And((*filters, otherwise) if otherwise is not None else tuple(filters))


@contextmanager
def naming(field: str, *kinds: type[BoonArtError]) -> Iterator[None]:
    """Say of such an error which field of the query is at fault, where whoever raised it could not know."""
    try:
        yield
    except kinds as error:
        error.field = field
        raise


def parts_of(query: Query) -> tuple[QueryPart, ...]:
    """What a query is made of, one part where it is simple."""
    return query.parts or (QueryPart(query.text, query.picture, query.work_id),)


def vector_name(target: Target) -> str:
    """The stored vectors that a search of this target compares."""
    return "image" if target is Target.WORKS else "description"


def positive_text(query: Query) -> str:
    """The texts that lead towards something, joined: what a keyword search looks for."""
    return " ".join(part.text for part in parts_of(query) if part.text and part.weight > 0)


def check(query: Query) -> Target:
    """Refuse a query that cannot be answered; return what it searches.

    Raises:
        InvalidQuery: with the field at fault.
    """
    _check_parts(query)
    for name, value, most in (
        ("limit", query.limit, MAX_LIMIT),
        ("candidates", query.candidates, MAX_CANDIDATES),
    ):
        if not 1 <= value <= most:
            raise InvalidQuery(f"{name} is {value}; it must be from 1 to {most:,}.", field=name)
    for name, share in (("min_relevance", query.min_relevance), ("diversity", query.diversity)):
        if not 0.0 <= share <= 1.0:
            raise InvalidQuery(f"{name} must be from 0 to 1.", field=name)
    if not 0.0 < query.keyword_weight <= 100.0:
        raise InvalidQuery("keyword_weight must be above 0 and at most 100.", field="keyword_weight")
    if query.per_artist < 0:
        raise InvalidQuery("per_artist must not be negative.", field="per_artist")
    for name, given, most in (
        ("facets", query.facets, MAX_FACETS),
        ("collections", query.collections, MAX_COLLECTIONS),
    ):
        if len(given) > most:
            raise InvalidQuery(f"{name} has {len(given)} names; at most {most} are taken.", field=name)
    parts = parts_of(query)
    if query.mode is not Mode.VECTOR and not positive_text(query).strip():
        raise InvalidQuery(
            f"The mode {query.mode} needs words to look for.", hint="Give a text, or leave mode out.", field="mode"
        )
    if len(query.collections) > 1 and any(part.work_id for part in parts):
        raise InvalidQuery(
            "A work belongs to one collection, so it cannot be searched with in several.", field="collections"
        )
    if query.target is not None:
        return query.target
    return Target.DESCRIPTIONS if len(parts) == 1 and parts[0].picture is not None else Target.WORKS


def _check_parts(query: Query) -> None:
    """Refuse what says nothing, or two things where one is meant."""
    if not query.parts:
        _check_part(parts_of(query)[0], "")
        return
    if query.text or query.picture is not None or query.work_id:
        raise InvalidQuery(
            "The query has parts and something beside them.", hint="Put all of it into the parts.", field="query"
        )
    if len(query.parts) > MAX_PARTS:
        raise InvalidQuery(f"The query has {len(query.parts)} parts; at most {MAX_PARTS} are taken.", field="query")
    for number, part in enumerate(query.parts):
        _check_part(part, f"query.{number}.")
        if not 0.0 < abs(part.weight) <= 100.0:
            raise InvalidQuery(
                f"The weight {part.weight:g} says nothing or too much.",
                hint="Give weights from -100 to 100, and leave a part out rather than giving it 0.",
                field=f"query.{number}.weight",
            )
    if all(part.weight < 0 for part in query.parts):
        raise InvalidQuery(
            "The query only says what is not wanted.", hint="Give at least one part a weight above 0.", field="query"
        )


def _check_part(part: QueryPart, place: str) -> None:
    text = part.text.strip()
    given = [
        (name, words)
        for name, words, value in (
            ("text", "a text", text),
            ("picture", "a picture", part.picture),
            ("work_id", "a work", part.work_id),
        )
        if value is not None and value != ""
    ]
    if not given:
        raise InvalidQuery(
            "The query is empty.", hint="Give a text, a picture or the id of a work.", field=f"{place}text"
        )
    if len(given) > 1:
        raise InvalidQuery(
            f"The query has {' and '.join(words for _, words in given)} at once.",
            hint="Give exactly one of them, or several as parts with weights.",
            field=f"{place}{given[1][0]}",
        )
    if len(text) > MAX_TEXT:
        raise InvalidQuery(
            f"The text has {len(text):,} characters; at most {MAX_TEXT:,} are read.",
            hint="Shorten it to a sentence or a paragraph.",
            field=f"{place}text",
        )
