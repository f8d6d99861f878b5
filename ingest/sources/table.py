"""CSV and TSV tables with a row a work."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from boonart.errors import RecordError, SourceError
from boonart.records import Rejected, SourceRecord
from boonart_ingest.sources.files import picture_loader, text_encoding
from boonart_ingest.sources.records import FIELDS, work_of
from boonart_ingest.sources.template import Template

DELIMITERS = ",;\t|"
MAX_CELL = 1024 * 1024
"""Longest cell in characters."""
_SAMPLE_ROWS = 20


class TableSource:
    """`indexing.Source` over a table with a header; paths of pictures are relative to its folder.

    Encoding and delimiter are found out. A column named like a field is that field, other columns become
    `extra`.

    Args:
        mapping: column by field, as in {"title": "Titel"}.
        needed: fields that must have a column.

    Raises:
        SourceError: the file cannot be read, has no header, or lacks a mapped or needed column.
    """

    def __init__(
        self,
        path: Path,
        template: Template,
        *,
        mapping: Mapping[str, str],
        max_picture_bytes: int,
        needed: tuple[str, ...] = ("id", "image"),
    ) -> None:
        if not path.is_file():
            raise SourceError(f"There is no file {path}.")
        self._path = path
        self._template = template
        self._max_picture_bytes = max_picture_bytes
        self._encoding = text_encoding(path)
        self._delimiter = _delimiter(path, self._encoding)
        _, self._header = next(self._rows(), (0, []))
        self._columns = _columns(self._header, mapping, needed, path)

    def __len__(self) -> int:
        """How many rows there are under the header."""
        return sum(1 for _ in self._rows()) - 1

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        """The rows, in the order of the file."""
        rows = self._rows()
        next(rows)
        for line, cells in rows:
            place = f"{self._path.name} line {line}"
            work_id = ""
            try:
                record = self._record(cells)
                work_id = record.get("id", "").strip()
                work, composed = self._template.apply(work_of(record))
            except RecordError as error:
                yield Rejected(work_id, place, error)
                continue
            load = picture_loader(self._path.parent, work.image, self._max_picture_bytes)
            yield SourceRecord(work, load, place, composed)

    def _record(self, cells: list[str]) -> dict[str, str]:
        surplus = cells[len(self._header) :]
        if any(cell.strip() for cell in surplus):
            raise RecordError(
                f"The row has {len(cells)} cells under a header of {len(self._header)}.",
                hint="A cell that holds the delimiter or a quote must be quoted.",
            )
        # Programs leave out empty cells at the end of a row.
        cells = cells + [""] * (len(self._header) - len(cells))
        return {name: cells[column] for name, column in self._columns.items()}

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that hold something, with the number of their last line, the header first."""
        csv.field_size_limit(MAX_CELL)
        try:
            with self._path.open(encoding=self._encoding, errors="replace", newline="") as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield reader.line_num, cells
        except (OSError, UnicodeError, csv.Error) as error:
            raise SourceError(
                f"{self._path.name} cannot be read as a table: {error}.",
                hint="Save it as CSV with UTF-8 and one header row.",
            ) from error


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter that cuts the first rows into the most columns, as evenly as the header."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    best, best_score = ",", (-1.0, 0)
    for delimiter in DELIMITERS:
        widths = []
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            try:
                for row in csv.reader(file, delimiter=delimiter):
                    if row:
                        widths.append(len(row))
                    if len(widths) > _SAMPLE_ROWS:
                        break
            except csv.Error:
                continue
        if not widths or widths[0] < 2:
            continue
        even = sum(width == widths[0] for width in widths) / len(widths)
        if (even, widths[0]) > best_score:
            best, best_score = delimiter, (even, widths[0])
    return best


def _columns(header: list[str], mapping: Mapping[str, str], needed: tuple[str, ...], path: Path) -> dict[str, int]:
    """Position of each field's column."""
    names = [name.strip() for name in header]
    there = ", ".join(repr(name) for name in names if name) or "none"
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        positions.setdefault(name.casefold(), position)
    columns: dict[str, int] = {}
    for field, column in mapping.items():
        found = positions.get(column.strip().casefold())
        if found is None:
            raise SourceError(
                f"{path.name} has no column {column!r}, which {field!r} is mapped to.",
                hint=f"Its columns are: {there}.",
            )
        columns[field] = found
    taken = set(columns.values())
    for position, name in enumerate(names):
        field = name.casefold() if name.casefold() in FIELDS else name
        if name and position not in taken and field not in columns:
            columns[field] = position
    for field in needed:
        if field not in columns:
            raise SourceError(
                f"{path.name} has no column for {field!r}.",
                hint=f"Map one with `--map {field}=COLUMN`. Its columns are: {there}.",
            )
    return columns
