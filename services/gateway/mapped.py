"""A collection's map and the works on it, the same over REST, gRPC and on the page."""

from __future__ import annotations

from collections.abc import Sequence

from boonart.errors import InvalidRequest, NotFound
from boonart.maps import CollectionMap
from boonart.works import Candidate
from boonart_services.gateway.context import Context
from boonart_services.gateway.jobs import Job

MOST_ASKED = 200
"""Works that one request may ask for by their points."""


async def map_of(here: Context, collection: str) -> tuple[CollectionMap | None, Job | None]:
    """The map, where there is one, and the job that makes it (again), where it is out of date or missing.

    Raises:
        CollectionNotFound: no such collection.
        Overloaded: too many jobs are running to begin another.
    """
    return await here.maps.get(here.wired(), here.jobs, collection)


async def works_at(
    here: Context, collection: str, found: CollectionMap, points: Sequence[int]
) -> list[tuple[int, Candidate]]:
    """The works at points of a map, in their order; those that are there no longer are left out."""
    held = [point for point in points if point < len(found.ids)]
    stored = await here.wired().index.get(collection, [found.ids[point] for point in held])
    by_id = {item.work.id: item for item in stored}
    return [(point, by_id[found.ids[point]]) for point in held if found.ids[point] in by_id]


async def works_of_tag(here: Context, collection: str, tag: str, points: Sequence[int]) -> list[tuple[int, Candidate]]:
    """The works at points of the map of this tag, so that no number means another work.

    Raises:
        InvalidRequest: no points, or too many.
        NotFound: the map has changed.
        CollectionNotFound: no such collection.
    """
    if not 1 <= len(points) <= MOST_ASKED:
        raise InvalidRequest(
            f"The request has {len(points):,} points; it takes 1 to {MOST_ASKED}.",
            hint="Ask for more in several requests.",
            field="points",
        )
    found, _ = await map_of(here, collection)
    if found is None or found.digest != tag:
        raise NotFound("The map has changed.", hint="Read it again.")
    return await works_at(here, collection, found, points)
