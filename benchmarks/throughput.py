"""Queries a second at many concurrent clients against one client's: `python benchmarks/throughput.py --json FILE`.

Starts the services as they are deployed, each a process on loopback: the encoder, the gateway, and with `--rerank` the
reranker. The gateway keeps the collection itself, in Qdrant Edge, so that no further server's speed is measured. Each
round runs one client and then all of them, so that a machine that is busy for a while is so for both; the ratio is of
the medians over the rounds. The figures have the project's one form for measurements.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from boonart.evaluation.measurement import Measurement, this_machine
from boonart.evaluation.processes import gateway, service
from boonart.rpc.clients import RemoteEncoder
from boonart.sample.gallery import committed_gallery

COLLECTION = "sample"
WORDS = ("a cow", "two dogs", "a man", "three boats", "an old bridge", "a woman", "flowers", "a red house")
PLACES = ("in the room", "by a river", "under a tree", "on the sea", "at night", "in the snow", "behind a wall")
Ask = Callable[[str], Awaitable[None]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def query(client: int, number: int) -> str:
    """A query that no other client asks at the same time."""
    return f"{WORDS[number % len(WORDS)]} {PLACES[(number + client) % len(PLACES)]} number {client} {number}"


# --- the services ----------------------------------------------------------------------------------------


def ingest(home: Path, encoder_url: str) -> None:
    """Load the sample gallery, as a user would."""
    command = [sys.executable, "-m", "boonart_ingest.main", str(committed_gallery()), "--collection", COLLECTION]
    environment = os.environ | {"BOONART_HOME": str(home), "BOONART_ENCODER_URL": encoder_url}
    subprocess.run(command, env=environment, check=True)


# --- the clients -----------------------------------------------------------------------------------------


class Client:
    """One connection that asks the gateway over REST: hardly more than the bytes, so as not to slow it down."""

    def __init__(self, port: int, options: dict[str, object]) -> None:
        self._port = port
        self._options = options

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)

    def close(self) -> None:
        self._writer.close()

    async def ask(self, text: str) -> None:
        if self._reader.at_eof():  # the gateway has closed it, idle while one client alone was asking
            self.close()
            await self.open()
        body = json.dumps({"text": text, **self._options}).encode()
        head = f"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = json.loads(await self._reader.readexactly(length))
        if " 200 " not in head.partition("\r\n")[0] or answer["degraded"]:
            sys.exit(f"the gateway answered {answer}")


async def rate(asks: list[Ask], seconds: float) -> float:
    """Queries a second of all clients together, each asking again as soon as it is answered."""
    end = time.perf_counter() + seconds
    done = 0

    async def work(client: int, ask: Ask) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < end:
            await ask(query(client, number))
            number += 1
            done += 1

    start = time.perf_counter()
    await asyncio.gather(*(work(client, ask) for client, ask in enumerate(asks)))
    return done / (time.perf_counter() - start)


async def compare(asks: list[Ask], seconds: float, rounds: int) -> dict[str, float]:
    """Rates of one and of all clients, and how many times larger the latter is."""
    await rate(asks, seconds / 2)
    ones, alls = [], []
    for _ in range(rounds):
        ones.append(await rate(asks[:1], seconds))
        alls.append(await rate(asks, seconds))
    one, many = statistics.median(ones), statistics.median(alls)
    return {"one.per_second": one, "many.per_second": many, "ratio": many / one}


async def measure(
    encoder_url: str, port: int, *, clients: int, seconds: float, rounds: int, rerank: str
) -> dict[str, float]:
    """Figures of `EncodeTexts` and of text queries."""
    encoder = RemoteEncoder(encoder_url)
    await encoder.refresh()

    async def encode(text: str) -> None:
        await encoder.encode_texts([text])

    figures = {f"encode.{k}": v for k, v in (await compare([encode] * clients, seconds, rounds)).items()}
    await encoder.close()
    connections = [Client(port, {"collection": COLLECTION, "rerank": rerank, "limit": 20}) for _ in range(clients)]
    for connection in connections:
        await connection.open()
    asks = [connection.ask for connection in connections]
    figures |= {f"query.{k}": v for k, v in (await compare(asks, seconds, rounds)).items()}
    for connection in connections:
        connection.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="starter")
    parser.add_argument("--rerank", default="none", help="none, or a ranker: the reranker is then started too")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, help="folder that keeps the loaded collection for the next run")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    start = time.perf_counter()
    encoder_port, gateway_port, metrics = free_port(), free_port(), free_port()
    url = f"grpc://127.0.0.1:{encoder_port}"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        home = given.home or Path(folder)
        settings = {"GRPC_PORT": str(encoder_port), "ENCODER": given.encoder, "METRICS_PORT": str(metrics)}
        running.enter_context(service("boonart_services.encoder", home, url, **settings))
        ingest(home, url)
        reranker = "none" if given.rerank == "none" else "auto"
        running.enter_context(gateway(home, gateway_port, ENCODER_URL=url, RERANKER=reranker))
        figures = asyncio.run(
            measure(
                url,
                gateway_port,
                clients=given.clients,
                seconds=given.seconds,
                rounds=given.rounds,
                rerank=given.rerank,
            )
        )
    measured = Measurement(
        "throughput",
        {name: round(value, 3) for name, value in figures.items()},
        {name: getattr(given, name) for name in ("encoder", "rerank", "clients", "seconds", "rounds")},
        this_machine(),
        time.perf_counter() - start,
    )
    print(f"{'':10} {'one client':>12} {f'{given.clients} clients':>12} {'ratio':>7}   (a second)")
    for kind in ("encode", "query"):
        one, many = figures[f"{kind}.one.per_second"], figures[f"{kind}.many.per_second"]
        print(f"{kind:10} {one:12.1f} {many:12.1f} {many / one:7.2f}")
    if given.json:
        measured.write(given.json)


if __name__ == "__main__":
    main()
