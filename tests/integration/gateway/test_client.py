"""The Python client against a real gateway and its index."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from gateway_support import COLLECTION, colour_parts, painting

from boonart.client import AsyncClient
from boonart.encoders.fake import COLOURS
from boonart.errors import CollectionNotFound, InvalidFilter, InvalidQuery
from boonart_services.gateway.main import create_app

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncClient]:
    async with (
        colour_parts(tmp_path_factory.mktemp("home")) as parts,
        AsyncClient("http://gateway", transport=httpx.ASGITransport(create_app(parts))) as made,
    ):
        yield made


async def test_a_search_gives_typed_hits(client: AsyncClient) -> None:
    page = await client.search("a red square", limit=3, facets=["artist"])
    assert len(page) == 3
    assert (page[0].rank, page[0].id, page[0].title, page[0].collection) == (1, "work/red", "Red <square>", COLLECTION)
    assert page[0].thumbnail_url.startswith("http://gateway/v1/works/work%2Fred/thumbnail?")
    assert page.facets["artist"] == (("Ada Grey", 4), ("Ben Ochre", 4))
    assert "Red &lt;square&gt;" in page._repr_html_()


async def test_all_hits_come_page_by_page(client: AsyncClient) -> None:
    hits = [hit async for hit in client.search_all("red", limit=3)]
    assert [hit.rank for hit in hits] == list(range(1, 9))


async def test_pictures_and_parts(client: AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    path.write_bytes(painting(COLOURS["blue"]))
    assert (await client.search(image=path))[0].description == "A blue square on a blue ground"
    both = await client.search(query=[{"image": path}, {"text": "red", "weight": 2}], limit=1)
    assert both[0].id == "work/red"
    assert (await client.search(like="work/red", limit=8))[0].id != "work/red"
    assert (await client.picture("work/red", thumbnail=True))[:4] == b"\x89PNG"
    assert (await client.work("work/red"))["artist"] == "Ada Grey"


async def test_works_are_stored_and_deleted(client: AsyncClient) -> None:
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


async def test_errors_are_the_servers_own(client: AsyncClient) -> None:
    with pytest.raises(CollectionNotFound):
        await client.search("x", collection="nowhere")
    with pytest.raises(InvalidFilter) as error:
        await client.search("x", filter={"eq": {"field": "nothing", "value": 1}})
    assert error.value.field == "/filter/eq/field"
    for nothing in ({}, {"text": "x", "like": "y"}):
        with pytest.raises(InvalidQuery):
            await client.search(**nothing)
