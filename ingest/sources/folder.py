"""A folder of pictures, with what is known of each in a file of the same name beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boonart.errors import RecordError, SourceError
from boonart.records import Rejected, SourceRecord
from boonart_ingest.sources.files import FALLBACK_ENCODING, picture_loader
from boonart_ingest.sources.records import work_of
from boonart_ingest.sources.template import Template

SUFFIXES = {
    *{".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".heic"},
    *{".jp2", ".ppm"},
}
"""Names that promise a picture. What a file holds is found out from its content."""


class FolderSource:
    """`indexing.Source` over pictures in a folder and its sub-folders, in the order of their paths.

    A picture's id is its path without suffix; its title is made from its name. `NAME.txt` beside it holds a
    description, `NAME.json` the fields of a record.

    Raises:
        SourceError: no folder, or none with pictures.
    """

    def __init__(self, path: Path, template: Template, *, max_picture_bytes: int) -> None:
        if not path.is_dir():
            raise SourceError(f"There is no folder {path}.")
        self._path = path
        self._template = template
        self._max_picture_bytes = max_picture_bytes
        self._pictures = sorted(self._find())
        if not self._pictures:
            raise SourceError(
                f"There are no pictures in {path}, nor a works.jsonl.",
                hint=f"Pictures end in {', '.join(sorted(SUFFIXES))}.",
            )

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self._pictures)

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        """A record for each picture."""
        for name in self._pictures:
            relative = Path(name)
            work_id = relative.with_suffix("").as_posix()
            try:
                record = self._record(relative)
                work_id = str(record["id"])
                work, composed = self._template.apply(work_of(record))
            except RecordError as error:
                yield Rejected(work_id, name, error)
                continue
            load = picture_loader(self._path, work.image, self._max_picture_bytes)
            yield SourceRecord(work, load, name, composed)

    def _find(self) -> Iterator[str]:
        for path in self._path.rglob("*"):
            relative = path.relative_to(self._path)
            hidden = any(part.startswith(".") for part in relative.parts)
            if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
                yield relative.as_posix()

    def _record(self, relative: Path) -> dict[str, Any]:
        path = self._path / relative
        record: dict[str, Any] = {
            "id": relative.with_suffix("").as_posix(),
            "title": re.sub(r"[\s_-]+", " ", path.stem).strip(),
        }
        notes = self._beside(path, ".json")
        if notes is not None:
            try:
                fields = json.loads(notes)
            except ValueError as error:
                raise RecordError(f"The file {path.stem}.json is not JSON: {error}.") from error
            if not isinstance(fields, dict):
                raise RecordError(f"The file {path.stem}.json holds no JSON object.")
            record.update({key: value for key, value in fields.items() if value not in (None, "")})
        text = self._beside(path, ".txt")
        if text is not None and not record.get("description"):
            record["description"] = text
        record["image"] = relative.as_posix()
        return record

    def _beside(self, picture: Path, suffix: str) -> str | None:
        """The text of the file of that suffix beside the picture, or None where there is none."""
        path = picture.with_suffix(suffix)
        if not path.is_file() or not path.resolve().is_relative_to(self._path.resolve()):
            return None
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RecordError(f"{path.name} cannot be read: {error.strerror or error}.") from error
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode(FALLBACK_ENCODING, errors="replace")
