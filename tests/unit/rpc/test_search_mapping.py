"""Searches go there and back, over the wire's bytes."""

import numpy as np
import pytest
import rpc_strategies as strategies
from hypothesis import given
from hypothesis import strategies as st
from test_mapping import same, wired

from boonart.errors import InvalidFilter, InvalidQuery, InvalidRequest
from boonart.ports import CollectionInfo
from boonart.rpc import search_mapping as mapping
from boonart.rpc.v1 import search_pb2
from boonart.works import (
    Answer,
    Equals,
    FacetCount,
    FacetScope,
    Filter,
    Hit,
    Manifest,
    Mode,
    Not,
    Notice,
    Picture,
    Query,
    QueryPart,
    Ranker,
    StoredPicture,
    Target,
    Total,
    Words,
    Work,
)

PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), (2, 2), "PNG")


def decode(data: bytes) -> Picture:
    assert data == b"a file"
    return PICTURE


@given(strategies.filters)
def test_filter(where: Filter) -> None:
    assert same(mapping.from_filter(wired(mapping.to_filter(where))), where)


@given(strategies.works)
def test_work(work: Work) -> None:
    assert same(mapping.from_work(wired(mapping.to_work(work))), work)


@given(strategies.stored_pictures)
def test_stored_picture(picture: StoredPicture) -> None:
    assert same(mapping.from_stored_picture(wired(mapping.to_stored_picture(picture))), picture)


@given(
    st.builds(
        Query,
        collection=strategies.texts,
        text=strategies.texts,
        target=st.none() | st.sampled_from(Target),
        limit=st.integers(0, 5000),
        candidates=st.integers(0, 5000),
        rerank=strategies.rankers,
        where=st.none() | strategies.filters,
        min_relevance=strategies.numbers,
        explain=st.booleans(),
        collections=st.lists(strategies.texts, max_size=3).map(tuple),
        mode=st.sampled_from(Mode),
        keyword_weight=strategies.numbers,
        diversity=strategies.numbers,
        per_artist=st.integers(0, 50),
        facets=st.lists(strategies.texts, max_size=3).map(tuple),
        facet_scope=st.sampled_from(FacetScope),
    )
)
def test_query_with_a_text(query: Query) -> None:
    assert same(mapping.from_search_request(wired(mapping.to_search_request(query)), decode), query)


@pytest.mark.parametrize("query", [Query("c", picture=PICTURE), Query("c", work_id="N01207"), Query("c")])
def test_query_with_a_picture_a_work_or_nothing(query: Query) -> None:
    message = wired(mapping.to_search_request(query, b"a file"))
    assert same(mapping.from_search_request(message, decode), query)


def test_what_is_absent_means_the_default() -> None:
    query = mapping.from_search_request(search_pb2.SearchRequest(collection="c", text="cow"), decode)
    assert query == Query("c", text="cow")


@given(
    st.builds(
        Answer,
        hits=st.lists(strategies.hits, max_size=2).map(tuple),
        target=st.sampled_from(Target),
        ranker=strategies.rankers,
        stages=st.dictionaries(strategies.texts, strategies.numbers, max_size=3),
        degraded=st.dictionaries(strategies.texts, strategies.texts, max_size=2),
        models=st.dictionaries(strategies.texts, strategies.texts, max_size=2),
    )
)
def test_answer(answer: Answer) -> None:
    assert same(mapping.from_search_response(wired(mapping.to_search_response(answer))), answer)


@given(strategies.hits)
def test_hit(hit: Hit) -> None:
    assert same(mapping.from_hit(wired(mapping.to_hit(hit))), hit)


def test_collection() -> None:
    info = CollectionInfo("tate", 3, 6783, Manifest("starter-1", 512, "vitr-1", 256, 2), 10**9)
    assert mapping.from_collection(wired(mapping.to_collection(info))) == info


@pytest.mark.parametrize(
    "message",
    [
        search_pb2.Filter(),
        search_pb2.Filter(equals=search_pb2.EqualsFilter(field="artist")),
        search_pb2.Filter(one_of=search_pb2.OneOfFilter(field="year", values=[search_pb2.Value(number=1.5)])),
        search_pb2.Filter(all=search_pb2.FilterGroup(filters=[search_pb2.Filter()])),
    ],
)
def test_a_filter_that_says_nothing_is_refused(message: search_pb2.Filter) -> None:
    with pytest.raises(InvalidFilter):
        mapping.from_filter(message)


def test_a_filter_nested_too_deep_is_refused() -> None:
    where: Filter = Equals("artist", "Turner")
    for _ in range(20):
        where = Not(where)
    with pytest.raises(InvalidFilter, match="16 deep"):
        mapping.from_filter(mapping.to_filter(where))


def test_an_unknown_target_is_refused() -> None:
    message = search_pb2.SearchRequest(text="cow", target=9)  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery, match="target"):
        mapping.from_search_request(message, decode)
    with pytest.raises(InvalidRequest):
        mapping.from_search_response(search_pb2.SearchResponse(target=9))  # type: ignore[arg-type]


def test_an_integer_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(InvalidFilter, match="64 bits"):
        mapping.to_filter(Equals("year", 2**63))


def test_a_query_of_parts() -> None:
    parts = (QueryPart("red", weight=2.0), QueryPart(picture=PICTURE), QueryPart(work_id="N1", weight=-0.5))
    query = Query("c", parts=parts, where=Words("title", "a cow"))
    message = wired(mapping.to_search_request(query, part_files=[b"a file"]))
    assert same(mapping.from_search_request(message, decode), query)
    assert [part.weight for part in Query("c", parts=(QueryPart("x"),)).parts] == [1.0]


@pytest.mark.parametrize("field", ["mode", "facet_scope"])
def test_a_number_of_a_newer_version_is_said(field: str) -> None:
    message = search_pb2.SearchRequest(text="x")
    setattr(message, field, 99)
    with pytest.raises(InvalidQuery) as error:
        mapping.from_search_request(message, decode)
    assert error.value.field == field


def test_an_answer_carries_what_found_it_and_its_facets() -> None:
    hit = Hit(1, Work("w"), 1.0, 0.5, description_composed=True, collection="c", matched_by=("vector", "exact"))
    facets = {"artist": (FacetCount("Ada", 3),), "framed": (FacetCount(True, 1),), "century": (FacetCount(1800, 2),)}
    answer = Answer((hit,), Target.WORKS, Ranker.NONE, {}, facets=facets)
    assert same(mapping.from_search_response(wired(mapping.to_search_response(answer))), answer)


@pytest.mark.parametrize("total", [None, Total(0), Total(7), Total(2**40, exact=False)])
def test_an_answer_carries_its_total_and_its_warnings(total: Total | None) -> None:
    warnings = (Notice("explain", "Nothing was compared."),)
    answer = Answer((), Target.WORKS, Ranker.NONE, {}, total=total, warnings=warnings, index_generation=3)
    assert same(mapping.from_search_response(wired(mapping.to_search_response(answer))), answer)


def test_a_relation_of_a_newer_version_promises_no_more_than_at_least() -> None:
    message = mapping.to_search_response(Answer((), Target.WORKS, Ranker.NONE, {}, total=Total(7)))
    message.total.relation = 99  # type: ignore[assignment]
    assert mapping.from_search_response(message).total == Total(7, exact=False)
