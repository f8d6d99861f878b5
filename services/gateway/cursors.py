"""Cursors: where a list of hits goes on.

A cursor carries the query's digest, how many hits were given and the id of the last one. The list is made anew
for each page, always in the same order for the same request, and goes on after that last hit; so any gateway can
answer it, nothing is kept, and works that came or went in between neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from boonart.errors import InvalidQuery
from boonart.works import Hit, Query

_CHECK = 8
"""Bytes of the checksum that tells a damaged cursor from a whole one."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list.

    Attributes:
        given: hits on the pages before.
        last: collection and id of the last of them.
    """

    given: int = 0
    last: tuple[str, str] = ("", "")

    def rest(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """The hits after this place."""
        for place, hit in enumerate(hits):
            if (hit.collection, hit.work.id) == self.last:
                return hits[place + 1 :]
        # The last hit has gone since: what was counted is the best that is known.
        return hits[self.given :]

    def after(self, hits: Sequence[Hit]) -> Cursor:
        """The place after these hits."""
        return Cursor(self.given + len(hits), (hits[-1].collection, hits[-1].work.id))


def digest(query: Query) -> str:
    """What tells one query from another, over REST and gRPC alike; pages of different length belong to one list."""
    found = hashlib.blake2b(digest_size=12)
    for picture in (query.picture, *(part.picture for part in query.parts)):
        if picture is not None:
            found.update(picture.pixels.tobytes())
    parts = tuple(replace(part, picture=None) for part in query.parts)
    # Texts may hold anything, also halves of characters.
    found.update(repr(replace(query, picture=None, parts=parts, limit=0)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def write(cursor: Cursor, request_digest: str) -> str:
    """The cursor as an opaque text."""
    body = json.dumps([request_digest, cursor.given, *cursor.last], separators=(",", ":")).encode()
    return _as_text(_checksum(body) + body)


def read(text: str, request_digest: str) -> Cursor:
    """The cursor of a text; the beginning for "".

    Raises:
        InvalidQuery: it was altered, or belongs to another request.
    """
    if not text:
        return Cursor()
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        # Several texts can stand for the same bytes; only the one that was given is taken back.
        if _checksum(data[_CHECK:]) != data[:_CHECK] or _as_text(data) != text:
            raise ValueError("the checksum is wrong")
        made_for, given, collection, work_id = json.loads(data[_CHECK:])
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidQuery(
            "The cursor is damaged.", hint="Give next_cursor as it was, or begin without a cursor.", field="cursor"
        ) from error
    if made_for != request_digest:
        raise InvalidQuery(
            "The cursor belongs to another request.",
            hint="Change nothing but limit from page to page, or begin without a cursor.",
            field="cursor",
        )
    return Cursor(int(given), (str(collection), str(work_id)))


def _as_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK, person=b"boonart-cursor").digest()
