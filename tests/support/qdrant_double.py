"""A small server that answers the part of Qdrant's API that BoonArt uses: python -m tests.support.qdrant_double.

It stands in for Qdrant where none can be had. Behind it is the engine that `qdrant-client` carries for its local mode,
so answers are computed by Qdrant's own client library and not made up here; speed, graphs, clusters and crash safety
of the real server are not shown by it. REST and gRPC listen on one event loop, so calls are served one after the other.

With `--path` the points lie on the disk and are there again after a `kill -9` and a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import warnings

import uvicorn
from qdrant_client import AsyncQdrantClient

from tests.support.qdrant_engine import Engine
from tests.support.qdrant_grpc import grpc_server
from tests.support.qdrant_rest import rest_app


async def serve(port: int, grpc_port: int, path: str, api_key: str, nodes: int = 1, host: str = "127.0.0.1") -> None:
    """Serve until interrupted."""
    client = AsyncQdrantClient(path=path) if path else AsyncQdrantClient(location=":memory:")
    engine = Engine(client, nodes)
    server = grpc_server(engine, api_key, f"{host}:{grpc_port}")
    await server.start()
    config = uvicorn.Config(rest_app(engine, api_key), host=host, port=port, log_level="warning", access_log=False)
    try:
        await uvicorn.Server(config).serve()
    finally:
        await server.stop(None)
        await client.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6333)
    parser.add_argument("--grpc-port", type=int, default=6334)
    parser.add_argument("--path", default="", help="folder that keeps the points; without it they are in memory")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--nodes", type=int, default=1, help="nodes that it says there are; one alone answers")
    given = parser.parse_args()
    # The engine warns that a few hundred points are many and that it keeps no payload indexes.
    warnings.simplefilter("ignore")
    asyncio.run(serve(given.port, given.grpc_port, given.path, given.api_key, given.nodes))


if __name__ == "__main__":
    sys.exit(main())
