"""Starts, watches and ends a service's whole process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.qdrant_process import free_port

START_SECONDS = 300.0
"""A few seconds on an idle machine; a busy one must not fail a test."""
ENCODER = ["-m", "boonart_services.encoder"]
RERANKER = ["-m", "boonart_services.reranker"]
GATEWAY = ["-m", "boonart_services.gateway"]


@dataclass
class ServiceProcess:
    """A service's process on fixed ports, so that a restarted one is found again.

    Attributes:
        arguments: of Python, such as `ENCODER`.
        environment: settings by name without `BOONART_`.
        folder: where it runs and its log lies.
        port: of its gRPC server.
        http_port: of a gateway's REST interface.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    popen: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def url(self) -> str:
        """Where gRPC listens."""
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def http_url(self) -> str:
        """Where a gateway's REST interface listens."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> Path:
        """What it wrote since its last start."""
        return self.folder / f"{self.port}-{self.starts}.log"

    def start(self) -> ServiceProcess:
        """Start it, without waiting."""
        self.starts += 1
        given = {"GRPC_PORT": str(self.port), "PORT": str(self.http_port), "DRAIN_DELAY": "0.1", **self.environment}
        values = {f"BOONART_{name}": value for name, value in given.items()}
        with self.log.open("wb") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, *self.arguments],
                env={**os.environ, **values},
                stdout=stream,
                stderr=stream,
                cwd=self.folder,
            )
        return self

    def ready(self, seconds: float = START_SECONDS) -> ServiceProcess:
        """Wait until it says SERVING; a new connection each time, so that no reconnect pause counts."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.popen is not None
            assert self.popen.poll() is None, self.log.read_text()
            if self.serving():
                return self
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log.read_text()}")

    def serving(self) -> bool:
        """What its health service says now."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2.0)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def kill(self) -> None:
        """`kill -9`."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait(30)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.popen is not None
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(60)

    def lines(self) -> list[dict[str, str]]:
        """Its log; gRPC's own core writes plain lines of its own where it cannot listen."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def metrics(self) -> str:
        """A gateway's metrics."""
        return httpx.get(f"{self.http_url}/metrics", trust_env=False).text
