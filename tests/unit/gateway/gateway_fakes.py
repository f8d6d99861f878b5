"""Small stand-ins for the parts that the gateway speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import numpy as np
from fastapi import FastAPI

from boonart.bootstrap import Parts
from boonart.errors import BoonArtError, CollectionNotFound, WorkNotFound
from boonart.ports import CollectionInfo
from boonart.search import Search
from boonart.settings import Settings
from boonart.works import Candidate, Manifest, ModelCard, StoredPicture, TextEmbedding, Work

WORK = Work("a/b c", title="The Ford", artist="Ada", date="c.1861", source_url="https://museum.example/1")
HOME = Path("nowhere")
KEY = "0123456789abcdef0123456789abcdef"


class OneVectorEncoder:
    """Every text has the same vector; counts what it was asked."""

    def __init__(self) -> None:
        self.card = ModelCard("one", "encoder", "0" * 16, {"D": 2})
        self.asked = 0
        self.error: BoonArtError | None = None

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        self.asked += 1
        if self.error:
            return [self.error for _ in texts]
        vector = np.array([1, 0], dtype=np.float32)
        return [TextEmbedding(vector, np.ones((1, 2), dtype=np.float16), (text,)) for text in texts]

    async def close(self) -> None:
        pass


class OneWorkIndex:
    """Collections that all hold the same work."""

    def __init__(self, *names: str) -> None:
        self.infos = [CollectionInfo(name, 1, 1, Manifest("one", 2)) for name in names]
        self.error: Exception | None = None
        self.searched: list[str] = []

    async def collections(self) -> list[CollectionInfo]:
        return self.infos

    async def describe(self, collection: str) -> CollectionInfo:
        for info in self.infos:
            if info.name == collection:
                return info
        raise CollectionNotFound(f"There is no collection {collection!r}.")

    async def get(self, collection: str, work_ids: Sequence[str]) -> list[Candidate]:
        await self.describe(collection)
        return [candidate() for work_id in work_ids if work_id == WORK.id]

    async def search(self, collection: str, vector: object, **_: object) -> list[Candidate]:
        self.searched.append(collection)
        if self.error:
            raise self.error
        return [candidate(0.5)]

    async def search_keywords(self, collection: str, text: str, **_: object) -> list[Candidate]:
        return []

    async def fields(self, collection: str) -> dict[str, str]:
        return {"title": "keyword"}

    async def scroll(self, collection: str, **_: object) -> AsyncIterator[list[Candidate]]:
        yield [candidate()]

    async def facet(self, collection: str, field: str, **_: object) -> list[tuple[str | int | bool, int]]:
        return []

    async def close(self) -> None:
        pass


class OnePictureStore:
    """Holds the work's picture."""

    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        if key != KEY:
            raise WorkNotFound("Nothing under this key.")
        return rendition.encode(), "image/webp"


def candidate(score: float = 0.0) -> Candidate:
    return Candidate("p1", WORK, score, picture=StoredPicture(KEY, (400, 300), "#a04020"))


def fake_parts(*collections: str, **settings: object) -> Parts:
    """Wired fakes."""
    encoder, index = OneVectorEncoder(), OneWorkIndex(*collections)
    values = Settings(home=HOME, **settings)  # type: ignore[arg-type]
    search = Search(encoder, index)  # type: ignore[arg-type]
    return Parts(values, encoder, index, None, OnePictureStore(), search)  # type: ignore[arg-type]


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client that speaks to the application without a network."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers)
