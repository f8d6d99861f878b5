"""Check a running compose stack: `make compose-smoke`, on a machine with a Docker engine. Not collected by pytest.

Starts the stack with the sample gallery, searches over REST and gRPC, kills and restarts each service under load, and
says what the searches answered. Exit status 0 where all went as docs/deploy.md promises. Needs `docker compose`.
`test_deployment.py` runs the same checks against processes.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from boonart.rpc.v1 import search_pb2, search_pb2_grpc

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0
IN_FLIGHT = 32
CUT = 0
"""In place of a status: the gateway was away."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is checked.

    Attributes:
        url, grpc: where the gateway's REST interface and its gRPC server listen.
        token: what gRPC callers send, or "".
        query: a search that finds something, in REST's form.
        kill, start: end a service with `kill -9`, and start it again without waiting, by its name.
    """

    url: str
    grpc: str
    token: str
    query: dict[str, Any]
    kill: Callable[[str], object]
    start: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer as a client saw it."""

    status: int
    degraded: tuple[str, ...] = ()
    retry_after: str = ""

    @property
    def whole(self) -> bool:
        """Nothing was left out."""
        return self.status == 200 and not self.degraded


@dataclass
class Load(AbstractContextManager["Load"]):
    """Searches that run all the time, `IN_FLIGHT` at once."""

    stack: Stack
    seen: list[Seen] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.threads = [threading.Thread(target=self._ask) for _ in range(IN_FLIGHT)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _ask(self) -> None:
        # A connection that has been idle is not used again: the gateway may be closing it just then.
        limits = httpx.Limits(keepalive_expiry=1.0)
        with httpx.Client(timeout=60, trust_env=False, limits=limits) as client:
            while not self.ended.is_set():
                self.seen.append(ask(self.stack, client))
                if self.seen[-1].status != 200:
                    self.ended.wait(0.05)

    def check(self, what: str, wanted: Callable[[Seen], bool], *statuses: int) -> None:
        """Wait for a round of answers of a kind; meanwhile there may be none but of these statuses."""
        begin = len(self.seen)
        eventually(what, lambda: sum(map(wanted, self.seen[begin:])) >= IN_FLIGHT)
        if others := {seen.status for seen in self.seen[begin:]} - set(statuses):
            raise SystemExit(f"FAILED {what}: there were answers of {sorted(others)}")
        if any(seen.status >= 500 and not seen.retry_after for seen in self.seen[begin:]):
            raise SystemExit(f"FAILED {what}: an answer does not say when to come back")


def lacks(stage: str) -> Callable[[Seen], bool]:
    """Whether an answer was given without a stage."""
    return lambda seen: stage in seen.degraded


def ask(stack: Stack, client: httpx.Client) -> Seen:
    """One search, as a client sees it."""
    try:
        response = client.post(f"{stack.url}/v1/search", json=stack.query)
    except httpx.TransportError:
        return Seen(CUT)
    degraded = tuple(response.json().get("degraded", {}))
    return Seen(response.status_code, degraded, response.headers.get("retry-after", ""))


def eventually(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        SystemExit: it did not, in `PATIENCE` seconds.
    """
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE:
        if holds():
            sys.stdout.write(f"ok    {what} ({time.monotonic() - start:.1f} s)\n")
            return
        time.sleep(0.2)
    raise SystemExit(f"FAILED {what}")


def found_over_rest(stack: Stack) -> list[str]:
    """The works that are found, in order."""
    response = httpx.post(f"{stack.url}/v1/search", json=stack.query, timeout=60, trust_env=False)
    return [hit["work"]["id"] for hit in response.raise_for_status().json()["hits"]]


def found_over_grpc(stack: Stack) -> list[str]:
    """The same over gRPC."""
    metadata = [("authorization", f"Bearer {stack.token}")] if stack.token else []
    with grpc.insecure_channel(stack.grpc) as channel:
        service = search_pb2_grpc.SearchServiceStub(channel)
        answer = service.Search(search_pb2.SearchRequest(**stack.query), timeout=60, metadata=metadata)
    return [hit.work.id for hit in answer.hits]


def is_ready(stack: Stack) -> bool:
    """What the gateway says of itself."""
    try:
        return httpx.get(f"{stack.url}/readyz", timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def check(stack: Stack) -> None:
    """All checks, in order.

    Raises:
        SystemExit: says which one failed.
    """
    eventually("the gateway is ready", lambda: is_ready(stack))
    with httpx.Client(timeout=60, trust_env=False) as client:
        eventually("a search is answered whole", lambda: ask(stack, client).whole)
    expected = found_over_rest(stack)
    eventually("it finds something", lambda: bool(expected))
    eventually("over gRPC it finds the same", lambda: found_over_grpc(stack) == expected)
    with Load(stack) as load:
        load.check("many searches at once are answered", lambda seen: seen.whole, 200)
        for name, stage in (("reranker", "rerank"), ("encoder", "encode")):
            stack.kill(name)
            load.check(f"without the {name} answers say so, and none fails", lacks(stage), 200)
            stack.start(name)
            load.check(f"the {name} is used again", lambda seen: seen.whole, 200)
        stack.kill("qdrant")
        load.check("without Qdrant one is told when to come back", lambda seen: seen.status >= 500, 200, 503, 504)
        eventually("... and the gateway is not ready", lambda: not is_ready(stack))
        stack.start("qdrant")
        load.check("Qdrant is used again", lambda seen: seen.whole, 200, 503, 504)
        stack.kill("gateway")
        load.check("without the gateway there is nobody", lambda seen: seen.status == CUT, CUT, 200)
        stack.start("gateway")
        load.check("the gateway is back", lambda seen: seen.whole, CUT, 200, 503, 504)
    eventually("the order is what it was", lambda: found_over_rest(stack) == expected)


def compose(*arguments: str) -> None:
    """Run docker compose, with its output shown."""
    subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=True)


def main() -> int:
    """Build, start and check the stack."""
    subprocess.run(["sh", "ops/make-secrets.sh"], cwd=ROOT, check=True)
    compose("up", "--detach", "--build", "--wait")
    compose("--profile", "sample", "run", "--rm", "--build", "sample")
    check(
        Stack(
            url="http://127.0.0.1:8000",
            grpc="127.0.0.1:50050",
            token=(ROOT / "secrets" / "token").read_text().strip(),
            query={"collection": "sample", "text": "a man sitting with his dog", "limit": 5},
            kill=lambda name: compose("kill", name),
            start=lambda name: compose("start", name),
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
