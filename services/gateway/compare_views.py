"""Two lists of the same works in different orders, as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boonart.works import Answer, Hit, Ranker
from boonart_services.gateway.asked import Asked, work_address
from boonart_services.gateway.page_pictures import PagePicture, page_picture
from boonart_services.gateway.views import work_title

SHOWN = 24
"""Works in each list."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A work in one of the lists.

    Attributes:
        other_rank: its rank in the other list, 0 where it is not in it.
        mark: a name for the work that is the same in both lists.
    """

    rank: int
    other_rank: int
    mark: str
    title: str
    artist: str
    address: str
    picture: PagePicture | None

    @property
    def moved(self) -> int:
        """Places that it stands higher here than in the other list; below 0 lower."""
        return self.other_rank - self.rank if self.other_rank else 0

    @property
    def change(self) -> str:
        """What happened to it: "alone", "up", "down" or "same"."""
        if not self.other_rank:
            return "alone"
        return "up" if self.moved > 0 else "down" if self.moved < 0 else "same"


@dataclass(frozen=True, slots=True)
class RankedList:
    """One ranker's list.

    Attributes:
        ranker: as it was asked for.
        used: the one that put the works in order.
        notes: what the answer had to do without: stage and reason.
    """

    ranker: Ranker
    used: Ranker
    works: list[Ranked]
    milliseconds: float
    stages: Mapping[str, float]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Both lists.

    Attributes:
        shared: works that stand in both.
        same: works that stand at the same rank in both.
    """

    lists: tuple[RankedList, RankedList]
    shared: int
    same: int


def compared(
    collection: str, asked: Asked, rankers: tuple[Ranker, Ranker], answers: Sequence[tuple[Answer, float]]
) -> Compared:
    """Two answers and their milliseconds side by side."""
    ranks = [{hit.work.id: hit.rank for hit in answer.hits} for answer, _ in answers]
    lists = [
        RankedList(
            ranker=ranker,
            used=answer.ranker,
            works=[_ranked(collection, asked, hit, ranks[1 - side]) for hit in answer.hits],
            milliseconds=took,
            stages=answer.stages,
            notes=answer.degraded,
        )
        for side, (ranker, (answer, took)) in enumerate(zip(rankers, answers, strict=True))
    ]
    shared = ranks[0].keys() & ranks[1].keys()
    return Compared((lists[0], lists[1]), len(shared), sum(ranks[0][key] == ranks[1][key] for key in shared))


def _ranked(collection: str, asked: Asked, hit: Hit, others: Mapping[str, int]) -> Ranked:
    return Ranked(
        rank=hit.rank,
        other_rank=others.get(hit.work.id, 0),
        mark=hit.work.id,
        title=work_title(hit.work),
        artist=hit.work.artist,
        address=work_address(hit.work.id, collection, Asked(asked.text, collection=collection).address()),
        picture=page_picture(collection, hit.work.id, hit.picture),
    )
