"""Example queries that fit a collection, made of its own works."""

from __future__ import annotations

import logging

from boonart.errors import BoonArtError
from boonart.ports import CollectionInfo, WorkIndex
from boonart.works import Work

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
_WORDS = range(3, 11)
"""Words of a description that is short enough for an example and long enough to say something."""


class Examples:
    """The examples of each collection, made once for each of its states."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], tuple[str, ...]] = {}

    async def of(self, index: WorkIndex, collection: CollectionInfo | None) -> tuple[str, ...]:
        """The examples of a collection; the general ones where there is none, or where it gives too few."""
        if collection is None or collection.name == SAMPLE or not collection.count:
            return EXAMPLES
        key = (collection.name, collection.version, collection.count)
        if key not in self._known:
            if len(self._known) > 100:
                self._known.clear()
            self._known[key] = await self._made(index, collection.name)
        return self._known[key]

    async def _made(self, index: WorkIndex, name: str) -> tuple[str, ...]:
        works: list[Work] = []
        try:
            async for batch in index.scroll(name, batch=_LOOKED_AT):
                works += [candidate.work for candidate in batch if not candidate.description_composed]
                break
            artists = await index.facet(name, "artist", limit=1)
            subjects = await index.facet(name, "subjects", limit=12)
        except BoonArtError as error:
            logger.info("no examples of %s: %s", name, error)
            return EXAMPLES
        found = chosen(works, [str(value) for value, count in subjects if count > 1], [str(v) for v, _ in artists])
        return found if len(found) >= 3 else EXAMPLES


def chosen(works: list[Work], subjects: list[str], artists: list[str]) -> tuple[str, ...]:
    """Examples from these works, subjects (commonest first) and artists: sentences first, then what they are about.

    Sentences are taken from all over the list, each of another artist where there are several.
    """
    sentences: list[str] = []
    by: set[str] = set()
    step = max(1, len(works) // 40)
    for work in [*works[::step], *works]:
        sentence = _sentence(work.description) or _sentence(work.title)
        if not sentence or sentence in sentences or (work.artist and work.artist in by):
            continue
        sentences.append(sentence)
        by.add(work.artist)
        if len(sentences) == MOST - 2:
            break
    ends = dict.fromkeys(subject.rpartition(">")[2].strip() for subject in subjects)
    words = [end for end in ends if end and not any(end.casefold() in sentence.casefold() for sentence in sentences)]
    return tuple(dict.fromkeys([*sentences, *words[:1], *(artist for artist in artists[:1] if artist)]))[:MOST]


def _sentence(text: str) -> str:
    """The first sentence without its full stop, or "" where it is too short or too long."""
    first = text.strip().split(". ")[0].strip(" .")
    if len(first.split()) not in _WORDS or len(first) > 70:
        return ""
    article = first.split()[0] in {"A", "An", "The", "Two", "Three"}
    return first[0].lower() + first[1:] if article else first
