"""Names that must come first, and rankings by a whole search."""

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from boonart.errors import SourceError
from boonart.evaluation.modes import answers, names_first, names_of, ranked_by_search
from boonart.works import Answer, Candidate, Hit, Mode, Query, Ranker, Target, Work

WORKS = (
    Work("tate-n01", title="Landscape", artist="Ada Grey"),
    Work("tate-n02", title="Landscape", artist="Ben Ochre"),
    Work("tate-n03", title="Café, Paris", artist="Cy Umber"),
    Work("tate-n04", title="Untitled", artist=""),
)


class Index:
    async def scroll(self, collection: str) -> AsyncIterator[list[Candidate]]:
        yield [Candidate(work.id, work) for work in WORKS]


class Finder:
    """Finds by the first work that says the text anywhere; remembers what it was asked."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.asked: list[Query] = []

    async def run(self, query: Query) -> Answer:
        self.asked.append(query)
        found = [w for w in WORKS if query.text.lower() in f"{w.id} {w.title} {w.artist}".lower()]
        if query.text == self.wrong:
            found = [WORKS[3]]
        hits = tuple(Hit(rank, work, 1.0 / rank, 0.0) for rank, work in enumerate(found[: query.limit], start=1))
        return Answer(hits, Target.WORKS, Ranker.NONE, {})


async def test_each_name_of_each_work_is_asked_for() -> None:
    finder = Finder()
    named = await names_first(finder, Index(), "tate", count=10, seed=0)  # type: ignore[arg-type]
    assert named.works == 3
    assert named.asked == named.first == {"id": 3, "title": 3, "artist": 3, "number": 3}
    assert named.misses == ()
    assert {query.mode for query in finder.asked} == {Mode.HYBRID}
    assert named.figures["title.first"] == 3.0


async def test_a_wrong_work_first_is_a_miss_that_is_told() -> None:
    named = await names_first(Finder("Ada Grey"), Index(), "tate", count=10, seed=0)  # type: ignore[arg-type]
    assert (named.first["artist"], named.asked["artist"]) == (2, 3)
    (miss,) = named.misses
    assert (miss.kind, miss.text, miss.wanted, miss.first) == ("artist", "Ada Grey", "tate-n01", "tate-n04")


async def test_the_same_seed_draws_the_same_works() -> None:
    async def drawn(seed: int) -> list[str]:
        finder = Finder()
        await names_first(finder, Index(), "tate", count=1, seed=seed)  # type: ignore[arg-type]
        return [query.text for query in finder.asked]

    assert await drawn(1) == await drawn(1)
    assert len({tuple(await drawn(seed)) for seed in range(12)}) == 3


def test_a_shared_title_is_answered_by_any_work_that_has_it_and_an_id_by_one_alone() -> None:
    assert answers("title", "Landscape", WORKS[0], WORKS[1])
    assert answers("title", "cafe paris", WORKS[2], WORKS[2])
    assert not answers("title", "Landscape", WORKS[0], WORKS[2])
    assert not answers("id", "tate-n01", WORKS[0], WORKS[1])
    assert not answers("number", "N01", WORKS[0], WORKS[1])


def test_a_number_is_what_follows_the_collections_name() -> None:
    assert names_of(WORKS[0], "tate")["number"] == "N01"
    assert "number" not in names_of(WORKS[0], "other")
    assert "artist" not in names_of(WORKS[3], "tate")


async def test_a_ranking_holds_what_was_found_by_its_place() -> None:
    ids = [work.id for work in WORKS]
    finder = Finder()
    scores = await ranked_by_search(finder, "tate", ["landscape", "none"], ids, mode=Mode.KEYWORD)  # type: ignore[arg-type]
    np.testing.assert_allclose(scores, [[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert {(query.mode, query.rerank, query.candidates) for query in finder.asked} == {
        (Mode.KEYWORD, Ranker.NONE, 1000)
    }


async def test_more_works_than_an_answer_lists_are_refused() -> None:
    many: Sequence[str] = [str(number) for number in range(1001)]
    with pytest.raises(SourceError, match="1,001"):
        await ranked_by_search(Finder(), "tate", ["x"], many, mode=Mode.VECTOR)  # type: ignore[arg-type]
