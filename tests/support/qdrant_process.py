"""Starts, kills and restarts the double of Qdrant as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 200.0
"""A second on an idle machine; a busy one must not fail a test."""


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class QdrantProcess:
    """The double on fixed ports, so that a restarted one is found again.

    Attributes:
        path: folder that keeps the points over a restart; None keeps them in memory.
        nodes: how many it says that there are.
    """

    path: Path | None = None
    api_key: str = ""
    nodes: int = 1
    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where REST listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> QdrantProcess:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "tests.support.qdrant_double", "--port", str(self.port)]
        command += ["--grpc-port", str(self.grpc_port), "--api-key", self.api_key, "--nodes", str(self.nodes)]
        if self.path is not None:
            command += ["--path", str(self.path)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the double of Qdrant ended with {self.process.returncode}")
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError("the double of Qdrant does not answer")

    def kill(self) -> None:
        """`kill -9`."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None
