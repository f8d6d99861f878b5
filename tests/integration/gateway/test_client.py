"""The Python clients against the gateway and its index: over HTTP and embedded, asynchronous and not, all alike."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from gateway_support import COLLECTION, colour_parts, painting

from boonart.client import AsyncClient, Client
from boonart.client.embedded import own_settings
from boonart.encoders.fake import COLOURS
from boonart.errors import CollectionNotFound, InvalidFilter, InvalidQuery, NotFound
from boonart_services.gateway.main import create_app

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


class Awaited:
    """A synchronous client whose calls are awaited, so that both kinds pass the same tests."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if inspect.isgeneratorfunction(method):

            async def iterate(*arguments: Any, **given: Any) -> AsyncIterator[Any]:
                for item in await asyncio.to_thread(lambda: list(method(*arguments, **given))):
                    yield item

            return iterate
        return lambda *arguments, **given: asyncio.to_thread(method, *arguments, **given)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["server", "embedded", "embedded synchronous"])
async def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    home = tmp_path_factory.mktemp("home")
    async with colour_parts(home) as parts:
        if request.param == "server":
            async with AsyncClient("http://gateway", transport=httpx.ASGITransport(create_app(parts))) as made:
                yield made
            return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOONART_ENCODER", "fake")
        patch.setenv("BOONART_RERANKER", "none")
        if request.param == "embedded":
            async with AsyncClient.embedded(home) as made:
                yield made
        else:
            with Client.embedded(home) as synchronous:
                yield Awaited(synchronous)


async def test_a_search_gives_typed_hits(client: Any) -> None:
    page = await client.search("a red square", limit=3, facets=["artist"])
    assert len(page) == 3
    assert (page[0].rank, page[0].id, page[0].title, page[0].collection) == (1, "work/red", "Red <square>", COLLECTION)
    embedded = page[0].thumbnail_url == ""
    assert embedded or page[0].thumbnail_url.startswith("http://gateway/v1/works/work%2Fred/thumbnail?")
    assert page.facets["artist"] == (("Ada Grey", 4), ("Ben Ochre", 4))
    assert "Red &lt;square&gt;" in page._repr_html_()


async def test_all_hits_come_page_by_page(client: Any) -> None:
    hits = [hit async for hit in client.search_all("red", limit=3)]
    assert [hit.rank for hit in hits] == list(range(1, 9))


async def test_pages_come_as_they_are_needed(client: Any) -> None:
    pages = [page async for page in client.search_pages("red", limit=3)]
    assert [len(page) for page in pages] == [3, 3, 2]
    rest = [page async for page in client.search_pages("red", limit=5, cursor=pages[0].next_cursor)]
    assert [hit.rank for page in rest for hit in page] == [4, 5, 6, 7, 8]


async def test_a_filter_may_be_typed(client: Any) -> None:
    tree = {"and": [{"eq": {"field": "artist", "value": "Ada Grey"}}, {"range": {"field": "year", "gte": 1884}}]}
    text = 'artist = "Ada Grey" and year >= 1884'
    found = [[hit.id for hit in await client.search("square", filter=one)] for one in (tree, text)]
    assert found[0] == found[1]
    assert set(found[0]) == {"work/white", "work/brown"}
    counted = [await client.facets("artist", "century", filter=one) for one in (tree, text)]
    assert counted[0] == counted[1] == {"artist": (("Ada Grey", 2),), "century": ((1800, 2),)}
    assert (await client.facets("artist"))["artist"] == (("Ada Grey", 4), ("Ben Ochre", 4))
    with pytest.raises(InvalidFilter, match="character 10"):
        await client.search("square", filter="artist = ")
    with pytest.raises(InvalidFilter, match="character 10"):
        await client.facets("artist", filter="artist = ")


async def test_pictures_and_parts(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    path.write_bytes(painting(COLOURS["blue"]))
    assert (await client.search(image=path))[0].description == "A blue square on a blue ground"
    both = await client.search(query=[{"image": path}, {"text": "red", "weight": 2}], limit=1)
    assert both[0].id == "work/red"
    assert (await client.search(like="work/red", limit=8))[0].id != "work/red"
    assert (await client.picture("work/red", thumbnail=True))[:4] == b"\x89PNG"
    assert (await client.work("work/red"))["artist"] == "Ada Grey"


async def test_works_are_stored_and_deleted(client: Any) -> None:
    await client.create_collection("mine")
    works = (
        {"id": str(n), "title": name, "image": painting(colour)} for n, (name, colour) in enumerate(COLOURS.items())
    )
    (job,) = [job async for job in client.upsert("mine", works)]
    assert (job["state"], job["done"]) == ("succeeded", 8)
    assert await client.delete_works("mine", ["0", "nobody"]) == 1
    assert (await client.collection("mine"))["works"] == 7
    await client.delete_collection("mine")
    assert [info["name"] for info in await client.collections()] == [COLLECTION]


async def test_a_job_is_followed_to_its_end(client: Any) -> None:
    await client.create_collection("followed")
    works = [{"id": "good", "image": painting(COLOURS["red"])}, {"id": "bad", "image": b"no picture"}]
    (begun,) = [job async for job in client.upsert("followed", works, wait=False)]
    states = [job async for job in client.follow_job(begun["id"])]
    assert states[-1]["state"] == "partial"
    assert [error["id"] for error in states[-1]["errors"]] == ["bad"]
    assert (await client.job(begun["id"]))["state"] == (await client.cancel_job(begun["id"]))["state"] == "partial"
    assert begun["id"] in [job["id"] for job in await client.jobs()]
    with pytest.raises(NotFound):
        _ = [job async for job in client.follow_job("none")]
    await client.delete_collection("followed")


async def test_what_guards_a_server_does_not_hinder_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_HOST", "0.0.0.0")
    monkeypatch.setenv("BOONART_ANONYMOUS", "none")
    monkeypatch.setenv("BOONART_RATE_LIMIT", "1")
    settings = own_settings("~/paintings")
    assert (settings.anonymous, settings.rate_limit, settings.home) == ("all", 0, Path("~/paintings").expanduser())


async def test_errors_are_the_servers_own(client: Any) -> None:
    with pytest.raises(CollectionNotFound):
        await client.search("x", collection="nowhere")
    with pytest.raises(InvalidFilter) as error:
        await client.search("x", filter={"eq": {"field": "nothing", "value": 1}})
    assert error.value.field == "/filter/eq/field"
    for nothing in ({}, {"text": "x", "like": "y"}):
        with pytest.raises(InvalidQuery):
            await client.search(**nothing)


async def test_the_limits_are_those_that_are_kept_to(client: Any) -> None:
    limits = await client.limits()
    assert limits["text_characters"] == 2_000
    await client.search("x" * int(limits["text_characters"]), limit=1)
    with pytest.raises(InvalidQuery):
        await client.search("x" * int(limits["text_characters"] + 1), limit=1)


async def test_a_page_says_how_many_works_there_are(client: Any) -> None:
    page = await client.search("square", limit=2, keyword_weight=2.0)
    assert (page.total, page.total_is_exact, page.index_generation) == (8, True, 1)
    assert list(page.warnings) == ["keyword_weight"]
