"""Answers as JSON, built by hand: validating what we made ourselves would only cost time.

Their form is described in `schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from boonart.works import Answer, FacetCount, Hit, StoredPicture, Work

PICTURE_VERSION = 12
"""Digits of a picture's key in its address."""


def picture_json(collection: str, work_id: str, stored: StoredPicture) -> dict[str, Any] | None:
    """Where a work's picture is served; None where it has none."""
    if not stored.key:
        return None
    base = f"/v1/works/{quote(work_id, safe='')}"
    # The version changes with the picture, so each address may be cached for good.
    query = urlencode({"collection": collection, "v": stored.key[:PICTURE_VERSION]})
    return {
        "thumbnail_url": f"{base}/thumbnail?{query}",
        "image_url": f"{base}/image?{query}",
        "width": stored.size[0],
        "height": stored.size[1],
        "colour": stored.colour,
    }


def work_json(work: Work) -> dict[str, Any]:
    """A work without its empty fields."""
    fields: dict[str, Any] = {
        "title": work.title,
        "artist": work.artist,
        "date": work.date,
        "medium": work.medium,
        "description": work.description,
        "subjects": list(work.subjects),
        "source_url": work.source_url,
        "credit": work.credit,
        "licence": work.licence,
        "extra": dict(work.extra),
    }
    return {"id": work.id, **{name: value for name, value in fields.items() if value}}


def hit_json(collection: str, hit: Hit) -> dict[str, Any]:
    """One hit."""
    body: dict[str, Any] = {
        "rank": hit.rank,
        "score": hit.score,
        "global_score": hit.global_score,
        "collection": hit.collection or collection,
        "matched_by": list(hit.matched_by),
        "work": work_json(hit.work),
    }
    collection = hit.collection or collection
    for name in ("relation_score", "relevance"):
        if (value := getattr(hit, name)) is not None:
            body[name] = value
    if picture := picture_json(collection, hit.work.id, hit.picture):
        body["picture"] = picture
    if hit.description_composed:
        body["description_composed"] = True
    if hit.explanation:
        body["explanation"] = [
            {"word": word.word, "weights": [[round(float(w), 5) for w in row] for row in word.weights]}
            for word in hit.explanation
        ]
    return body


def answer_json(
    answer: Answer, collection: str, stages: dict[str, float], took_ms: float, next_cursor: str
) -> dict[str, Any]:
    """An answer, with the stages that the gateway added and where its list goes on, "" at the end."""
    body: dict[str, Any] = {
        "collection": collection,
        "target": answer.target.value,
        "ranker": answer.ranker.value,
        "hits": [hit_json(collection, hit) for hit in answer.hits],
        "took_ms": round(took_ms, 3),
        "stages": {name: round(value, 3) for name, value in stages.items()},
        "degraded": dict(answer.degraded),
        "models": dict(answer.models),
    }
    if answer.facets:
        body["facets"] = facets_json(answer.facets)
    if answer.total is not None:
        body["total"] = {"value": answer.total.value, "relation": answer.total.relation}
    body["warnings"] = [{"field": notice.field, "message": notice.message} for notice in answer.warnings]
    if answer.index_generation:
        body["index_generation"] = answer.index_generation
    if next_cursor:
        body["next_cursor"] = next_cursor
    return body


def facets_json(facets: Mapping[str, Sequence[FacetCount]]) -> dict[str, Any]:
    """Counted values by field."""
    return {name: [{"value": item.value, "count": item.count} for item in values] for name, values in facets.items()}
