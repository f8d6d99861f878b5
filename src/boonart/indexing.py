"""The use case of an ingest: read records, encode what is new, store it, say what went wrong.

Knows the ports alone. Nothing is remembered between runs but the collection itself: a work whose content hash
is stored already is skipped, so a run that was interrupted at any moment continues when it is started again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from boonart.errors import BoonArtError, CollectionNotFound, RecordError, Unavailable
from boonart.manifests import SCHEMA_VERSION, check_manifest, manifest_for
from boonart.ports import Encoder, PictureStore, Renditions, Reranker, WorkIndex
from boonart.records import IngestReport, PictureTools, Progress, Rejected, Source, SourceRecord
from boonart.works import (
    Float16Array,
    ImageEmbedding,
    IndexedWork,
    Manifest,
    Picture,
    StoredPicture,
    TextEmbedding,
    content_hash,
)

logger = logging.getLogger(__name__)

BATCH_SIZE = 32
ATTEMPTS = 5
"""Tries of a call to a part that is down or full before the run ends; it can be started again."""
MAX_ID = 512
"""Longest id of a work in characters."""

T = TypeVar("T")


async def ingest(
    source: Source,
    collection: str,
    encoder: Encoder,
    index: WorkIndex,
    pictures: PictureStore,
    tools: PictureTools,
    *,
    reranker: Reranker | None = None,
    batch_size: int = BATCH_SIZE,
    prune: bool = False,
    version: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_quarantine: Callable[[Rejected], None] | None = None,
) -> IngestReport:
    """Bring a collection up to date with a source; cancel the task to stop, start again to continue.

    While one batch is encoded the next one is read and decoded in threads. A record or picture that cannot be
    used is quarantined and the run goes on.

    Args:
        collection: made when it does not exist.
        reranker: None stores no regions and words, or where a collection that has none is brought up to date.
        prune: remove works that the source no longer has. Refused when a record without a readable id was
            quarantined, since it may be one of them.
        version: an unpublished version to fill instead of the published one.
        on_quarantine: called from a worker thread or the loop, one call at a time.

    Raises:
        SourceError: the source cannot be read on.
        ModelMismatch: the collection was made with other models.
        Unavailable: the encoder stayed away for `ATTEMPTS` tries.
        IndexLocked, IndexCorrupt: the collection cannot be opened.
    """
    manifest = await _prepare_collection(index, collection, encoder, reranker, version)
    if not manifest.reranker_id:
        reranker = None
    run = _Run(collection, encoder, index, pictures, tools, reranker, version, on_progress, on_quarantine)
    return await run.execute(source, batch_size, prune)


async def _prepare_collection(
    index: WorkIndex, collection: str, encoder: Encoder, reranker: Reranker | None, version: int | None
) -> Manifest:
    reranker_card = reranker.card if reranker else None
    try:
        manifest = (await index.describe(collection, version=version)).manifest
    except CollectionNotFound:
        if version is not None:
            raise
        manifest = manifest_for(encoder.card, reranker_card)
        await index.create(collection, manifest)
    check_manifest(manifest, encoder.card, reranker_card, collection=collection)
    return manifest


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A work that has to be encoded."""

    record: SourceRecord
    content_hash: str
    picture: Picture
    stored: StoredPicture
    renditions: Renditions


class _Run:
    """The state of one run."""

    def __init__(
        self,
        collection: str,
        encoder: Encoder,
        index: WorkIndex,
        pictures: PictureStore,
        tools: PictureTools,
        reranker: Reranker | None,
        version: int | None,
        on_progress: Callable[[Progress], None] | None,
        on_quarantine: Callable[[Rejected], None] | None,
    ) -> None:
        self._collection = collection
        self._encoder = encoder
        self._index = index
        self._pictures = pictures
        self._tools = tools
        self._reranker = reranker
        self._version = version
        self._on_progress = on_progress
        self._on_quarantine = on_quarantine
        self._models = [encoder.card.id, reranker.card.id if reranker else "", str(SCHEMA_VERSION)]
        self._report = IngestReport()
        self._counting = threading.Lock()
        self._stored: dict[str, str] = {}
        self._seen: set[str] = set()
        self._unnamed = 0
        self._stop = threading.Event()
        self._recent: deque[tuple[float, int]] = deque(maxlen=20)

    async def execute(self, source: Source, batch_size: int, prune: bool) -> IngestReport:
        start = time.perf_counter()
        self._recent.append((start, 0))
        self._stored = await self._index.content_hashes(self._collection, version=self._version)
        total = await asyncio.to_thread(len, source)
        async with self._batches(source, batch_size) as batches:
            async for batch in batches:
                await self._store(batch)
                self._tell(total)
        if prune:
            await self._prune()
        self._tell(total)
        self._report.seconds = time.perf_counter() - start
        return self._report

    # --- reading, in threads ---

    @asynccontextmanager
    async def _batches(self, source: Source, batch_size: int) -> AsyncIterator[AsyncIterator[list[_Prepared]]]:
        """Batches of works to encode, the next one being made while the caller deals with this one."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="decode") as pool:
            records = iter(source)

            def following() -> list[_Prepared] | None:
                return self._next_batch(records, batch_size, pool)

            pending = asyncio.create_task(asyncio.to_thread(following))

            async def batches() -> AsyncIterator[list[_Prepared]]:
                nonlocal pending
                while (batch := await pending) is not None:
                    pending = asyncio.create_task(asyncio.to_thread(following))
                    yield batch

            try:
                yield batches()
            finally:
                # The thread looks at the flag between records; it is waited for, so that it never outlives us.
                self._stop.set()
                await asyncio.gather(pending, return_exceptions=True)

    def _next_batch(
        self, records: Iterator[SourceRecord | Rejected], size: int, pool: ThreadPoolExecutor
    ) -> list[_Prepared] | None:
        """Up to `size` works to encode, having read up to four times as many; None at the end."""
        batch: list[_Prepared] = []
        for _ in range(4):
            chunk: list[SourceRecord | Rejected] = []
            while len(chunk) + len(batch) < size and not self._stop.is_set():
                record = next(records, None)
                if record is None:
                    break
                chunk.append(record)
            if not chunk:
                break
            accepted = [record for record in chunk if self._accept(record)]
            prepared = pool.map(self._prepare, [r for r in accepted if isinstance(r, SourceRecord)])
            batch += [item for item in prepared if item is not None]
            if len(batch) >= size:
                break
        else:
            return batch
        return batch if batch or chunk else None

    def _accept(self, record: SourceRecord | Rejected) -> bool:
        """Whether the record can be worked on; what cannot is quarantined."""
        if isinstance(record, Rejected):
            if record.work_id:
                self._seen.add(record.work_id)
            else:
                self._unnamed += 1
            self._quarantine(record)
            return False
        work_id = record.work.id
        reason = ""
        if not work_id.strip():
            reason = "The record has no id."
            self._unnamed += 1
        elif len(work_id) > MAX_ID:
            reason = f"The id has {len(work_id)} characters; {MAX_ID} are allowed."
            self._unnamed += 1
        elif work_id in self._seen:
            reason = f"The id {work_id!r} was there already; the first record keeps it."
        if reason:
            self._quarantine(Rejected(work_id[:MAX_ID], record.place, RecordError(reason)))
            return False
        self._seen.add(work_id)
        return True

    def _prepare(self, record: SourceRecord) -> _Prepared | None:
        """Read and decode, or None where nothing is to do or it went wrong."""
        if self._stop.is_set():
            return None
        try:
            data = record.read_picture()
            digest = hashlib.sha256(data).hexdigest()
            hashed = content_hash(_fields(record), digest, self._models)
            if self._stored.get(record.work.id) == hashed:
                with self._counting:
                    self._report.unchanged += 1
                return None
            picture = self._tools.decode(data)
            stored = StoredPicture(digest[:32], picture.original_size, self._tools.dominant_colour(picture))
            renditions = self._tools.renditions(data, picture)
        except BoonArtError as error:
            self._quarantine(Rejected(record.work.id, record.place, error))
            return None
        return _Prepared(record, hashed, picture, stored, renditions)

    def _quarantine(self, rejected: Rejected) -> None:
        with self._counting:
            self._report.quarantined += 1
            code = rejected.error.code
            self._report.reasons[code] = self._report.reasons.get(code, 0) + 1
            if self._on_quarantine is not None:
                self._on_quarantine(rejected)

    # --- encoding and storing ---

    async def _store(self, batch: Sequence[_Prepared]) -> None:
        encoded = await self._encode(batch)
        regions, words = await self._features([pair[1] for pair in encoded], [pair[2] for pair in encoded])
        works = [
            IndexedWork(
                work=item.record.work,
                content_hash=item.content_hash,
                image=image.global_vector,
                description=text.global_vector if text else None,
                regions=regions[row] if regions else None,
                words=words.get(row),
                description_words=text.words if text else (),
                picture=item.stored,
                description_composed=item.record.description_composed,
            )
            for row, (item, image, text) in enumerate(encoded)
        ]
        if not works:
            return
        # The renditions first: a stored work always has its picture.
        await asyncio.to_thread(self._keep_renditions, [item for item, _, _ in encoded])
        await self._index.upsert(self._collection, works, version=self._version)
        for work in works:
            if work.work.id in self._stored:
                self._report.updated += 1
            else:
                self._report.added += 1

    async def _encode(self, batch: Sequence[_Prepared]) -> list[tuple[_Prepared, ImageEmbedding, TextEmbedding | None]]:
        """Pictures and descriptions of the works that could be encoded."""
        if not batch:
            return []
        start = time.perf_counter()
        images = await _patiently(lambda: self._encoder.encode_images([item.picture for item in batch]))
        described = [row for row, item in enumerate(batch) if item.record.work.description.strip()]
        texts: dict[int, TextEmbedding | BoonArtError] = {}
        if described:
            wanted = [batch[row].record.work.description for row in described]
            encoded = await _patiently(lambda: self._encoder.encode_texts(wanted))
            texts = dict(zip(described, encoded, strict=True))
        self._report.encode_seconds += time.perf_counter() - start
        good = []
        for row, (item, image) in enumerate(zip(batch, images, strict=True)):
            text = texts.get(row)
            error = next((part for part in (image, text) if isinstance(part, BoonArtError)), None)
            if error is not None:
                self._quarantine(Rejected(item.record.work.id, item.record.place, error))
            elif isinstance(image, ImageEmbedding) and not isinstance(text, BoonArtError):
                good.append((item, image, text))
        return good

    async def _features(
        self, images: Sequence[ImageEmbedding], texts: Sequence[TextEmbedding | None]
    ) -> tuple[list[Float16Array], dict[int, Float16Array]]:
        """Regions by row, and words by row where there is a text; both empty without a reranker."""
        reranker = self._reranker
        if reranker is None or not images:
            return [], {}
        regions = await _patiently(lambda: reranker.prepare_images(images))
        rows = [row for row, text in enumerate(texts) if text is not None]
        present = [text for text in texts if text is not None]
        if not present:
            return regions, {}
        words = await _patiently(lambda: reranker.prepare_texts(present))
        return regions, dict(zip(rows, words, strict=True))

    def _keep_renditions(self, items: Sequence[_Prepared]) -> None:
        for item in items:
            self._pictures.put(self._collection, item.stored.key, item.renditions)

    async def _prune(self) -> None:
        gone = [work_id for work_id in self._stored if work_id not in self._seen]
        if not gone:
            return
        if self._unnamed:
            self._report.prune_refused = (
                f"{len(gone)} works are not in the source, but {self._unnamed} records without a readable id "
                "may be among them: nothing was removed. Mend those records and run again."
            )
            return
        self._report.pruned = await self._index.delete(self._collection, gone)

    def _tell(self, total: int) -> None:
        if self._on_progress is None:
            return
        now, done = time.perf_counter(), self._report.done
        then, before = self._recent[0]
        self._recent.append((now, done))
        rate = (done - before) / (now - then) if now > then else 0.0
        self._on_progress(
            Progress(
                done=done,
                total=max(total, done),
                indexed=self._report.indexed,
                unchanged=self._report.unchanged,
                quarantined=self._report.quarantined,
                rate=rate,
                seconds_left=max(total - done, 0) / rate if rate > 0 else None,
            )
        )


def _fields(record: SourceRecord) -> dict[str, Any]:
    """What of a record decides whether it has changed."""
    return {**asdict(record.work), "description_composed": record.description_composed}


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The call's result, trying again while the part is unavailable."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await call()
        except Unavailable as error:
            logger.info("trying again in %.1f s: %s", error.retry_after, error)
            await asyncio.sleep(error.retry_after)
    return await call()
