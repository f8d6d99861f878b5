"""The use case of a query, on fakes of its ports."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import FakeEncoder
from boonart.errors import (
    BoonArtError,
    DeadlineExceeded,
    InvalidQuery,
    InvalidRequest,
    ModelMismatch,
    Overloaded,
    Unavailable,
    WorkNotFound,
)
from boonart.manifests import manifest_for
from boonart.ports import CollectionInfo, RerankRequest
from boonart.search import MAX_TEXT, Search, check
from boonart.works import (
    Answer,
    Candidate,
    Equals,
    FacetCount,
    Float32Array,
    ImageEmbedding,
    Manifest,
    Mode,
    ModelCard,
    Picture,
    Query,
    QueryPart,
    Ranker,
    RerankScore,
    Target,
    TextEmbedding,
    WordMap,
    Work,
)

RERANKER = ModelCard("fake-reranker", "reranker", "0" * 16, {"D": 32, "E": 8}, encoder_id="fake-32")
IDS = ("a", "b", "c", "d")


def red() -> Picture:
    return Picture(np.full((20, 20, 3), (200, 40, 40), np.uint8), (20, 20), "PNG")


class FakeIndex:
    """Four works whose scores fall in the order of their ids; remembers what it was asked."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.asked: list[dict[str, object]] = []
        self.counted: list[object] = []

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        return CollectionInfo(collection, 1, len(IDS), self.manifest)

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        if work_id not in IDS:
            raise WorkNotFound("no such work")
        return np.ones(32, np.float32)

    async def vectors(self, collection: str, work_ids: Sequence[str], name: str) -> dict[str, Float32Array]:
        return {work_id: np.full(32, 32**-0.5, np.float32) for work_id in work_ids}

    async def get(self, collection: str, work_ids: list[str]) -> list[Candidate]:
        return [Candidate(f"p-{id_}", Work(id_)) for id_ in work_ids if id_ in IDS]

    async def search(
        self, collection: str, vector: Float32Array, *, name: str, limit: int, where: object = None, exact: bool = False
    ) -> list[Candidate]:
        self.asked.append({"name": name, "limit": limit, "where": where})
        found = [Candidate(f"p-{id_}", Work(id_), 0.9 - 0.1 * place) for place, id_ in enumerate(IDS)]
        return found[:limit]

    async def facet(
        self, collection: str, field: str, *, limit: int, where: object = None
    ) -> list[tuple[str | int | bool, int]]:
        counts = [(f"{collection} {number}", 10) for number in range(24)]
        return [*counts, ("rare in each", 6)][:limit]

    async def count(self, collection: str, where: object = None) -> int:
        self.counted.append(where)
        return 37

    async def search_keywords(self, collection: str, text: str, *, limit: int, where: object = None) -> list[Candidate]:
        self.asked.append({"words": text, "limit": limit, "where": where})
        return [Candidate("p-d", Work("d"), 3.5), Candidate("p-a", Work("a"), 1.5)]


class AwayEncoder(BatchingEncoder):
    """Fails at every call, or answers too late."""

    def __init__(self, error: BoonArtError | None = None, delay: float = 0.0) -> None:
        super().__init__(FakeEncoder())
        self.error, self.delay = error, delay

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        return await super().encode_texts(texts)

    async def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        assert self.error is not None
        raise self.error


class FakeReranker:
    """Turns the global order round."""

    card = RERANKER

    def __init__(self, error: Exception | None = None, delay: float = 0.0) -> None:
        self.error, self.delay = error, delay
        self.requests: list[RerankRequest] = []

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        maps = (WordMap("red", np.full((7, 7), 1 / 49, np.float32)),) if request.explain else ()
        return [
            RerankScore(candidate.point_id, 1 - candidate.score, 0.5, relevance=1 - candidate.score, explanation=maps)
            for candidate in request.candidates
        ]


class House:
    """A search with its fakes."""

    def __init__(
        self,
        reranker: FakeReranker | None = None,
        *,
        deadline: float = 60.0,
        encode_deadline: float = 60.0,
        encoder: BatchingEncoder | None = None,
        no_reranker: str = "",
        index: type[FakeIndex] = FakeIndex,
    ) -> None:
        self.encoder = encoder or BatchingEncoder(FakeEncoder())
        self.index = index(manifest_for(self.encoder.card, RERANKER if reranker else None))
        self.reranker = reranker
        self.search = Search(
            self.encoder,
            self.index,  # type: ignore[arg-type]
            reranker,  # type: ignore[arg-type]
            rerank_deadline=deadline,
            encode_deadline=encode_deadline,
            no_reranker=no_reranker,
        )

    def answer(self, query: Query) -> Answer:
        return asyncio.run(self.search.run(query))

    def ids(self, query: Query) -> list[str]:
        return [hit.work.id for hit in asyncio.run(self.search.run(query)).hits]


def test_a_text_finds_works_by_their_pictures() -> None:
    house = House()
    answer = asyncio.run(house.search.run(Query("c", text="red", limit=3)))
    assert [(hit.rank, hit.work.id) for hit in answer.hits] == [(1, "a"), (2, "b"), (3, "c")]
    assert answer.target is Target.WORKS
    assert house.index.asked == [{"name": "image", "limit": 100, "where": None}]
    assert set(answer.stages) == {"encode", "candidates"}


def test_a_picture_finds_descriptions() -> None:
    house = House()
    answer = asyncio.run(house.search.run(Query("c", picture=red())))
    assert answer.target is Target.DESCRIPTIONS
    assert house.index.asked[0]["name"] == "description"


def test_a_picture_finds_works_by_looks_when_asked() -> None:
    house = House(FakeReranker())
    answer = asyncio.run(house.search.run(Query("c", picture=red(), target=Target.WORKS)))
    assert house.index.asked[0]["name"] == "image"
    assert answer.ranker is Ranker.NONE, "pictures are not compared with pictures by the relation network"


def test_a_work_finds_others_but_not_itself() -> None:
    house = House()
    assert house.ids(Query("c", work_id="a", limit=4, candidates=4)) == ["b", "c", "d"]
    assert house.index.asked[0]["limit"] == 5


def test_candidates_are_reranked_and_the_rest_follow_in_global_order() -> None:
    house = House(FakeReranker())
    answer = asyncio.run(house.search.run(Query("c", text="red", candidates=2, limit=4)))
    assert [hit.work.id for hit in answer.hits] == ["b", "a", "c", "d"]
    assert [hit.relation_score for hit in answer.hits] == [0.5, 0.5, None, None]
    assert answer.models == {"encoder": "fake-32", "reranker": "fake-reranker"}
    assert "rerank" in answer.stages


def test_rerank_none_leaves_the_global_order() -> None:
    house = House(FakeReranker())
    assert house.ids(Query("c", text="red", rerank=Ranker.NONE)) == list(IDS)
    assert house.reranker is not None
    assert house.reranker.requests == []


def test_hits_below_the_asked_relevance_are_left_out() -> None:
    house = House(FakeReranker())
    answer = asyncio.run(house.search.run(Query("c", text="red", min_relevance=0.25)))
    assert [hit.work.id for hit in answer.hits] == ["d", "c"]
    assert all(hit.relevance is not None and hit.relevance >= 0.25 for hit in answer.hits)


def test_a_least_relevance_that_cannot_be_held_to_is_said() -> None:
    query = Query("c", text="red", min_relevance=0.25)
    assert "min_relevance" not in asyncio.run(House(FakeReranker()).search.run(query)).degraded
    unranked = asyncio.run(House(FakeReranker()).search.run(replace(query, rerank=Ranker.NONE)))
    assert len(unranked.hits) == len(IDS)
    assert "no hit of this query has a relevance" in unranked.degraded["min_relevance"]


def test_a_value_that_is_rare_in_each_collection_is_counted_in_all_of_them() -> None:
    query = Query("", text="red", collections=("c", "other"), facets=("artist",))
    counted = asyncio.run(House().search.run(query)).facets["artist"]
    assert (counted[0], len(counted)) == (FacetCount("rare in each", 12), 20)
    alone = asyncio.run(House().search.run(Query("c", text="red", facets=("artist",)))).facets["artist"]
    assert len(alone) == 20


def test_the_part_at_fault_is_named() -> None:
    parts = (QueryPart(text="red"), QueryPart(work_id="none"))
    for query, field in ((Query("c", parts=parts), "query.1.work_id"), (Query("c", work_id="none"), "work_id")):
        with pytest.raises(WorkNotFound) as caught:
            asyncio.run(House().search.run(query))
        assert caught.value.field == field


class NearIndex(FakeIndex):
    """Only its first two works are near a query; the keyword search finds the last one too."""

    async def search(
        self, collection: str, vector: Float32Array, *, name: str, limit: int, where: object = None, exact: bool = False
    ) -> list[Candidate]:
        return (await super().search(collection, vector, name=name, limit=limit, where=where))[:2]

    async def fields(self, collection: str) -> dict[str, str]:
        return {"title": "keyword", "artist": "keyword"}


def test_a_hit_that_only_its_words_found_has_a_cosine_too() -> None:
    answer = House(index=NearIndex).answer(Query("c", text="red", mode=Mode.HYBRID))
    by_id = {hit.work.id: hit for hit in answer.hits}
    assert by_id["d"].matched_by == ("keyword",)
    assert by_id["d"].global_score != 0.0
    assert by_id["a"].global_score == pytest.approx(0.9)


def test_a_work_that_is_searched_with_is_no_hit_in_any_mode() -> None:
    parts = (QueryPart(text="red"), QueryPart(work_id="a"))
    for mode in (Mode.VECTOR, Mode.HYBRID):
        assert "a" not in House(index=NearIndex).ids(Query("c", parts=parts, mode=mode)), mode


def test_explanations_come_when_asked_for() -> None:
    house = House(FakeReranker())
    plain, explained = (
        asyncio.run(house.search.run(Query("c", text="red", explain=explain))).hits[0] for explain in (False, True)
    )
    assert plain.explanation == ()
    assert explained.explanation[0].word == "red"


@pytest.mark.parametrize(
    ("reranker", "reason"),
    [
        (FakeReranker(Unavailable("the reranker is down")), "the reranker is down"),
        (FakeReranker(delay=60.0), "did not answer within 0.05 s"),
        (FakeReranker(Overloaded("the reranker is full")), "the reranker is full"),
        (FakeReranker(InvalidRequest("it has no ranker 'role'")), "no ranker 'role'"),
        (FakeReranker(BoonArtError("The server failed at this call.")), "failed"),
    ],
)
def test_without_its_reranker_a_search_answers_in_global_order(reranker: FakeReranker, reason: str) -> None:
    house = House(reranker, deadline=0.05)
    answer = asyncio.run(house.search.run(Query("c", text="red")))
    assert [hit.work.id for hit in answer.hits] == list(IDS)
    assert reason in answer.degraded["rerank"]


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        ({"error": Unavailable("The encoder is down.")}, "The encoder is down."),
        ({"error": DeadlineExceeded("The encoder is late.")}, "The encoder is late."),
        ({"delay": 1.0}, "did not answer within 0.05 s"),
    ],
)
def test_without_its_encoder_a_text_is_searched_by_its_words(encoder: dict[str, Any], reason: str) -> None:
    house = House(FakeReranker(), encode_deadline=0.05, encoder=AwayEncoder(**encoder))
    where = Equals("artist", "Ada")
    answer = house.answer(Query("c", text="red", limit=7, where=where))
    assert [(hit.work.id, hit.score) for hit in answer.hits] == [("d", 3.5), ("a", 1.5)]
    assert house.index.asked == [{"words": "red", "limit": 7, "where": where}]
    assert list(answer.degraded) == ["encode"]
    assert reason in answer.degraded["encode"]
    assert (answer.ranker, answer.models) == (Ranker.NONE, {})
    assert set(answer.stages) == {"encode", "candidates"}
    named = house.answer(Query("c", text="red", rerank=Ranker.VITR))
    assert set(named.degraded) == {"encode", "rerank"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (Query("c", text="red"), Overloaded("The encoder's queue is full.")),
        (Query("c", picture=red()), Unavailable("The encoder is down.")),
    ],
    ids=["a full queue", "a picture"],
)
def test_where_words_do_not_help_one_is_told_to_come_again(query: Query, error: BoonArtError) -> None:
    house = House(encoder=AwayEncoder(error))
    with pytest.raises(type(error), match=error.message):
        house.answer(query)
    assert house.index.asked == []


@pytest.mark.parametrize("ranker", [Ranker.LATE, Ranker.VITR, Ranker.ROLE])
def test_a_ranker_that_was_named_and_is_not_there_is_told(ranker: Ranker) -> None:
    assert ranker.value in House().answer(Query("c", text="red", rerank=ranker)).degraded["rerank"]
    looks = Query("c", picture=red(), target=Target.WORKS, rerank=ranker)
    assert "texts with pictures" in House(FakeReranker()).answer(looks).degraded["rerank"]
    like = Query("c", work_id="a", rerank=ranker)
    assert "texts with pictures" in House(FakeReranker()).answer(like).degraded["rerank"]


def test_what_nobody_asked_for_is_not_missed() -> None:
    assert House().answer(Query("c", text="red")).degraded == {}
    assert House(FakeReranker()).answer(Query("c", work_id="a")).degraded == {}
    without = House(no_reranker="no weights")
    assert without.answer(Query("c", text="red", rerank=Ranker.NONE)).degraded == {}
    assert without.answer(Query("c", text="red")).degraded == {"rerank": "no weights"}


def test_a_collection_of_another_encoder_is_refused_with_the_way_out() -> None:
    house = House()
    house.index.manifest = replace(house.index.manifest, encoder_id="another")
    with pytest.raises(ModelMismatch, match="boonart reindex c"):
        house.ids(Query("c", text="red"))


def test_a_collection_without_features_is_searched_without_the_reranker() -> None:
    house = House(FakeReranker())
    house.index.manifest = manifest_for(house.encoder.card)
    answer = house.answer(Query("c", text="red"))
    assert [hit.work.id for hit in answer.hits] == list(IDS)
    assert "boonart reindex c" in answer.degraded["rerank"]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        (Query("c"), "text", "empty"),
        (Query("c", text=" \n\t "), "text", "empty"),
        (Query("c", text="x" * (MAX_TEXT + 1)), "text", "2,001 characters"),
        (Query("c", text="a cow", work_id="a"), "work_id", "a text and a work"),
        (Query("c", text="a cow", limit=0), "limit", "from 1"),
        (Query("c", text="a cow", limit=1001), "limit", "1,000"),
        (Query("c", text="a cow", candidates=0), "candidates", "from 1"),
        (Query("c", text="a cow", min_relevance=1.5), "min_relevance", "0 to 1"),
    ],
)
def test_queries_that_cannot_be_answered_name_the_field(query: Query, field: str, words: str) -> None:
    with pytest.raises(InvalidQuery, match=words) as error:
        check(query)
    assert error.value.field == field


def test_an_unknown_work_is_not_found() -> None:
    with pytest.raises(WorkNotFound):
        House().ids(Query("c", work_id="nobody"))


def test_one_work_is_explained_wherever_it_stands() -> None:
    house = House(FakeReranker())
    hit = asyncio.run(house.search.explain(Query("c", text="red", candidates=1, min_relevance=0.9), "d"))
    assert (hit.rank, hit.work.id) == (1, "d")
    assert hit.explanation[0].word == "red"
    assert house.reranker is not None
    assert [c.work.id for c in house.reranker.requests[0].candidates] == ["d"]
    assert house.index.asked == [], "nothing is searched for"


@pytest.mark.parametrize(
    ("query", "work_id", "error"),
    [
        (Query("c", text="red"), "nobody", WorkNotFound),
        (Query("c", work_id="a"), "b", InvalidQuery),
        (Query("c", text=""), "b", InvalidQuery),
        (Query("c", picture=red(), target=Target.WORKS), "b", InvalidQuery),
        (Query("c", text="red", rerank=Ranker.NONE), "b", InvalidQuery),
    ],
)
def test_what_was_not_compared_is_not_explained(query: Query, work_id: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        asyncio.run(House(FakeReranker()).search.explain(query, work_id))


def test_without_a_reranker_nothing_is_explained() -> None:
    with pytest.raises(InvalidQuery, match="nothing to explain"):
        asyncio.run(House().search.explain(Query("c", text="red"), "a"))
    with pytest.raises(Unavailable, match="is down"):
        asyncio.run(House(FakeReranker(Unavailable("It is down."))).search.explain(Query("c", text="red"), "a"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query("c", text="x", parts=(QueryPart("y"),)), "query"),
        (Query("c", parts=(QueryPart("y", work_id="a"),)), "query.0.work_id"),
        (Query("c", parts=(QueryPart("y"), QueryPart())), "query.1.text"),
        (Query("c", parts=(QueryPart("y", weight=0.0),)), "query.0.weight"),
        (Query("c", parts=(QueryPart("y", weight=float("nan")),)), "query.0.weight"),
        (Query("c", parts=(QueryPart("y", weight=-1.0),)), "query"),
        (Query("c", parts=(QueryPart("y"),) * 17), "query"),
        (Query("c", work_id="a", mode=Mode.HYBRID), "mode"),
        (Query("c", text="x", diversity=1.5), "diversity"),
        (Query("c", text="x", keyword_weight=0.0), "keyword_weight"),
        (Query("c", text="x", per_artist=-1), "per_artist"),
        (Query("", collections=("a", "b"), work_id="x"), "collections"),
        (Query("c", text="x", facets=("artist",) * 17), "facets"),
    ],
)
def test_combinations_that_mean_nothing_name_the_field(query: Query, field: str) -> None:
    with pytest.raises(InvalidQuery) as error:
        check(query)
    assert error.value.field == field


def test_parts_are_summed_by_their_weights() -> None:
    house = House()
    seen: list[Float32Array] = []
    search = house.index.search

    async def watched(collection: str, vector: Float32Array, **given: object) -> list[Candidate]:
        seen.append(vector)
        return await search(collection, vector, **given)  # type: ignore[arg-type]

    house.index.search = watched  # type: ignore[method-assign, assignment]
    parts = (QueryPart("red", weight=2.0), QueryPart(work_id="a"), QueryPart("blue", weight=-1.0))
    assert house.ids(Query("c", parts=parts)) == ["b", "c", "d"]
    red, blue = (one.global_vector for one in FakeEncoder().encode_texts(["red", "blue"]))
    wanted = 2 * red + np.ones(32, np.float32) - blue
    np.testing.assert_allclose(seen[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_parts_that_cancel_each_other_out_are_refused() -> None:
    with pytest.raises(InvalidQuery, match="cancel"):
        House().ids(Query("c", parts=(QueryPart("red"), QueryPart("red", weight=-1.0))))


def test_the_texts_of_a_combination_are_compared_one_by_one() -> None:
    reranker = FakeReranker()
    house = House(reranker)
    parts = (QueryPart("red"), QueryPart("blue", weight=-0.5), QueryPart(work_id="a"))
    answer = asyncio.run(house.search.run(Query("c", parts=parts, rerank=Ranker.ROLE, candidates=2)))
    assert (answer.ranker, answer.degraded) == (Ranker.ROLE, {})
    assert answer.models["reranker"] == RERANKER.id
    assert [request.query.words for request in reranker.requests] == [("red",), ("blue",)]  # type: ignore[union-attr]
    assert [len(request.candidates) for request in reranker.requests] == [2, 2]
    assert [hit.relation_score is not None for hit in answer.hits] == [True, True, False]
    assert all(hit.relevance is None for hit in answer.hits)


def test_a_combination_whose_reranking_fails_says_so() -> None:
    house = House(FakeReranker(Unavailable("The reranker is away.")))
    answer = asyncio.run(house.search.run(Query("c", parts=(QueryPart("red"), QueryPart("blue")))))
    assert answer.ranker is Ranker.NONE
    assert answer.degraded == {"rerank": "The reranker is away."}


def test_a_combination_without_a_text_is_not_reranked_and_says_so_where_that_was_asked() -> None:
    parts = (QueryPart(work_id="a"), QueryPart(work_id="b"))
    house = House(FakeReranker())
    answer = asyncio.run(house.search.run(Query("c", parts=parts, rerank=Ranker.ROLE)))
    assert answer.ranker is Ranker.NONE
    assert "texts with pictures" in answer.degraded["rerank"]
    assert asyncio.run(house.search.run(Query("c", parts=parts))).degraded == {}


def test_several_collections_are_searched_at_once() -> None:
    answer = asyncio.run(House().search.run(Query("", collections=("one", "two", "one"), text="red", limit=3)))
    assert [(hit.rank, hit.work.id, hit.collection) for hit in answer.hits] == [
        (1, "a", "one"),
        (2, "a", "two"),
        (3, "b", "one"),
    ]
