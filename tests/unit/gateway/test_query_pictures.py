"""Pictures that people search with."""

import asyncio
import io
import threading

import pytest
from PIL import Image

from boonart.errors import NotFound, Overloaded, PictureTooLarge
from boonart_services.gateway import query_pictures
from boonart_services.gateway.query_pictures import AT_ONCE, WAITING, QueryPictures


def picture(side: int = 60) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


async def test_a_kept_picture_is_found_again() -> None:
    pictures = QueryPictures()
    token = await pictures.keep(picture(), 10**6)
    kept = pictures.find(token)
    assert kept.size == (60, 60)
    assert (await pictures.decode(kept.data, 10**6)).original_size == (60, 60)
    assert kept.media_type.startswith("image/")


async def test_the_picture_used_longest_ago_is_forgotten_first() -> None:
    data = picture()
    pictures = QueryPictures(kept_bytes=5 * len(data))
    first, second = [await pictures.keep(data, 10**6) for _ in range(2)]
    pictures.find(first)
    third = await pictures.keep(data, 10**6)
    assert pictures.find(first)
    assert pictures.find(third)
    with pytest.raises(NotFound, match="no longer kept"):
        pictures.find(second)


async def test_the_newest_is_kept_however_large() -> None:
    pictures = QueryPictures(kept_bytes=1)
    assert pictures.find(await pictures.keep(picture(), 10**6))


async def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(PictureTooLarge):
        await QueryPictures().decode(picture(), 100)


async def test_pictures_wait_for_their_turn_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, lock = threading.Event(), threading.Lock()
    running = most = 0

    def slow(data: bytes, **_: object) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(20)
        with lock:
            running -= 1
        return data

    monkeypatch.setattr(query_pictures, "decode", slow)
    pictures = QueryPictures()
    waiting = [asyncio.create_task(pictures.decode(b"", 1)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pictures.decode(b"", 1)
    gate.set()
    await asyncio.gather(*waiting)
    assert most <= AT_ONCE
    await pictures.decode(b"", 1)
