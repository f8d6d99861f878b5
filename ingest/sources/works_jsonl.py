"""works.jsonl: one JSON object a line, pictures beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from boonart.errors import RecordError, SourceError
from boonart.records import Rejected, SourceRecord
from boonart_ingest.sources.files import picture_loader
from boonart_ingest.sources.records import work_of
from boonart_ingest.sources.template import Template

MAX_LINE = 4 * 1024 * 1024
"""Longest line in bytes: a file without line breaks must not fill the memory."""


class WorksJsonlSource:
    """`indexing.Source` over a works.jsonl; paths of pictures are relative to its folder.

    Raises:
        SourceError: the file cannot be read.
    """

    def __init__(self, path: Path, template: Template, *, max_picture_bytes: int) -> None:
        if not path.is_file():
            raise SourceError(f"There is no file {path}.")
        self._path = path
        self._template = template
        self._max_picture_bytes = max_picture_bytes

    def __len__(self) -> int:
        """How many lines hold something."""
        return sum(1 for _, line in self._lines() if line.strip())

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        """The records, in the order of the file."""
        for number, line in self._lines():
            if not line.strip():
                continue
            place = f"{self._path.name} line {number}"
            work_id = ""
            try:
                record = _parse(line)
                work_id = str(record.get("id") or "").strip()
                work, composed = self._template.apply(work_of(record))
            except RecordError as error:
                yield Rejected(work_id, place, error)
                continue
            load = picture_loader(self._path.parent, work.image, self._max_picture_bytes)
            yield SourceRecord(work, load, place, composed)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Numbered lines; of one that is too long only the beginning."""
        try:
            with self._path.open("rb") as file:
                number = 0
                while line := file.readline(MAX_LINE + 1):
                    number += 1
                    yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                    while len(line) > MAX_LINE and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE + 1)
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read: {error.strerror or error}.") from error


def _parse(line: bytes) -> dict[str, object]:
    if len(line) > MAX_LINE:
        raise RecordError(f"The line is longer than {MAX_LINE:,} bytes.")
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise RecordError("The line is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"The line is not JSON: {error}.") from error
    if not isinstance(record, dict):
        raise RecordError("The line holds no JSON object.")
    return record
