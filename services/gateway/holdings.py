"""Collections and the works in them, the same over REST and gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.errors import InvalidRequest
from boonart.indexing import ingest
from boonart.manifests import manifest_for
from boonart.ports import CollectionInfo
from boonart.records import IngestReport, PictureTools, Progress, Rejected, Source, SourceRecord
from boonart.upkeep import drop_collection
from boonart.works import Work
from boonart_services.gateway.collection_maps import forget
from boonart_services.gateway.collection_schemas import WorkRecord
from boonart_services.gateway.context import Context
from boonart_services.gateway.jobs import Job

TOOLS = PictureTools(decode, renditions, dominant_colour)


@dataclass(frozen=True, slots=True)
class Described:
    """A collection in full.

    Attributes:
        searchable: this server's encoder made it.
        fields: what can be filtered on, with its kind.
    """

    info: CollectionInfo
    searchable: bool
    fields: Mapping[str, str]


async def described(parts: Parts, name: str) -> Described:
    """A collection.

    Raises:
        CollectionNotFound: no such collection.
    """
    info = await parts.index.describe(name)
    fields = dict(await parts.index.fields(name))
    return Described(info, info.manifest.encoder_id == parts.encoder.card.id, fields)


async def create(parts: Parts, name: str) -> Described:
    """Make an empty collection for the models that this server runs.

    Raises:
        CollectionExists: the name is taken.
    """
    reranker = parts.reranker.card if parts.reranker is not None else None
    await parts.index.create(name, manifest_for(parts.encoder.card, reranker))
    return await described(parts, name)


async def drop(parts: Parts, name: str, confirm: str) -> None:
    """Delete a collection with its works, pictures and map, for good.

    Args:
        confirm: the name once more.

    Raises:
        CollectionNotFound: no such collection.
        InvalidRequest: it is not confirmed.
    """
    await parts.index.describe(name)
    if confirm != name:
        raise InvalidRequest(
            f"Deleting {name!r} cannot be undone.", hint=f"Confirm it with confirm={name}.", field="confirm"
        )
    await drop_collection(name, parts.index, parts.pictures)
    await asyncio.to_thread(forget, parts, name)


async def ingest_into(
    parts: Parts, name: str, source: Source, progress: Callable[[Progress], None], reject: Callable[[Rejected], None]
) -> IngestReport:
    """Store what a source gives in a collection.

    Raises:
        BoonArtError: as `indexing.ingest`.
    """
    return await ingest(
        source,
        name,
        parts.encoder,
        parts.index,
        parts.pictures,
        TOOLS,
        reranker=parts.reranker,
        on_progress=progress,
        on_quarantine=reject,
    )


async def upsert(here: Context, name: str, records: Sequence[SourceRecord], *, wait: bool) -> Job:
    """Store works as a job.

    Args:
        wait: come back when it is over.

    Raises:
        CollectionNotFound: no such collection.
        Overloaded: too many jobs are running.
    """
    parts = here.wired()
    await parts.index.describe(name)

    async def run(progress: Callable[[Progress], None], reject: Callable[[Rejected], None]) -> IngestReport:
        return await ingest_into(parts, name, _Records(records), progress, reject)

    job = await here.jobs.start("upsert", name, run)
    job.total = len(records)
    if wait:
        async for _ in job.follow():
            pass
    return job


def source_record(work: WorkRecord, place: str, read_picture: Callable[[], bytes]) -> SourceRecord:
    """A work as an ingest takes it.

    Args:
        place: where it stood in the request.
        read_picture: the bytes of its picture file, or RecordError.
    """
    fields = work.model_dump(exclude={"image", "subjects", "extra"})
    return SourceRecord(Work(**fields, subjects=tuple(work.subjects), extra=dict(work.extra)), read_picture, place)


class _Records:
    """`records.Source` over the works of a request."""

    def __init__(self, records: Sequence[SourceRecord]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)
