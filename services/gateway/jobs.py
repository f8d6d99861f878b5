"""Long work in the background: started, followed event by event, cancelled. Kept in memory, for this process alone."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from boonart.errors import BoonArtError, NotFound, Overloaded
from boonart.records import IngestReport, Progress, Rejected

logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Jobs that may run at the same time; a further one is refused."""
KEPT = 200
"""Finished jobs that can still be asked for; the oldest are forgotten first."""
EVENTS_KEPT = 1_000
ERRORS_KEPT = 1_000
"""Works that could not be used and are listed with a job; more are only counted."""
PING_SECONDS = 15.0
"""Pause after which a comment keeps a silent stream open."""


class State(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = {State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job. `data` is the whole job, so that a missed event costs nothing."""

    seq: int
    name: str
    data: dict[str, Any]


@dataclass(slots=True)
class Job:
    """One piece of long work.

    Attributes:
        total: works in it, 0 while unknown.
        errors: the works that could not be used, with the reason.
        error: why it failed, or "".
        over: its last event has been told, or is about to be.
    """

    id: str
    kind: str
    collection: str
    state: State = State.RUNNING
    done: int = 0
    total: int = 0
    failed: int = 0
    seconds_left: float | None = None
    errors: list[dict[str, str]] = field(default_factory=list)
    error: str = ""
    summary: dict[str, int] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    over: bool = False
    _seq: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def snapshot(self) -> dict[str, Any]:
        """The job as JSON."""
        body: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "collection": self.collection,
            "state": self.state.value,
            "done": self.done,
            "total": self.total,
            "failed": self.failed,
            "errors": list(self.errors),
            "summary": dict(self.summary),
            "started": self.started,
        }
        if self.seconds_left is not None and self.state not in FINAL:
            body["seconds_left"] = round(self.seconds_left, 1)
        if self.error:
            body["error"] = self.error
        return body

    async def tell(self, name: str) -> None:
        """Record an event and wake who listens."""
        self._seq += 1
        self.events.append(Event(self._seq, name, {**self.snapshot(), "seq": self._seq}))
        del self.events[:-EVENTS_KEPT]
        async with self._changed:
            self._changed.notify_all()

    async def follow(self, after: int = 0) -> AsyncIterator[Event | None]:
        """The events after this one, until the job is over; None where nothing happened for a while."""
        if self.events and after and after + 1 < self.events[0].seq:
            yield Event(self._seq, "resync", {**self.snapshot(), "seq": self._seq})
            after = self._seq
        while True:
            for event in [event for event in self.events if event.seq > after]:
                after = event.seq
                yield event
            if self.over and after >= self._seq:
                return
            try:
                async with asyncio.timeout(PING_SECONDS), self._changed:
                    while self._seq <= after:
                        await self._changed.wait()
            except TimeoutError:
                yield None


Run = Callable[[Callable[[Progress], None], Callable[[Rejected], None]], Awaitable[IngestReport]]


class Jobs:
    """The jobs of this process."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: it was forgotten, or never was.
        """
        if job_id not in self._jobs:
            raise NotFound(f"There is no job {job_id[:80]!r}.", hint="Jobs are forgotten when the server restarts.")
        return self._jobs[job_id]

    async def start(self, kind: str, collection: str, run: Run) -> Job:
        """Start a job; `run` gets what to call with progress and with works that cannot be used.

        Raises:
            Overloaded: too many are running.
        """
        running = [job for job in self._jobs.values() if job.state not in FINAL]
        if len(running) >= AT_ONCE:
            raise Overloaded(f"{len(running)} jobs are running.", hint="Wait for one of them.", retry_after=10.0)
        job = Job(secrets.token_hex(8), kind, collection)
        self._jobs[job.id] = job
        for old in [other.id for other in self._jobs.values() if other.state in FINAL][: -KEPT or None]:
            del self._jobs[old]
        await job.tell("state")
        job.task = asyncio.create_task(_execute(job, run), name=f"job-{job.id}")
        # A task that is cancelled before its first step never runs, and its job would never be over.
        await asyncio.sleep(0)
        return job

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; works that are stored already stay. A job that is over stays as it is."""
        job = self.find(job_id)
        if job.state is State.RUNNING and job.task is not None:
            job.state = State.CANCELLING
            await job.tell("state")
            job.task.cancel()
        return job

    async def close(self) -> None:
        """Stop all jobs and wait for them."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _execute(job: Job, run: Run) -> None:
    loop = asyncio.get_running_loop()
    telling: set[asyncio.Task[None]] = set()

    def tell(name: str) -> None:
        task = loop.create_task(job.tell(name))
        telling.add(task)
        task.add_done_callback(telling.discard)

    def progress(now: Progress) -> None:
        job.done, job.total, job.seconds_left = now.done, now.total, now.seconds_left
        loop.call_soon_threadsafe(tell, "progress")

    def reject(rejected: Rejected) -> None:
        job.failed += 1
        if len(job.errors) < ERRORS_KEPT:
            fault = {"id": rejected.work_id, "place": rejected.place}
            job.errors.append({**fault, "code": rejected.error.code, "message": str(rejected.error)})
        loop.call_soon_threadsafe(tell, "item_error")

    try:
        report = await run(progress, reject)
        job.summary = {
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "quarantined": report.quarantined,
        }
        job.done = report.done
        job.state = State.PARTIAL if report.quarantined else State.SUCCEEDED
    except asyncio.CancelledError:
        # Asked for, or the process ends: either way the job is over and the task has nothing to pass on.
        job.state = State.CANCELLED
    except BoonArtError as error:
        job.state, job.error = State.FAILED, str(error)
    except Exception:
        logger.exception("unexpected error in job %s", job.id)
        job.state, job.error = State.FAILED, "An error that nobody foresaw; the server's log has its details."
    # What was called from another thread is told before the end, which is always the last event.
    await asyncio.sleep(0)
    await asyncio.gather(*telling, return_exceptions=True)
    job.over = True
    await job.tell("done")
