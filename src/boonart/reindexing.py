"""The use case of a re-index: the same works under other models, without downtime.

A second physical version is filled from what the collection itself holds (the stored works and the display form of
their pictures), then the name is switched to it in one step. Searches go on in the old version meanwhile. Started
again after an interruption, it begins a fresh version; the unfinished one is removed at the switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from boonart.errors import ConfigurationError, RecordError, WorkNotFound
from boonart.indexing import ingest
from boonart.manifests import manifest_for
from boonart.ports import Encoder, PictureStore, Reranker, WorkIndex
from boonart.records import IngestReport, PictureTools, Progress, Rejected, SourceRecord
from boonart.works import Candidate


@dataclass(frozen=True, slots=True)
class StoredWorks:
    """A collection as the source of its own re-index."""

    collection: str
    stored: Sequence[Candidate]
    pictures: PictureStore

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        """The stored works, each with the display form of its picture."""
        for item in self.stored:
            yield SourceRecord(
                item.work,
                lambda key=item.picture.key: self._read(key),  # type: ignore[misc]
                f"{self.collection}, stored work {item.work.id}",
                item.description_composed,
            )

    def __len__(self) -> int:
        """How many works there are."""
        return len(self.stored)

    def _read(self, key: str) -> bytes:
        try:
            return self.pictures.read(self.collection, key, "display")[0]
        except WorkNotFound as error:
            raise RecordError("Its picture is no longer in the picture store.", hint="Ingest it again.") from error


async def reindex(
    collection: str,
    encoder: Encoder,
    index: WorkIndex,
    pictures: PictureStore,
    tools: PictureTools,
    *,
    reranker: Reranker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_quarantine: Callable[[Rejected], None] | None = None,
) -> IngestReport:
    """Encode a collection anew with these models and switch its name to the result.

    Raises:
        CollectionNotFound: no such collection.
        ConfigurationError: a work could not be carried over, so nothing was switched.
        Unavailable: the encoder stayed away; nothing was switched.
    """
    await index.describe(collection)
    stored = [item async for batch in index.scroll(collection) for item in batch]
    version = await index.create_version(collection, manifest_for(encoder.card, reranker.card if reranker else None))
    report = await ingest(
        StoredWorks(collection, stored, pictures),
        collection,
        encoder,
        index,
        pictures,
        tools,
        reranker=reranker,
        version=version,
        on_progress=on_progress,
        on_quarantine=on_quarantine,
    )
    if report.quarantined:
        raise ConfigurationError(
            f"{report.quarantined} of {len(stored)} works of {collection} could not be carried over; "
            "the collection stays as it was.",
            hint="See its quarantine file, ingest those works again, then run this again.",
        )
    await index.publish(collection, version)
    return report
