"""What the two command lines of an ingest, `boonart ingest` and the container's, have in common."""

from __future__ import annotations

from collections.abc import Sequence

from boonart.errors import InvalidRequest

QUARANTINED = 5
"""Exit code of a run that finished but left something out."""


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`["title=Titel"]` as `{"title": "Titel"}`.

    Raises:
        InvalidRequest: a pair without "=", or with nothing on one side of it.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        name, _, column = pair.partition("=")
        if not name or not column:
            raise InvalidRequest(
                f"--map {pair!r} is not of the form FIELD=COLUMN.",
                hint="For example: --map title=Titel --map image=Datei",
                field="map",
            )
        columns[name.strip()] = column.strip()
    return columns
