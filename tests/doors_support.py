"""What tests of REST beside gRPC share: one gateway with both doors open, filters as messages, and how a call ended."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
from gateway_support import COLLECTION, client_of, colour_parts
from google.rpc import error_details_pb2, status_pb2
from page_gateway import ColourReranker
from rpc_support import serving_settings

from boonart.rpc.channels import ChannelOptions
from boonart.rpc.search_mapping import from_search_response
from boonart.rpc.status import DETAILS_KEY
from boonart.rpc.v1 import search_pb2, search_pb2_grpc
from boonart_services.gateway.answers import answer_json
from boonart_services.gateway.grpc_access import GrpcAccess
from boonart_services.gateway.grpc_search import search_server
from boonart_services.gateway.main import create_app

Filter = search_pb2.Filter


def equals(field: str, text: str) -> search_pb2.Filter:
    return Filter(equals=search_pb2.EqualsFilter(field=field, value=search_pb2.Value(text=text)))


def group(*filters: search_pb2.Filter) -> search_pb2.FilterGroup:
    return search_pb2.FilterGroup(filters=filters)


def negated(inner: search_pb2.Filter) -> search_pb2.Filter:
    made = Filter()
    getattr(made, "not").CopyFrom(inner)
    return made


BY_ADA = {"eq": {"field": "artist", "value": "Ada Grey"}}
TREE = {
    "and": [
        {"or": [BY_ADA, {"in": {"field": "year", "values": [1881, 1882]}}]},
        {"not": {"eq": {"field": "framed", "value": False}}},
        {"range": {"field": "year", "gte": 1880, "lte": 1886}},
        {"exists": {"field": "description"}},
        {"words": {"field": "description", "text": "square ground"}},
        {"date": {"from": 1880, "to": 1890}},
    ]
}
TREE_MESSAGE = Filter(
    all=group(
        Filter(
            any=group(
                equals("artist", "Ada Grey"),
                Filter(
                    one_of=search_pb2.OneOfFilter(
                        field="year", values=[search_pb2.Value(integer=1881), search_pb2.Value(integer=1882)]
                    )
                ),
            )
        ),
        negated(Filter(equals=search_pb2.EqualsFilter(field="framed", value=search_pb2.Value(flag=False)))),
        Filter(range=search_pb2.RangeFilter(field="year", minimum=1880, maximum=1886)),
        Filter(exists=search_pb2.ExistsFilter(field="description")),
        Filter(words=search_pb2.WordsFilter(field="description", text="square ground")),
        Filter(date=search_pb2.DateFilter(earliest=1880, latest=1890)),
    )
)


@dataclass
class Doors:
    rest: httpx.AsyncClient
    rpc: "search_pb2_grpc.SearchServiceAsyncStub"
    channel: grpc.aio.Channel


@contextlib.asynccontextmanager
async def opened(home: Path, access: GrpcAccess | None = None) -> AsyncIterator[Doors]:
    names = (COLLECTION, "other")
    async with colour_parts(
        home,
        collections=names,
        default_collection=COLLECTION,
        reranker=ColourReranker(),  # type: ignore[arg-type]
    ) as parts:
        app = create_app(parts)
        server = search_server(app.state.context, serving_settings(), access)
        port = await server.start()
        options = ChannelOptions().arguments()
        async with client_of(app) as rest, grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            yield Doors(rest, search_pb2_grpc.SearchServiceStub(channel), channel)
        await server.stop()
        await app.state.context.jobs.close()


def as_json(message: search_pb2.SearchResponse) -> dict[str, Any]:
    """What gRPC answered, in the form of REST."""
    body = answer_json(from_search_response(message), message.collection, {}, 0.0, message.next_cursor)
    return without_times(body)


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"stages", "took_ms"}}


def reason(error: grpc.aio.AioRpcError) -> str:
    """The code of an error, as `google.rpc.ErrorInfo` carries it."""
    info = error_details_pb2.ErrorInfo()
    assert status_of(error).details[0].Unpack(info)
    return info.reason


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """An error with its details."""
    metadata: Any = error.trailing_metadata()
    return status_pb2.Status.FromString(dict(metadata)[DETAILS_KEY])


async def ended(call: Any) -> None:
    """Wait for the end of a call, of one answer or of a stream of them."""
    if isinstance(call, grpc.aio.UnaryStreamCall):
        async for _ in call:
            pass
    else:
        await call


class Refusal(NamedTuple):
    """How a call was refused.

    Attributes:
        reason: the code of the problem, the same as over REST.
        detail: what is wrong, in words.
        field: where in the request, or "".
    """

    status: grpc.StatusCode
    reason: str
    detail: str
    field: str


async def refusal(call: Any) -> Refusal:
    """How a call is refused, which it must be."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ended(call)
    fields = error_details_pb2.BadRequest()
    for detail in status_of(caught.value).details:
        detail.Unpack(fields)
    field = fields.field_violations[0].field if fields.field_violations else ""
    return Refusal(caught.value.code(), reason(caught.value), str(caught.value.details()), field)
