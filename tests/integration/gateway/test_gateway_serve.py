"""The gateway as a process: the port first, alive at once, ready when it is, and an orderly end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from gateway_support import COLLECTION, colour_parts

from boonart.index.edge import EdgeIndex

pytestmark = pytest.mark.integration

SERVE = [sys.executable, "-m", "boonart_services.gateway"]


def environment(home: Path, port: int, **given: str) -> dict[str, str]:
    values = {"HOME": str(home), "ENCODER": "fake", "RERANKER": "none", "PORT": str(port), "GRPC_PORT": "0", **given}
    return os.environ | {f"BOONART_{name}": value for name, value in values.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
async def test_it_lives_gets_ready_and_ends_in_order(tmp_path: Path, end: signal.Signals) -> None:
    async with colour_parts(tmp_path):
        pass
    port = free_port()
    process = subprocess.Popen(SERVE, env=environment(tmp_path, port), text=True, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/healthz"), process)
        until(lambda: answers(f"{url}/readyz"), process)
        found = httpx.post(f"{url}/v1/search", json={"text": "red"}, timeout=20).json()
        assert found["hits"][0]["work"]["id"] == "work/red"
        process.send_signal(end)
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert f"ready at {url}" in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["service"] for line in lines} == {"boonart-gateway"}
    (request,) = [line for line in lines if line["message"].startswith("POST /v1/search 200")]
    assert re.fullmatch("[0-9a-f]{32}", request["trace_id"])
    assert "red" not in request["message"], "what people ask is not written down"
    assert "Traceback" not in log
    # Its lock is free again, and nothing is lost.
    index = EdgeIndex(tmp_path / "collections")
    assert (await index.describe(COLLECTION)).count == 8
    await index.close()


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # An encoder that does not exist: the port is looked at before any model.
        ended = subprocess.run(
            SERVE, env=environment(tmp_path, port, ENCODER="none-such"), text=True, capture_output=True, timeout=90
        )
    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in ended.stderr
    assert "none-such" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_model_that_cannot_be_had_ends_it_with_the_reason(tmp_path: Path) -> None:
    ended = subprocess.run(
        SERVE,
        env=environment(tmp_path, free_port(), ENCODER="none-such"),
        text=True,
        capture_output=True,
        timeout=90,
    )
    assert ended.returncode == 1
    assert "none-such" in ended.stderr
    assert "Traceback" not in ended.stderr
