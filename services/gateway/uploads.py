"""Works that come to the page for the person who runs it as files: a works.jsonl and the pictures that it names."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from starlette.datastructures import UploadFile

from boonart.bootstrap import Parts
from boonart.records import IngestReport, Progress, Rejected
from boonart_ingest.main import quarantine_path
from boonart_ingest.quarantine import QuarantineFile
from boonart_ingest.sources import open_source
from boonart_services.gateway.holdings import ingest_into

RECORDS = "works.jsonl"


def unpack(records: UploadFile, pictures: Sequence[UploadFile]) -> Path:
    """Put the files into a folder of their own, as an ingest reads them; whoever calls deletes it.

    A browser says little of a picture's folder, so records and pictures meet by the file's name alone.
    """
    folder = Path(tempfile.mkdtemp(prefix="boonart-upload-"))
    try:
        with (folder / RECORDS).open("wb") as target:
            for line in records.file:
                target.write(_beside(line))
        for picture in pictures:
            if name := _name(picture.filename or ""):
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(picture.file, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


async def ingest_folder(
    parts: Parts,
    folder: Path,
    collection: str,
    turn: asyncio.Lock,
    progress: Callable[[Progress], None],
    reject: Callable[[Rejected], None],
) -> IngestReport:
    """Read what `unpack` made into a collection; the folder is deleted, however it ends.

    Args:
        turn: held while works are put into the collection.

    Raises:
        BoonArtError: as `indexing.ingest`.
    """
    try:
        async with turn:
            with QuarantineFile(quarantine_path(parts, collection)) as quarantine:

                def put_aside(rejected: Rejected) -> None:
                    quarantine.add(rejected)
                    reject(rejected)

                return await ingest_into(parts, collection, open_source(folder / RECORDS), progress, put_aside)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_quarantine(parts: Parts, collection: str, most: int) -> tuple[list[dict[str, str]], int]:
    """What the last ingest put aside: its first lines and how many there are."""
    try:
        lines = quarantine_path(parts, collection).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return [], 0
    found = []
    for line in lines[:most]:
        try:
            found.append({str(name): str(value) for name, value in json.loads(line).items()})
        except (ValueError, AttributeError):
            continue
    return found, len(lines)


def _beside(line: bytes) -> bytes:
    """A record whose picture lies beside it; a line that cannot be read stays, and is put aside by the ingest."""
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("image"), str):
            return line
    except (ValueError, RecursionError):
        return line
    return json.dumps({**record, "image": _name(record["image"])}, ensure_ascii=False).encode() + b"\n"


def _name(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    return "" if name in {"", ".", "..", RECORDS} or "\x00" in name else name[-200:]
