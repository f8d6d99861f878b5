"""Qdrant server's side of the schema: configuration, points, filters, and what a collection says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import RestToGrpc

from boonart.errors import IndexCorrupt
from boonart.index.keywords import keyword_vector
from boonart.index.schema import (
    FIELDS,
    HNSW_EF_CONSTRUCT,
    HNSW_M,
    KEYWORDS,
    Field,
    FieldKind,
    extra_field,
    to_payload,
    vector_specs,
)
from boonart.index.server_options import ServerOptions
from boonart.index.server_wire import to_dense, to_multi
from boonart.works import IndexedWork, Manifest

MAX_EXTRA_FIELDS = 64
"""`extra` fields of a collection that are indexed for filters: a record with hundreds is a mistake."""
_FULL_SCAN_BELOW = 2_000
"""Works below which the engine compares them all; also the size of a filtered set that it scans."""
_MARK = "boonart"
_FORM = 1
"""Form of the metadata below; raised when it changes."""
_FIELD_PREFIX = "field:"
_KINDS = {
    FieldKind.KEYWORD: models.PayloadSchemaType.KEYWORD,
    FieldKind.TEXT: models.PayloadSchemaType.TEXT,
    FieldKind.INTEGER: models.PayloadSchemaType.INTEGER,
    FieldKind.FLOAT: models.PayloadSchemaType.FLOAT,
    FieldKind.BOOLEAN: models.PayloadSchemaType.BOOL,
}


@dataclass(frozen=True, slots=True)
class Described:
    """What a physical collection says of itself.

    Attributes:
        version: its number.
        fields: what can be filtered, by the name that a caller uses.
        count: of its points; during an optimisation Qdrant may count some twice.
    """

    version: int
    manifest: Manifest
    fields: Mapping[str, Field]
    count: int


# --- metadata --------------------------------------------------------------------------------------------


def metadata(version: int, manifest: Manifest) -> dict[str, Any]:
    """What a new physical collection keeps about itself.

    It lies in Qdrant's own collection metadata: there it is replicated by consensus, travels with snapshots, is read
    with the same call as the point count, and no search ever meets it, as one would meet a reserved point.
    """
    return {_MARK: _FORM, "version": version, "manifest": asdict(manifest)}


def field_metadata(found: Mapping[str, Field]) -> dict[str, Any]:
    """What is merged into the metadata when works bring new `extra` fields.

    One key a field, so that two writers who find different fields at once do not undo each other.
    """
    return {f"{_FIELD_PREFIX}{name}": {"path": field.path, "kind": field.kind.value} for name, field in found.items()}


def described(info: models.CollectionInfo, name: str) -> Described:
    """Read a collection's metadata.

    Raises:
        IndexCorrupt: it has none, or none that can be read.
    """
    found = info.config.metadata or {}
    try:
        if found[_MARK] != _FORM:
            raise ValueError(f"its metadata has the form {found[_MARK]}")
        known = {field.name for field in fields(Manifest)}
        manifest = Manifest(**{key: value for key, value in found["manifest"].items() if key in known})
        extra = {
            key.removeprefix(_FIELD_PREFIX): Field(value["path"], FieldKind(value["kind"]))
            for key, value in found.items()
            if key.startswith(_FIELD_PREFIX)
        }
        version = int(found["version"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IndexCorrupt(
            f"The collection {name!r} of this Qdrant was not made by BoonArt, or its metadata is damaged ({error}).",
            hint="Nothing in it was changed; choose another collection name.",
        ) from error
    return Described(version, manifest, {**FIELDS, **extra}, info.points_count or 0)


def new_fields(works: Sequence[IndexedWork], known: Mapping[str, Field]) -> dict[str, Field]:
    """The `extra` fields of these works that the collection does not know yet, as far as there is room."""
    found: dict[str, Field] = {}
    room = MAX_EXTRA_FIELDS - (len(known) - len(FIELDS))
    for key, value in (item for work in works for item in work.work.extra.items()):
        name = f"extra.{key}"
        if name in known or name in found or len(found) >= room:
            continue
        if field := extra_field(key, value):
            found[name] = field
    return found


# --- configuration ---------------------------------------------------------------------------------------


def vectors_config(manifest: Manifest, options: ServerOptions) -> dict[str, models.VectorParams]:
    """The named dense vectors of a collection."""
    quantisation = None
    if options.quantise:
        quantisation = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        )
    config = {}
    for spec in vector_specs(manifest):
        if spec.multi:
            # Dot product, so that the values come back as they were stored; m = 0: never searched by graph.
            config[spec.name] = models.VectorParams(
                size=spec.size,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                datatype=models.Datatype.FLOAT16,
                hnsw_config=models.HnswConfigDiff(m=0),
                on_disk=True,
            )
        else:
            config[spec.name] = models.VectorParams(
                size=spec.size,
                distance=models.Distance.COSINE,
                on_disk=options.vectors_on_disk,
                quantization_config=quantisation,
            )
    return config


def sparse_config() -> dict[str, models.SparseVectorParams]:
    """The keyword vector, whose weights Qdrant multiplies by each token's rarity."""
    return {KEYWORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}


def hnsw_config(manifest: Manifest) -> models.HnswConfigDiff:
    """The graph's width and build effort, the same as in the embedded shape."""
    return models.HnswConfigDiff(
        m=HNSW_M, ef_construct=HNSW_EF_CONSTRUCT, full_scan_threshold=_full_scan_kilobytes(manifest)
    )


def _full_scan_kilobytes(manifest: Manifest) -> int:
    return max(10, _FULL_SCAN_BELOW * manifest.global_size * 4 // 1024)


def index_kind(field: Field) -> models.PayloadSchemaType:
    """How Qdrant indexes a payload field."""
    return _KINDS[field.kind]


# --- points ----------------------------------------------------------------------------------------------


def point(indexed: IndexedWork, collection: str, manifest: Manifest) -> models.PointStruct:
    """A work's point for REST and the in-memory mode."""
    vectors: dict[str, Any] = {}
    for spec in vector_specs(manifest):
        array = getattr(indexed, spec.name)
        if array is not None and array.size:
            vectors[spec.name] = np.asarray(array, dtype=np.float32).tolist()
    keywords = keyword_vector(indexed.work)
    if keywords.indices:
        vectors[KEYWORDS] = models.SparseVector(indices=list(keywords.indices), values=list(keywords.values))
    return models.PointStruct(id=indexed.point_id(collection), vector=vectors, payload=to_payload(indexed, manifest))


def grpc_point(indexed: IndexedWork, collection: str, manifest: Manifest) -> grpc.PointStruct:
    """A work's point for gRPC."""
    vectors: dict[str, grpc.Vector] = {}
    for spec in vector_specs(manifest):
        array = getattr(indexed, spec.name)
        if array is None or not array.size:
            continue
        vectors[spec.name] = (
            grpc.Vector(multi_dense=to_multi(array)) if spec.multi else grpc.Vector(dense=to_dense(array))
        )
    keywords = keyword_vector(indexed.work)
    if keywords.indices:
        sparse = grpc.SparseVector(indices=list(keywords.indices), values=list(keywords.values))
        vectors[KEYWORDS] = grpc.Vector(sparse=sparse)
    return grpc.PointStruct(
        id=grpc.PointId(uuid=indexed.point_id(collection)),
        vectors=grpc.Vectors(vectors=grpc.NamedVectors(vectors=vectors)),
        payload=RestToGrpc.convert_payload(to_payload(indexed, manifest)),
    )


# --- filters ---------------------------------------------------------------------------------------------


class ServerDialect:
    """`filters.Dialect` for Qdrant's models."""

    def equals(self, path: str, value: str | int | bool) -> models.Filter:
        """The field holds this value."""
        return self._field(path, match=models.MatchValue(value=value))

    def one_of(self, path: str, values: Sequence[str] | Sequence[int]) -> models.Filter:
        """The field holds one of these values."""
        accepted: Any = list(values)
        return self._field(path, match=models.MatchAny(any=accepted))

    def within(self, path: str, minimum: float | None, maximum: float | None) -> models.Filter:
        """The field lies within these bounds."""
        return self._field(path, range=models.Range(gte=minimum, lte=maximum))

    def exists(self, path: str) -> models.Filter:
        """The field is there and not empty."""
        return models.Filter(must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=path))])

    def words(self, path: str, text: str) -> models.Filter:
        """The field holds all words of the text."""
        return self._field(path, match=models.MatchText(text=text))

    def all_of(self, conditions: Sequence[models.Filter]) -> models.Filter:
        """All conditions hold."""
        return models.Filter(must=list(conditions))

    def any_of(self, conditions: Sequence[models.Filter]) -> models.Filter:
        """At least one condition holds."""
        return models.Filter(should=list(conditions))

    def negated(self, condition: models.Filter) -> models.Filter:
        """The condition does not hold."""
        return models.Filter(must_not=[condition])

    @staticmethod
    def _field(path: str, **condition: Any) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key=path, **condition)])
