"""The bodies of the REST API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boonart import works
from boonart.errors import InvalidFilter
from boonart.search import MAX_CANDIDATES, MAX_LIMIT, MAX_TEXT
from boonart.works import Answer, Hit, Ranker, Target, Work

MAX_FILTER_DEPTH = 8

CollectionName = Annotated[
    str, Field(default="", description="Collection to search; not needed where there is only one.", max_length=200)
]


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class FieldValue(Strict):
    """A field and the value it must hold."""

    field: str = Field(max_length=200)
    value: str | int | float | bool


class FieldValues(Strict):
    """A field and the values of which it must hold one."""

    field: str = Field(max_length=200)
    values: list[str | int] = Field(min_length=1, max_length=1000)


class FieldRange(Strict):
    """A field and the bounds of its number, both included."""

    field: str = Field(max_length=200)
    gte: float | None = None
    lte: float | None = None


class FieldName(Strict):
    """A field that must be there."""

    field: str = Field(max_length=200)


class FilterTree(Strict):
    """A filter: exactly one of its fields is given.

    `{"and": [{"eq": {"field": "artist", "value": "John Constable"}}, {"not": {"exists": {"field": "medium"}}}]}`
    """

    and_: list[FilterTree] | None = Field(default=None, alias="and", min_length=1, max_length=100)
    or_: list[FilterTree] | None = Field(default=None, alias="or", min_length=1, max_length=100)
    not_: FilterTree | None = Field(default=None, alias="not")
    eq: FieldValue | None = None
    in_: FieldValues | None = Field(default=None, alias="in")
    range: FieldRange | None = None
    exists: FieldName | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> FilterTree:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("a filter has exactly one of and, or, not, eq, in, range, exists")
        return self

    def compiled(self, depth: int = 1) -> works.Filter:
        """As the filter that the index takes.

        Raises:
            InvalidFilter: nested deeper than `MAX_FILTER_DEPTH`.
        """
        if depth > MAX_FILTER_DEPTH:
            raise InvalidFilter(f"The filter is nested deeper than {MAX_FILTER_DEPTH} levels.", field="filter")
        if self.and_ is not None:
            return works.And(tuple(part.compiled(depth + 1) for part in self.and_))
        if self.or_ is not None:
            return works.Or(tuple(part.compiled(depth + 1) for part in self.or_))
        if self.not_ is not None:
            return works.Not(self.not_.compiled(depth + 1))
        if self.eq is not None:
            return works.Equals(self.eq.field, self.eq.value)
        if self.in_ is not None:
            return works.OneOf(self.in_.field, tuple(self.in_.values))
        if self.range is not None:
            return works.Range(self.range.field, self.range.gte, self.range.lte)
        assert self.exists is not None
        return works.Exists(self.exists.field)


class SearchOptions(Strict):
    """What all ways to search have in common."""

    collection: CollectionName
    target: Target | None = Field(default=None, description="What to return; a picture's default is descriptions.")
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT, description="How many hits.")
    candidates: int = Field(default=100, ge=1, le=MAX_CANDIDATES, description="How many candidates are reranked.")
    rerank: Ranker = Field(default=Ranker.DEFAULT, description="How candidates are put in order.")
    min_relevance: float = Field(default=0.0, ge=0.0, le=1.0, description="Leave out hits below this relevance.")
    explain: bool = Field(default=False, description="Add a 7 x 7 map for each word to each hit.")
    filter: FilterTree | None = None


class SearchRequest(SearchOptions):
    """A search by text, by picture or by an existing work; exactly one of the three."""

    text: str = Field(default="", description=f"What to look for, at most {MAX_TEXT:,} characters.")
    image: str = Field(default="", description="A picture file, base64.", json_schema_extra={"format": "byte"})
    like: str = Field(default="", description="Id of a work to find similar ones to.", max_length=512)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"collection": "sample", "text": "a man sitting with his dog", "limit": 5},
                {"collection": "sample", "like": "sample-0001"},
            ]
        },
    )


class WorkBody(BaseModel):
    """A work; fields without a value are left out."""

    id: str
    title: str | None = None
    artist: str | None = None
    date: str | None = None
    medium: str | None = None
    description: str | None = None
    subjects: list[str] | None = None
    source_url: str | None = None
    credit: str | None = None
    licence: str | None = None
    extra: dict[str, Any] | None = None


class PictureBody(BaseModel):
    """Where a work's picture is served, and how to reserve its place."""

    thumbnail_url: str
    image_url: str
    width: int = Field(description="Of the original, in pixels.")
    height: int
    colour: str = Field(description='Dominant colour as "#rrggbb", or "".')


class WordMapBody(BaseModel):
    """Where a word looked: 7 rows of 7 weights, from the top."""

    word: str
    weights: list[list[float]]


class HitBody(BaseModel):
    """One hit, best first."""

    rank: int
    score: float = Field(description="Orders the hits of this answer; not comparable between queries.")
    global_score: float = Field(description="Cosine of the global vectors.")
    relation_score: float | None = Field(default=None, description="The relation network's own score.")
    relevance: float | None = Field(default=None, description="Probability that the hit is right, 0 to 1.")
    work: WorkBody
    picture: PictureBody | None = None
    explanation: list[WordMapBody] | None = None


class SearchResponse(BaseModel):
    """The hits of a query and how they came about."""

    collection: str
    target: Target
    ranker: Ranker
    hits: list[HitBody]
    took_ms: float
    stages: dict[str, float] = Field(description="Milliseconds by stage.")
    degraded: dict[str, str] = Field(description="Stages that were left out, with the reason.")
    models: dict[str, str]


class CollectionBody(BaseModel):
    """A collection."""

    name: str
    works: int
    encoder: str
    reranker: str


class CollectionsResponse(BaseModel):
    """All collections."""

    collections: list[CollectionBody]


class Fault(BaseModel):
    """What is wrong with one field."""

    pointer: str
    code: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[Fault] | None = None


class Health(BaseModel):
    """State of the process."""

    status: Literal["ok", "ready", "starting"]


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


def hit_json(hit: Hit, picture: dict[str, Any] | None) -> dict[str, Any]:
    """One hit."""
    body: dict[str, Any] = {
        "rank": hit.rank,
        "score": hit.score,
        "global_score": hit.global_score,
        "work": work_json(hit.work),
    }
    for name in ("relation_score", "relevance"):
        if (value := getattr(hit, name)) is not None:
            body[name] = value
    if picture:
        body["picture"] = picture
    if hit.explanation:
        body["explanation"] = [
            {"word": word.word, "weights": [[round(float(w), 5) for w in row] for row in word.weights]}
            for word in hit.explanation
        ]
    return body


def answer_json(
    answer: Answer, collection: str, pictures: list[dict[str, Any] | None], took_ms: float
) -> dict[str, Any]:
    """An answer; built by hand, since validating what we made ourselves would only cost time."""
    return {
        "collection": collection,
        "target": answer.target.value,
        "ranker": answer.ranker.value,
        "hits": [hit_json(hit, picture) for hit, picture in zip(answer.hits, pictures, strict=True)],
        "took_ms": round(took_ms, 3),
        "stages": {name: round(value, 3) for name, value in answer.stages.items()},
        "degraded": dict(answer.degraded),
        "models": dict(answer.models),
    }
