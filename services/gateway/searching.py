"""One page of a search, and the values of fields, the same over REST and gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from boonart.errors import InvalidQuery, InvalidRequest
from boonart.rpc.deadlines import within
from boonart.search import MAX_LIMIT
from boonart.search.facets import count_facets
from boonart.search.queries import MAX_FACETS
from boonart.works import Answer, FacetCount, Filter, Query
from boonart_services.gateway import cursors
from boonart_services.gateway.context import Context


@dataclass(frozen=True, slots=True)
class Page:
    """A page of hits.

    Attributes:
        collection: what was searched; "" for several.
        next_cursor: for the next page, or "" on the last one.
    """

    answer: Answer
    collection: str
    next_cursor: str


async def search_page(here: Context, query: Query, cursor: str) -> Page:
    """The hits of a query from the cursor's place on, at most `query.limit` of them.

    Raises:
        InvalidQuery: both one collection and several are named, or the cursor is not one of this query.
        BoonArtError: as `Context.search`.
    """
    if query.collections and query.collection:
        raise InvalidQuery("The query has collection and collections.", hint="Give one of them.", field="collections")
    collection = "" if query.collections else await here.collection(query.collection)
    query = replace(query, collection=collection)
    digest = cursors.digest(query)
    place = cursors.read(cursor, digest)
    # One more tells whether there is another page. A limit that is refused is refused as it came.
    wanted = min(MAX_LIMIT, place.given + query.limit + 1) if 1 <= query.limit <= MAX_LIMIT else query.limit
    answer, _ = await here.search(replace(query, limit=wanted))
    rest = place.rest(answer.hits)
    page = tuple(rest[: query.limit])
    following = cursors.write(place.after(page), digest) if len(rest) > len(page) > 0 else ""
    return Page(replace(answer, hits=page), collection, following)


async def facets_of(
    here: Context, collection: str, fields: Sequence[str], where: Filter | None
) -> Mapping[str, tuple[FacetCount, ...]]:
    """The values of fields, with how many of the works that a filter lets pass hold each.

    Args:
        fields: 1 to 16; a name that is given twice counts once.
        where: None for all works.

    Raises:
        InvalidRequest: no fields, or too many.
        InvalidFilter: a field that is not stored or not counted.
        CollectionNotFound: no such collection.
        DeadlineExceeded: it took too long.
    """
    if not 1 <= len(fields) <= MAX_FACETS:
        raise InvalidRequest(f"The request names {len(fields)} fields; it takes 1 to {MAX_FACETS}.", field="fields")
    parts = here.wired()
    query = Query(collection, facets=tuple(dict.fromkeys(fields)), where=where)
    async with within(parts.settings.request_deadline):
        return await count_facets(parts.index, query, ())
