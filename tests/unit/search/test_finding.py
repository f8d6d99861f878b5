"""Lists fused, phrases held, and names that are exact."""

import pytest

from boonart.search.finding import by_keyword, fuse, holds_phrases, plain
from boonart.search.queries import Wording
from boonart.works import And, Candidate, Equals, Or, Words, Work


def candidates(ids: str, score: float = 0.5) -> list[Candidate]:
    return [Candidate(f"p-{id_}", Work(id_), score) for id_ in ids]


def test_what_stands_in_both_lists_comes_before_what_stands_first_in_one() -> None:
    found = fuse(candidates("abc"), candidates("dcb", 7.0), 1.0)
    assert [candidate.work.id for candidate in found.candidates] == ["b", "c", "a", "d"]
    assert found.scores["p-b"] == pytest.approx(1 / 62 + 1 / 63)
    assert found.matched_by == {
        "p-a": ("vector",),
        "p-b": ("vector", "keyword"),
        "p-c": ("vector", "keyword"),
        "p-d": ("keyword",),
    }


def test_a_keyword_score_is_never_taken_for_a_cosine() -> None:
    found = fuse([], candidates("a", 7.0), 1.0)
    assert found.candidates[0].score == 0.0
    (only,) = by_keyword(candidates("a", 7.0)).candidates
    assert only.score == 0.0


@pytest.mark.parametrize(("weight", "first"), [(0.1, "a"), (10.0, "d")])
def test_the_keyword_list_counts_as_much_as_is_asked(weight: float, first: str) -> None:
    assert fuse(candidates("ab"), candidates("dc"), weight).candidates[0].work.id == first


def test_ties_go_to_the_first_id() -> None:
    assert [c.work.id for c in fuse(candidates("b"), candidates("a"), 1.0).candidates] == ["a", "b"]


def test_quotation_marks_make_phrases() -> None:
    wording = Wording.of('boats at "Pegwell Bay" and “low tide” ')
    assert wording.text.split() == ["boats", "at", "Pegwell", "Bay", "and", "low", "tide"]
    assert wording.phrases == ("Pegwell Bay", "low tide")
    assert Wording.of('5" tall ""').phrases == ()


def test_a_phrase_narrows_the_filter() -> None:
    where = Wording.of('"red cow"').where(Equals("artist", "Ada"))
    assert isinstance(where, And)
    assert where.filters[1] == Equals("artist", "Ada")
    assert isinstance(where.filters[0], Or)
    assert Words("title", "red cow") in where.filters[0].filters
    assert Wording.of("red cow").where(None) is None


@pytest.mark.parametrize(
    ("description", "holds"),
    [
        ("A red cow.", True),
        ("The RED  cow's calf", True),
        ("a cow, red", False),
        ("a red brown cow", False),
        ("bored cowboy", False),
    ],
)
def test_a_phrase_is_words_in_order(description: str, holds: bool) -> None:
    assert holds_phrases(Work("w", description=description), Wording.of('"red cow"')) is holds


def test_plain_text_has_no_case_accents_or_marks() -> None:
    assert plain("  Cézanne, Paul ") == "cezanne paul"
    assert plain("‘Judith’") == plain("judith")
