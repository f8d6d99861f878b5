"""Tidying up."""

from typing import Any

import pytest

from boonart.errors import CollectionNotFound
from boonart.upkeep import drop_collection


class Recorder:
    def __init__(self, calls: list[str], name: str, error: Exception | None = None) -> None:
        self.calls, self.name, self.error = calls, name, error

    def drop(self, collection: str) -> Any:
        if self.error:
            raise self.error
        self.calls.append(f"{self.name} {collection}")


class AsyncRecorder(Recorder):
    async def drop(self, collection: str) -> None:
        super().drop(collection)


async def test_a_collection_goes_with_its_pictures() -> None:
    calls: list[str] = []
    await drop_collection("tate", AsyncRecorder(calls, "index"), Recorder(calls, "pictures"))  # type: ignore[arg-type]
    assert calls == ["index tate", "pictures tate"]


async def test_the_pictures_stay_where_the_collection_could_not_go() -> None:
    calls: list[str] = []
    index = AsyncRecorder(calls, "index", CollectionNotFound("There is none."))
    with pytest.raises(CollectionNotFound):
        await drop_collection("tate", index, Recorder(calls, "pictures"))  # type: ignore[arg-type]
    assert calls == []
