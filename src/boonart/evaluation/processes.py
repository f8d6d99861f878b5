"""Services as processes of their own, for measurements and pictures of the page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boonart.rpc.channels import Credentials
from boonart.rpc.probe import probe

READY_SECONDS = 300.0
GATEWAY = "boonart_services.gateway"


@contextmanager
def service(module: str, home: Path, url: str, **settings: str) -> Iterator[str]:
    """A service that is ready, ended afterwards; yields `url`.

    Args:
        module: such as "boonart_services.gateway".
        url: to ask whether it is ready: "grpc://HOST:PORT" or "http://HOST:PORT/readyz".
        settings: by their names without "BOONART_", such as PORT="8000".

    Raises:
        SystemExit: it ends by itself, or is not ready in time.
    """
    given = {"HOME": str(home), "LOG_LEVEL": "WARNING", **settings}
    environment = os.environ | {f"BOONART_{name}": value for name, value in given.items()}
    process = subprocess.Popen([sys.executable, "-m", module], env=environment)
    try:
        end = time.monotonic() + READY_SECONDS
        while why := probe(url, Credentials()):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{module} does not become ready: {why}")
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def gateway(home: Path, port: int, **settings: str) -> Iterator[str]:
    """A gateway over this home; yields its address. Raises as `service`."""
    address = f"http://127.0.0.1:{port}"
    with service(GATEWAY, home, f"{address}/readyz", PORT=str(port), GRPC_PORT="0", **settings):
        yield address
