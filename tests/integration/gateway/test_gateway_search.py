"""Searches over REST, on a real index."""

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway_support import COLLECTION, Gateway, gateway, painting
from PIL import Image

from boonart.encoders.fake import COLOURS
from boonart.errors import Unavailable
from boonart.ports import Reranker, RerankRequest
from boonart.works import ModelCard, RerankScore, WordMap

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("home")) as running:
        yield running


class ReversingReranker:
    """Puts the worst first and says where the words looked."""

    def __init__(self, error: Unavailable | None = None) -> None:
        self.card = ModelCard("reversing", "reranker", "1" * 16, {"E": 8}, encoder_id="fake-32")
        self.error = error

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        if self.error:
            raise self.error
        import numpy as np

        maps = (WordMap("red", np.full((7, 7), 1 / 49, dtype=np.float32)),) if request.explain else ()
        last = len(request.candidates)
        return [
            RerankScore(candidate.point_id, float(place), 0.25, place / last, maps)
            for place, candidate in enumerate(request.candidates)
        ]

    async def close(self) -> None:
        pass


def reranker(error: Unavailable | None = None) -> Reranker:
    return ReversingReranker(error)  # type: ignore[return-value]


async def found(here: Gateway, **body: object) -> list[str]:
    response = await here.client.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    return [hit["work"]["id"] for hit in response.json()["hits"]]


async def test_a_text_finds_the_work_that_shows_it(here: Gateway) -> None:
    response = await here.client.post("/v1/search", json={"text": "a red square", "limit": 3})
    assert response.status_code == 200
    answer = response.json()
    assert answer["collection"] == COLLECTION
    assert (answer["target"], answer["ranker"], answer["degraded"]) == ("works", "none", {})
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    best = answer["hits"][0]
    assert best["work"]["title"] == "Red <square>"
    assert best["work"]["extra"] == {"year": 1880, "framed": True}
    assert best["score"] == best["global_score"] > answer["hits"][1]["score"]
    assert "relevance" not in best
    assert best["picture"]["width"] == 40
    assert best["picture"]["colour"].startswith("#")
    assert set(answer["stages"]) == {"encode", "candidates"}
    assert answer["took_ms"] >= sum(answer["stages"].values())
    assert response.headers["server-timing"].startswith("encode;dur=")
    assert answer["models"] == {"encoder": "fake-32"}


async def test_a_picture_finds_descriptions_with_their_works(here: Gateway) -> None:
    picture = base64.b64encode(painting(COLOURS["blue"], (90, 50))).decode()
    response = await here.client.post("/v1/search", json={"image": picture, "limit": 50})
    answer = response.json()
    assert answer["target"] == "descriptions"
    assert answer["hits"][0]["work"]["description"] == "A blue square on a blue ground"
    assert len(answer["hits"]) == 7, "the work without a description is not among them"
    assert list(answer["stages"]) == ["decode", "encode", "candidates"]


async def test_an_uploaded_picture_finds_the_same_as_one_in_the_body(here: Gateway) -> None:
    data = painting(COLOURS["green"], form="JPEG")
    uploaded = await here.client.post("/v1/search/image", files={"image": ("x.txt", data, "text/plain")})
    inline = await here.client.post("/v1/search", json={"image": base64.b64encode(data).decode()})
    assert uploaded.status_code == 200, uploaded.text
    assert uploaded.json()["hits"] == inline.json()["hits"]


async def test_an_upload_takes_the_same_options(here: Gateway) -> None:
    where = {"eq": {"field": "artist", "value": "Ben Ochre"}}
    response = await here.client.post(
        "/v1/search/image",
        files={"image": ("x", painting(COLOURS["red"]))},
        data={"target": "works", "limit": "2", "filter": json.dumps(where), "collection": COLLECTION},
    )
    assert response.status_code == 200, response.text
    assert response.json()["target"] == "works"
    assert [hit["work"]["artist"] for hit in response.json()["hits"]] == ["Ben Ochre", "Ben Ochre"]


async def test_a_work_finds_similar_ones_but_not_itself(here: Gateway) -> None:
    ids = await found(here, like="work/red", limit=100)
    assert "work/red" not in ids
    assert len(ids) == 7


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"eq": {"field": "artist", "value": "Ada Grey"}}, {"red", "blue", "white", "brown"}),
        ({"in": {"field": "date", "values": ["1880", "1887"]}}, {"red", "grey"}),
        ({"range": {"field": "year", "gte": 1881, "lte": 1882}}, {"green", "blue"}),
        ({"range": {"field": "year", "gte": 1886.5}}, {"grey"}),
        ({"eq": {"field": "framed", "value": False}}, {"green", "yellow", "black", "grey"}),
        ({"not": {"exists": {"field": "description"}}}, {"grey"}),
        (
            {
                "or": [
                    {"and": [{"eq": {"field": "framed", "value": True}}, {"range": {"field": "year", "lte": 1881}}]},
                    {"eq": {"field": "date", "value": "1887"}},
                ]
            },
            {"red", "grey"},
        ),
    ],
    ids=["eq", "in", "range", "range-open", "eq-bool", "not-exists", "and-or"],
)
async def test_a_filter_keeps_what_it_names(here: Gateway, where: object, expected: set[str]) -> None:
    ids = await found(here, text="square", filter=where, limit=100)
    assert {name.removeprefix("work/") for name in ids} == expected


async def test_without_a_reranker_the_order_is_global(here: Gateway) -> None:
    assert await found(here, text="red") == await found(here, text="red", rerank="none")


async def test_two_collections_need_a_name_or_a_default(tmp_path: Path) -> None:
    async with gateway(tmp_path, collections=("one", "two")) as here:
        refused = await here.client.post("/v1/search", json={"text": "red"})
        named = await here.client.post("/v1/search", json={"text": "red", "collection": "two"})
    assert refused.status_code == 404
    assert "one, two" in refused.json()["detail"]
    assert named.json()["collection"] == "two"


async def test_the_default_collection_is_searched_where_none_is_named(tmp_path: Path) -> None:
    async with gateway(tmp_path, collections=("one", "two"), default_collection="two") as here:
        answer = (await here.client.post("/v1/search", json={"text": "red"})).json()
        listed = (await here.client.get("/v1/collections")).json()
    assert answer["collection"] == listed["default"] == "two"
    assert [(item["name"], item["works"]) for item in listed["collections"]] == [("one", 8), ("two", 8)]


async def test_a_large_photograph_is_searched_with(here: Gateway) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4000, 3000), COLOURS["yellow"]).save(stream, "JPEG")
    response = await here.client.post("/v1/search/image", files={"image": ("big.jpg", stream.getvalue())})
    assert response.json()["hits"][0]["work"]["id"] == "work/yellow"


async def test_a_reranked_hit_says_why(tmp_path: Path) -> None:
    async with gateway(tmp_path, reranker=reranker()) as here:
        plain = (await here.client.post("/v1/search", json={"text": "red", "rerank": "none"})).json()
        answer = (await here.client.post("/v1/search", json={"text": "red", "explain": True})).json()
    assert [hit["work"]["id"] for hit in answer["hits"]] == [hit["work"]["id"] for hit in plain["hits"]][::-1]
    assert (plain["ranker"], answer["ranker"]) == ("none", "default")
    best = answer["hits"][0]
    assert (best["score"], best["relation_score"], best["relevance"]) == (7.0, 0.25, 0.875)
    (looked,) = best["explanation"]
    assert looked["word"] == "red"
    assert [len(row) for row in looked["weights"]] == [7] * 7
    assert answer["models"] == {"encoder": "fake-32", "reranker": "reversing"}


async def test_hits_below_the_wanted_relevance_are_left_out(tmp_path: Path) -> None:
    async with gateway(tmp_path, reranker=reranker()) as here:
        answer = (await here.client.post("/v1/search", json={"text": "red", "min_relevance": 0.5})).json()
    assert [hit["relevance"] for hit in answer["hits"]] == [0.875, 0.75, 0.625, 0.5]


async def test_an_answer_without_the_reranker_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path, reranker=reranker(Unavailable("The reranker is down."))) as here:
        answer = (await here.client.post("/v1/search", json={"text": "red"})).json()
    assert answer["degraded"] == {"rerank": "The reranker is down."}
    assert answer["hits"][0]["work"]["id"] == "work/red"
