"""What the page for the person who runs the server shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from boonart.errors import BoonArtError, ModelMismatch, Unavailable
from boonart.manifests import check_manifest
from boonart.ports import CollectionInfo
from boonart.works import ModelCard
from boonart_services.gateway.context import Context
from boonart_services.gateway.jobs import FINAL, Job
from boonart_services.gateway.uploads import read_quarantine

PUT_ASIDE_SHOWN = 50
JOBS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CollectionLine:
    """A collection.

    Attributes:
        trouble: why it cannot be searched, or "".
        put_aside: what the last ingest could not use: its first lines.
        put_aside_count: all of them.
    """

    info: CollectionInfo
    trouble: str
    put_aside: Sequence[dict[str, str]]
    put_aside_count: int

    @property
    def megabytes(self) -> float:
        """What it takes on disk; 0 where unknown."""
        return self.info.size_bytes / 1e6


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job.

    Attributes:
        running: it is not over.
        share: how much of it is done, 0 to 1, or None while unknown.
    """

    job: Job
    running: bool
    share: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """How a part does.

    Attributes:
        name: "encoder", "index" or "reranker".
        state: "well", "degraded" or "away".
        words: what it is, or why it is not well.
        place: its address, or "" in this process.
    """

    name: str
    state: str
    words: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class AdminView:
    """Everything on that page."""

    collections: Sequence[CollectionLine] = ()
    jobs: Sequence[JobLine] = ()
    health: Sequence[Health] = ()
    models: Sequence[ModelCard] = field(default_factory=list)
    upload_megabytes: int = 0


async def seen(here: Context) -> AdminView:
    """Look at everything now."""
    parts = here.wired()
    reranker = _reranker_card(here)
    lines = []
    for info in await parts.index.collections():
        described = await parts.index.describe(info.name)
        put_aside, count = read_quarantine(parts, info.name, PUT_ASIDE_SHOWN)
        trouble = ""
        try:
            check_manifest(info.manifest, parts.encoder.card, reranker, collection=info.name)
        except ModelMismatch as error:
            trouble = str(error)
        lines.append(CollectionLine(described, trouble, put_aside, count))
    return AdminView(
        collections=lines,
        jobs=[_line(job) for job in here.jobs.all()[:JOBS_SHOWN]],
        health=await _health(here, reranker),
        models=[card for card in (parts.encoder.card, reranker) if card is not None],
        upload_megabytes=parts.settings.max_picture_bytes * 3 // 2 // 1_000_000,
    )


def _line(job: Job) -> JobLine:
    running = job.state not in FINAL
    return JobLine(job, running, min(1.0, job.done / job.total) if job.total else None if running else 1.0)


def _reranker_card(here: Context) -> ModelCard | None:
    reranker = here.wired().reranker
    try:
        return reranker.card if reranker is not None else None
    except Unavailable:
        return None


async def _health(here: Context, reranker: ModelCard | None) -> list[Health]:
    parts, settings = here.wired(), here.wired().settings
    encoder = Health("encoder", "well", parts.encoder.card.id, settings.encoder_url)
    index = Health("index", "well", "", settings.qdrant_url)
    try:
        left_out = await here.check_ready()
        if "encode" in left_out:
            encoder = Health("encoder", "degraded", left_out["encode"], settings.encoder_url)
    except BoonArtError as error:
        index = Health("index", "away", str(error), settings.qdrant_url)
    if parts.reranker is None:
        state, words = "away", ""
    else:
        state, words = ("well", reranker.id) if reranker is not None else ("degraded", "")
    return [encoder, index, Health("reranker", state, words, settings.reranker_url)]
