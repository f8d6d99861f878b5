"""How many works a query finds in all, and which of its options had no effect."""

from __future__ import annotations

from collections.abc import Sequence

from boonart.ports import CollectionInfo, WorkIndex
from boonart.search.finding import Found
from boonart.search.ordering import count_kept
from boonart.search.queries import Wording, parts_of, positive_text
from boonart.works import (
    And,
    Equals,
    Exists,
    FacetScope,
    Filter,
    Hit,
    Mode,
    Not,
    Notice,
    Query,
    Ranker,
    Target,
    Total,
)


async def count_all(
    index: WorkIndex, query: Query, target: Target, info: CollectionInfo, found: Found, hits: Sequence[Hit]
) -> Total:
    """How many works the query finds, whether or not the pages reach them all.

    A comparison of vectors finds every work that the filter lets pass, so these are counted. Words, phrases, a least
    relevance and a share for each artist are known only for the hits that were looked at: where these are not all
    there are, the total says that there may be more.

    Args:
        hits: all that were found, uncut.
    """
    # Hits beyond the reranker's window have no relevance and are left out, so that the rest is all.
    bounded = query.min_relevance > 0 and any(hit.relevance is not None for hit in hits)
    if found.complete or bounded:
        return Total(count_kept(query, hits))
    # In hybrid mode words find works without a description too, beside those whose description is near.
    mixed = query.mode is Mode.HYBRID and target is Target.DESCRIPTIONS
    if query.per_artist or found.by_words or mixed or _phrases(query):
        return Total(count_kept(query, hits), exact=False)
    filters = _filters(query, target)
    if not filters:
        return Total(info.count - len(_given(query)))
    filters += [Not(Equals("id", work_id)) for work_id in _given(query)]
    return Total(await index.count(query.collection, filters[0] if len(filters) == 1 else And(tuple(filters))))


def _given(query: Query) -> list[str]:
    """The works that are searched with: they are no hits of their own."""
    return sorted({part.work_id for part in parts_of(query) if part.work_id})


def _phrases(query: Query) -> bool:
    return query.mode is not Mode.VECTOR and bool(Wording.of(positive_text(query)).phrases)


def _filters(query: Query, target: Target) -> list[Filter]:
    found: list[Filter] = [] if query.where is None else [query.where]
    return [*found, Exists("description")] if target is Target.DESCRIPTIONS else found


def without_effect(query: Query, ranker: Ranker) -> tuple[Notice, ...]:
    """The options of a query that changed nothing in its answer.

    Args:
        ranker: what put the hits in order.
    """
    found = []
    if query.keyword_weight != 1 and query.mode is not Mode.HYBRID:
        found.append(Notice("keyword_weight", "Only in hybrid mode is there a keyword list beside another to weigh."))
    if query.facet_scope is not FacetScope.FILTERED and not query.facets:
        found.append(Notice("facet_scope", "No facets were asked for."))
    if query.explain and ranker is Ranker.NONE:
        found.append(Notice("explain", "The relation network compared nothing, so there is nothing to explain."))
    return tuple(found)
