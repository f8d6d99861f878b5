"""What a stored point looks like, for every engine: vectors, payload, filterable fields.

Knows no engine. `edge.py` and the Qdrant server adapter build their collections from `vector_specs` and
`FIELDS`, and map payloads with `to_payload` and `to_candidate`, so that both store the same thing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np

from boonart.dates import parse_years
from boonart.errors import InvalidFilter, InvalidRequest, ModelMismatch, WorkIndexError
from boonart.manifests import SCHEMA_VERSION
from boonart.works import Candidate, IndexedWork, Manifest, StoredPicture, Work

__all__ = ["FIELDS", "KEYWORDS", "SCHEMA_VERSION", "FieldKind", "to_candidate", "to_payload", "vector_specs"]

KEYWORDS = "keywords"
"""Name of the sparse BM25 vector over title, artist, description and subjects."""
KEYWORD_AVERAGE_LENGTH = 64.0
"""Typical length in tokens of a work's keyword text, which BM25 normalises by: a title, an artist and a
dozen subjects or two sentences."""

HNSW_M = 16
HNSW_EF_CONSTRUCT = 256
"""Graph width and build effort; benchmarks/index_recall.py measures the recall that they give."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_INT64 = 2**63


class FieldKind(StrEnum):
    """How a payload field is indexed, which decides what a filter may ask of it."""

    KEYWORD = "keyword"
    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Field:
    """A filterable field.

    Attributes:
        path: where the payload keeps it, as a JSON path of the engine.
        indexed: the engine keeps an index of it. Filters on other fields read every payload, which is right
            for fields that hardly anyone filters on: each index is some ten files to write and to sync.
    """

    path: str
    kind: FieldKind
    indexed: bool = True


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """A named dense vector.

    Attributes:
        size: length of one vector (of one row, for a multivector).
        multi: a point holds a matrix (N, size) in float16, never searched through a graph.
    """

    name: str
    size: int
    multi: bool = False


FIELDS: Mapping[str, Field] = {
    "id": Field("id", FieldKind.KEYWORD, indexed=False),
    "title": Field("title", FieldKind.KEYWORD),
    "artist": Field("artist", FieldKind.KEYWORD),
    "date": Field("date", FieldKind.KEYWORD),
    "medium": Field("medium", FieldKind.KEYWORD),
    "description": Field("description", FieldKind.TEXT),
    "subjects": Field("subjects", FieldKind.KEYWORD),
    "source_url": Field("source_url", FieldKind.KEYWORD, indexed=False),
    "credit": Field("credit", FieldKind.KEYWORD, indexed=False),
    "licence": Field("licence", FieldKind.KEYWORD, indexed=False),
    "width": Field("picture.width", FieldKind.INTEGER, indexed=False),
    "height": Field("picture.height", FieldKind.INTEGER, indexed=False),
    "date_from": Field("years.from", FieldKind.INTEGER),
    "date_to": Field("years.to", FieldKind.INTEGER),
    "description_composed": Field("description_composed", FieldKind.BOOLEAN, indexed=False),
}
"""Filterable fields of every collection; each collection adds the `extra` fields that its works have."""

_WORK_TEXTS = tuple(f.name for f in fields(Work) if f.name not in {"subjects", "extra"})


def check_collection_name(name: str) -> None:
    """Refuse names that could not be a folder or could leave it.

    Raises:
        InvalidRequest: not 1 to 64 letters, digits, hyphens and underscores, the first a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name[:80]!r} cannot name a collection.",
            hint="Use up to 64 letters, digits, hyphens and underscores, beginning with a letter or digit.",
            field="collection",
        )


def vector_specs(manifest: Manifest) -> tuple[VectorSpec, ...]:
    """The dense vectors of a collection with this manifest, in a fixed order.

    `regions` and `words` are there only where the collection was made with a reranker.
    """
    specs = [VectorSpec("image", manifest.global_size), VectorSpec("description", manifest.global_size)]
    if manifest.embed_size:
        specs += [
            VectorSpec("regions", manifest.embed_size, multi=True),
            VectorSpec("words", manifest.embed_size, multi=True),
        ]
    return tuple(specs)


def extra_field(key: str, value: str | int | float | bool) -> Field | None:
    """The field under which an `extra` value can be filtered, or None where its key cannot be a path."""
    if not key or '"' in key or "\\" in key:
        return None
    path = f"extra.{key}" if _PLAIN_KEY.fullmatch(key) else f'extra."{key}"'
    if isinstance(value, bool):
        return Field(path, FieldKind.BOOLEAN)
    if isinstance(value, int):
        return Field(path, FieldKind.INTEGER)
    if isinstance(value, float):
        return Field(path, FieldKind.FLOAT)
    return Field(path, FieldKind.KEYWORD)


def extra_name(path: str) -> str | None:
    """The key of an `extra` field's path, or None for another path."""
    if not path.startswith("extra."):
        return None
    return path.removeprefix("extra.").strip('"')


def keyword_text(work: Work) -> str:
    """The text that the sparse keyword vector is made from."""
    return " ".join(part for part in (work.title, work.artist, work.description, *work.subjects) if part)


def to_payload(indexed: IndexedWork, manifest: Manifest) -> dict[str, Any]:
    """The payload of a point. Empty fields are left out, so that "is there" and "is not empty" are one."""
    work = indexed.work
    payload: dict[str, Any] = {name: getattr(work, name) for name in _WORK_TEXTS if getattr(work, name)}
    if work.subjects:
        payload["subjects"] = list(work.subjects)
    if (years := parse_years(work.date)) is not None:
        payload["years"] = {"from": years.earliest, "to": years.latest}
    if work.extra:
        payload["extra"] = {key: _storable(value) for key, value in work.extra.items()}
    if indexed.picture.key:
        width, height = indexed.picture.size
        payload["picture"] = {
            "key": indexed.picture.key,
            "width": width,
            "height": height,
            "colour": indexed.picture.colour,
        }
    if indexed.description_words:
        payload["description_words"] = list(indexed.description_words)
    payload["description_composed"] = indexed.description_composed
    payload["content_hash"] = indexed.content_hash
    payload["models"] = [model for model in (manifest.encoder_id, manifest.reranker_id) if model]
    return payload


def to_candidate(point_id: str, payload: Mapping[str, Any], score: float = 0.0) -> Candidate:
    """The stored work of a payload; the reverse of `to_payload`."""
    picture = payload.get("picture", {})
    work = Work(
        **{name: payload.get(name, "") for name in _WORK_TEXTS},
        subjects=tuple(payload.get("subjects", ())),
        extra=dict(payload.get("extra", {})),
    )
    return Candidate(
        point_id=point_id,
        work=work,
        score=score,
        content_hash=payload.get("content_hash", ""),
        picture=StoredPicture(
            key=picture.get("key", ""),
            size=(int(picture.get("width", 0)), int(picture.get("height", 0))),
            colour=picture.get("colour", ""),
        ),
        description_composed=bool(payload.get("description_composed", False)),
    )


def countable(name: str, fields: Mapping[str, Field]) -> Field:
    """The field whose values can be counted.

    Raises:
        InvalidFilter: no such field, or one whose values are not counted.
    """
    field = fields.get(name) or fields.get(f"extra.{name}")
    if field is None or not field.indexed or field.kind in {FieldKind.TEXT, FieldKind.FLOAT}:
        known = [
            key for key, item in fields.items() if item.indexed and item.kind not in {FieldKind.TEXT, FieldKind.FLOAT}
        ]
        raise InvalidFilter(
            f"The values of {name[:80]!r} cannot be counted.",
            hint=f"Fields that can: {', '.join(sorted(known))}.",
            field="facets",
        )
    return field


def check_vectors(indexed: IndexedWork, manifest: Manifest) -> None:
    """Refuse vectors that the collection cannot hold.

    Raises:
        ModelMismatch: a vector has another size than the collection's.
        WorkIndexError: a vector holds NaN or infinity.
    """
    sizes = {spec.name: spec.size for spec in vector_specs(manifest)}
    for name in ("image", "description", "regions", "words"):
        array = getattr(indexed, name)
        if array is None:
            continue
        if name not in sizes:
            raise ModelMismatch(
                f"The collection was made without a reranker and has no place for {name!r}.",
                hint="Run `boonart reindex` on it with the reranker.",
            )
        if array.shape[-1] != sizes[name]:
            raise ModelMismatch(
                f"{indexed.work.id!r} has a vector {name!r} of size {array.shape[-1]}; "
                f"the collection holds {sizes[name]}.",
                hint="The collection was made with another model; run `boonart reindex` on it.",
            )
        if not np.isfinite(array).all():
            raise WorkIndexError(f"The vector {name!r} of {indexed.work.id!r} is not finite.")


def _storable(value: str | int | float | bool) -> str | int | float | bool:
    """The value itself, or its text where JSON or a 64-bit integer cannot hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return str(value)
    return value
