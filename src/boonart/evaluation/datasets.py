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
    return captions_file(data / "flickr8k" / "captions.jsonl", split)


def captions_file(file: Path, split: str) -> list[Captioned]:
    """The pictures of one split of any captions.jsonl, in file order.

    Raises:
        SourceError: the file is not there, or has no such split.
    """
    pictures = [
        Captioned(file.parent / record["image"], tuple(record["captions"]))
        for record in _records(file)
        if record["split"] == split
    ]
    if not pictures:
        raise SourceError(f"{file.parent.name} has no split {split!r}.", hint="Use train, dev or test.")
    return pictures


def find_data(name: str, data: Path) -> Path:
    """The works.jsonl or captions.jsonl that a name or path stands for.

    Args:
        name: "sample" for the sample gallery; a file; or a folder, by itself or in `data`.
        data: the folder of the benchmark collections.

    Raises:
        SourceError: there is none.
    """
    if name == "sample":
        from boonart.sample.gallery import committed_gallery

        return committed_gallery()
    for place in (Path(name), data / name):
        if place.is_file():
            return place
        for file in (place / "works.jsonl", place / "captions.jsonl"):
            if file.is_file():
                return file
    raise SourceError(
        f"There is no works.jsonl or captions.jsonl for {name!r}.",
        hint="Give sample, masters, flickr8k or a path; BOONART_DATA says where the named ones are.",
    )


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
