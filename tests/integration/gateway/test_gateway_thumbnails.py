"""Thumbnails of several heights, by REST and by gRPC."""

import base64
import io

import grpc
import pytest
import pytest_asyncio
from doors_support import Doors, refusal
from gateway_support import assert_problem, painting
from PIL import Image

from boonart.encoders.fake import COLOURS
from boonart.rpc.v1 import search_pb2
from boonart_services.gateway import thumbnails

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
ONE = "/v1/works/large/thumbnail?collection=large"


@pytest_asyncio.fixture(autouse=True, scope="module", loop_scope="module")
async def large(doors: Doors) -> None:
    """A collection with a picture that is larger than every thumbnail."""
    data = base64.b64encode(painting(COLOURS["red"], (1500, 1000), "JPEG")).decode()
    await doors.rest.post("/v1/collections", json={"name": "large"})
    work = {"id": "large", "title": "Large", "image": data}
    done = await doors.rest.post("/v1/collections/large/works", json={"works": [work]})
    assert done.json()["state"] == "succeeded", done.text


def size_of(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.size


@pytest.mark.parametrize(("height", "size"), [(160, (240, 160)), (320, (480, 320)), (640, (960, 640)), (0, (672, 448))])
async def test_both_doors_give_the_height_that_is_asked_for(doors: Doors, height: int, size: tuple[int, int]) -> None:
    by_rest = await doors.rest.get(ONE + (f"&height={height}" if height else ""))
    asked = search_pb2.GetPictureRequest(
        collection="large", work_id="large", rendition=search_pb2.RENDITION_THUMBNAIL, height=height
    )
    by_rpc = await doors.rpc.GetPicture(asked)
    assert size_of(by_rest.content) == size
    assert (by_rpc.data, by_rpc.media_type) == (by_rest.content, "image/webp")


async def test_each_height_is_cached_for_good_under_a_tag_of_its_own(doors: Doors) -> None:
    address = (await doors.rest.get("/v1/works/large?collection=large")).json()["picture"]["thumbnail_url"]
    found = [await doors.rest.get(f"{address}{height}") for height in ("", "&height=160", "&height=320")]
    assert {answer.headers["cache-control"] for answer in found} == {"public, max-age=31536000, immutable"}
    assert len({answer.headers["etag"] for answer in found}) == 3
    for answer in found:
        again = await doors.rest.get(str(answer.url), headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await doors.rest.get(f"{address}&height=640", headers={"if-none-match": answer.headers["etag"]})
        assert other.status_code == 200


@pytest.mark.parametrize("height", [-1, 1, 161, 448, 100_000])
async def test_no_other_height_is_made(doors: Doors, height: int) -> None:
    assert_problem(await doors.rest.get(f"{ONE}&height={height}"), 422, "invalid-request", "/height")
    if height < 0:
        return  # no unsigned number
    for rendition in (search_pb2.RENDITION_THUMBNAIL, search_pb2.RENDITION_DISPLAY):
        asked = search_pb2.GetPictureRequest(collection="large", work_id="large", rendition=rendition, height=height)
        refused = await refusal(doors.rpc.GetPicture(asked))
        assert refused.status is grpc.StatusCode.INVALID_ARGUMENT


async def test_where_too_many_wait_the_stored_one_is_sent_and_kept_by_nobody(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "WAITING", 0)
    small = painting(COLOURS["blue"], (900, 600), "JPEG")
    work = {"id": "waiting", "title": "Waiting", "image": base64.b64encode(small).decode()}
    await doors.rest.post("/v1/collections/large/works", json={"works": [work]})
    picture = (await doors.rest.get("/v1/works/waiting?collection=large")).json()["picture"]
    answer = await doors.rest.get(picture["thumbnail_url"] + "&height=320")
    assert size_of(answer.content) == (672, 448)
    assert answer.headers["cache-control"] == "public, max-age=60"
    monkeypatch.undo()
    answer = await doors.rest.get(picture["thumbnail_url"] + "&height=320")
    assert (size_of(answer.content), "immutable" in answer.headers["cache-control"]) == ((480, 320), True)
