"""The command that containers ask for a service's health."""

import http.server
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from boonart.rpc import probe

pytestmark = pytest.mark.integration

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def service() -> Iterator[tuple[str, health.HealthServicer]]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"grpc://127.0.0.1:{port}", servicer
    server.stop(None).wait()


def test_a_grpc_service_is_asked_for_its_health(
    service: tuple[str, health.HealthServicer], capsys: pytest.CaptureFixture[str]
) -> None:
    url, servicer = service
    servicer.set("", SERVING)
    assert probe.main([url]) == 0
    servicer.set("", NOT_SERVING)
    assert probe.main([url]) == 1
    assert "NOT_SERVING" in capsys.readouterr().err


@pytest.mark.parametrize("status", [200, 503])
def test_an_http_service_must_answer_200(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert probe.main([f"http://127.0.0.1:{server.server_port}/readyz"]) == (0 if status == 200 else 1)
        server.shutdown()
        thread.join()
    assert ("503" in capsys.readouterr().err) == (status == 503)


@pytest.mark.parametrize("url", ["grpc://127.0.0.1:1", "http://127.0.0.1:1/readyz", "127.0.0.1:50051"])
def test_what_cannot_be_reached_is_not_healthy(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([url]) == 1
    assert url in capsys.readouterr().err


def test_a_token_that_cannot_be_read_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOONART_TOKEN_FILE", str(tmp_path / "none"))
    assert probe.main(["grpc://127.0.0.1:1"]) == 1
    assert "none" in capsys.readouterr().err


def test_it_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([]) == 2
    assert "usage" in capsys.readouterr().err
