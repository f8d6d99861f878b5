"""What the gateway's tests share: a small collection of coloured paintings in a real index, and the application."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from boonart.bootstrap import Parts
from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import COLOURS, FakeEncoder
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.index.edge import EdgeIndex
from boonart.index.picture_store import FilePictureStore
from boonart.ports import Reranker
from boonart.search import Search
from boonart.settings import Settings
from boonart.works import IndexedWork, Manifest, StoredPicture, Work
from boonart_services.gateway.main import create_app

COLLECTION = "colours"
ARTISTS = ("Ada Grey", "Ben Ochre")


def painting(colour: tuple[int, int, int], size: tuple[int, int] = (60, 40), form: str = "PNG") -> bytes:
    """A picture file of one colour with a little noise."""
    noise = np.random.default_rng(sum(colour)).integers(-8, 9, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def colour_works() -> list[tuple[Work, bytes]]:
    """A work a colour; every second one is by the second artist, and the last has no description."""
    found = []
    for number, (name, colour) in enumerate(COLOURS.items()):
        work = Work(
            id=f"work/{name}",
            title=f"{name.title()} <square>",
            artist=ARTISTS[number % 2],
            date=str(1880 + number),
            description=f"A {name} square on a {name} ground" if name != "grey" else "",
            source_url=f"https://museum.example/{name}",
            extra={"year": 1880 + number, "framed": number % 2 == 0},
        )
        found.append((work, painting(colour, (40 + 20 * number, 60))))
    return found


async def fill(parts: Parts, collection: str, works: Sequence[tuple[Work, bytes]]) -> None:
    """Put works and their pictures into a new collection."""
    reranker = parts.reranker.card if parts.reranker is not None else None
    size = parts.encoder.card.dimensions["D"]
    manifest = Manifest(parts.encoder.card.id, size, reranker.id if reranker else "", 8 if reranker else 0)
    await parts.index.create(collection, manifest)
    indexed = []
    for work, data in works:
        picture = decode(data)
        key = hashlib.sha256(data).hexdigest()[:32]
        parts.pictures.put(collection, key, renditions(data, picture))
        image = (await parts.encoder.encode_images([picture]))[0]
        text = (await parts.encoder.encode_texts([work.description or "nothing"]))[0]
        indexed.append(
            IndexedWork(
                work,
                key,
                image.global_vector,
                text.global_vector if work.description else None,
                picture=StoredPicture(key, picture.original_size, dominant_colour(picture)),
            )
        )
    await parts.index.upsert(collection, indexed)


@contextlib.asynccontextmanager
async def colour_parts(
    home: Path, *, collections: Sequence[str] = (COLLECTION,), reranker: Reranker | None = None, **settings: object
) -> AsyncIterator[Parts]:
    """Wired parts over collections of colours: a real index, a fake encoder."""
    encoder = BatchingEncoder(FakeEncoder())
    index = EdgeIndex(home / "collections")
    values = Settings(home=home, **settings)  # type: ignore[arg-type]
    search = Search(encoder, index, reranker)
    parts = Parts(values, encoder, index, reranker, FilePictureStore(home / "pictures"), search)
    try:
        for collection in collections:
            await fill(parts, collection, colour_works())
        yield parts
    finally:
        await parts.close()


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client that speaks to the application without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers)


@dataclass
class Gateway:
    """An application over the colours, and a client of it."""

    client: httpx.AsyncClient
    parts: Parts


@contextlib.asynccontextmanager
async def gateway(
    home: Path, *, collections: Sequence[str] = (COLLECTION,), reranker: Reranker | None = None, **settings: object
) -> AsyncIterator[Gateway]:
    """The whole application in this process, over a real index."""
    async with (
        colour_parts(home, collections=collections, reranker=reranker, **settings) as parts,
        client_of(create_app(parts)) as client,
    ):
        yield Gateway(client, parts)


def assert_problem(response: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict[str, object]:
    """The problem document of a response that must be this one."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["code"] == code
    assert body["type"] == f"urn:boonart:problem:{code}"
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert str(body["detail"]).endswith((".", "?")), "a sentence"
    if pointer is not None:
        assert [fault["pointer"] for fault in body["errors"]] == [pointer]  # type: ignore[attr-defined]
    return body
