"""One page of a search, the same over REST and gRPC."""

from __future__ import annotations

from dataclasses import dataclass, replace

from boonart.errors import InvalidQuery
from boonart.search import MAX_LIMIT
from boonart.works import Answer, Query
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
