"""Readers of the benchmark collections: Flickr8k, Tate and Masters.

Each takes the folder that holds the three, laid out as `flickr8k/captions.jsonl`, `tate/works.jsonl` and
`masters/works.jsonl` with an `images/` folder beside each.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from boonart.errors import SourceError
from boonart.works import Work

FEWEST_WORKS, MOST_WORKS = 5, 150
"""A Tate subject is a query when at least and at most so many works hold it."""


@dataclass(frozen=True, slots=True)
class Captioned:
    """A photograph with its captions."""

    image: Path
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollectionWork:
    """A work with the file of its picture."""

    work: Work
    image: Path


@dataclass(frozen=True, slots=True)
class SubjectQueries:
    """Queries by subject over a collection.

    Attributes:
        texts: the Q queries.
        relevant: (Q, N) bool, True where work n holds subject q.
    """

    texts: tuple[str, ...]
    relevant: npt.NDArray[np.bool_]


def flickr8k(data: Path, split: str) -> list[Captioned]:
    """The photographs of one split ("train", "dev", "test"), in file order.

    Raises:
        SourceError: the collection is not there, or has no such split.
    """
    folder = data / "flickr8k"
    pictures = [
        Captioned(folder / record["image"], tuple(record["captions"]))
        for record in _records(folder / "captions.jsonl")
        if record["split"] == split
    ]
    if not pictures:
        raise SourceError(f"Flickr8k has no split {split!r}.", hint="Use train, dev or test.")
    return pictures


def works(data: Path, name: str) -> list[CollectionWork]:
    """All works of "tate" or "masters", in file order.

    Raises:
        SourceError: the collection is not there.
    """
    return works_file(data / name / "works.jsonl")


def works_file(file: Path, *, split: str = "") -> list[CollectionWork]:
    """The works of any works.jsonl, in file order.

    Args:
        split: only the records whose `split` is this one; all where it is empty.

    Raises:
        SourceError: the file is not there, or no record is of this split.
    """
    found = [
        CollectionWork(_work(record), file.parent / record["image"])
        for record in _records(file)
        if not split or record.get("split") == split
    ]
    if not found:
        raise SourceError(f"{file} holds no works{f' of the split {split!r}' if split else ''}.")
    return found


def subject_queries(collection: list[CollectionWork]) -> SubjectQueries:
    """Every last part of a subject path that 5 to 150 works hold, lower-cased, in alphabetical order."""
    held = [{path.rsplit(" > ", 1)[-1].lower() for path in item.work.subjects} for item in collection]
    counts = Counter(subject for subjects in held for subject in subjects)
    texts = tuple(sorted(text for text, count in counts.items() if FEWEST_WORKS <= count <= MOST_WORKS))
    relevant = np.array([[text in subjects for subjects in held] for text in texts], dtype=np.bool_)
    return SubjectQueries(texts, relevant.reshape(len(texts), len(collection)))


def _work(record: dict[str, Any]) -> Work:
    """A record as a `Work`; null fields become empty."""

    def text(name: str) -> str:
        return str(record.get(name) or "")

    return Work(
        id=record["id"],
        title=text("title"),
        artist=text("artist"),
        date=text("date"),
        medium=text("medium"),
        description=text("description"),
        subjects=tuple(record.get("subjects") or ()),
        source_url=text("source_url"),
        credit=text("credit"),
        image=text("image"),
    )


def _records(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        raise SourceError(
            f"The benchmark file {file} is not there.",
            hint="Point --data or BOONART_DATA to the folder that holds flickr8k, tate and masters.",
        )
    with file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise SourceError(f"Line {number} of {file} is not JSON: {error}.") from error
