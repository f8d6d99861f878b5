"""The use case of a query: `Search.run`; see `pipeline`."""

from boonart.search.pipeline import ENCODE_DEADLINE, RERANK_DEADLINE, Search, Stages
from boonart.search.queries import MAX_CANDIDATES, MAX_LIMIT, MAX_TEXT, check

__all__ = ["ENCODE_DEADLINE", "MAX_CANDIDATES", "MAX_LIMIT", "MAX_TEXT", "RERANK_DEADLINE", "Search", "Stages", "check"]
