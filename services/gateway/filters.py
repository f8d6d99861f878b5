"""Filters as a request writes them: a tree, compiled to what the index takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from boonart import works
from boonart.dates import overlapping
from boonart.errors import InvalidFilter

MAX_FILTER_DEPTH = 8


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        """Nothing is null: a field is given or left out, so that "no value" can be written in one way alone."""
        if value is None:
            raise ValueError("is null; leave it out instead")
        return value


class Body(Strict):
    """A body in JSON, which tells truth values, numbers and texts apart; a form has texts alone."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what would only have to be turned into the right type, such as "1" or true for 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if wanted is bool and not isinstance(value, bool):
            raise ValueError("is neither true nor false")
        if wanted in (int, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError("is not a number")
        return value


def _encodable(text: str) -> str:
    """Refuse half characters, which JSON can write and nothing else can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half a character at position {error.start}") from error
    return text


Encodable = Annotated[str, AfterValidator(_encodable)]
FieldName = Annotated[
    Encodable,
    Field(min_length=1, max_length=200, description="A field of the works, such as artist, or of their records."),
]
Text = Annotated[Encodable, Field(max_length=1000)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class FieldValue(Strict):
    """A field and the value it must hold; for a list field such as subjects: among its values."""

    field: FieldName
    value: Text | Whole | Number | bool


class FieldValues(Strict):
    """A field and the values of which it must hold one."""

    field: FieldName
    values: list[Text | Whole] = Field(min_length=1, max_length=1000)


class FieldRange(Strict):
    """A field and the bounds of its number, both included; a bound that is left out is open."""

    field: FieldName
    gte: Number | None = None
    lte: Number | None = None


class FieldWords(Strict):
    """A field whose text must hold all these words, in any order and case."""

    field: FieldName
    text: Annotated[Encodable, Field(min_length=1, max_length=1000)]


class Dates(Strict):
    """Years of which the work's date must possibly be one, both included; a bound that is left out is open."""

    from_: Annotated[int, Field(strict=True, ge=-10_000, le=10_000)] | None = Field(default=None, alias="from")
    to: Annotated[int, Field(strict=True, ge=-10_000, le=10_000)] | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Dates:
        if not self.model_fields_set:
            raise ValueError("a date has a bound: from, to or both")
        return self


class FieldPresence(Strict):
    """A field that must be there and not empty."""

    field: FieldName


class FilterTree(Strict):
    """A filter: exactly one of its fields is given.

    `{"and": [{"eq": {"field": "artist", "value": "John Constable"}}, {"not": {"exists": {"field": "medium"}}}]}`
    """

    and_: list[FilterTree] | None = Field(default=None, alias="and", min_length=1, max_length=100)
    or_: list[FilterTree] | None = Field(default=None, alias="or", min_length=1, max_length=100)
    not_: FilterTree | None = Field(default=None, alias="not")
    eq: FieldValue | None = None
    in_: FieldValues | None = Field(default=None, alias="in")
    range: FieldRange | None = None
    exists: FieldPresence | None = None
    words: FieldWords | None = None
    date: Dates | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> FilterTree:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("a filter has exactly one of and, or, not, eq, in, range, exists, words, date")
        return self

    def compiled(self, depth: int = 1) -> works.Filter:
        """As the filter that the index takes.

        Raises:
            InvalidFilter: nested deeper than `MAX_FILTER_DEPTH`.
        """
        if depth > MAX_FILTER_DEPTH:
            raise InvalidFilter(
                f"The filter is nested deeper than {MAX_FILTER_DEPTH} levels.",
                hint="Write it flatter: and, or and not can mostly be merged.",
                field="filter",
            )
        if self.and_ is not None:
            return works.And(tuple(part.compiled(depth + 1) for part in self.and_))
        if self.or_ is not None:
            return works.Or(tuple(part.compiled(depth + 1) for part in self.or_))
        if self.not_ is not None:
            return works.Not(self.not_.compiled(depth + 1))
        if self.eq is not None:
            return works.Equals(self.eq.field, self.eq.value)
        if self.in_ is not None:
            return works.OneOf(self.in_.field, tuple(self.in_.values))
        if self.range is not None:
            return works.Range(self.range.field, self.range.gte, self.range.lte)
        if self.exists is not None:
            return works.Exists(self.exists.field)
        if self.words is not None:
            return works.Words(self.words.field, self.words.text)
        if self.date is not None:
            return overlapping(self.date.from_, self.date.to)
        raise InvalidFilter("The filter is empty.", field="filter")

    def places(self, at: tuple[str | int, ...] = ("filter",)) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Each field that the tree asks of, with the way to its place in the request's body."""
        for name, group in (("and", self.and_), ("or", self.or_)):
            for number, part in enumerate(group or ()):
                yield from part.places((*at, name, number))
        if self.not_ is not None:
            yield from self.not_.places((*at, "not"))
        leaves = {"eq": self.eq, "in": self.in_, "range": self.range, "exists": self.exists, "words": self.words}
        for name, leaf in leaves.items():
            if leaf is not None:
                yield leaf.field, (*at, name, "field")
