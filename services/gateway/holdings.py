"""Collections and the works in them, the same over REST and gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.errors import InvalidRequest, VersionMismatch
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

NO_VERSION = "none"
"""Stands for the version of a work that is not stored."""
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


def expected_versions(works: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """The versions that stored works must have to be replaced, by id; as with all else, an id's first record counts."""
    given: dict[str, str | None] = {}
    for work_id, version in works:
        given.setdefault(work_id, version)
    return {work_id: version for work_id, version in given.items() if version is not None}


async def upsert(
    here: Context, name: str, records: Sequence[SourceRecord], expected: Mapping[str, str], *, wait: bool
) -> Job:
    """Store works as a job. Those of one collection take turns, so that none comes between the look at a work's version
    and its replacement.

    Args:
        expected: the version that a stored work must have to be replaced, by id; `NO_VERSION` where there must be none.
        wait: come back when it is over.

    Raises:
        CollectionNotFound: no such collection.
        Overloaded: too many jobs are running.
    """
    parts = here.wired()
    await parts.index.describe(name)

    async def run(progress: Callable[[Progress], None], reject: Callable[[Rejected], None]) -> IngestReport:
        async with here.turn(name):
            outdated = await _outdated(parts, name, expected)
            return await ingest_into(parts, name, _Records(records, outdated), progress, reject)

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
    fields = work.model_dump(exclude={"image", "subjects", "extra", "if_version"})
    return SourceRecord(Work(**fields, subjects=tuple(work.subjects), extra=dict(work.extra)), read_picture, place)


async def _outdated(parts: Parts, name: str, expected: Mapping[str, str]) -> dict[str, VersionMismatch]:
    """The works that are stored in another version than expected, by id."""
    if not expected:
        return {}
    stored = {found.work.id: found.content_hash for found in await parts.index.get(name, list(expected))}
    return {
        work_id: VersionMismatch(
            f"The stored work has the version {stored[work_id]}." if work_id in stored else "No such work is stored.",
            hint="Read it again, and send it with that version.",
            field="if_version",
        )
        for work_id, version in expected.items()
        if stored.get(work_id, NO_VERSION) != version
    }


class _Records:
    """`records.Source` over the works of a request.

    Args:
        outdated: works that are not to be stored, by id, with the reason.
    """

    def __init__(self, records: Sequence[SourceRecord], outdated: Mapping[str, VersionMismatch]) -> None:
        self._records = records
        self._outdated = outdated

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        for record in self._records:
            error = self._outdated.get(record.work.id)
            yield record if error is None else Rejected(record.work.id, record.place, error)

    def __len__(self) -> int:
        return len(self._records)
