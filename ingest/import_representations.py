"""A searchable collection of representations that were computed elsewhere: `boonart import-representations`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.errors import CollectionExists, CollectionNotFound, ModelMismatch, PictureError, RecordError, SourceError
from boonart.index.picture_store import FilePictureStore
from boonart.index.schema import check_collection_name
from boonart.manifests import SCHEMA_VERSION, manifest_for
from boonart.ports import Reranker
from boonart.records import Rejected, Source, SourceRecord
from boonart.works import ImageEmbedding, IndexedWork, StoredPicture, TextEmbedding, content_hash
from boonart_ingest.representations import Progress, Representations, check_numbers, described_tokens

BATCH = 64


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        described: works with a description, which a picture query can find.
        pictured: works whose picture was there; the others are found all the same.
        relational: works with regions for the reranker.
        notes: what was left out and why.
    """

    works: int = 0
    described: int = 0
    pictured: int = 0
    relational: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


async def import_representations(
    files: Representations,
    works: Source,
    parts: Parts,
    collection: str,
    *,
    replace: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> ImportReport:
    """Make a collection of the files; either all of it is there afterwards or nothing has changed.

    Everything is checked before anything is written, and the collection's name is given at the end. Regions and
    words are stored where the files hold local features and a reranker for them is there.

    Args:
        works: record i belongs to row i of the files; its picture may be missing.
        replace: put it in the place of a collection of this name.

    Raises:
        SourceError: the files or the records cannot be used, or do not belong together.
        ModelMismatch: the vectors are not of the configured encoder's size.
        CollectionExists: the name is taken and `replace` was not asked for.
    """
    started = time.perf_counter()
    check_collection_name(collection)
    records = read_records(works, len(files))
    card = parts.encoder.card
    if files.global_size != card.dimensions["D"]:
        raise ModelMismatch(
            f"The files hold vectors of {files.global_size}; the encoder {card.id} makes vectors of "
            f"{card.dimensions['D']}, so no query could be compared with them.",
            hint="Choose the encoder that they were computed with: --encoder NAME",
        )
    report = ImportReport(works=len(records))
    reranker = _fitting_reranker(files, parts, report)
    is_new = await _is_free(parts, collection, replace)
    check_numbers(files, progress)
    manifest = manifest_for(card, reranker.card if reranker else None)
    if is_new:
        await parts.index.create(collection, manifest)
    try:
        version = await parts.index.create_version(collection, manifest)
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            stored = await _prepare(files, batch, start, parts, collection, reranker, report)
            await parts.index.upsert(collection, stored, version=version)
            progress("storing", start + len(batch), len(records))
        await parts.index.publish(collection, version)
    except BaseException:
        if is_new:
            await parts.index.drop(collection)
            if isinstance(parts.pictures, FilePictureStore):
                parts.pictures.drop(collection)
        raise
    if report.described < report.works:
        report.notes.append(
            f"{report.works - report.described:,} works have no description in the table; "
            "picture queries, which search descriptions, will not find them."
        )
    report.seconds = time.perf_counter() - started
    return report


def read_records(works: Source, count: int) -> list[SourceRecord]:
    """All records of the table.

    Raises:
        SourceError: one that cannot be used, an id that is there twice, or another number than the files have rows.
    """
    records: list[SourceRecord] = []
    seen: set[str] = set()
    for record in works:
        if isinstance(record, Rejected):
            raise SourceError(
                f"{record.place}: {record.error.message}",
                hint="Every row is needed: each belongs to a row of the files.",
            )
        if not record.work.id.strip() or record.work.id in seen:
            what = f"the id {record.work.id!r} was there already" if record.work.id.strip() else "the record has no id"
            raise SourceError(f"{record.place}: {what}.")
        seen.add(record.work.id)
        records.append(record)
    if len(records) != count:
        raise SourceError(
            f"The table has {len(records):,} works and the files have {count:,} rows.",
            hint="Row i of the files must belong to work i of the table.",
        )
    return records


def _fitting_reranker(files: Representations, parts: Parts, report: ImportReport) -> Reranker | None:
    """The reranker where it can read the local features, else None with the reason in the report."""
    if parts.reranker is None:
        report.notes.append("There is no reranker for this encoder: answers are in global order.")
        return None
    if files.image_locals is None:
        report.notes.append("There are no local features of pictures: answers are in global order.")
        return None
    sizes = parts.encoder.card.dimensions
    widths = {"Wi": files.image_locals.shape[2]}
    if files.text_locals is not None:
        widths["Wt"] = files.text_locals.shape[2]
    wrong = [
        f"{name} = {width} where {sizes[name]} is needed" for name, width in widths.items() if width != sizes[name]
    ]
    if wrong:
        report.notes.append(
            f"The local features are of another encoder ({'; '.join(wrong)}): answers are in global order."
        )
        return None
    return parts.reranker


async def _is_free(parts: Parts, collection: str, replace: bool) -> bool:
    """Whether the name is new; a collection that an interrupted import left empty may be filled."""
    try:
        info = await parts.index.describe(collection)
    except CollectionNotFound:
        return True
    if info.count and not replace:
        raise CollectionExists(
            f"There is a collection {collection} already, with {info.count:,} works.",
            hint="Choose another name, or put this one in its place with --replace.",
        )
    return False


async def _prepare(
    files: Representations,
    records: Sequence[SourceRecord],
    start: int,
    parts: Parts,
    collection: str,
    reranker: Reranker | None,
    report: ImportReport,
) -> list[IndexedWork]:
    """Works of the rows from `start` on, ready to be stored."""
    rows = range(start, start + len(records))
    described = [row for row, record in zip(rows, records, strict=True) if record.work.description.strip()]
    regions, words, names = {}, {}, {}
    if reranker is not None:
        images = [ImageEmbedding(files.image_vector(row), files.image_tokens(row)) for row in rows]
        regions = dict(zip(rows, await reranker.prepare_images(images), strict=True))
        if files.text_locals is not None and described:
            texts = []
            for row in described:
                tokens, names[row] = described_tokens(files.text_tokens(row), records[row - start].work.description)
                texts.append(TextEmbedding(files.text_vector(row), tokens, names[row]))
            words = dict(zip(described, await reranker.prepare_texts(texts), strict=True))
    models = [parts.encoder.card.id, reranker.card.id if reranker else "", str(SCHEMA_VERSION)]
    stored = []
    for row, record in zip(rows, records, strict=True):
        vector = files.image_vector(row)
        picture = _keep_picture(record, parts, collection)
        digest = hashlib.sha256(vector.tobytes() + picture.key.encode()).hexdigest()
        stored.append(
            IndexedWork(
                record.work,
                content_hash(asdict(record.work), digest, models),
                vector,
                files.text_vector(row) if row in described else None,
                regions.get(row),
                words.get(row),
                names.get(row, ()),
                picture,
                record.description_composed,
            )
        )
        report.pictured += bool(picture.key)
    report.described += len(described)
    report.relational += len(regions)
    return stored


def _keep_picture(record: SourceRecord, parts: Parts, collection: str) -> StoredPicture:
    """The work's picture in the store, or none where there is no file that can be used."""
    try:
        data = record.read_picture()
        picture = decode(data)
        made = renditions(data, picture)
    except (RecordError, PictureError):
        return StoredPicture()
    key = hashlib.sha256(data).hexdigest()[:32]
    parts.pictures.put(collection, key, made)
    return StoredPicture(key, picture.original_size, dominant_colour(picture))
