"""What both clients share: requests made, answers read, when to try again."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from boonart.errors import BoonArtError, InvalidQuery, InvalidRequest, NotFound, Unavailable, make_error

TIMEOUT = 30.0
"""Seconds that one try may take."""
RETRIED = {429, 502, 503, 504}
"""Answers after which the same request may succeed."""
TOO_LARGE = 413
"""The answer to a body that is larger than this server takes."""
LONGEST_WAIT = 30.0
UPSERT_BYTES = 16 * 1024 * 1024
"""Pictures that go into one request when many works are stored."""
UPSERT_WORKS = 200
FINISHED = {"succeeded", "partial", "failed", "cancelled"}
"""States in which a job is over."""
EMBEDDED = "http://embedded"
"""Stands for a server where there is none: requests are answered in this process."""

Picture = bytes | str | Path
"""A picture: a file's bytes, or the path of one."""


def headers(api_key: str) -> dict[str, str]:
    """Headers of each request."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def within(collection: str) -> dict[str, str]:
    """Parameters of a request about a work: its collection, where it is not the server's default."""
    return {"collection": collection} if collection else {}


def narrowed(filter: Mapping[str, Any] | str) -> dict[str, str]:
    """Parameters of a request under a filter, a tree or its short form."""
    if not filter:
        return {}
    return {"filter": filter if isinstance(filter, str) else json.dumps(filter)}


def search_body(
    text: str, image: Picture | None, like: str, query: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a search.

    Raises:
        InvalidQuery: nothing to search with, or several things outside of `query`.
        InvalidFilter: a filter in words that cannot be read.
    """
    given: dict[str, Any] = {}
    if text:
        given["text"] = text
    if image is not None:
        given["image"] = encoded(image)
    if like:
        given["like"] = like
    if query:
        given["query"] = [_part(part) for part in query]
    if len(given) != 1:
        raise InvalidQuery(
            "Give exactly one of text, image, like and query.", hint="Several at once go into query, with weights."
        )
    others = {name: value for name, value in options.items() if value is not None}
    if isinstance(others.get("filter"), str):
        from boonart.search.filter_text import parse_filter

        others["filter"] = parse_filter(others["filter"])
    return {**given, **others}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encoded(value) if name == "image" else value for name, value in part.items()}


def encoded(picture: Picture) -> str:
    """A picture in base64."""
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return base64.b64encode(data).decode()


def batches(works: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Works with their pictures encoded, as many at a time as one request takes well."""
    batch: list[dict[str, Any]] = []
    size = 0
    for work in works:
        record = _part(work)
        length = len(record.get("image", ""))
        if batch and (size + length > UPSERT_BYTES or len(batch) == UPSERT_WORKS):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def wait_before(attempt: int, response: httpx.Response | None) -> float:
    """Seconds to wait before trying again: as the server says, else doubling from a quarter, with some chance."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    if asked.isdigit():
        return min(LONGEST_WAIT, float(asked))
    pause: float = min(LONGEST_WAIT, 0.25 * 2.0**attempt)
    return pause * random.uniform(0.5, 1.0)


def read(response: httpx.Response) -> Any:
    """The JSON of an answer.

    Raises:
        BoonArtError: the error that its problem document names.
        Unavailable: what answers is no BoonArt server.
    """
    if response.status_code == 204:
        return None
    try:
        body = response.json()
        if response.is_success:
            return body
        raise _error(response, body)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise Unavailable(f"{response.url} answered with {response.status_code}, and not as BoonArt does.") from error


def _error(response: httpx.Response, body: Any) -> BoonArtError:
    faults = body.get("errors") or [{}]
    after = response.headers.get("retry-after", "")
    error = make_error(
        body["code"],
        body["detail"],
        hint="Give the client another key: api_key=..." if response.status_code in {401, 403} else "",
        field=faults[0].get("pointer", ""),
        retry_after=float(after) if after.isdigit() else 0.0,
    )
    if type(error) is BoonArtError and response.is_client_error:
        # A code that this version does not know, or one of HTTP itself, such as a body that is too large.
        return NotFound(error.message) if response.status_code == 404 else InvalidRequest(error.message)
    return error


def unreachable(base_url: str, error: Exception) -> Unavailable:
    """The error of a server that does not answer."""
    return Unavailable(f"{base_url} does not answer: {error or type(error).__name__}.", hint="Is it running there?")


class JobEvents:
    """Reads a job's server-sent events line by line, as they come.

    Attributes:
        last: number of the event read last, to go on after it.
        over: the last event of all has been read.
    """

    def __init__(self) -> None:
        self.last = ""
        self.over = False
        self._lines: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the request that goes on after the last event."""
        return {"Last-Event-ID": self.last} if self.last else {}

    def read(self, line: str) -> dict[str, Any] | None:
        """The job as an event says, where this line ends one."""
        if line:
            name, _, value = line.partition(": ")
            self._lines[name] = value
            return None
        event, self._lines = self._lines, {}
        if "data" not in event:
            return None
        self.last = event.get("id", self.last)
        job: dict[str, Any] = json.loads(event["data"])
        # Who comes too late for the events of a job that is over is told once how it ended.
        self.over = event.get("event") == "done" or (event.get("event") == "resync" and job["state"] in FINISHED)
        return job
