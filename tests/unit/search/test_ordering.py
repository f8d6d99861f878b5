"""The final order and the page's cut."""

from dataclasses import replace

import numpy as np
import pytest

from boonart.search.finding import by_vector
from boonart.search.ordering import cut, merge, ranked, to_hits, vary
from boonart.works import Answer, Candidate, FacetCount, Hit, Query, Ranker, RerankScore, Target, Work


def hit(id_: str, score: float, artist: str = "", relevance: float | None = None, **given: object) -> Hit:
    return Hit(0, Work(id_, artist=artist), score, score, relevance=relevance, **given)  # type: ignore[arg-type]


def ids(hits: object) -> list[str]:
    return [one.work.id for one in hits]  # type: ignore[attr-defined]


def test_exact_then_reranked_then_the_rest() -> None:
    found = by_vector([Candidate(f"p-{id_}", Work(id_), score) for id_, score in (("a", 0.9), ("b", 0.8), ("c", 0.7))])
    scores = {"p-b": RerankScore("p-b", 0.1), "p-a": RerankScore("p-a", -4.0)}
    exact = [Candidate("p-x", Work("x")), found.candidates[2]]
    hits = to_hits(Query("c"), found, scores, exact)
    assert ids(hits) == ["x", "c", "b", "a"]
    assert [one.matched_by for one in hits] == [("exact",), ("vector", "exact"), ("vector",), ("vector",)]
    assert {one.collection for one in hits} == {"c"}


def test_a_page_is_ranked_from_one_and_no_longer_than_asked() -> None:
    page = cut(Query("c", limit=2), [hit("a", 3), hit("b", 2), hit("c", 1)])
    assert [(one.rank, one.work.id) for one in page] == [(1, "a"), (2, "b")]


def test_what_is_not_known_to_be_relevant_enough_is_left_out() -> None:
    hits = [hit("a", 3, relevance=0.9), hit("b", 2, relevance=0.1), hit("c", 1)]
    assert ids(cut(Query("c", min_relevance=0.5), hits)) == ["a"]
    assert ids(cut(Query("c"), hits)) == ["a", "b", "c"]
    uncalibrated = [hit("a", 3), hit("b", 2)]
    assert ids(cut(Query("c", min_relevance=0.5), uncalibrated)) == ["a", "b"]


def test_an_exact_match_is_shown_whatever_its_relevance() -> None:
    hits = [hit("x", 0, matched_by=("exact",)), hit("a", 3, relevance=0.1)]
    assert ids(cut(Query("c", min_relevance=0.5), hits)) == ["x"]


def test_an_artist_has_a_share_of_the_page() -> None:
    hits = [hit("a", 5, "Ada"), hit("b", 4, "ada"), hit("c", 3, "Ben"), hit("d", 2), hit("e", 1)]
    assert ids(cut(Query("c", per_artist=1), hits)) == ["a", "c", "d", "e"]
    assert ids(cut(Query("c", per_artist=2), hits)) == ["a", "b", "c", "d", "e"]


def test_likeness_moves_a_hit_down() -> None:
    east, north = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    vectors = {"a": east, "b": east, "c": north}
    hits = [hit("a", 1.0), hit("b", 0.9), hit("c", 0.5)]
    assert ids(vary(hits, vectors, 0.0)) == ["a", "b", "c"]
    assert ids(vary(hits, vectors, 0.6)) == ["a", "c", "b"]
    assert ids(vary(hits, {}, 0.6)) == ["a", "b", "c"]
    assert vary([], {}, 0.5) == []


def test_collections_are_merged_by_score() -> None:
    first = Answer(
        (hit("a", 0.9, collection="one"), hit("b", 0.3, collection="one")), Target.WORKS, Ranker.NONE, {"e": 3}
    )
    other = Answer((hit("c", 0.5, collection="two"),), Target.WORKS, Ranker.NONE, {"e": 5}, {"rerank": "x"})
    first = replace(first, facets={"artist": (FacetCount("Ada", 2), FacetCount("Ben", 1))})
    other = replace(other, facets={"artist": (FacetCount("Ben", 4),)})
    merged = merge(Query("", collections=("one", "two"), limit=2), [first, other])
    assert [(one.rank, one.work.id) for one in merged.hits] == [(1, "a"), (2, "c")]
    assert merged.facets == {"artist": (FacetCount("Ben", 5), FacetCount("Ada", 2))}
    assert (merged.stages, merged.degraded) == ({"e": 5}, {"rerank": "x"})


@pytest.mark.parametrize("counts", [[("b", 1), ("a", 1), ("c", 2)]])
def test_values_are_ranked_by_count_then_name(counts: list[tuple[str, int]]) -> None:
    assert [value.value for value in ranked(counts)] == ["c", "a", "b"]
