"""The keyword baseline."""

from boonart.evaluation.keyword import KeywordSearch, words
from boonart.works import Work

WORKS = [
    Work("cow", "Cow in a room", description="A red cow stands in a blue room."),
    Work("dog", "A man and his dog", description="A man sits with his dog by the fire."),
    Work("long", "Landscape", description="A cow " + "and a tree " * 40),
    Work("empty", ""),
]


def test_common_words_do_not_count() -> None:
    assert words("The cow in the ROOM") == ["cow", "room"]


def test_the_work_with_more_of_the_words_comes_first() -> None:
    found = KeywordSearch(WORKS).search("a red cow in the room")
    assert [work.id for work, _ in found] == ["cow", "long"]


def test_a_rarer_word_weighs_more() -> None:
    found = {work.id: score for work, score in KeywordSearch(WORKS).search("cow dog")}
    assert found["dog"] > found["long"]


def test_a_word_that_nobody_has_finds_nothing() -> None:
    assert KeywordSearch(WORKS).search("airplane") == []
    assert KeywordSearch([]).search("cow") == []


def test_the_limit_holds() -> None:
    assert len(KeywordSearch(WORKS).search("cow man", limit=2)) == 2
