"""Filters as a person types them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from boonart.errors import InvalidFilter
from boonart.search.filter_text import parse_filter
from boonart_services.gateway.filters import FilterTree


def eq(field: str, value: Any) -> dict[str, Any]:
    return {"eq": {"field": field, "value": value}}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('artist = "John Constable"', eq("artist", "John Constable")),
        ("artist=Turner", eq("artist", "Turner")),
        ("framed = TRUE", eq("framed", True)),
        ("room = -3", eq("room", -3)),
        ('room = "3"', eq("room", "3")),
        ("id = sample-001", eq("id", "sample-001")),
        ('"odd field" != x', {"not": eq("odd field", "x")}),
        ("extra.year >= 1800", {"range": {"field": "extra.year", "gte": 1800}}),
        ("width <= 10.5", {"range": {"field": "width", "lte": 10.5}}),
        ('artist in ("A, B", Turner)', {"in": {"field": "artist", "values": ["A, B", "Turner"]}}),
        ('title : "mill river"', {"words": {"field": "title", "text": "mill river"}}),
        ("description:*", {"exists": {"field": "description"}}),
        ("date : 1790..1810", {"date": {"from": 1790, "to": 1810}}),
        ("date : 1790..", {"date": {"from": 1790}}),
        ("date : ..1810", {"date": {"to": 1810}}),
        ("date : 1790.. and a = b", {"and": [{"date": {"from": 1790}}, eq("a", "b")]}),
        ("date : 1861", {"date": {"from": 1861, "to": 1861}}),
        ("date = 1861", eq("date", 1861)),
        ('date : "c. 1861"', {"words": {"field": "date", "text": "c. 1861"}}),
        ('title = "say \\"so\\" \\\\"', eq("title", 'say "so" \\')),
        ("künstler = Dürer", eq("künstler", "Dürer")),
        ("a = 1 or b = 2 and not c = 3", {"or": [eq("a", 1), {"and": [eq("b", 2), {"not": eq("c", 3)}]}]}),
        ("(a = 1 OR b = 2) AND c = 3", {"and": [{"or": [eq("a", 1), eq("b", 2)]}, eq("c", 3)]}),
    ],
)
def test_a_text_is_read_into_a_tree(text: str, tree: dict[str, Any]) -> None:
    assert parse_filter(text) == tree
    FilterTree.model_validate(tree)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", 1, "name of a field"),
        ("   ", 4, "name of a field"),
        ("artist", 7, "or in is expected"),
        ("artist =", 9, "a value"),
        ("artist = a b", 12, "the end"),
        ("a = 1 and", 10, "name of a field"),
        ("(a = 1", 7, ") is expected"),
        ("a = 1)", 6, "the end"),
        ("year >= old", 9, "a number"),
        ("year > 1800", 6, "or in is expected"),
        ("date : old", 8, "a year"),
        ("date : ..", 10, "a year"),
        ("a in ()", 7, "a value"),
        ('a = "open', 5, "a value"),
        ("a = 'x'", 5, "a value"),
        ("a = \u0000", 5, "a value"),
        ("(" * 60 + "a = 1", 51, "too deeply"),
        ("not " * 5000 + "a = 1", 201, "too deeply"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, place: int, what: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(text)
    assert f"at character {place}:" in caught.value.message
    assert what in caught.value.message
    assert caught.value.field == "filter"


@given(st.text(alphabet=st.sampled_from('ab1 "\\()=:,.*<>!notandrié-'), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    # What can be read is then held to the same bounds as every tree.
    with contextlib.suppress(InvalidFilter, ValidationError):
        FilterTree.model_validate(parse_filter(text))
