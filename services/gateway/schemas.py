"""The bodies of the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from boonart import works
from boonart.errors import InvalidFilter
from boonart.search import MAX_CANDIDATES, MAX_LIMIT, MAX_TEXT
from boonart.works import Answer, Hit, Ranker, StoredPicture, Target, Work

MAX_FILTER_DEPTH = 8
PICTURE_VERSION = 12
"""Digits of a picture's key in its address."""


class Strict(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        """Nothing is null: a field is given or left out, so that "no value" can be written in one way alone."""
        if value is None:
            raise ValueError("is null; leave it out instead")
        return value


def _encodable(text: str) -> str:
    """Refuse half characters, which JSON can write and nothing else can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half a character at position {error.start}") from error
    return text


Encodable = Annotated[str, AfterValidator(_encodable)]
FieldName = Annotated[
    Encodable,
    Field(min_length=1, max_length=200, description="A field of the works, such as artist, or of their records."),
]
Text = Annotated[Encodable, Field(max_length=1000)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class FieldValue(Strict):
    """A field and the value it must hold; for a list field such as subjects: among its values."""

    field: FieldName
    value: Text | Whole | Number | bool


class FieldValues(Strict):
    """A field and the values of which it must hold one."""

    field: FieldName
    values: list[Text | Whole] = Field(min_length=1, max_length=1000)


class FieldRange(Strict):
    """A field and the bounds of its number, both included; a bound that is left out is open."""

    field: FieldName
    gte: Number | None = None
    lte: Number | None = None


class FieldPresence(Strict):
    """A field that must be there and not empty."""

    field: FieldName


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
    exists: FieldPresence | None = None

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
            raise InvalidFilter(
                f"The filter is nested deeper than {MAX_FILTER_DEPTH} levels.",
                hint="Write it flatter: and, or and not can mostly be merged.",
                field="filter",
            )
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
        if self.exists is not None:
            return works.Exists(self.exists.field)
        raise InvalidFilter("The filter is empty.", field="filter")

    def places(self, at: tuple[str | int, ...] = ("filter",)) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """Each field that the tree asks of, with the way to its place in the request's body."""
        for name, group in (("and", self.and_), ("or", self.or_)):
            for number, part in enumerate(group or ()):
                yield from part.places((*at, name, number))
        if self.not_ is not None:
            yield from self.not_.places((*at, "not"))
        for name, leaf in (("eq", self.eq), ("in", self.in_), ("range", self.range), ("exists", self.exists)):
            if leaf is not None:
                yield leaf.field, (*at, name, "field")


FILTER_EXAMPLE: dict[str, JsonValue] = {
    "and": [
        {"in": {"field": "artist", "values": ["John Constable", "J. M. W. Turner"]}},
        {"not": {"eq": {"field": "medium", "value": "Ink on paper"}}},
    ]
}


CollectionName = Annotated[
    str,
    Field(
        description="Collection to search; not needed where there is only one, or a default.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,63})?$",
    ),
]
WorkId = Annotated[Encodable, Field(description="The collection's own id of the work.", max_length=512)]


class SearchOptions(Strict):
    """What all ways to search have in common."""

    collection: CollectionName = ""
    target: Target | None = Field(
        default=None, description="What to return. Left out: descriptions for a picture, works for all else."
    )
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT, description="Most hits to return.")
    candidates: int = Field(
        default=100, ge=1, le=MAX_CANDIDATES, description="How many works the global search hands to the reranker."
    )
    rerank: Ranker = Field(default=Ranker.DEFAULT, description="How candidates are put in order.")
    min_relevance: float = Field(default=0.0, ge=0.0, le=1.0, description="Leave out hits below this relevance.")
    explain: bool = Field(default=False, description="Add a 7 x 7 map for each word to each hit.")


class SearchRequest(SearchOptions):
    """A search by text, by picture or by an existing work; exactly one of the three."""

    text: Encodable = Field(
        default="",
        description="What to look for.",
        # Only described here: the search itself refuses other texts, with words of its own.
        json_schema_extra={"maxLength": MAX_TEXT, "pattern": r"\S"},
    )
    image: str = Field(
        default="",
        description="A picture file of any common format, base64.",
        json_schema_extra={"contentEncoding": "base64", "minLength": 1},
    )
    like: WorkId = Field(
        default="", description="Id of a work to find similar ones to.", json_schema_extra={"minLength": 1}
    )
    filter: FilterTree | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["text"]}, {"required": ["image"]}, {"required": ["like"]}],
            "examples": [
                {"collection": "sample", "text": "a man sitting with his dog", "limit": 5},
                {"collection": "sample", "text": "a boat on a stormy sea", "filter": FILTER_EXAMPLE},
                {"collection": "sample", "like": "sample-0001"},
            ],
        },
    )

    @property
    def given(self) -> list[str]:
        """Which of the three ways to ask are there."""
        return [name for name in ("text", "image", "like") if name in self.model_fields_set]


class ImageSearchForm(SearchOptions):
    """A search by an uploaded picture."""

    image: UploadFile = Field(description="The picture file, in any common format.")
    filter: str = Field(default="", max_length=100_000, description="As in `POST /v1/search`, written as JSON.")


class PictureBody(BaseModel):
    """Where a work's picture is served, and how to reserve its place."""

    thumbnail_url: str
    image_url: str
    width: int = Field(description="Of the original, in pixels.")
    height: int
    colour: str = Field(description='Dominant colour as "#rrggbb", or "".')


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
    extra: dict[str, Any] | None = Field(default=None, description="Further fields of the record.")


class StoredWorkBody(WorkBody):
    """A work with where it is kept and its picture."""

    collection: str
    picture: PictureBody | None = None


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
    default: str = Field(description='The collection searched where a request names none, or "".')


class Fault(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON Pointer into the body, or the name of a parameter after a slash.")
    code: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Stable name of the kind of problem, as a URI.")
    title: str = Field(description="The kind in words.")
    status: int
    detail: str = Field(description="What is wrong here, and what to do.")
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="The last part of the type; the same in gRPC and Python.")
    request_id: str = Field(description="Also in the header X-Request-Id and in the server's log.")
    errors: list[Fault] | None = Field(default=None, description="The fields at fault, where there are any.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:boonart:problem:invalid-query",
                    "title": "The query cannot be used",
                    "status": 422,
                    "detail": "The query is empty. Give a text, a picture or the id of a work.",
                    "instance": "/v1/search",
                    "code": "invalid-query",
                    "request_id": "6f1f3c0e8a4b4d0c9f2e1b6a7c4d2e90",
                    "errors": [{"pointer": "/text", "code": "invalid-query", "message": "The query is empty."}],
                }
            ]
        }
    )


class Health(BaseModel):
    """State of the process."""

    status: Literal["ok", "ready"]


# Answers are built by hand: validating what we made ourselves would only cost time.


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
        "work": work_json(hit.work),
    }
    for name in ("relation_score", "relevance"):
        if (value := getattr(hit, name)) is not None:
            body[name] = value
    if picture := picture_json(collection, hit.work.id, hit.picture):
        body["picture"] = picture
    if hit.explanation:
        body["explanation"] = [
            {"word": word.word, "weights": [[round(float(w), 5) for w in row] for row in word.weights]}
            for word in hit.explanation
        ]
    return body


def answer_json(answer: Answer, collection: str, stages: dict[str, float], took_ms: float) -> dict[str, Any]:
    """An answer, with the stages that the gateway added."""
    return {
        "collection": collection,
        "target": answer.target.value,
        "ranker": answer.ranker.value,
        "hits": [hit_json(collection, hit) for hit in answer.hits],
        "took_ms": round(took_ms, 3),
        "stages": {name: round(value, 3) for name, value in stages.items()},
        "degraded": dict(answer.degraded),
        "models": dict(answer.models),
    }
