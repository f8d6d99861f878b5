"""The bodies of the REST API around collections and jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from boonart_services.gateway.filters import Body, Encodable, Number, Text, Whole
from boonart_services.gateway.jobs import State
from boonart_services.gateway.schemas import COLLECTION_NAME, CollectionBody, PictureBody, WorkId

MOST_WORKS = 1_000
"""Works that one request may bring; larger collections come in several, or by `boonart ingest`."""
MOST_DELETED = 10_000
"""Works that one request may delete."""

LongText = Annotated[Encodable, Field(max_length=100_000)]
ShortText = Annotated[Encodable, Field(max_length=4_000)]


class NewCollection(Body):
    """A collection to be made."""

    name: str = Field(pattern=COLLECTION_NAME, examples=["watercolours"])


class CollectionDescription(CollectionBody):
    """A collection in full."""

    version: int = Field(description="Counts how often it was made anew for other models.")
    size_bytes: int = Field(description="What it takes on disk; 0 where unknown.")
    global_size: int = Field(description="Length of a global vector.")
    embed_size: int = Field(description="Length of a region's vector; 0 where it has no features to rerank with.")
    schema_version: int
    searchable: bool = Field(description="Whether this server's encoder made it.")
    fields: dict[str, str] = Field(description="What can be filtered on, with its kind.")


class WorkRecord(Body):
    """A work to be stored."""

    id: Annotated[WorkId, Field(min_length=1)]
    title: ShortText = ""
    artist: ShortText = ""
    date: ShortText = Field(default="", description='As the museum writes it: "c.1861", "late 18th century".')
    medium: ShortText = ""
    description: LongText = ""
    subjects: list[ShortText] = Field(default_factory=list, max_length=1_000)
    source_url: ShortText = ""
    credit: ShortText = ""
    licence: ShortText = ""
    extra: dict[ShortText, bool | Whole | Number | Text] = Field(
        default_factory=dict, max_length=256, description="Further fields that can be filtered on."
    )
    if_version: Annotated[Encodable, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="Store it only where the stored work has this `version`, or, with `none`, where there is none yet.",
    )
    image: str = Field(description="The picture file in base64.", json_schema_extra={"contentEncoding": "base64"})


class UpsertRequest(Body):
    """Works to be stored."""

    works: list[WorkRecord] = Field(min_length=1, max_length=MOST_WORKS)
    wait: bool = Field(default=True, description="Answer when all is stored; false answers at once with the job.")


class DeleteWorksRequest(Body):
    """Works to be deleted."""

    ids: list[Annotated[WorkId, Field(min_length=1)]] = Field(min_length=1, max_length=MOST_DELETED)


class DeletedResponse(BaseModel):
    """What was deleted."""

    deleted: int = Field(description="How many of them there were.")


class ItemError(BaseModel):
    """A work that could not be stored."""

    id: str
    place: str = Field(description="Where it stood in the request.")
    code: str
    message: str


class JobBody(BaseModel):
    """A job, as it stands."""

    id: str
    kind: str
    collection: str
    state: State
    done: int
    total: int
    failed: int
    seconds_left: float | None = None
    errors: list[ItemError]
    error: str | None = Field(default=None, description="Why it failed as a whole.")
    summary: dict[str, int] = Field(description="Works added, updated, unchanged and quarantined, at the end.")
    started: float = Field(description="Seconds since 1970.")


class JobEvent(BaseModel):
    """Something that happened to a job, as a server-sent event."""

    id: str = Field(description="Counts a job's events; `Last-Event-ID` to go on after it.")
    event: str = Field(description="state, progress, item_error, resync, or done at the end.")
    data: str = Field(
        description="The whole job with the number of the event as `seq`, as JSON.",
        json_schema_extra={"contentMediaType": "application/json"},
    )


class JobsResponse(BaseModel):
    """All jobs that are remembered, the newest first."""

    jobs: list[JobBody]


class LimitsResponse(BaseModel):
    """How much this server takes at once."""

    text_characters: int = Field(description="Longest text of a query.")
    query_parts: int = Field(description="Most parts of a query.")
    collections: int = Field(description="Most collections of one search.")
    facets: int = Field(description="Most fields whose values one request counts.")
    hits: int = Field(description="Most hits of a search, over all its pages.")
    candidates: int = Field(description="Most works that are handed to the reranker.")
    filter_depth: int = Field(description="Most levels of a filter.")
    picture_bytes: int = Field(description="Largest picture file.")
    request_bytes: int = Field(description="Largest request as a whole.")
    upsert_works: int = Field(description="Most works that one request stores.")
    delete_works: int = Field(description="Most works that one request deletes.")
    map_points: int = Field(description="Most points of a map whose works one request names.")
    running_jobs: int = Field(description="Most jobs that run at once.")
    requests_per_minute: int = Field(description="Of each key and each address; 0 for any number.")
    request_seconds: float = Field(description="Within which a search is answered.")


class MapWork(BaseModel):
    """A work at a point of a map."""

    point: int
    id: str
    title: str
    artist: str
    date: str
    page: str = Field(description="Address of the work's own page.")
    picture: PictureBody | None = None


class MapWorksResponse(BaseModel):
    """Works at points of a map."""

    works: list[MapWork]
