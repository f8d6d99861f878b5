"""Every error that BoonArt raises on purpose.

    BoonArtError
    ├── InvalidRequest            the caller's input is wrong
    │   ├── InvalidQuery          an empty, too long or contradictory query
    │   ├── InvalidFilter         an unknown field or a value of the wrong type
    │   └── PictureError          bytes that are not a picture we can use
    │       ├── UnsupportedPicture    not a picture, or a format we do not read
    │       ├── TruncatedPicture      the data ends too early
    │       └── PictureTooLarge       more pixels or bytes than the budget
    ├── NotFound
    │   ├── CollectionNotFound
    │   └── WorkNotFound
    ├── CollectionExists
    ├── Unauthenticated           no API key, or one that is not valid
    ├── Forbidden                 a key that does not reach this far
    ├── ConfigurationError        settings that cannot work together
    ├── SourceError               an ingest source that cannot be read at all
    ├── RecordError               one record of a source that cannot be used
    ├── ModelError
    │   ├── ModelNotAvailable     the weights are not on this machine
    │   ├── ModelFileError        a weight file that is damaged or of another kind
    │   └── ModelMismatch         a collection made with other models
    ├── WorkIndexError
    │   ├── IndexLocked           another process owns the folder
    │   └── IndexCorrupt          the folder cannot be opened
    └── Unavailable               a part that is down, slow or full; trying again may help
        ├── Overloaded            the queue is full
        │   └── RateLimited       more requests than one caller may send
        ├── DeadlineExceeded      no answer in time
        └── OutOfMemory           the device has no memory left

Each carries a sentence that says what is wrong and, where there is one, a `hint` that says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class BoonArtError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        code: stable name of the kind of error, the same in REST, gRPC and Python.
        hint: what to do next, or an empty string.
        field: the request field at fault, as a dotted path, or an empty string.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidRequest(BoonArtError):
    """The caller's input is wrong; the same request will fail again."""

    code = "invalid-request"


class InvalidQuery(InvalidRequest):
    """An empty, too long or contradictory query."""

    code = "invalid-query"


class InvalidFilter(InvalidRequest):
    """A filter on an unknown field or with a value of the wrong type."""

    code = "invalid-filter"


class IdempotencyMismatch(InvalidRequest):
    """An `Idempotency-Key` that came with another request before."""

    code = "idempotency-mismatch"


class PictureError(InvalidRequest):
    """The bytes given are not a picture that can be used."""

    code = "invalid-picture"


class UnsupportedPicture(PictureError):
    """Not a picture, or in a format that is not read."""

    code = "unsupported-picture"


class TruncatedPicture(PictureError):
    """The picture's data ends too early or is damaged."""

    code = "truncated-picture"


class PictureTooLarge(PictureError):
    """The picture has more pixels or bytes than the budget allows."""

    code = "picture-too-large"


class NotFound(BoonArtError):
    """Something named in the request does not exist."""

    code = "not-found"


class CollectionNotFound(NotFound):
    """No collection of that name."""

    code = "collection-not-found"


class WorkNotFound(NotFound):
    """No work of that id in the collection."""

    code = "work-not-found"


class CollectionExists(BoonArtError):
    """A collection of that name is there already."""

    code = "collection-exists"


class Unauthenticated(BoonArtError):
    """No API key was given, or one that is unknown, revoked or out of date."""

    code = "unauthenticated"


class Forbidden(BoonArtError):
    """The API key does not have the scope that the request needs."""

    code = "forbidden"


class ConfigurationError(BoonArtError):
    """Settings that are missing, malformed or cannot work together."""

    code = "configuration"


class SourceError(BoonArtError):
    """An ingest source that cannot be read at all."""

    code = "source"


class RecordError(BoonArtError):
    """One record of a source that cannot be used; the others can."""

    code = "record"


class VersionMismatch(RecordError):
    """A record that was to replace a stored work of a certain version, and another is stored."""

    code = "version-mismatch"


class ModelError(BoonArtError):
    """Something is wrong with a model or its weights."""

    code = "model"


class ModelNotAvailable(ModelError):
    """The model's weights are not on this machine and nothing is fetched unasked."""

    code = "model-not-available"


class ModelFileError(ModelError):
    """A weight file is damaged, unsafe or made for another model."""

    code = "model-file"


class ModelMismatch(ModelError):
    """A collection was made with models other than the configured ones."""

    code = "model-mismatch"


class WorkIndexError(BoonArtError):
    """Something is wrong with the stored index."""

    code = "index"


class IndexLocked(WorkIndexError):
    """Another process owns the collection's folder.

    Attributes:
        url: address of the running server that owns it, or an empty string.
    """

    code = "index-locked"

    def __init__(self, message: str, *, hint: str = "", url: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url


class IndexCorrupt(WorkIndexError):
    """The collection's folder cannot be opened; nothing in it was changed."""

    code = "index-corrupt"


class Unavailable(BoonArtError):
    """A part is down, slow or full; the same request may succeed later.

    Attributes:
        retry_after: seconds after which trying again makes sense.
    """

    code = "unavailable"

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class RequestInProgress(Unavailable):
    """A request with the same `Idempotency-Key` is being answered."""

    code = "request-in-progress"


class Overloaded(Unavailable):
    """The queue is full."""

    code = "overloaded"


class RateLimited(Overloaded):
    """The caller has sent more requests than it may."""

    code = "rate-limited"


class DeadlineExceeded(Unavailable):
    """No answer within the time that the caller allowed."""

    code = "deadline-exceeded"


class OutOfMemory(Unavailable):
    """The device has no memory left even for the smallest batch."""

    code = "out-of-memory"


def make_error(
    code: str, message: str, *, hint: str = "", field: str = "", url: str = "", retry_after: float = 0.0
) -> BoonArtError:
    """An error of the class that `code` names, as another process sent it; the base class for a code of a newer one."""
    kind = _classes().get(code, BoonArtError)
    if issubclass(kind, IndexLocked):
        return kind(message, hint=hint, url=url)
    if issubclass(kind, Unavailable):
        return kind(message, hint=hint, retry_after=retry_after or 1.0)
    return kind(message, hint=hint, field=field)


def _classes() -> dict[str, type[BoonArtError]]:
    """Every class of the tree by its code."""
    found: dict[str, type[BoonArtError]] = {}
    waiting: list[type[BoonArtError]] = [BoonArtError]
    while waiting:
        kind = waiting.pop()
        if "code" in vars(kind):
            found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found
