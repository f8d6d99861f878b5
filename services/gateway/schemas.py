"""The bodies of the REST API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from boonart.search import MAX_CANDIDATES, MAX_LIMIT, MAX_TEXT
from boonart.search.queries import MAX_COLLECTIONS, MAX_FACETS, MAX_PARTS
from boonart.works import FacetScope, Mode, Ranker, Target
from boonart_services.gateway.filters import Body, Encodable, FilterTree, Strict

FILTER_EXAMPLE: dict[str, JsonValue] = {
    "and": [
        {"in": {"field": "artist", "values": ["John Constable", "J. M. W. Turner"]}},
        {"not": {"eq": {"field": "medium", "value": "Ink on paper"}}},
    ]
}


BASE64: dict[str, JsonValue] = {
    "contentEncoding": "base64",
    "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
"""How a field in base64 is described."""

COLLECTION_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
CollectionName = Annotated[
    str,
    Field(
        description="Collection to search; not needed where there is only one, or a default.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,63})?$",
    ),
]
GivenName = Annotated[str, Field(description="A collection, by its name.", pattern=COLLECTION_NAME)]
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
    mode: Mode = Field(default=Mode.VECTOR, description="How candidates are found: by meaning, by words, or by both.")
    keyword_weight: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="Weight of the keyword list beside the vector list in hybrid mode.",
    )
    diversity: float = Field(
        default=0.0, ge=0.0, le=1.0, description="Towards 1, hits that look like those before them move down."
    )
    per_artist: int = Field(default=0, ge=0, le=MAX_LIMIT, description="Most hits by one artist; 0 for no limit.")
    facet_scope: FacetScope = Field(
        default=FacetScope.FILTERED,
        description="Which works facets count: all that the filter lets pass, or the candidates of the query.",
    )
    cursor: str = Field(default="", max_length=1000, description="`next_cursor` of the page before, for the next one.")


class QueryPartBody(Body):
    """One of several things to search with; exactly one of text, image and like."""

    text: Encodable = Field(default="", json_schema_extra={"maxLength": MAX_TEXT, "pattern": r"\S"})
    image: str = Field(default="", json_schema_extra={**BASE64, "minLength": 1})
    like: WorkId = Field(default="", json_schema_extra={"minLength": 1})
    weight: float = Field(
        default=1.0, ge=-100.0, le=100.0, description="How much it counts; below 0 it leads away from what it names."
    )

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["image"]}, {"required": ["like"]}]},
    )


FieldList = Annotated[
    list[Annotated[Encodable, Field(min_length=1, max_length=200)]],
    Field(max_length=MAX_FACETS, description="Fields whose values are counted; `century` counts dates."),
]


class SearchRequest(SearchOptions, Body):
    """A search by text, by picture, by an existing work, or by several of them; exactly one of the four."""

    text: Encodable = Field(
        default="",
        description="What to look for.",
        # Only described here: the search itself refuses other texts, with words of its own.
        json_schema_extra={"maxLength": MAX_TEXT, "pattern": r"\S"},
    )
    image: str = Field(
        default="",
        description="A picture file of any common format, base64.",
        json_schema_extra={**BASE64, "minLength": 1},
    )
    like: WorkId = Field(
        default="", description="Id of a work to find similar ones to.", json_schema_extra={"minLength": 1}
    )
    query: list[QueryPartBody] = Field(
        default_factory=list,
        description="Several things at once, with weights.",
        json_schema_extra={"minItems": 1, "maxItems": MAX_PARTS},
    )
    collections: list[GivenName] = Field(
        default_factory=list, max_length=MAX_COLLECTIONS, description="Several collections to search at once."
    )
    facets: FieldList = Field(default_factory=list)
    filter: FilterTree | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["text"]},
                {"required": ["image"]},
                {"required": ["like"]},
                {"required": ["query"]},
            ],
            "examples": [
                {"collection": "sample", "text": "a man sitting with his dog", "limit": 5},
                {"collection": "sample", "text": "a boat on a stormy sea", "filter": FILTER_EXAMPLE},
                {"collection": "sample", "like": "sample-001"},
                {
                    "collection": "sample",
                    "query": [{"like": "sample-001"}, {"text": "in the snow"}, {"text": "a rider", "weight": -0.5}],
                },
                {"collection": "sample", "text": "John Constable", "mode": "hybrid", "facets": ["artist", "century"]},
            ],
        },
    )

    @property
    def given(self) -> list[str]:
        """Which of the four ways to ask are there."""
        return [name for name in ("text", "image", "like", "query") if name in self.model_fields_set]


class ImageSearchForm(SearchOptions):
    """A search by an uploaded picture."""

    image: UploadFile = Field(description="The picture file, in any common format.", json_schema_extra={"minLength": 1})
    facets: str = Field(default="", max_length=4000, description="Names of fields, separated by commas.")
    filter: str = Field(
        default="", max_length=100_000, description="As in `POST /v1/search`, written as JSON or in short."
    )


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
    version: str | None = Field(default=None, description="Changes when the work does; for `if_version` of an upsert.")
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
    collection: str = Field(description="Where the work is.")
    matched_by: list[str] = Field(
        description='What found it: "vector", "keyword", and "exact" where its id, title or artist is the query.'
    )
    work: WorkBody
    picture: PictureBody | None = None
    explanation: list[WordMapBody] | None = None
    description_composed: bool | None = Field(
        default=None, description="True where a template made the description from other fields of the record."
    )


class FacetCountBody(BaseModel):
    """A value of a field and how many works hold it."""

    value: str | int | bool
    count: int


class FacetsResponse(BaseModel):
    """Counted values by field, the commonest first."""

    collection: str
    facets: dict[str, list[FacetCountBody]]


class TotalBody(BaseModel):
    """How many works a query finds, also beyond the last page."""

    value: int
    relation: Literal["eq", "gte"] = Field(description='"eq": these and no more; "gte": at least these.')


class WarningBody(BaseModel):
    """An option that had no effect on the answer."""

    field: str = Field(description="The option's name.")
    message: str = Field(description="Why it had none.")


class SearchResponse(BaseModel):
    """The hits of a query and how they came about."""

    collection: str
    target: Target
    ranker: Ranker
    hits: list[HitBody]
    facets: dict[str, list[FacetCountBody]] | None = None
    next_cursor: str | None = Field(default=None, description="For the next page; left out on the last one.")
    took_ms: float
    stages: dict[str, float] = Field(description="Milliseconds by stage.")
    degraded: dict[str, str] = Field(description="Stages that were left out, with the reason.")
    models: dict[str, str]
    total: TotalBody | None = None
    warnings: list[WarningBody] = Field(
        default_factory=list, description="Options that had no effect, with the reason."
    )
    index_generation: int | None = Field(
        default=None, description="`version` of the collection that was searched; left out for several."
    )


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
    degraded: dict[str, str] = Field(
        default_factory=dict, description="Stages that answers do without for now, with the reason."
    )
