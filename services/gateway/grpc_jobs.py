"""Works to be stored and jobs, as messages of search.proto."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from boonart.errors import InvalidRequest, RecordError
from boonart.records import SourceRecord
from boonart.rpc import search_mapping
from boonart.rpc.v1 import search_pb2
from boonart_services.gateway import holdings
from boonart_services.gateway.collection_schemas import MOST_WORKS, DeleteWorksRequest, WorkRecord
from boonart_services.gateway.jobs import State

STATES = {
    State.RUNNING: search_pb2.JOB_STATE_RUNNING,
    State.CANCELLING: search_pb2.JOB_STATE_CANCELLING,
    State.SUCCEEDED: search_pb2.JOB_STATE_SUCCEEDED,
    State.PARTIAL: search_pb2.JOB_STATE_PARTIAL,
    State.FAILED: search_pb2.JOB_STATE_FAILED,
    State.CANCELLED: search_pb2.JOB_STATE_CANCELLED,
}

OWN = {"image", "subjects", "extra", "if_version"}
"""Fields of a record over REST that have another form here."""


def records(messages: Sequence[search_pb2.WorkRecord]) -> list[SourceRecord]:
    """Works to be stored, held to the same bounds as over REST.

    Raises:
        InvalidRequest: with the place of the first one that cannot be used.
    """
    if not 1 <= len(messages) <= MOST_WORKS:
        raise InvalidRequest(
            f"The request has {len(messages):,} works; it takes 1 to {MOST_WORKS:,}.",
            hint="Send more in several requests.",
            field="works",
        )
    return [_record(message, number) for number, message in enumerate(messages)]


def _record(message: search_pb2.WorkRecord, number: int) -> SourceRecord:
    def read_picture() -> bytes:
        if not message.picture:
            raise RecordError("The work has no picture.", hint="Give the picture file's bytes in picture.")
        return message.picture

    work = search_mapping.from_work(message.work)
    given: dict[str, Any] = {name: getattr(work, name) for name in WorkRecord.model_fields if name not in OWN}
    try:
        if message.HasField("if_version"):
            WorkRecord(id="-", image="", if_version=message.if_version)
    except ValidationError as error:
        raise _invalid(error, f"works.{number}") from error
    try:
        checked = WorkRecord(**given, subjects=list(work.subjects), extra=dict(work.extra), image="")
    except ValidationError as error:
        raise _invalid(error, f"works.{number}.work") from error
    return holdings.source_record(checked, f"works[{number}]", read_picture)


def expected_version(message: search_pb2.WorkRecord) -> str | None:
    """The version that a stored work must have to be replaced, or None for any."""
    return message.if_version if message.HasField("if_version") else None


def work_ids(ids: Sequence[str]) -> list[str]:
    """Ids of works to be deleted, held to the same bounds as over REST.

    Raises:
        InvalidRequest: none, too many, or one that cannot be an id.
    """
    try:
        return DeleteWorksRequest(ids=list(ids)).ids
    except ValidationError as error:
        raise _invalid(error, "", {"ids": "work_ids"}) from error


def _invalid(error: ValidationError, place: str, names: Mapping[str, str] | None = None) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [(names or {}).get(str(part), str(part)) for part in first["loc"]]
    where = ".".join(part for part in (place, *path) if part)
    return InvalidRequest(f"{where}: {first['msg'].removeprefix('Value error, ')}.", field=where)


def to_job(job: Mapping[str, Any]) -> search_pb2.Job:
    """A job's snapshot as a message."""
    return search_pb2.Job(
        id=job["id"],
        kind=job["kind"],
        collection=job["collection"],
        state=STATES[State(job["state"])],
        done=job["done"],
        total=job["total"],
        failed=job["failed"],
        seconds_left=job.get("seconds_left"),
        errors=[search_pb2.ItemError(**fault) for fault in job["errors"]],
        error=job.get("error", ""),
        summary=job["summary"],
        started=job["started"],
    )
