"""How much may be asked at once, the same over REST and gRPC where both have it."""

from __future__ import annotations

from boonart.search import MAX_CANDIDATES, MAX_LIMIT, MAX_TEXT
from boonart.search.queries import MAX_COLLECTIONS, MAX_FACETS, MAX_PARTS
from boonart.settings import Settings
from boonart_services.gateway.collection_schemas import MOST_DELETED, MOST_WORKS, LimitsResponse
from boonart_services.gateway.jobs import AT_ONCE
from boonart_services.gateway.mapped import MOST_ASKED


def body_bytes(settings: Settings) -> int:
    """Largest body over REST: a picture in base64 is a third larger than the file, and the other fields need
    something too."""
    return settings.max_picture_bytes * 3 // 2


def limits(settings: Settings, *, request_bytes: int, filter_depth: int) -> LimitsResponse:
    """What this server takes.

    Args:
        request_bytes: largest request at the door that is asked.
        filter_depth: levels of a filter at this door.
    """
    return LimitsResponse(
        text_characters=MAX_TEXT,
        query_parts=MAX_PARTS,
        collections=MAX_COLLECTIONS,
        facets=MAX_FACETS,
        hits=MAX_LIMIT,
        candidates=MAX_CANDIDATES,
        filter_depth=filter_depth,
        picture_bytes=settings.max_picture_bytes,
        request_bytes=request_bytes,
        upsert_works=MOST_WORKS,
        delete_works=MOST_DELETED,
        map_points=MOST_ASKED,
        running_jobs=AT_ONCE,
        requests_per_minute=settings.rate_limit,
        request_seconds=settings.request_deadline,
    )
