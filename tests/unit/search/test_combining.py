"""Several parts of a query put in order as one."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from boonart.errors import Unavailable
from boonart.ports import RerankRequest
from boonart.search.combining import Compared, Part, combine, cosine_weight, rerank_parts
from boonart.works import (
    Candidate,
    Float32Array,
    ImageEmbedding,
    Query,
    QueryPart,
    RerankScore,
    Target,
    TextEmbedding,
    WordMap,
    Work,
)

IDS = ("a", "b", "c")
VECTORS = {"a": (1.0, 0.0), "b": (0.6, 0.8), "c": (0.0, 1.0)}
QUERY = Query("c", parts=(QueryPart("x"),), explain=True)


def vector(*values: float) -> Float32Array:
    return np.array(values, dtype=np.float32)


def text(direction: Float32Array, word: str, weight: float = 1.0) -> Part:
    return Part(direction, TextEmbedding(direction, np.ones((1, 2), np.float16), (word,)), weight)


def work(direction: Float32Array, weight: float = 1.0) -> Part:
    return Part(direction, None, weight)


def candidates() -> list[Candidate]:
    return [Candidate(f"p-{id_}", Work(id_), 0.1) for id_ in IDS]


class Vectors:
    async def vectors(self, collection: str, work_ids: Sequence[str], name: str) -> Mapping[str, Float32Array]:
        return {id_: vector(*VECTORS[id_]) for id_ in work_ids if id_ in VECTORS}


class WordReranker:
    """A score is twice the cosine plus 3 for the work that is called like the query's word."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.explained: list[bool] = []

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        if self.error:
            raise self.error
        assert isinstance(request.query, TextEmbedding)
        self.explained.append(request.explain)
        (word,) = request.query.words
        maps = (WordMap(word, np.full((7, 7), 1 / 49, np.float32)),) if request.explain else ()
        found = []
        for candidate in request.candidates:
            relation = 3.0 * (candidate.work.id == word)
            found.append(RerankScore(candidate.point_id, 2 * candidate.score + relation, relation, 0.5, maps))
        return found


async def order(*parts: Part) -> list[RerankScore]:
    return await rerank_parts(WordReranker(), Vectors(), QUERY, Target.WORKS, parts, candidates())  # type: ignore[arg-type]


async def test_a_work_and_a_text_count_both() -> None:
    like_a = work(vector(1, 0))
    (first, *_) = await order(like_a, text(vector(0, 1), "b", 0.5))
    assert first.point_id == "p-b"
    # (1 x 2 x 0.6 + 0.5 x (2 x 0.8 + 3)) / 1.5
    assert first.score == pytest.approx((1.2 + 0.5 * 4.6) / 1.5)
    assert first.relation_score == pytest.approx(0.5 * 3 / 1.5)
    assert first.relevance is None


async def test_a_negative_text_leads_away_from_what_the_network_sees() -> None:
    towards = text(vector(0.6, 0.8), "none")
    plain = [score.point_id for score in await order(towards, work(vector(0, 1), 0.01))]
    without = [score.point_id for score in await order(towards, text(vector(0, 1), "b", -1.0))]
    assert plain[0] == "p-b"
    assert without[-1] == "p-b"


async def test_weights_alone_decide_and_not_their_size() -> None:
    once = await order(text(vector(1, 0), "a"), text(vector(0, 1), "c"))
    tenfold = await order(text(vector(1, 0), "a", 10.0), text(vector(0, 1), "c", 10.0))
    assert [score.score for score in once] == pytest.approx([score.score for score in tenfold])


async def test_the_words_of_what_is_wanted_are_explained() -> None:
    (first, *_) = await order(text(vector(1, 0), "a"), text(vector(1, 0), "b"), text(vector(0, 1), "c", -0.1))
    assert [word_map.word for word_map in first.explanation] == ["a", "b"]


async def test_a_candidate_without_a_vector_keeps_its_place_beyond_the_window() -> None:
    found = [*candidates(), Candidate("p-new", Work("new"), 0.9)]
    parts = (text(vector(1, 0), "a"), work(vector(0, 1)))
    scores = await rerank_parts(WordReranker(), Vectors(), QUERY, Target.WORKS, parts, found)  # type: ignore[arg-type]
    assert {score.point_id for score in scores} == {"p-a", "p-b", "p-c"}


async def test_what_fails_in_one_part_fails_in_all() -> None:
    parts = (text(vector(1, 0), "a"), work(vector(0, 1)))
    reranker = WordReranker(Unavailable("The reranker is away."))
    with pytest.raises(Unavailable):
        await rerank_parts(reranker, Vectors(), QUERY, Target.WORKS, parts, candidates())  # type: ignore[arg-type]


def test_what_a_cosine_counts_is_read_off_the_scores() -> None:
    scores = {"p": RerankScore("p", 2 * 0.3 + 1.5, 1.5), "q": RerankScore("q", 2 * 0.1, 0.0)}
    assert cosine_weight([Compared(1.0, {"p": 0.3, "q": 0.1}, scores)]) == pytest.approx(2.0)
    assert cosine_weight([Compared(1.0, {"p": 0.3}, {})]) == 1.0
    assert cosine_weight([Compared(1.0, {"p": 0.3}, {"p": RerankScore("p", 5.0)})]) == 1.0


def test_nothing_compared_gives_the_order_of_the_cosines() -> None:
    found = combine([Compared(1.0, {"p": 0.3, "q": 0.4}, {})])
    assert [score.point_id for score in found] == ["q", "p"]


@pytest.mark.parametrize(("target", "is_text"), [(Target.WORKS, True), (Target.DESCRIPTIONS, False)])
def test_a_text_is_compared_with_pictures_and_a_picture_with_texts(target: Target, is_text: bool) -> None:
    picture = Part(vector(1, 0), ImageEmbedding(vector(1, 0), np.ones((49, 2), np.float16)))
    assert text(vector(1, 0), "a").comparable(target) is is_text
    assert picture.comparable(target) is not is_text
    assert not work(vector(1, 0)).comparable(target)
