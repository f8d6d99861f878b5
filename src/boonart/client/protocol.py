"""What both clients share: requests made, answers read, when to try again."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from boonart.errors import BoonArtError, ConfigurationError, InvalidQuery, Unavailable, make_error

TIMEOUT = 30.0
"""Seconds that one try may take."""
RETRIED = {429, 502, 503, 504}
"""Answers after which the same request may succeed."""
LONGEST_WAIT = 30.0
UPSERT_BYTES = 16 * 1024 * 1024
"""Pictures that go into one request when many works are stored."""
UPSERT_WORKS = 200

Picture = bytes | str | Path
"""A picture: a file's bytes, or the path of one."""


def headers(api_key: str) -> dict[str, str]:
    """Headers of each request."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def within(collection: str) -> dict[str, str]:
    """Parameters of a request about a work: its collection, where it is not the server's default."""
    return {"collection": collection} if collection else {}


def search_body(
    text: str, image: Picture | None, like: str, query: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a search.

    Raises:
        InvalidQuery: nothing to search with, or several things outside of `query`.
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
    return {**given, **{name: value for name, value in options.items() if value is not None}}


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
        ConfigurationError: a key is needed, or reaches not far enough.
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
    if response.status_code in {401, 403}:
        return ConfigurationError(body["detail"], hint="Give the client a key: api_key=...", field="api_key")
    faults = body.get("errors") or [{}]
    after = response.headers.get("retry-after", "")
    return make_error(
        body["code"],
        body["detail"],
        field=faults[0].get("pointer", ""),
        retry_after=float(after) if after.isdigit() else 0.0,
    )


def unreachable(base_url: str, error: Exception) -> Unavailable:
    """The error of a server that does not answer."""
    return Unavailable(f"{base_url} does not answer: {error or type(error).__name__}.", hint="Is it running there?")
