"""The list of results that a work was chosen from, found again by its address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from boonart_services.gateway.context import Context
from boonart_services.gateway.routes import page
from boonart_services.gateway.views import View

MOST_ADDRESS = 4_000
"""Longest address of a list in characters."""


def list_address(given: str) -> str:
    """The address of a list of results on this page, or "" where it is none: it is linked to, so it must not lead
    anywhere else."""
    if not given or len(given) > MOST_ADDRESS or not given.isprintable() or "\\" in given:
        return ""
    try:
        parts = urlsplit(given)
    except ValueError:
        return ""
    if parts.scheme or parts.netloc or parts.path != "/" or not given.startswith("/?"):
        return ""
    return given.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Listed:
    """A work in a list of results.

    Attributes:
        address: of its own view, with the way back to the list.
    """

    work_id: str
    collection: str
    address: str


async def listed(here: Context, view: View) -> list[Listed]:
    """The works in the list that the view asks for, in its order.

    Raises:
        BoonArtError: as the search.
    """
    again = View(view.asked, view.collections, view.asked.collection or view.collection)
    await page.search(here, again, facets=False)
    tiles = again.results.tiles if again.results else []
    return [Listed(tile.work.id, tile.collection, tile.address) for tile in tiles]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where a work stands in its list.

    Attributes:
        rank: from 1; 0 where the work is no longer in the list.
        previous, next: addresses of the works before and after it, or "".
    """

    rank: int = 0
    count: int = 0
    previous: str = ""
    next: str = ""


def neighbours(works: Sequence[Listed], work_id: str, collection: str) -> Neighbours:
    """The works beside this one in a list of results."""
    places = {(work.work_id, work.collection): place for place, work in enumerate(works)}
    place = places.get((work_id, collection))
    if place is None:
        return Neighbours(count=len(works))
    return Neighbours(
        rank=place + 1,
        count=len(works),
        previous=works[place - 1].address if place else "",
        next=works[place + 1].address if place + 1 < len(works) else "",
    )
