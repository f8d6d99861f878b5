"""The use case of a query, on fakes of its ports."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import FakeEncoder
from boonart.errors import InvalidQuery, ModelMismatch, Unavailable, WorkNotFound
from boonart.manifests import manifest_for
from boonart.ports import CollectionInfo, RerankRequest
from boonart.search import MAX_TEXT, Search, check
from boonart.works import (
    Candidate,
    Float32Array,
    Manifest,
    ModelCard,
    Picture,
    Query,
    Ranker,
    RerankScore,
    Target,
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

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        return CollectionInfo(collection, 1, len(IDS), self.manifest)

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        if work_id not in IDS:
            raise WorkNotFound("no such work")
        return np.ones(32, np.float32)

    async def search(
        self, collection: str, vector: Float32Array, *, name: str, limit: int, where: object = None, exact: bool = False
    ) -> list[Candidate]:
        self.asked.append({"name": name, "limit": limit, "where": where})
        found = [Candidate(f"p-{id_}", Work(id_), 0.9 - 0.1 * place) for place, id_ in enumerate(IDS)]
        return found[:limit]


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

    def __init__(self, reranker: FakeReranker | None = None, *, deadline: float = 1.0) -> None:
        self.encoder = BatchingEncoder(FakeEncoder())
        self.index = FakeIndex(manifest_for(self.encoder.card, RERANKER if reranker else None))
        self.reranker = reranker
        self.search = Search(self.encoder, self.index, reranker, rerank_deadline=deadline)  # type: ignore[arg-type]

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
        (FakeReranker(delay=1.0), "did not answer within 0.05 s"),
    ],
)
def test_without_its_reranker_a_search_answers_in_global_order(reranker: FakeReranker, reason: str) -> None:
    house = House(reranker, deadline=0.05)
    answer = asyncio.run(house.search.run(Query("c", text="red")))
    assert [hit.work.id for hit in answer.hits] == list(IDS)
    assert reason in answer.degraded["rerank"]


def test_a_collection_of_another_encoder_is_refused_with_the_way_out() -> None:
    house = House()
    house.index.manifest = replace(house.index.manifest, encoder_id="another")
    with pytest.raises(ModelMismatch, match="boonart reindex c"):
        house.ids(Query("c", text="red"))


def test_a_collection_without_features_is_searched_without_the_reranker() -> None:
    house = House(FakeReranker())
    house.index.manifest = manifest_for(house.encoder.card)
    assert house.ids(Query("c", text="red")) == list(IDS)


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        (Query("c"), "text", "empty"),
        (Query("c", text=" \n\t "), "text", "empty"),
        (Query("c", text="x" * (MAX_TEXT + 1)), "text", "2,001 characters"),
        (Query("c", text="a cow", work_id="a"), "work_id", "text and work_id"),
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
