"""What the first view offers of a collection: example queries made of its own works, and a few of its paintings."""

from __future__ import annotations

import asyncio
import datetime
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from boonart.errors import BoonArtError
from boonart.ports import CollectionInfo, WorkIndex
from boonart.works import Candidate, Float32Array, Work, subject_name

logger = logging.getLogger(__name__)

SAMPLE = "sample"
EXAMPLES = (
    "a man sitting with his dog",
    "a cow in the room",
    "impression painting of sheep in the rain",
    "still life of yellow flower",
    "a boat on a stormy sea",
)
"""The examples of the sample gallery, and of collections that give none of their own."""
MOST = 6
_LOOKED_AT = 200
"""Works that the examples are taken from: the first ones, so that they are always the same."""
_PLACING = {"in", "on", "with", "at", "by", "under", "over", "near", "beside", "behind", "and"}
"""Words of a title that tells how things stand to each other."""
_WORDS = range(3, 11)
"""Words of a description that is short enough for an example and long enough to say something."""


PAINTINGS = 10
"""Paintings of the first view."""
_NEAR = 6
"""Works near a direction, of which one is shown that is not shown yet."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Example queries, and paintings from all over the collection, others each day."""

    examples: tuple[str, ...] = EXAMPLES
    paintings: Sequence[Candidate] = ()


class Openings:
    """The opening of each collection, made once a day for each of its states."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], Opening] = {}

    async def of(self, index: WorkIndex, collection: CollectionInfo | None, day: int | None = None) -> Opening:
        """The opening of a collection; general examples where there is none, or where it gives too few.

        Args:
            day: proleptic ordinal of the day; None for today.
        """
        if collection is None or not collection.count:
            return Opening()
        today = datetime.datetime.now(tz=datetime.UTC).toordinal() if day is None else day
        key = (collection.name, collection.version, collection.count, today)
        if key not in self._known:
            if len(self._known) > 100:
                self._known.clear()
            try:
                self._known[key] = Opening(
                    EXAMPLES if collection.name == SAMPLE else await _examples(index, collection.name),
                    await _paintings(index, collection, today),
                )
            except BoonArtError as error:
                # The first view must be there whatever the index says; a search will tell what is wrong.
                logger.info("nothing to open %s with: %s", collection.name, error)
                return Opening()
        return self._known[key]


async def _examples(index: WorkIndex, name: str) -> tuple[str, ...]:
    works: list[Work] = []
    async for batch in index.scroll(name, batch=_LOOKED_AT):
        works += [candidate.work for candidate in batch]
        break
    artists = await index.facet(name, "artist", limit=1)
    subjects = await index.facet(name, "subjects", limit=12)
    found = chosen(
        works,
        [str(value) for value, count in subjects if count > 1],
        [str(value) for value, count in artists if count > 1],
    )
    return found if len(found) >= 3 else EXAMPLES


async def _paintings(index: WorkIndex, collection: CollectionInfo, day: int) -> list[Candidate]:
    """Works that lie in directions of their own, so that they do not look alike."""
    random = np.random.default_rng([zlib.crc32(collection.name.encode()), day])
    directions = directions_by_chance(random, PAINTINGS, collection)
    near = await asyncio.gather(
        *(index.search(collection.name, direction, name="image", limit=_NEAR) for direction in directions)
    )
    found: dict[str, Candidate] = {}
    for candidates in near:
        fresh = [candidate for candidate in candidates if candidate.work.id not in found and candidate.picture.key]
        if fresh:
            found[fresh[0].work.id] = fresh[0]
    return list(found.values())


def directions_by_chance(random: np.random.Generator, count: int, collection: CollectionInfo) -> Float32Array:
    """Directions to look for works in, evenly spread: (count, D), each of length 1."""
    drawn = random.standard_normal((count, collection.manifest.global_size)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def chosen(works: list[Work], subjects: list[str], artists: list[str]) -> tuple[str, ...]:
    """Examples from these works, subjects (commonest first) and artists: sentences first, then what they are about.

    Sentences are taken from all over the list, each of another artist where there are several.
    """
    sentences: list[str] = []
    by: set[str] = set()
    step = max(1, len(works) // 40)
    for work in [*works[::step], *works]:
        sentence = _sentence(work.description) or _telling(work.title)
        if not sentence or sentence in sentences or (work.artist and work.artist in by):
            continue
        sentences.append(sentence)
        by.add(work.artist)
        if len(sentences) == MOST - 1:
            break
    words: list[str] = []
    if len(sentences) < 3:
        ends = dict.fromkeys(map(subject_name, subjects))
        words = [end for end in ends if end and not any(end.casefold() in known.casefold() for known in sentences)]
    return tuple(dict.fromkeys([*sentences, *words[:3], *(artist for artist in artists[:1] if artist)]))[:MOST]


def _sentence(text: str) -> str:
    """The first sentence without its full stop, or "" where it is too short or too long."""
    first = text.strip().split(". ")[0].strip(" .")
    if len(first.split()) not in _WORDS or len(first) > 70:
        return ""
    return first[0].lower() + first[1:] if first.split()[0] in {"A", "An", "The", "Two", "Three"} else first


def _telling(title: str) -> str:
    """The title if it says what is where, such as "Mail Coach in a Snowstorm", or ""."""
    words = title.split()
    plain = len(words) in _WORDS and len(title) <= 60 and not set(title) & set("0123456789,.:;()[]?!'’\"“”")
    return title.strip() if plain and any(word in _PLACING for word in words[1:-1]) else ""
