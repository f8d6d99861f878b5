"""The use case of an ingest, on fakes."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from boonart.errors import BoonArtError, CollectionNotFound, ModelMismatch, RecordError, TruncatedPicture, Unavailable
from boonart.indexing import ingest
from boonart.manifests import check_manifest, manifest_for
from boonart.ports import CollectionInfo, Renditions
from boonart.records import IngestReport, PictureTools, Progress, Rejected, SourceRecord
from boonart.works import (
    ImageEmbedding,
    IndexedWork,
    Manifest,
    ModelCard,
    Picture,
    TextEmbedding,
    Work,
)

CARD = ModelCard("fake:a", "encoder", "0" * 16, {"D": 4, "Wt": 2, "Wi": 2})
RERANKER_CARD = ModelCard("fake:r", "reranker", "0" * 16, {"E": 3}, encoder_id="fake:a")


class FakeIndex:
    """Works in memory; only what an ingest calls."""

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.works: dict[str, IndexedWork] = {}
        self.batches: list[int] = []

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        if self.manifest is None:
            raise CollectionNotFound(collection)
        return CollectionInfo(collection, 1, len(self.works), self.manifest)

    async def create(self, collection: str, manifest: Manifest) -> None:
        self.manifest = manifest

    async def content_hashes(self, collection: str, *, version: int | None = None) -> dict[str, str]:
        return {work_id: work.content_hash for work_id, work in self.works.items()}

    async def upsert(self, collection: str, works: Sequence[IndexedWork], *, version: int | None = None) -> None:
        self.batches.append(len(works))
        self.works.update({work.work.id: work for work in works})

    async def delete(self, collection: str, work_ids: Sequence[str]) -> int:
        return sum(self.works.pop(work_id, None) is not None for work_id in work_ids)


class FakeEncoder:
    """Vectors from the first pixel; a text "bad" fails."""

    card = CARD

    def __init__(self) -> None:
        self.images = 0
        self.failures = 0

    async def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("busy", retry_after=0.0)
        self.images += len(pictures)
        return [
            ImageEmbedding(np.full(4, picture.pixels[0, 0, 0], np.float32), np.zeros((49, 2), np.float16))
            for picture in pictures
        ]

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        return [
            RecordError("a bad text")
            if text == "bad"
            else TextEmbedding(
                np.full(4, len(text), np.float32),
                np.zeros((len(text.split()), 2), np.float16),
                tuple(text.split()),
            )
            for text in texts
        ]


class FakeReranker:
    card = RERANKER_CARD

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[np.ndarray]:
        return [np.full((49, 3), image.global_vector[0], np.float16) for image in images]

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[np.ndarray]:
        return [np.full((len(text.words), 3), len(text.words), np.float16) for text in texts]


class FakePictures:
    def __init__(self) -> None:
        self.keys: list[str] = []

    def put(self, collection: str, key: str, renditions: Renditions) -> None:
        self.keys.append(key)


def decode(data: bytes) -> Picture:
    if data == b"broken":
        raise TruncatedPicture("the picture ends too early")
    return Picture(np.full((2, 3, 3), data[0], np.uint8), (30, 20), "PNG")


TOOLS = PictureTools(
    decode, lambda data, picture: Renditions(data, "image/webp", data, "image/webp"), lambda p: "#102030"
)


@dataclass
class ListSource:
    records: list[SourceRecord | Rejected]
    before: Callable[[int], None] = lambda row: None

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        for row, record in enumerate(self.records):
            self.before(row)
            yield record

    def __len__(self) -> int:
        return len(self.records)


def record(work_id: str, data: bytes | None = None, description: str = "a cow", **fields: str) -> SourceRecord:
    content = data if data is not None else work_id.encode()
    return SourceRecord(Work(work_id, description=description, **fields), lambda: content, f"line {work_id}")


@dataclass
class House:
    """All the parts of an ingest."""

    index: FakeIndex = field(default_factory=FakeIndex)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    pictures: FakePictures = field(default_factory=FakePictures)
    rejected: list[Rejected] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    async def run(self, source: list[SourceRecord | Rejected] | ListSource, **options: object) -> IngestReport:
        given = source if isinstance(source, ListSource) else ListSource(source)
        return await ingest(
            given,
            "tate",
            self.encoder,
            self.index,
            self.pictures,
            TOOLS,
            on_progress=self.progress.append,
            on_quarantine=self.rejected.append,
            **{"batch_size": 4, **options},
        )


@pytest.fixture
def house() -> House:
    return House()


async def test_works_are_stored_with_all_that_belongs_to_them(house: House) -> None:
    report = await house.run([record("a", b"\x07", "a red cow", title="Cow"), record("b", b"\x09", "")])
    assert (report.added, report.updated, report.unchanged, report.quarantined) == (2, 0, 0, 0)
    assert report.ok
    a, b = house.index.works["a"], house.index.works["b"]
    assert a.work.title == "Cow"
    assert a.image.tolist() == [7.0] * 4
    assert a.description is not None
    assert a.description_words == ("a", "red", "cow")
    assert a.picture.size == (30, 20)
    assert a.picture.colour == "#102030"
    assert a.picture.key in house.pictures.keys
    assert b.description is None
    assert b.description_words == ()
    assert house.index.manifest == manifest_for(CARD)


async def test_features_of_the_reranker_are_stored(house: House) -> None:
    await house.run([record("a", b"\x07", "one two"), record("b", b"\x09", "")], reranker=FakeReranker())
    a, b = house.index.works["a"], house.index.works["b"]
    assert a.regions is not None
    assert a.words is not None
    assert (a.regions[0, 0], a.words.shape) == (7.0, (2, 3))
    assert b.regions is not None
    assert b.words is None
    assert house.index.manifest == manifest_for(CARD, RERANKER_CARD)


async def test_a_collection_without_features_gets_none(house: House) -> None:
    await house.run([record("a")])
    await house.run([record("b")], reranker=FakeReranker())
    assert house.index.works["b"].regions is None


async def test_a_second_run_encodes_nothing(house: House) -> None:
    records = [record(f"w{n}") for n in range(30)]
    await house.run(records)
    encoded = house.encoder.images
    report = await house.run(records)
    assert (report.unchanged, report.indexed, house.encoder.images) == (30, 0, encoded)
    assert house.progress[-1].done == 30


@pytest.mark.parametrize(
    "changed",
    [
        record("a", b"other"),
        record("a", description="a horse"),
        record("a", title="New"),
        replace(record("a"), description_composed=True),
    ],
    ids=["picture", "description", "title", "flag"],
)
async def test_what_has_changed_is_stored_anew(house: House, changed: SourceRecord) -> None:
    await house.run([record("a"), record("b")])
    report = await house.run([changed, record("b")])
    assert (report.updated, report.added, report.unchanged) == (1, 0, 1)


async def test_bad_records_are_quarantined_and_the_run_goes_on(house: House) -> None:
    def unreadable() -> bytes:
        raise RecordError("The picture is not there.")

    records: list[SourceRecord | Rejected] = [
        record("a"),
        Rejected("", "line 2", RecordError("not JSON")),
        record("b", b"broken"),
        record("c", description="bad"),
        record("a", b"again"),
        record(" "),
        record("x" * 600),
        SourceRecord(Work("d"), unreadable, "line 8"),
        record("e"),
    ]
    report = await house.run(records)
    assert set(house.index.works) == {"a", "e"}
    assert {item.place: type(item.error).__name__ for item in house.rejected} == {
        "line 2": "RecordError",
        "line b": "TruncatedPicture",
        "line c": "RecordError",
        "line a": "RecordError",
        "line  ": "RecordError",
        f"line {'x' * 600}": "RecordError",
        "line 8": "RecordError",
    }
    assert report.quarantined == 7
    assert report.reasons == {"record": 6, "truncated-picture": 1}
    assert not report.ok
    assert report.done == len(records)


async def test_a_stored_work_stays_when_its_new_picture_is_bad(house: House) -> None:
    await house.run([record("a")])
    before = house.index.works["a"]
    await house.run([record("a", b"broken")], prune=True)
    assert house.index.works["a"] is before


async def test_pruning_removes_what_the_source_no_longer_has(house: House) -> None:
    await house.run([record("a"), record("b"), record("c")])
    report = await house.run([record("b")])
    assert (report.pruned, len(house.index.works)) == (0, 3)
    report = await house.run([record("b")], prune=True)
    assert (report.pruned, set(house.index.works)) == (2, {"b"})


async def test_pruning_is_refused_when_a_record_could_not_be_named(house: House) -> None:
    await house.run([record("a"), record("b")])
    report = await house.run([record("b"), Rejected("", "line 2", RecordError("not JSON"))], prune=True)
    assert set(house.index.works) == {"a", "b"}
    assert "nothing was removed" in report.prune_refused
    assert not report.ok


async def test_a_busy_encoder_is_asked_again_and_a_dead_one_ends_the_run(house: House) -> None:
    house.encoder.failures = 3
    assert (await house.run([record("a")])).added == 1
    house.encoder.failures = 100
    with pytest.raises(Unavailable):
        await house.run([record("b")])
    assert set(house.index.works) == {"a"}


async def test_an_error_of_the_source_ends_the_run_after_what_was_read(house: House) -> None:
    def fail(row: int) -> None:
        if row == 9:
            raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        await house.run(ListSource([record(f"w{n}") for n in range(20)], fail))
    assert len(house.index.works) == 8


async def test_a_cancelled_run_stops_reading_and_can_be_continued(house: House) -> None:
    reached, go_on = threading.Event(), threading.Event()
    read = []

    def wait(row: int) -> None:
        read.append(row)
        if row == 10:
            reached.set()
            go_on.wait(10)

    source = ListSource([record(f"w{n:02d}") for n in range(40)], wait)
    run = asyncio.create_task(house.run(source))
    await asyncio.to_thread(reached.wait, 10)
    run.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert max(read) < 15
    report = await house.run([record(f"w{n:02d}") for n in range(40)])
    assert len(house.index.works) == 40
    assert report.added < 40


async def test_the_next_batch_is_read_while_this_one_is_encoded(house: House) -> None:
    rows_read = 0
    next_batch_read = threading.Event()

    def count(row: int) -> None:
        nonlocal rows_read
        rows_read = row
        if row >= 7:
            next_batch_read.set()

    original = house.encoder.encode_images

    async def encode(pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        assert await asyncio.to_thread(next_batch_read.wait, 10), "nothing was read during the encoding"
        return await original(pictures)

    house.encoder.encode_images = encode
    report = await house.run(ListSource([record(f"w{n}") for n in range(8)], count))
    assert report.added == 8


async def test_progress_ends_at_the_total(house: House) -> None:
    await house.run([record(f"w{n}") for n in range(10)])
    dones = [step.done for step in house.progress]
    assert dones == sorted(dones)
    assert (dones[-1], house.progress[-1].total, house.progress[-1].seconds_left) == (10, 10, 0.0)


async def test_a_collection_of_another_encoder_is_refused(house: House) -> None:
    house.index.manifest = Manifest("other", 4)
    with pytest.raises(ModelMismatch, match="boonart reindex tate"):
        await house.run([record("a")])
    assert house.index.works == {}


@pytest.mark.parametrize(
    ("manifest", "reranker", "fits"),
    [
        (Manifest("fake:a", 4), None, True),
        (Manifest("fake:a", 4), RERANKER_CARD, True),
        (Manifest("fake:a", 4, "fake:r", 3), RERANKER_CARD, True),
        (Manifest("fake:a", 4, "fake:r", 3), None, True),
        (Manifest("fake:b", 4), None, False),
        (Manifest("fake:a", 5), None, False),
        (Manifest("fake:a", 4, "fake:other", 3), RERANKER_CARD, False),
        (Manifest("fake:a", 4, "fake:r", 9), RERANKER_CARD, False),
        (Manifest("fake:a", 4, schema_version=0), None, False),
    ],
)
def test_manifests_are_compared_with_the_models(manifest: Manifest, reranker: ModelCard | None, fits: bool) -> None:
    if fits:
        check_manifest(manifest, CARD, reranker, collection="tate")
    else:
        with pytest.raises(ModelMismatch, match="boonart reindex tate"):
            check_manifest(manifest, CARD, reranker, collection="tate")
