"""Filters of `works` checked against a collection's fields and compiled for an engine.

The checks are the same for every engine; a `Dialect` makes the engine's own conditions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from boonart.errors import InvalidFilter
from boonart.index.schema import Field, FieldKind
from boonart.works import And, Equals, Exists, Filter, Not, OneOf, Or, Range, Words

MAX_DEPTH = 16
"""Deepest nesting of and, or and not: nobody writes more by hand, and the engine recurses over it."""
_NUMERIC = {FieldKind.INTEGER, FieldKind.FLOAT}

Condition = TypeVar("Condition")


class Dialect(Protocol[Condition]):
    """Makes one engine's conditions. `path` is a payload path of the schema."""

    def equals(self, path: str, value: str | int | bool) -> Condition:
        """The field holds this value."""

    def one_of(self, path: str, values: Sequence[str] | Sequence[int]) -> Condition:
        """The field holds one of these values."""

    def within(self, path: str, minimum: float | None, maximum: float | None) -> Condition:
        """The field lies within these bounds, both included."""

    def exists(self, path: str) -> Condition:
        """The field is there and not empty."""

    def words(self, path: str, text: str) -> Condition:
        """The field holds all words of the text."""

    def all_of(self, conditions: Sequence[Condition]) -> Condition:
        """All conditions hold."""

    def any_of(self, conditions: Sequence[Condition]) -> Condition:
        """At least one condition holds."""

    def negated(self, condition: Condition) -> Condition:
        """The condition does not hold."""


def compile_filter(
    where: Filter, fields: Mapping[str, Field], dialect: Dialect[Condition], *, depth: int = 0
) -> Condition:
    """The engine's form of a filter.

    Args:
        fields: what can be filtered in the collection, by the name that a caller uses.

    Raises:
        InvalidFilter: an unknown field (the message names the known ones), a value of the wrong type, an
            empty group, or nesting deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {MAX_DEPTH} deep.", field="filter")
    if isinstance(where, And | Or):
        if not where.filters:
            raise InvalidFilter("An empty group of filters says nothing.", hint="Leave it out.", field="filter")
        parts = [compile_filter(part, fields, dialect, depth=depth + 1) for part in where.filters]
        return dialect.all_of(parts) if isinstance(where, And) else dialect.any_of(parts)
    if isinstance(where, Not):
        return dialect.negated(compile_filter(where.filter, fields, dialect, depth=depth + 1))
    return _leaf(where, _known(where.field, fields), dialect)


def _known(name: str, fields: Mapping[str, Field]) -> Field:
    field = fields.get(name)
    if field is None:
        raise InvalidFilter(
            f"The works have no field {name[:80]!r} to filter on.",
            hint=f"Known fields: {', '.join(sorted(fields))}.",
            field=f"filter.{name[:80]}",
        )
    return field


def _leaf(where: Equals | OneOf | Range | Exists | Words, field: Field, dialect: Dialect[Condition]) -> Condition:
    if isinstance(where, Equals):
        _check_type(where.field, field.kind, where.value)
        if isinstance(where.value, float):
            return dialect.within(field.path, where.value, where.value)
        if field.kind is FieldKind.FLOAT:
            return dialect.within(field.path, float(where.value), float(where.value))
        return dialect.equals(field.path, where.value)
    if isinstance(where, OneOf):
        return _one_of(where, field, dialect)
    if isinstance(where, Range):
        return _within(where, field, dialect)
    if isinstance(where, Words):
        if field.kind not in {FieldKind.KEYWORD, FieldKind.TEXT}:
            raise InvalidFilter(f"{where.field!r} holds no words.", field=f"filter.{where.field}")
        return dialect.words(field.path, where.text)
    return dialect.exists(field.path)


def _one_of(where: OneOf, field: Field, dialect: Dialect[Condition]) -> Condition:
    if not where.values:
        raise InvalidFilter(f"The filter on {where.field!r} lists no values.", field=f"filter.{where.field}")
    for value in where.values:
        _check_type(where.field, field.kind, value)
    if field.kind in {FieldKind.FLOAT, FieldKind.BOOLEAN}:
        return dialect.any_of([_leaf(Equals(where.field, value), field, dialect) for value in where.values])
    if field.kind is FieldKind.INTEGER:
        return dialect.one_of(field.path, [int(value) for value in where.values])
    return dialect.one_of(field.path, [str(value) for value in where.values])


def _within(where: Range, field: Field, dialect: Dialect[Condition]) -> Condition:
    name = f"filter.{where.field}"
    if field.kind not in _NUMERIC:
        raise InvalidFilter(f"{where.field!r} holds no numbers, so it has no range.", field=name)
    bounds = [bound for bound in (where.minimum, where.maximum) if bound is not None]
    if not bounds:
        raise InvalidFilter(f"The range of {where.field!r} has no bound.", field=name)
    if any(isinstance(bound, bool) or not math.isfinite(bound) for bound in bounds):
        raise InvalidFilter(f"The bounds of {where.field!r} must be finite numbers.", field=name)
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        raise InvalidFilter(f"The range of {where.field!r} ends before it begins.", field=name)
    return dialect.within(field.path, where.minimum, where.maximum)


def _check_type(name: str, kind: FieldKind, value: object) -> None:
    wanted: str | None = None
    if kind in {FieldKind.KEYWORD, FieldKind.TEXT} and not isinstance(value, str):
        wanted = "a text"
    elif kind is FieldKind.BOOLEAN and not isinstance(value, bool):
        wanted = "true or false"
    elif kind in _NUMERIC and (isinstance(value, bool) or not isinstance(value, int | float)):
        wanted = "a number"
    elif isinstance(value, float) and not math.isfinite(value):
        wanted = "a finite number"
    if wanted:
        raise InvalidFilter(
            f"The filter on {name!r} compares with {value!r}; the field holds {wanted}.",
            field=f"filter.{name}",
        )
