"""Filters as they are written, compiled to those that the index takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from boonart.errors import InvalidFilter
from boonart.works import And, Equals, Exists, Filter, Not, OneOf, Or, Range, StoredPicture, Work
from boonart_services.gateway.answers import picture_json, work_json
from boonart_services.gateway.filters import MAX_FILTER_DEPTH, FilterTree

NAMES = st.sampled_from(["artist", "year", "a/b", "~"])
LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, NAMES, st.one_of(st.text("ab", max_size=3), st.booleans(), st.integers(-5, 5))),
    st.builds(OneOf, NAMES, st.lists(st.integers(-5, 5), min_size=1, max_size=3).map(tuple)),
    st.builds(Range, NAMES, st.floats(-9, 9), st.none()),
    st.builds(Exists, NAMES),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


def written(where: Filter) -> dict[str, object]:
    """The JSON that means this filter."""
    match where:
        case And(parts):
            return {"and": [written(part) for part in parts]}
        case Or(parts):
            return {"or": [written(part) for part in parts]}
        case Not(part):
            return {"not": written(part)}
        case Equals(field, value):
            return {"eq": {"field": field, "value": value}}
        case OneOf(field, values):
            return {"in": {"field": field, "values": list(values)}}
        case Range(field, minimum, maximum):
            bounds = {"gte": minimum, "lte": maximum}
            return {"range": {"field": field, **{name: b for name, b in bounds.items() if b is not None}}}
        case Exists(field):
            return {"exists": {"field": field}}
    raise AssertionError(where)


def depth(where: Filter) -> int:
    match where:
        case And(parts) | Or(parts):
            return 1 + max(depth(part) for part in parts)
        case Not(part):
            return 1 + depth(part)
    return 1


@given(FILTERS)
def test_a_filter_means_what_was_written(where: Filter) -> None:
    tree = FilterTree.model_validate(written(where))
    if depth(where) > MAX_FILTER_DEPTH:
        with pytest.raises(InvalidFilter, match="nested deeper"):
            tree.compiled()
    else:
        assert tree.compiled() == where


@given(FILTERS)
def test_the_place_of_each_field_leads_to_its_name(where: Filter) -> None:
    body: object = {"filter": written(where)}
    for field, place in FilterTree.model_validate(written(where)).places():
        found = body
        for part in place:
            found = found[part]  # type: ignore[index]
        assert found == field


def test_true_is_not_one() -> None:
    tree = FilterTree.model_validate({"eq": {"field": "framed", "value": True}})
    assert tree.compiled() == Equals("framed", True)
    assert isinstance(tree.compiled().value, bool)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"and": []},
        {"and": None},
        {"eq": {"field": "a", "value": 1}, "exists": {"field": "a"}},
        {"eq": {"field": "a"}},
        {"eq": {"field": "", "value": 1}},
        {"eq": {"field": "a", "value": None}},
        {"eq": {"field": "a", "value": [1]}},
        {"eq": {"field": "a", "value": float("nan")}},
        {"eq": {"field": "a", "value": "\ud800"}},
        {"in": {"field": "a", "values": [True]}},
        {"in": {"field": "a", "values": [2**63]}},
        {"range": {"field": "a", "gte": float("inf")}},
        {"range": {"field": "a", "gte": None}},
        {"and_": [{"exists": {"field": "a"}}]},
        {"near": {"field": "a"}},
        {"not": [{"exists": {"field": "a"}}]},
    ],
)
def test_what_is_no_filter_is_refused(tree: object) -> None:
    with pytest.raises(ValidationError):
        FilterTree.model_validate(tree)


def test_a_works_empty_fields_are_left_out() -> None:
    assert work_json(Work("1", title="T", extra={"year": 1880})) == {"id": "1", "title": "T", "extra": {"year": 1880}}


def test_a_pictures_address_survives_any_id() -> None:
    picture = picture_json("c", "a/b c?#ü", StoredPicture("0123456789abcdef", (3, 4), "#ffffff"))
    assert picture is not None
    assert picture["thumbnail_url"] == "/v1/works/a%2Fb%20c%3F%23%C3%BC/thumbnail?collection=c&v=0123456789ab"
    assert picture_json("c", "a", StoredPicture()) is None
