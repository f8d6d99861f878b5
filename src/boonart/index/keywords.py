"""The sparse keyword vector, the same for every engine.

Qdrant Edge carries the tokeniser and the BM25 weights that a Qdrant server uses for its own inference, so both
engines store the same numbers whichever of them a collection lives in.
"""

from __future__ import annotations

from functools import lru_cache

import qdrant_edge as edge

from boonart.index.schema import KEYWORD_AVERAGE_LENGTH, keyword_text
from boonart.works import Work


@lru_cache(maxsize=1)
def bm25() -> edge.Bm25:
    """The tokeniser and its weights."""
    return edge.Bm25(edge.Bm25Config(avg_len=KEYWORD_AVERAGE_LENGTH, ascii_folding=True))


def query_vector(text: str) -> edge.SparseVector:
    """Token ids of a query, 1.0 each; without indices where no word is left."""
    return bm25().embed_query(text)


def keyword_vector(work: Work) -> edge.SparseVector:
    """Token ids and BM25 weights of a work's keyword text; without indices where it has no text."""
    return bm25().embed_document(keyword_text(work))
