"""How many works a query finds, and which options had no effect, on fakes of the ports."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from boonart.ports import CollectionInfo
from boonart.search.finding import Found
from boonart.search.ordering import merge
from boonart.search.totals import count_all, without_effect
from boonart.works import (
    And,
    Answer,
    Candidate,
    Equals,
    Exists,
    FacetScope,
    Filter,
    Hit,
    Manifest,
    Mode,
    Not,
    Query,
    Ranker,
    Target,
    Total,
    Work,
)

INFO = CollectionInfo("c", 1, 100, Manifest("one", 2))
WHERE = Equals("medium", "oil")


class CountingIndex:
    def __init__(self) -> None:
        self.counted: list[Filter | None] = []

    async def count(self, collection: str, where: Filter | None = None) -> int:
        self.counted.append(where)
        return 37


def hits(count: int, relevant: int = -1) -> list[Hit]:
    """Hits by one artist, the first of them with a relevance of 0.9, the others of 0.1, or none."""
    return [
        Hit(
            place,
            Work(str(place), artist="Ada"),
            0.5,
            0.5,
            relevance=None if relevant < 0 else 0.9 - 0.8 * (place >= relevant),
        )
        for place in range(count)
    ]


def total(
    query: Query,
    listed: Sequence[Hit] = (),
    target: Target = Target.WORKS,
    *,
    complete: bool = False,
    by_words: bool = False,
) -> tuple[Total, list[Filter | None]]:
    index = CountingIndex()
    candidates = [Candidate(str(hit.rank), hit.work) for hit in listed]
    found = Found(candidates, complete=complete, by_words=by_words)
    return asyncio.run(count_all(index, query, target, INFO, found, listed)), index.counted  # type: ignore[arg-type]


def test_what_was_found_whole_is_not_counted_again() -> None:
    assert total(Query("c", text="red", limit=2, where=WHERE), hits(5), complete=True) == (Total(5), [])


def test_a_comparison_of_vectors_finds_the_whole_collection() -> None:
    assert total(Query("c", text="red"), hits(5)) == (Total(100), [])
    assert total(Query("c", work_id="w1"), hits(5)) == (Total(99), [])
    assert total(Query("c", text="red", mode=Mode.HYBRID), hits(5)) == (Total(100), [])


def test_under_a_filter_it_finds_what_the_filter_lets_pass() -> None:
    assert total(Query("c", text="red", where=WHERE), hits(5)) == (Total(37), [WHERE])
    described = And((WHERE, Exists("description"), Not(Equals("id", "w1"))))
    assert total(Query("c", work_id="w1", where=WHERE), hits(5), Target.DESCRIPTIONS) == (Total(37), [described])


@pytest.mark.parametrize(
    ("query", "by_words"),
    [
        (Query("c", text="red", mode=Mode.KEYWORD), True),
        (Query("c", text='a "red house"', mode=Mode.HYBRID), False),
    ],
)
def test_what_only_its_words_find_is_at_least_what_was_looked_at(query: Query, by_words: bool) -> None:
    assert total(query, hits(5), by_words=by_words) == (Total(5, exact=False), [])


def test_a_share_for_each_artist_is_held_to() -> None:
    query = Query("c", text="red", per_artist=2)
    assert total(query, hits(5)) == (Total(2, exact=False), [])
    assert total(query, hits(5), complete=True) == (Total(2), [])


def test_a_least_relevance_bounds_the_list() -> None:
    query = Query("c", text="red", min_relevance=0.5)
    assert total(query, hits(5, relevant=3)) == (Total(3), [])
    assert total(query, hits(5)) == (Total(100), []), "no hit has a relevance, so that none is left out"


def test_descriptions_and_words_together_are_at_least_those() -> None:
    query = Query("c", text="red", mode=Mode.HYBRID)
    assert total(query, hits(5), Target.DESCRIPTIONS) == (Total(5, exact=False), [])


def answer(count: int, among: Total | None, collection: str) -> Answer:
    found = tuple(replace(hit, collection=collection) for hit in hits(count))
    return Answer(found, Target.WORKS, Ranker.NONE, {}, total=among)


def test_several_collections_find_as_much_as_all_of_them() -> None:
    query = Query("", text="red", limit=3)
    two = [answer(3, Total(100), "a"), answer(3, Total(7), "b")]
    assert merge(query, two).total == Total(107)
    assert merge(query, [two[0], answer(3, Total(7, exact=False), "b")]).total == Total(107, exact=False)
    assert merge(query, [two[0], answer(3, None, "b")]).total is None
    assert merge(query, two).index_generation == 0


def test_an_artists_share_of_several_collections_is_one() -> None:
    query = Query("", text="red", limit=3, per_artist=4)
    assert merge(query, [answer(3, Total(3), "a"), answer(3, Total(3), "b")]).total == Total(4)
    assert merge(query, [answer(3, Total(3), "a"), answer(3, Total(9), "b")]).total == Total(4, exact=False)


@pytest.mark.parametrize(
    ("query", "ranker", "fields"),
    [
        (Query("c", text="red"), Ranker.DEFAULT, []),
        (Query("c", text="red", keyword_weight=2.0), Ranker.DEFAULT, ["keyword_weight"]),
        (Query("c", text="red", keyword_weight=2.0, mode=Mode.HYBRID), Ranker.DEFAULT, []),
        (Query("c", text="red", facet_scope=FacetScope.CANDIDATES), Ranker.DEFAULT, ["facet_scope"]),
        (Query("c", text="red", facet_scope=FacetScope.CANDIDATES, facets=("artist",)), Ranker.DEFAULT, []),
        (Query("c", text="red", explain=True), Ranker.DEFAULT, []),
        (Query("c", text="red", explain=True), Ranker.NONE, ["explain"]),
    ],
)
def test_options_without_effect_are_named(query: Query, ranker: Ranker, fields: list[str]) -> None:
    assert [notice.field for notice in without_effect(query, ranker)] == fields
