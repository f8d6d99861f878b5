import inspect

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from boonart import errors
from boonart.errors import BoonArtError, make_error
from boonart.rpc.status import DETAILS_KEY, STATUS, from_call, from_status, status_code, to_status

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BoonArtError)]


def example(kind: type[BoonArtError]) -> BoonArtError:
    if issubclass(kind, errors.IndexLocked):
        return kind("What is wrong.", hint="What to do.", url="http://127.0.0.1:8000")
    if issubclass(kind, errors.Unavailable):
        return kind("What is wrong.", hint="What to do.", retry_after=2.5)
    return kind("What is wrong.", hint="What to do.", field="where.artist")


def test_the_table_has_a_line_for_every_error() -> None:
    assert set(STATUS) == set(KINDS)
    assert len({kind.code for kind in STATUS}) == len(STATUS), "two classes share a code"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_goes_there_and_back(kind: type[BoonArtError]) -> None:
    error = example(kind)
    status = to_status(error)
    back = from_status(status_pb2.Status.FromString(status.SerializeToString()))
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert status.code == status_code(error).value[0]


def test_details_say_reason_field_and_delay_in_the_standard_messages() -> None:
    status = to_status(errors.InvalidFilter("No such field.", field="where.artist"))
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("invalid-filter", "boonart")
    assert bad.field_violations[0].field == "where.artist"
    retry = error_details_pb2.RetryInfo()
    assert to_status(errors.Overloaded("Full.", retry_after=1.5)).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_a_long_error_stays_below_4_kb() -> None:
    error = errors.InvalidQuery("x" * 100_000, hint="y" * 100_000, field="z" * 100_000)
    assert to_status(error).ByteSize() < 5000


def test_a_code_of_a_newer_peer_becomes_the_base_class() -> None:
    assert type(make_error("of-tomorrow", "What is wrong.")) is BoonArtError


def failed(code: grpc.StatusCode, details: str, trailing: Metadata | None = None) -> AioRpcError:
    return AioRpcError(code, Metadata(), trailing or Metadata(), details=details)


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused", errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", errors.DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", errors.Overloaded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", errors.InvalidRequest),
        (grpc.StatusCode.UNIMPLEMENTED, "", errors.ConfigurationError),
        (grpc.StatusCode.UNAUTHENTICATED, "", errors.ConfigurationError),
        (grpc.StatusCode.CANCELLED, "", errors.Unavailable),
        (grpc.StatusCode.UNKNOWN, "boom", BoonArtError),
    ],
)
def test_what_grpc_itself_says_is_translated(code: grpc.StatusCode, details: str, kind: type[BoonArtError]) -> None:
    error = from_call(failed(code, details), "encoder at grpc://encoder:50051")
    assert type(error) is kind
    assert "encoder at grpc://encoder:50051" in error.message


def test_details_that_cannot_be_read_are_passed_over() -> None:
    error = from_call(failed(grpc.StatusCode.UNAVAILABLE, "away", Metadata((DETAILS_KEY, b"\xff\xff"))), "encoder")
    assert type(error) is errors.Unavailable


def test_our_details_win_over_the_bare_status() -> None:
    packed = to_status(errors.ModelMismatch("Other models.")).SerializeToString()
    error = from_call(
        failed(grpc.StatusCode.FAILED_PRECONDITION, "Other models.", Metadata((DETAILS_KEY, packed))), "x"
    )
    assert type(error) is errors.ModelMismatch
