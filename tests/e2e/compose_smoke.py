"""Check a running compose stack: `make compose-smoke`, on a machine with a Docker engine. Not collected by pytest.

Starts the stack with the sample gallery, searches, kills and restarts each service, and says what each search answered.
Exit status 0 where all went as docs/deploy.md promises. Needs httpx and `docker compose`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:8000"
PATIENCE = 180.0
QUERY = {"collection": "sample", "text": "a man sitting with his dog", "limit": 5}


def compose(*arguments: str) -> None:
    """Run docker compose, with its output shown."""
    subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=True)


def search() -> httpx.Response:
    """One search."""
    return httpx.post(f"{URL}/v1/search", json=QUERY, timeout=15)


def eventually(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds.

    Raises:
        SystemExit: it did not, in `PATIENCE` seconds.
    """
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE:
        try:
            if holds():
                sys.stdout.write(f"ok    {what} ({time.monotonic() - start:.1f} s)\n")
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"FAILED {what}")


def degraded() -> dict[str, Any]:
    """What the last stage could not do."""
    answer = search()
    found: dict[str, Any] = answer.json().get("degraded", {}) if answer.status_code == 200 else {}
    return found


def main() -> int:
    """The checks, in order."""
    subprocess.run(["sh", "ops/make-secrets.sh"], cwd=ROOT, check=True)
    compose("up", "--detach", "--build", "--wait")
    compose("--profile", "sample", "run", "--rm", "sample")
    eventually("the gateway is ready", lambda: httpx.get(f"{URL}/readyz").status_code == 200)
    eventually("a search finds something", lambda: len(search().json()["hits"]) == QUERY["limit"])
    whole = [hit["work"]["id"] for hit in search().json()["hits"]]

    compose("kill", "reranker")
    eventually("without the reranker answers are degraded, not refused", lambda: "rerank" in degraded())
    compose("start", "reranker")
    eventually("the reranker is used again", lambda: search().status_code == 200 and not degraded())
    eventually("the order is what it was", lambda: [hit["work"]["id"] for hit in search().json()["hits"]] == whole)

    compose("kill", "encoder")
    eventually(
        "without the encoder a search is degraded, or refused with a time to come back",
        lambda: "encode" in degraded() or "retry-after" in search().headers,
    )
    compose("start", "encoder")
    eventually("the encoder is used again", lambda: search().status_code == 200)

    compose("kill", "qdrant")
    eventually("without Qdrant there is a 503", lambda: search().status_code == 503)
    eventually("... and the gateway is not ready", lambda: httpx.get(f"{URL}/readyz").status_code == 503)
    compose("start", "qdrant")
    eventually("Qdrant is used again and kept all works", lambda: search().json().get("hits") is not None)
    eventually("the order is what it was", lambda: [hit["work"]["id"] for hit in search().json()["hits"]] == whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
