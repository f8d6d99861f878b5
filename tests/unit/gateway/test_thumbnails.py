"""Thumbnails that are made when they are first asked for."""

import asyncio
import io
import threading

import pytest
from PIL import Image

from boonart.errors import Overloaded, WorkNotFound
from boonart_services.gateway import thumbnails
from boonart_services.gateway.thumbnails import Thumbnails

KEY = "0123456789abcdef"


class MemoryStore:
    """Pictures by form, and how often the display form was read."""

    def __init__(self, *, error: OSError | None = None) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (1200, 900), "teal").save(stream, "JPEG")
        self.forms = {"display": (stream.getvalue(), "image/jpeg")}
        self.error = error
        self.read_display = 0
        self.gate = threading.Event()
        self.gate.set()

    def add(self, collection: str, key: str, rendition: str, data: bytes, media_type: str) -> None:
        if self.error:
            raise self.error
        self.forms[rendition] = (data, media_type)

    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        if rendition == "display":
            self.gate.wait(30)
            self.read_display += 1
        if key != KEY or rendition not in self.forms:
            raise WorkNotFound("Nothing under this key.")
        return self.forms[rendition]


async def read(made: Thumbnails, store: MemoryStore, height: int = 320, key: str = KEY) -> tuple[bytes, str]:
    return await made.read(store, "c", key, height)  # type: ignore[arg-type]


async def test_however_many_ask_it_is_made_once_and_kept() -> None:
    store, made = MemoryStore(), Thumbnails()
    answers = await asyncio.gather(*(read(made, store) for _ in range(5)))
    assert len(set(answers)) == 1
    data, media_type = answers[0]
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (427, 320))
    assert (store.read_display, store.forms["thumbnail-320"]) == (1, (data, media_type))
    assert await read(made, store) == (data, media_type)
    assert store.read_display == 1, "the kept one"
    await read(made, store, 160)
    assert store.read_display == 2, "each height is one of its own"


async def test_a_full_disk_costs_time_alone() -> None:
    store, made = MemoryStore(error=OSError("No space left on device")), Thumbnails()
    assert (await read(made, store))[1] == "image/webp"
    assert (await read(made, store))[1] == "image/webp"
    assert store.read_display == 2


async def test_what_fails_is_tried_again_and_nothing_is_made_of_nothing() -> None:
    store, made = MemoryStore(), Thumbnails()
    for _ in range(2):
        with pytest.raises(WorkNotFound):
            await read(made, store, key="f" * 16)
    assert set(store.forms) == {"display"}


async def test_too_many_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "WAITING", 2)
    store, made = MemoryStore(), Thumbnails()
    store.gate.clear()
    waiting = [asyncio.create_task(read(made, store, height)) for height in (160, 320)]
    while made.waiting < 2:
        await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await read(made, store, 640)
    store.gate.set()
    await asyncio.gather(*waiting)
    assert (await read(made, store, 640))[1] == "image/webp"


async def test_whoever_leaves_stops_it_for_nobody() -> None:
    store, made = MemoryStore(), Thumbnails()
    store.gate.clear()
    first, second = (asyncio.create_task(read(made, store)) for _ in range(2))
    while not made.waiting:
        await asyncio.sleep(0)
    first.cancel()
    store.gate.set()
    assert (await second)[1] == "image/webp"
    assert store.read_display == 1
