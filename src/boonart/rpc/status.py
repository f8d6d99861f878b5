"""Errors on the wire: the one table between `boonart.errors` and gRPC.

An error travels as google.rpc.Status: the status code of the table, ErrorInfo with the error's stable code as its
reason, BadRequest where a field is at fault, and RetryInfo where trying again makes sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from boonart import errors
from boonart.errors import BoonArtError, make_error

DOMAIN = "boonart"
MAX_TEXT = 1000
"""Longest text of an error in characters: HTTP/2 trailers with more than a few KB break proxies and clients."""
DETAILS_KEY = "grpc-status-details-bin"

STATUS: dict[type[BoonArtError], grpc.StatusCode] = {
    errors.BoonArtError: grpc.StatusCode.INTERNAL,
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidQuery: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidFilter: grpc.StatusCode.INVALID_ARGUMENT,
    errors.IdempotencyMismatch: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PictureError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnsupportedPicture: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TruncatedPicture: grpc.StatusCode.INVALID_ARGUMENT,
    errors.PictureTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.CollectionNotFound: grpc.StatusCode.NOT_FOUND,
    errors.WorkNotFound: grpc.StatusCode.NOT_FOUND,
    errors.CollectionExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.ConfigurationError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SourceError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RecordError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.VersionMismatch: grpc.StatusCode.ABORTED,
    errors.ModelError: grpc.StatusCode.INTERNAL,
    errors.ModelNotAvailable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelFileError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.WorkIndexError: grpc.StatusCode.INTERNAL,
    errors.IndexLocked: grpc.StatusCode.FAILED_PRECONDITION,
    errors.IndexCorrupt: grpc.StatusCode.DATA_LOSS,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.RequestInProgress: grpc.StatusCode.ABORTED,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.OutOfMemory: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Every error class has its line; a test compares with `boonart.errors`."""
NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def status_code(error: BoonArtError) -> grpc.StatusCode:
    """The status code of an error; a class that has no line takes its nearest ancestor's."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def to_status(error: BoonArtError, *, code: grpc.StatusCode | None = None) -> status_pb2.Status:
    """The error as google.rpc.Status with its details.

    Args:
        code: instead of the table's, such as UNAUTHENTICATED.
    """
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN)
    if error.hint:
        info.metadata["hint"] = error.hint[:MAX_TEXT]
    if isinstance(error, errors.IndexLocked) and error.url:
        info.metadata["url"] = error.url[:MAX_TEXT]
    details = [info]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field[:MAX_TEXT], description=error.message[:MAX_TEXT]
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.Unavailable):
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    number: int = (code or status_code(error)).value[0]
    status = status_pb2.Status(code=number, message=error.message[:MAX_TEXT])
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def from_status(status: status_pb2.Status) -> BoonArtError | None:
    """The error that `to_status` packed, or None where the status is not one of ours."""
    info = error_details_pb2.ErrorInfo()
    if not _unpack(status, info) or info.domain != DOMAIN:
        return None
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    field = bad.field_violations[0].field if _unpack(status, bad) and bad.field_violations else ""
    after = retry.retry_delay.ToNanoseconds() / 1e9 if _unpack(status, retry) else 0.0
    return make_error(
        info.reason,
        status.message,
        hint=info.metadata.get("hint", ""),
        field=field,
        url=info.metadata.get("url", ""),
        retry_after=after,
    )


def _unpack(status: status_pb2.Status, into: object) -> bool:
    return any(detail.Unpack(into) for detail in status.details)


async def abort(
    context: grpc.aio.ServicerContext[object, object], error: BoonArtError, *, code: grpc.StatusCode | None = None
) -> None:
    """End the call with the error."""
    status = rpc_status.to_status(to_status(error, code=code))
    await context.abort(status.code, status.details, status.trailing_metadata)


def from_call(error: grpc.RpcError, peer: str) -> BoonArtError:
    """What a failed call means, as an error of ours.

    Args:
        error: of a call, synchronous or not.
        peer: who was called, for the message ("encoder at grpc://encoder:50051").
    """
    for value in _details(error):
        try:
            known = from_status(status_pb2.Status.FromString(value))
        except DecodeError:
            continue
        if known is not None and error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            return known
    return _foreign(error.code(), str(error.details() or ""), peer)


def _details(error: grpc.RpcError) -> Iterator[bytes]:
    # Pairs at run time, whatever the type stubs say.
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            yield value


def _foreign(code: grpc.StatusCode, details: str, peer: str) -> BoonArtError:
    """An error that gRPC itself, a proxy or a foreign server made."""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(f"The {peer} did not answer in time.")
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return errors.ConfigurationError(
            f"The {peer} refused our token.", hint="Give both sides the same file in BOONART_TOKEN_FILE."
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.ConfigurationError(
            f"The {peer} does not know the call: it is another service, or of another version.",
            hint="Check the address, and run the same version of BoonArt on both sides.",
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return errors.InvalidRequest(
            f"The message to or from the {peer} is larger than allowed: {details[:200]}.",
            hint="Send a smaller picture or fewer at once, or raise BOONART_MAX_MESSAGE_BYTES on both sides.",
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.Overloaded(f"The {peer} is full.")
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(f"The {peer} cannot be reached ({details[:200]}).")
    if code is grpc.StatusCode.CANCELLED:
        return errors.Unavailable(f"The {peer} broke off the call.")
    return BoonArtError(f"The {peer} failed with {code.name}: {details[:200]}.")
