"""What can be asked beyond a plain search, on a real index."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from gateway_support import COLLECTION, Gateway, assert_problem, gateway, painting
from page_gateway import ColourReranker

from boonart.encoders.fake import COLOURS

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    names = (COLLECTION, "other")
    async with gateway(tmp_path_factory.mktemp("home"), collections=names, default_collection=COLLECTION) as running:
        yield running


async def answered(here: Gateway, **body: object) -> dict[str, Any]:
    response = await here.client.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["work"]["id"].removeprefix("work/") for hit in answer["hits"]]


async def test_pictures_words_and_works_are_combined_with_weights(here: Gateway) -> None:
    import base64

    picture = base64.b64encode(painting(COLOURS["blue"])).decode()
    both = await answered(here, query=[{"image": picture}, {"text": "red"}], limit=2)
    assert set(ids(both)) == {"red", "blue"}
    without = await answered(here, query=[{"text": "red blue"}, {"text": "blue", "weight": -1}], limit=8)
    assert ids(without)[0] == "red"
    assert ids(without)[-1] == "blue" or ids(without).index("blue") > 3
    like = await answered(here, query=[{"like": "work/red"}, {"text": "green", "weight": 2}], limit=8)
    assert ids(like)[0] == "green"
    assert "red" not in ids(like)


async def test_a_part_at_fault_is_named(here: Gateway) -> None:
    for query, pointer in (
        ([{"text": "x", "like": "y"}], "/query/0/like"),
        ([{"text": "x"}, {"text": " "}], "/query/1/text"),
        ([{"text": "x", "weight": 0}], "/query/0/weight"),
        ([{"image": "%%%"}], "/query/0/image"),
        ([{"text": "x", "weight": -1}], "/query"),
    ):
        response = await here.client.post("/v1/search", json={"query": query})
        assert_problem(response, 422, "invalid-query", pointer)
    response = await here.client.post("/v1/search", json={"query": []})
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("text", "first"),
    [("work/brown", "brown"), ("Green <square>", "green"), ("green SQUARE", "green"), ("Ben Ochre", "black")],
)
async def test_an_exact_id_title_or_artist_comes_first(here: Gateway, text: str, first: str) -> None:
    for mode in ("hybrid", "keyword"):
        answer = await answered(here, text=text, mode=mode, limit=8)
        assert ids(answer)[0] == first
        assert "exact" in answer["hits"][0]["matched_by"]


async def test_an_exact_match_obeys_the_filter(here: Gateway) -> None:
    where = {"eq": {"field": "artist", "value": "Ada Grey"}}
    answer = await answered(here, text="Green <square>", mode="hybrid", filter=where)
    by_id = await answered(here, text="work/green", mode="hybrid", filter=where)
    assert "green" not in ids(answer) + ids(by_id)


async def test_words_and_meaning_are_fused(here: Gateway) -> None:
    answer = await answered(here, text="a blue ground", mode="hybrid", limit=3)
    assert ids(answer)[0] == "blue"
    assert answer["hits"][0]["matched_by"] == ["vector", "keyword"]
    keyword = await answered(here, text="yellow", mode="keyword")
    assert ids(keyword) == ["yellow"]
    assert keyword["hits"][0]["matched_by"] == ["keyword"]
    assert "encoder" not in keyword["models"]


async def test_a_quoted_phrase_must_occur(here: Gateway) -> None:
    for mode in ("hybrid", "keyword"):
        assert ids(await answered(here, text='square "red ground"', mode=mode)) == ["red"]
        assert ids(await answered(here, text='"ground red"', mode=mode)) == []


async def test_a_mode_of_words_needs_words(here: Gateway) -> None:
    response = await here.client.post("/v1/search", json={"like": "work/red", "mode": "hybrid"})
    assert_problem(response, 422, "invalid-query", "/mode")


async def test_facets_count_what_the_filter_lets_pass(here: Gateway) -> None:
    where = {"range": {"field": "year", "lte": 1884}}
    answer = await answered(here, text="red", limit=1, facets=["artist", "century", "framed"], filter=where)
    assert answer["facets"] == {
        "artist": [{"value": "Ada Grey", "count": 3}, {"value": "Ben Ochre", "count": 2}],
        "century": [{"value": 1800, "count": 5}],
        "framed": [{"value": True, "count": 3}, {"value": False, "count": 2}],
    }


async def test_facets_can_count_the_candidates(here: Gateway) -> None:
    asked = {"text": "yellow", "mode": "keyword", "facets": ["artist", "subjects"], "facet_scope": "candidates"}
    assert (await answered(here, **asked))["facets"] == {
        "artist": [{"value": "Ben Ochre", "count": 1}],
        "subjects": [],
    }


async def test_a_facet_that_cannot_be_counted_is_said(here: Gateway) -> None:
    for scope in ("filtered", "candidates"):
        body = {"text": "red", "facets": ["nothing"], "facet_scope": scope}
        assert_problem(await here.client.post("/v1/search", json=body), 422, "invalid-filter", "/facets")


async def test_pages_follow_each_other_without_gap_or_repetition(here: Gateway) -> None:
    for options in ({}, {"mode": "hybrid"}, {"diversity": 0.5}, {"per_artist": 3}):
        whole = ids(await answered(here, text="a red square", limit=100, **options))
        seen: list[str] = []
        cursor = ""
        while True:
            answer = await answered(here, text="a red square", limit=3, cursor=cursor, **options)
            seen += ids(answer)
            ranks = [hit["rank"] for hit in answer["hits"]]
            assert ranks == list(range(len(seen) - len(ranks) + 1, len(seen) + 1))
            if "next_cursor" not in answer:
                break
            cursor = answer["next_cursor"]
        assert seen == whole, options


async def test_a_cursor_of_another_request_is_refused(here: Gateway) -> None:
    cursor = (await answered(here, text="red", limit=2))["next_cursor"]
    for body in ({"text": "blue", "cursor": cursor}, {"text": "red", "cursor": cursor[:-2] + "AA"}):
        assert_problem(await here.client.post("/v1/search", json=body), 422, "invalid-query", "/cursor")


async def test_an_uploaded_picture_has_pages_too(here: Gateway) -> None:
    files = {"image": ("x.png", painting(COLOURS["red"]))}
    first = (await here.client.post("/v1/search/image", files=files, data={"limit": "3"})).json()
    data = {"limit": "3", "cursor": first["next_cursor"]}
    second = (await here.client.post("/v1/search/image", files=files, data=data)).json()
    assert not set(ids(first)) & set(ids(second))
    other = {"image": ("x.png", painting(COLOURS["blue"]))}
    assert_problem(await here.client.post("/v1/search/image", files=other, data=data), 422, "invalid-query", "/cursor")


async def test_one_hit_by_each_artist(here: Gateway) -> None:
    answer = await answered(here, text="red", per_artist=1)
    assert [hit["work"]["artist"] for hit in answer["hits"]] == ["Ada Grey", "Ben Ochre"]


async def test_diversity_changes_the_order_and_loses_nothing(here: Gateway) -> None:
    plain, varied = [ids(await answered(here, text="red", diversity=share)) for share in (0.0, 0.9)]
    assert plain[0] == varied[0]
    assert sorted(plain) == sorted(varied)
    assert plain != varied


async def test_several_collections_are_searched_at_once(here: Gateway) -> None:
    answer = await answered(here, text="red", collections=[COLLECTION, "other"], limit=2, facets=["artist"])
    assert {hit["collection"] for hit in answer["hits"]} == {COLLECTION, "other"}
    assert ids(answer) == ["red", "red"]
    assert "collection=other" in next(h for h in answer["hits"] if h["collection"] == "other")["picture"]["image_url"]
    assert answer["facets"]["artist"][0] == {"value": "Ada Grey", "count": 8}
    body = {"text": "red", "collections": ["other"], "collection": "other"}
    assert_problem(await here.client.post("/v1/search", json=body), 422, "invalid-query", "/collections")


async def test_dates_and_words_are_filtered_on(here: Gateway) -> None:
    dated = await answered(here, text="red", filter={"date": {"from": 1881, "to": 1882}})
    assert set(ids(dated)) == {"green", "blue"}
    worded = await answered(here, text="x", filter={"words": {"field": "description", "text": "ground blue"}})
    assert ids(worded) == ["blue"]
    response = await here.client.post("/v1/search", json={"text": "x", "filter": {"date": {}}})
    assert response.status_code == 422


async def test_a_picture_is_explained_by_the_words_of_the_description(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("explained")
    async with gateway(home, reranker=ColourReranker()) as explained:  # type: ignore[arg-type]
        data = {"explain": "true", "limit": "1"}
        files = {"image": ("x.png", painting(COLOURS["blue"]))}
        (hit,) = (await explained.client.post("/v1/search/image", files=files, data=data)).json()["hits"]
        (text,) = (await answered(explained, text="blue square", explain=True, limit=1))["hits"]
    assert [word["word"] for word in hit["explanation"]] == hit["work"]["description"].split()
    assert [word["word"] for word in text["explanation"]] == ["blue", "square"]
    for word in hit["explanation"] + text["explanation"]:
        assert sum(map(sum, word["weights"])) == pytest.approx(1, abs=1e-3)
