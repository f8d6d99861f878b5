"""Ingest a collection: the function behind `boonart ingest`, and the entry point of the ingest container."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boonart.bootstrap import Parts, build
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.errors import BoonArtError, InvalidRequest
from boonart.index.schema import check_collection_name
from boonart.indexing import BATCH_SIZE, ingest
from boonart.records import IngestReport, PictureTools, Progress, Source
from boonart.settings import read_settings
from boonart_ingest.options import QUARANTINED, parse_mapping
from boonart_ingest.quarantine import QuarantineFile
from boonart_ingest.sources import KINDS, open_source

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What a run is asked for.

    Attributes:
        prune: remove works that the source no longer has.
        version: an unpublished version to fill instead of the published one.
    """

    collection: str
    prune: bool = False
    batch_size: int = BATCH_SIZE
    version: int | None = None


def quarantine_path(parts: Parts, collection: str) -> Path:
    """Where a collection's quarantine is written: beside its folder."""
    check_collection_name(collection)
    return parts.settings.collections_folder / f"{collection}.quarantine.jsonl"


async def run_ingest(
    source: Source,
    parts: Parts,
    options: IngestOptions,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Bring a collection up to date with a source, with the parts of this process.

    Raises:
        SourceError, ModelMismatch, Unavailable, IndexLocked, IndexCorrupt: as `indexing.ingest`.
    """
    with QuarantineFile(quarantine_path(parts, options.collection)) as quarantine:
        return await ingest(
            source,
            options.collection,
            parts.encoder,
            parts.index,
            parts.pictures,
            PictureTools(decode, renditions, dominant_colour),
            reranker=parts.reranker,
            batch_size=options.batch_size,
            prune=options.prune,
            version=options.version,
            on_progress=progress,
            on_quarantine=quarantine.add,
        )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line of the container."""
    parser = argparse.ArgumentParser(prog="boonart-ingest", description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN", dest="mapping")
    parser.add_argument("--template")
    parser.add_argument("--prune", action="store_true")
    parser.add_argument("--keep-going", action="store_true")
    parsed = parser.parse_args(arguments)
    try:
        parsed.mapping = parse_mapping(parsed.mapping)
    except InvalidRequest as error:
        parser.error(str(error))
    return parsed


async def _run(parsed: argparse.Namespace) -> IngestReport:
    source = open_source(parsed.source, kind=parsed.kind, mapping=parsed.mapping, template=parsed.template)
    parts = build(read_settings())
    try:
        return await run_ingest(
            source,
            parts,
            IngestOptions(parsed.collection, prune=parsed.prune),
            progress=lambda now: logger.info(
                "%d of %d works, %.1f a second, %d quarantined",
                now.done,
                now.total,
                now.rate,
                now.quarantined,
            ),
        )
    finally:
        await parts.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one ingest and return the exit code: 0, 1 for an error, `QUARANTINED` for records left out."""
    parsed = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        report = asyncio.run(_run(parsed))
    except BoonArtError as error:
        logger.error("%s", error)
        return 1
    logger.info(
        "%d added, %d updated, %d unchanged, %d quarantined, %d removed in %.1f s",
        report.added,
        report.updated,
        report.unchanged,
        report.quarantined,
        report.pruned,
        report.seconds,
    )
    if report.prune_refused:
        logger.warning("%s", report.prune_refused)
    return 0 if report.ok or parsed.keep_going else QUARANTINED


if __name__ == "__main__":
    sys.exit(main())
