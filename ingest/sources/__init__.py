"""Sources of works: one file a kind, and the one function that picks the kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from boonart.errors import SourceError
from boonart.records import Source
from boonart_ingest.sources.files import MAX_PICTURE_BYTES
from boonart_ingest.sources.folder import FolderSource
from boonart_ingest.sources.table import TableSource
from boonart_ingest.sources.template import DEFAULT_TEMPLATE, Template
from boonart_ingest.sources.works_jsonl import WorksJsonlSource

__all__ = ["DEFAULT_TEMPLATE", "KINDS", "open_source"]

KINDS = ("works", "table", "folder")
_TABLE_SUFFIXES = {".csv", ".tsv", ".txt"}


def open_source(
    location: str | Path,
    *,
    kind: str | None = None,
    mapping: Mapping[str, str] | None = None,
    template: str | None = None,
    max_picture_bytes: int = MAX_PICTURE_BYTES,
    with_pictures: bool = True,
) -> Source:
    """Open a collection's records.

    Args:
        location: a works.jsonl, a folder that holds one, a CSV or TSV file, or a folder of pictures.
        kind: one of `KINDS`; None finds it out.
        mapping: for a table, the column of each field, as in {"title": "Titel"}.
        template: makes a description for works without one; None is `DEFAULT_TEMPLATE`, "" makes none.
        max_picture_bytes: larger picture files are quarantined.
        with_pictures: a table must say where its pictures are.

    Raises:
        SourceError: nothing is there, it is of no known kind, or a mapped column is missing.
    """
    path = Path(location).expanduser()
    if not path.exists():
        raise SourceError(f"There is nothing at {path}.", hint="Give a works.jsonl, a CSV file or a folder.")
    compose = Template(DEFAULT_TEMPLATE if template is None else template)
    kind = kind or _kind_of(path)
    if mapping and kind != "table":
        raise SourceError("Columns can be mapped for a table only.", hint="Leave the mapping out.")
    if kind == "works":
        file = path / "works.jsonl" if path.is_dir() else path
        return WorksJsonlSource(file, compose, max_picture_bytes=max_picture_bytes)
    if kind == "table":
        needed = ("id", "image") if with_pictures else ("id",)
        return TableSource(path, compose, mapping=mapping or {}, max_picture_bytes=max_picture_bytes, needed=needed)
    if kind == "folder":
        return FolderSource(path, compose, max_picture_bytes=max_picture_bytes)
    raise SourceError(f"There is no kind of source {kind!r}.", hint=f"Known kinds: {', '.join(KINDS)}.")


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "works" if (path / "works.jsonl").is_file() else "folder"
    suffix = path.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        return "works"
    if suffix in _TABLE_SUFFIXES:
        return "table"
    raise SourceError(
        f"{path.name} is of no kind that can be ingested.",
        hint="Give a .jsonl, .csv or .tsv file or a folder, or say which kind it is.",
    )
