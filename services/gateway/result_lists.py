"""The list of results that a work was chosen from, found again by its address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

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


async def listed(here: Context, view: View) -> list[str]:
    """Addresses of the works in the list that the view asks for, in its order.

    Raises:
        BoonArtError: as the search.
    """
    again = View(view.asked, view.collections, view.asked.collection or view.collection)
    await page.search(here, again, facets=False)
    return [tile.address for tile in again.results.tiles] if again.results else []


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


def neighbours(addresses: list[str], work_id: str, collection: str) -> Neighbours:
    """The works beside this one in a list of results."""
    named = [dict(parse_qsl(urlsplit(address).query)) for address in addresses]
    place = next(
        (n for n, values in enumerate(named) if (values.get("id"), values.get("collection")) == (work_id, collection)),
        None,
    )
    if place is None:
        return Neighbours(count=len(addresses))
    return Neighbours(
        rank=place + 1,
        count=len(addresses),
        previous=addresses[place - 1] if place else "",
        next=addresses[place + 1] if place + 1 < len(addresses) else "",
    )
