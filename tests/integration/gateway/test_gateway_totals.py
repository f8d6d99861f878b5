"""How many works a search says to find is how many its pages give."""

from typing import Any

import pytest
from doors_support import BY_ADA, Doors
from gateway_support import COLLECTION

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def search(doors: Doors, **body: Any) -> dict[str, Any]:
    response = await doors.rest.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize(
    "asked",
    [
        {"text": "a red square"},
        {"text": "a red square", "filter": BY_ADA},
        {"like": "work/red"},
        {"like": "work/red", "filter": BY_ADA},
        {"like": "work/red", "target": "descriptions"},
        {"text": "red", "target": "descriptions", "filter": {"range": {"field": "year", "gte": 1883}}},
        {"text": "red", "mode": "keyword"},
        {"text": "a red square", "mode": "hybrid"},
        {"text": '"red ground"', "mode": "hybrid"},
        {"text": "red", "filter": {"eq": {"field": "artist", "value": "Ada Grey"}}, "per_artist": 3, "candidates": 100},
        {"text": "red", "min_relevance": 0.5},
        {"text": "a red square", "collections": [COLLECTION, "other"]},
    ],
)
async def test_the_total_is_what_all_pages_give(doors: Doors, asked: dict[str, Any]) -> None:
    # A page of one after one candidate, so that the rest has to be counted.
    first = await search(doors, **{"candidates": 1, **asked, "limit": 1})
    whole = await search(doors, **{"candidates": 1, **asked, "limit": 100})
    assert first["total"] == whole["total"] == {"value": len(whole["hits"]), "relation": "eq"}


async def test_where_there_may_be_more_the_total_says_so(doors: Doors) -> None:
    found = await search(doors, text="red", per_artist=4, limit=1, candidates=1)
    assert found["total"]["relation"] == "gte"
    assert found["total"]["value"] >= 1


async def test_the_generation_is_the_version_of_the_collection(doors: Doors) -> None:
    version = (await doors.rest.get(f"/v1/collections/{COLLECTION}")).json()["version"]
    assert (await search(doors, text="red"))["index_generation"] == version
    assert "index_generation" not in await search(doors, text="red", collections=[COLLECTION, "other"])


async def test_options_without_effect_are_named(doors: Doors) -> None:
    assert (await search(doors, text="red"))["warnings"] == []
    found = await search(doors, text="red", keyword_weight=2.0, rerank="none", explain=True)
    assert [warning["field"] for warning in found["warnings"]] == ["keyword_weight", "explain"]
    assert all(warning["message"].endswith(".") for warning in found["warnings"])
