"""The words of the field: works, queries, embeddings, candidates, hits.

Frozen value types on the standard library and numpy alone. Every other room speaks in these.

Letters in shapes: D size of a global vector; T words or word pieces of a text; R = 49 regions (a 7 x 7 grid,
row-major, the first one top left); Wt, Wi widths of text and image tokens; E embed size of the reranker.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float16Array = npt.NDArray[np.float16]
UInt8Array = npt.NDArray[np.uint8]

GRID = 7
"""Regions a side: a picture has GRID x GRID regions."""
REGIONS = GRID * GRID

_POINT_NAMESPACE = uuid.UUID("6f1f3c0e-8a4b-5d0c-9f2e-1b6a7c4d2e90")


@dataclass(frozen=True, slots=True)
class Work:
    """One work of a collection, as its record says.

    Attributes:
        id: the collection's own identifier, such as an accession number.
        date: as the museum writes it ("c.1861"); parsed elsewhere.
        subjects: paths from general to particular ("nature > animals: mammals > cow").
        image: where the source keeps the picture (a path relative to the source, or an address).
        extra: further fields of the record that can be filtered on.
    """

    id: str
    title: str = ""
    artist: str = ""
    date: str = ""
    medium: str = ""
    description: str = ""
    subjects: tuple[str, ...] = ()
    source_url: str = ""
    credit: str = ""
    licence: str = ""
    image: str = ""
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: upright, sRGB, no alpha.

    Attributes:
        pixels: (H, W, 3) uint8, 0..255, possibly reduced from the original.
        original_size: (width, height) of the file in pixels, upright.
        format: name of the file's format, found from its content ("JPEG").
    """

    pixels: UInt8Array
    original_size: tuple[int, int]
    format: str

    @property
    def width(self) -> int:
        """Width of `pixels`, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height of `pixels`, in pixels."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """What the encoder makes of a text.

    Attributes:
        global_vector: (D,) float32, L2-normalised.
        tokens: (T, Wt) float16, one row a word, without padding.
        words: the T words that the rows stand for, in order.
    """

    global_vector: Float32Array
    tokens: Float16Array
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageEmbedding:
    """What the encoder makes of a picture.

    Attributes:
        global_vector: (D,) float32, L2-normalised.
        tokens: (49, Wi) float16, one row a region, row-major on the 7 x 7 grid.
    """

    global_vector: Float32Array
    tokens: Float16Array


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and where it comes from.

    Attributes:
        id: name and weights in one string; two models with the same id give the same numbers.
        kind: "encoder" or "reranker".
        weights_hash: first 16 hex digits of the SHA-256 of the weights.
        dimensions: sizes by name, such as {"D": 512, "Wt": 384, "Wi": 1280} or {"E": 256}.
        encoder_id: for a reranker, the encoder whose features it was trained on.
        figures: measured quality and speed by flat name.
    """

    id: str
    kind: str
    weights_hash: str
    dimensions: Mapping[str, int]
    licence: str = ""
    description: str = ""
    data: str = ""
    encoder_id: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """With what a collection was made; compared with the configured models at start.

    Attributes:
        global_size: D.
        embed_size: E, or 0 where the collection holds no regions and words.
        schema_version: raised when stored points change their form.
    """

    encoder_id: str
    global_size: int
    reranker_id: str = ""
    embed_size: int = 0
    schema_version: int = 1


# --- filters ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equals:
    """The payload field holds exactly this value (for a list field: among its values)."""

    field: str
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """The payload field holds one of these values."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The payload field is a number within these bounds, both included; None leaves a side open."""

    field: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The payload field is there and not empty."""

    field: str


@dataclass(frozen=True, slots=True)
class Words:
    """The text of the payload field holds all words of this text, in any order and case."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these holds."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    filter: Filter


Filter = Equals | OneOf | Range | Exists | Words | And | Or | Not


# --- a query and its answer ------------------------------------------------------------------------------


class Target(StrEnum):
    """What a search returns: works by their pictures, or descriptions with their works."""

    WORKS = "works"
    DESCRIPTIONS = "descriptions"


class Ranker(StrEnum):
    """How candidates are put in order after the global search."""

    DEFAULT = "default"
    NONE = "none"
    LATE = "late"
    VITR = "vitr"
    ROLE = "role"


class Mode(StrEnum):
    """How candidates are found."""

    VECTOR = "vector"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


class FacetScope(StrEnum):
    """Which works a facet counts: all that the filter lets pass, or the candidates of the query."""

    FILTERED = "filtered"
    CANDIDATES = "candidates"


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One of several things that a query is made of. Exactly one of `text`, `picture` and `work_id` is given.

    Attributes:
        weight: how much it counts; below 0 it leads away from what it names.
    """

    text: str = ""
    picture: Picture | None = None
    work_id: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """One search. Exactly one of `text`, `picture`, `work_id` and `parts` is given.

    Attributes:
        target: None means: works for a text or a work, descriptions for a picture.
        parts: several texts, pictures and works at once, such as a painting and "in the snow".
        collections: several collections to search at once; then `collection` is empty.
        keyword_weight: how much the keyword list counts against the vector list in hybrid mode, above 0.
        diversity: 0 leaves the order; towards 1, hits that look like those before them move down.
        per_artist: at most so many hits by one artist; 0 for no limit.
        facets: fields whose values are counted.
        candidates: how many works the global search hands to the reranker.
        min_relevance: hits below this calibrated relevance are left out, 0..1.
        explain: ask for each word's map.
    """

    collection: str
    text: str = ""
    picture: Picture | None = None
    work_id: str = ""
    target: Target | None = None
    limit: int = 20
    candidates: int = 100
    rerank: Ranker = Ranker.DEFAULT
    where: Filter | None = None
    min_relevance: float = 0.0
    explain: bool = False
    parts: tuple[QueryPart, ...] = ()
    collections: tuple[str, ...] = ()
    mode: Mode = Mode.VECTOR
    keyword_weight: float = 1.0
    diversity: float = 0.0
    per_artist: int = 0
    facets: tuple[str, ...] = ()
    facet_scope: FacetScope = FacetScope.FILTERED


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """Where a work's picture is kept and how to reserve its place on a page.

    Attributes:
        key: of the renditions in the picture store, or "" where there are none.
        size: (width, height) of the original in pixels.
        colour: dominant colour as "#rrggbb", or "".
    """

    key: str = ""
    size: tuple[int, int] = (0, 0)
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored work that the index proposes or returns.

    Attributes:
        score: cosine between the query's vector and the named vector; 0 where nothing was compared.
        content_hash: changes when the work's picture, text or models change.
        description_composed: the description was made by a template from other fields.
    """

    point_id: str
    work: Work
    score: float = 0.0
    content_hash: str = ""
    picture: StoredPicture = field(default_factory=StoredPicture)
    description_composed: bool = False


@dataclass(frozen=True, slots=True)
class WordMap:
    """Where a word of a text looked in a picture.

    Attributes:
        weights: (7, 7) float32, rows from the top; each map sums to 1.
    """

    word: str
    weights: Float32Array


@dataclass(frozen=True, slots=True)
class RerankScore:
    """What the reranker says of one candidate.

    Attributes:
        score: orders the candidates of one query.
        relation_score: the relation network's own part of it, or None.
        relevance: calibrated probability that the candidate is right, 0..1, or None without calibration.
        explanation: a map for each word when asked for.
    """

    point_id: str
    score: float
    relation_score: float | None = None
    relevance: float | None = None
    explanation: tuple[WordMap, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One line of an answer, best first, `rank` counted from 1.

    Attributes:
        description_composed: the description was made by a template from other fields.
        collection: where the work is.
        matched_by: what found it: "vector", "keyword", and "exact" where its id, title or artist is the query.
    """

    rank: int
    work: Work
    score: float
    global_score: float
    picture: StoredPicture = field(default_factory=StoredPicture)
    relation_score: float | None = None
    relevance: float | None = None
    explanation: tuple[WordMap, ...] = ()
    description_composed: bool = False
    collection: str = ""
    matched_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value of a field and how many works hold it."""

    value: str | int | bool
    count: int


@dataclass(frozen=True, slots=True)
class Total:
    """How many works a query finds.

    Attributes:
        exact: these and no more; otherwise at least these.
    """

    value: int
    exact: bool = True

    @property
    def relation(self) -> str:
        """The same in a word: "eq" or "gte"."""
        return "eq" if self.exact else "gte"


@dataclass(frozen=True, slots=True)
class Notice:
    """An option of a query that had no effect on its answer, and why."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of a query and how they came about.

    Attributes:
        target: what was searched.
        degraded: stages that were left out ("rerank", "encode"), each with its reason.
        stages: milliseconds by stage ("encode", "candidates", "rerank").
        ranker: the ranker that put the hits in order.
        total: how many works the query finds, None where nothing says.
        warnings: options that had no effect.
        index_generation: version of the collection that was searched; 0 for several.
    """

    hits: tuple[Hit, ...]
    target: Target
    ranker: Ranker
    stages: Mapping[str, float]
    degraded: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    facets: Mapping[str, tuple[FacetCount, ...]] = field(default_factory=dict)
    total: Total | None = None
    warnings: tuple[Notice, ...] = ()
    index_generation: int = 0


# --- what is stored --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexedWork:
    """A work as it is put into the index: one point.

    Attributes:
        content_hash: of picture bytes, record and model ids; equal means nothing to do.
        image: (D,) float32.
        description: (D,) float32, or None where the work has no text.
        regions: (49, E) float16 filtered regions, or None without a reranker.
        words: (T, E) float16 projected words of the description, or None.
        description_words: the T words that `words` stand for.
    """

    work: Work
    content_hash: str
    image: Float32Array
    description: Float32Array | None = None
    regions: Float16Array | None = None
    words: Float16Array | None = None
    description_words: tuple[str, ...] = ()
    picture: StoredPicture = field(default_factory=StoredPicture)
    description_composed: bool = False

    def point_id(self, collection: str) -> str:
        """The point's id in `collection`."""
        return point_id(collection, self.work.id)


def point_id(collection: str, work_id: str) -> str:
    """UUIDv5 of collection and work id: the same work always lands on the same point."""
    return str(uuid.uuid5(_POINT_NAMESPACE, f"{collection}\x1f{work_id}"))


def content_hash(record: Mapping[str, Any], picture_digest: str, model_ids: Sequence[str]) -> str:
    """Hash of everything a point is made from: 32 hex digits.

    Args:
        record: the work's fields, JSON-serialisable.
        picture_digest: digest of the picture file's bytes.
        model_ids: ids of the models that read it.
    """
    text = json.dumps([record, picture_digest, list(model_ids)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def subject_name(path: str) -> str:
    """The particular end of a subject's path: "cow" of "nature > animals: mammals > cow"."""
    return path.rpartition(">")[2].strip()
