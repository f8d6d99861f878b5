"""Keyword search over titles and descriptions: what a museum site's own search does, as a baseline.

BM25 with the usual constants (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75) over lower-cased words without the
most common English ones.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from boonart.works import Work

K1, B = 1.2, 0.75
STOP_WORDS = frozenset(
    ("a", "an", "and", "are", "at", "by", "for", "from", "her", "his", "in", "is", "it", "of", "on", "or", "the", "to")
) | {"with"}


def words(text: str) -> list[str]:
    """Lower-cased words of a text without the most common ones."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in STOP_WORDS]


class KeywordSearch:
    """BM25 over a collection that fits into memory."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = list(works)
        self._counts = [Counter(words(f"{work.title} {work.description}")) for work in works]
        self._lengths = [sum(count.values()) for count in self._counts]
        self._mean_length = sum(self._lengths) / max(1, len(self._lengths)) or 1.0
        frequency = Counter(word for count in self._counts for word in count)
        total = len(self._works)
        self._idf = {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in frequency.items()}

    def search(self, query: str, limit: int = 10) -> list[tuple[Work, float]]:
        """The best works that hold at least one word of the query, with their scores."""
        asked = words(query)
        scored = [
            (self._works[index], sum(self._term(index, word) for word in asked)) for index in range(len(self._works))
        ]
        found = [(work, score) for work, score in scored if score > 0]
        return sorted(found, key=lambda item: (-item[1], item[0].id))[:limit]

    def _term(self, index: int, word: str) -> float:
        count = self._counts[index][word]
        if not count:
            return 0.0
        norm = K1 * (1 - B + B * self._lengths[index] / self._mean_length)
        return self._idf[word] * count * (K1 + 1) / (count + norm)
