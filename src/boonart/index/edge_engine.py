"""Qdrant Edge's side of the schema: configuration, points, filters, and its errors made ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from boonart.errors import BoonArtError, WorkIndexError
from boonart.index.folders import corrupt
from boonart.index.keywords import keyword_vector
from boonart.index.schema import (
    HNSW_EF_CONSTRUCT,
    HNSW_M,
    KEYWORDS,
    Field,
    FieldKind,
    extra_name,
    to_payload,
    vector_specs,
)
from boonart.works import IndexedWork, Manifest

_FULL_SCAN_BELOW = 2_000
"""Vectors below which the engine compares them all even where a graph exists; also the size of a filtered
set that it scans instead of walking the graph."""
_KINDS = {
    FieldKind.KEYWORD: edge.PayloadSchemaType.Keyword,
    FieldKind.TEXT: edge.PayloadSchemaType.Text,
    FieldKind.INTEGER: edge.PayloadSchemaType.Integer,
    FieldKind.FLOAT: edge.PayloadSchemaType.Float,
    FieldKind.BOOLEAN: edge.PayloadSchemaType.Bool,
}


@contextmanager
def engine_errors(*, opening: Path | None = None) -> Iterator[None]:
    """Make the engine's exceptions and panics ours.

    Args:
        opening: the folder being opened; a failure then means that it is corrupt.

    Raises:
        IndexCorrupt: the folder cannot be opened.
        WorkIndexError: any other failure of the engine.
    """
    try:
        yield
    except BoonArtError:
        raise
    except Exception as error:
        raise _translated(error, opening) from error
    except BaseException as error:
        # A panic of the engine derives from BaseException, in a class that its package does not export.
        if type(error).__name__ != "PanicException":
            raise
        raise _translated(error, opening) from error


def _translated(error: BaseException, opening: Path | None) -> WorkIndexError:
    reason = str(error).removeprefix("Service runtime error: ").rstrip(".")
    if opening is not None:
        return corrupt(opening, reason)
    return WorkIndexError(f"The index failed: {reason}.")


def config(manifest: Manifest) -> edge.EdgeConfig:
    """The engine's configuration of a collection."""
    kilobytes = max(1, _FULL_SCAN_BELOW * manifest.global_size * 4 // 1024)
    vectors = {}
    for spec in vector_specs(manifest):
        if spec.multi:
            # Dot product, so that the values come back as they were stored; m = 0: never searched by graph.
            vectors[spec.name] = edge.EdgeVectorParams(
                size=spec.size,
                distance=edge.Distance.Dot,
                multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
                datatype=edge.VectorStorageDatatype.Float16,
                hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=kilobytes),
                memory=edge.Memory.Cold,
            )
        else:
            vectors[spec.name] = edge.EdgeVectorParams(size=spec.size, distance=edge.Distance.Cosine)
    return edge.EdgeConfig(
        vectors=vectors,
        sparse_vectors={KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(m=HNSW_M, ef_construct=HNSW_EF_CONSTRUCT, full_scan_threshold=kilobytes),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=kilobytes, default_segment_number=1),
    )


def field_index(field: Field) -> edge.UpdateOperation:
    """The operation that indexes a payload field."""
    return edge.UpdateOperation.create_field_index(field.path, _KINDS[field.kind])


def fields_of(schema: Mapping[str, Any]) -> dict[str, Field]:
    """The `extra` fields that the engine has indexed, by the name a caller uses."""
    kinds = {str(value): kind for kind, value in _KINDS.items()}
    found = {}
    for path, info in schema.items():
        if name := extra_name(path):
            found[f"extra.{name}"] = Field(path, kinds[str(info.data_type)])
    return found


def point(indexed: IndexedWork, collection: str, manifest: Manifest) -> edge.Point:
    """The engine's point of a work."""
    vectors: dict[str, Any] = {}
    for spec in vector_specs(manifest):
        array = getattr(indexed, spec.name)
        if array is None or not array.size:
            continue
        vectors[spec.name] = np.ascontiguousarray(array, dtype=np.float32)
        if spec.multi:
            vectors[spec.name] = vectors[spec.name].tolist()
    keywords = keyword_vector(indexed.work)
    if keywords.indices:
        vectors[KEYWORDS] = keywords
    return edge.Point(indexed.point_id(collection), vectors, to_payload(indexed, manifest))


class EdgeDialect:
    """`filters.Dialect` for Qdrant Edge."""

    def equals(self, path: str, value: str | int | bool) -> edge.Filter:
        """The field holds this value."""
        # The engine takes a Python bool for the integer it also is, and numpy's for what is meant.
        exact: Any = np.bool_(value) if isinstance(value, bool) else value
        return self._field(path, match=edge.MatchValue(exact))

    def one_of(self, path: str, values: Sequence[str] | Sequence[int]) -> edge.Filter:
        """The field holds one of these values."""
        accepted: Any = list(values)
        return self._field(path, match=edge.MatchAny(accepted))

    def within(self, path: str, minimum: float | None, maximum: float | None) -> edge.Filter:
        """The field lies within these bounds."""
        return self._field(path, range=edge.RangeFloat(gte=minimum, lte=maximum))

    def exists(self, path: str) -> edge.Filter:
        """The field is there and not empty."""
        return edge.Filter(must_not=[edge.IsEmptyCondition(path)])

    def words(self, path: str, text: str) -> edge.Filter:
        """The field holds all words of the text."""
        return self._field(path, match=edge.MatchText(text))

    def all_of(self, conditions: Sequence[edge.Filter]) -> edge.Filter:
        """All conditions hold."""
        return edge.Filter(must=list(conditions))

    def any_of(self, conditions: Sequence[edge.Filter]) -> edge.Filter:
        """At least one condition holds."""
        return edge.Filter(should=list(conditions))

    def negated(self, condition: edge.Filter) -> edge.Filter:
        """The condition does not hold."""
        return edge.Filter(must_not=[condition])

    @staticmethod
    def _field(path: str, **condition: Any) -> edge.Filter:
        return edge.Filter(must=[edge.FieldCondition(path, **condition)])
