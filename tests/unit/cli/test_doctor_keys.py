"""`boonart doctor` and `boonart keys`, as commands."""

import asyncio
import json
import socket
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from boonart.cli import app, doctor
from boonart.cli.keys import key_file
from boonart.errors import InvalidRequest, NotFound
from boonart.index.edge import EdgeIndex
from boonart.settings import Settings
from boonart.works import Manifest

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_ENCODER", "fake")


def test_a_fresh_installation_is_fit() -> None:
    result = run(app, ["doctor", "--json"])
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 0, result.stdout
    assert findings["encoder"]["detail"] == "fake-32"
    assert findings["collections"]["state"] == "warning"
    assert "boonart ingest" in findings["collections"]["advice"]


def test_people_get_lines_and_advice() -> None:
    result = run(app, ["doctor"])
    assert "encoder: fake-32" in result.stdout
    assert "boonart ingest SOURCE" in result.stdout


def test_what_will_fail_is_a_problem_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("BOONART_RERANKER_URL", f"grpc://127.0.0.1:{port}")
    monkeypatch.setenv("BOONART_ENCODER", "nothing-of-that-name")
    result = run(app, ["doctor", "--json"])
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert findings["reranker service"]["state"] == findings["encoder"]["state"] == "problem"
    assert all(finding["advice"] for finding in findings.values() if finding["state"] == "problem")


def test_an_old_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 4))
    assert (doctor._python().state, "3.11" in doctor._python().advice) == ("problem", True)


def test_a_collection_that_other_models_made_is_a_problem(tmp_path: Path) -> None:
    async def made() -> None:
        index = EdgeIndex(tmp_path / "collections")
        await index.create("old", Manifest("another-512", 512))
        await index.close()

    asyncio.run(made())
    findings = list(doctor._parts(Settings(home=tmp_path)))
    (wrong,) = [finding for finding in findings if finding.state == "problem"]
    assert "another-512" in wrong.detail
    assert "boonart reindex old" in wrong.advice
    (reranker,) = [finding for finding in findings if finding.name == "reranker"]
    assert reranker.state == "warning", "none fits the fake encoder"


@pytest.mark.parametrize(
    ("address", "states"),
    [
        ("grpc://127.0.0.1:{port}", ["ok"]),
        ("grpc://127.0.0.1:{port}, grpc://127.0.0.1:1", ["ok", "problem"]),
        ("grpc://127.0.0.1", ["problem"]),
        ("127.0.0.1:{port}", ["problem"]),
        ("grpc://127.0.0.1:many", ["problem"]),
    ],
)
def test_each_replica_of_a_service_is_tried(tmp_path: Path, address: str, states: list[str]) -> None:
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        url = address.format(port=service.getsockname()[1])
        findings = list(doctor._peers(Settings(home=tmp_path, reranker_url=url)))
    assert [finding.state for finding in findings] == states
    assert all(finding.advice for finding in findings if finding.state == "problem")


def test_a_port_that_a_running_boonart_has_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(home=tmp_path, port=taken.getsockname()[1])
        monkeypatch.setattr("httpx.get", lambda *_, **__: httpx.Response(200, json={"status": "ok"}))
        (ours,) = doctor._port(settings)
        monkeypatch.setattr("httpx.get", lambda *_, **__: httpx.Response(200, text="<html>"))
        (other,) = doctor._port(settings)
        monkeypatch.setenv("BOONART_GRPC_PORT", str(settings.port))
        (second,) = doctor._grpc_port(settings)
    assert (ours.state, other.state, second.state) == ("ok", "warning", "warning")
    assert "BOONART_GRPC_PORT" in second.advice


def test_settings_that_cannot_be_used_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_PORT", "many")
    findings = list(doctor.examine())
    assert (findings[-1].name, findings[-1].state) == ("settings", "problem")


def test_a_taken_port_and_a_full_disk_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(home=tmp_path, port=taken.getsockname()[1])
        monkeypatch.setattr(doctor, "_is_boonart", lambda _: False)
        (port,) = doctor._port(settings)
    monkeypatch.setattr(doctor, "LEAST_DISK", 10**18)
    (disk,) = doctor._disk(settings)
    assert (port.state, disk.state) == ("warning", "problem")


def test_a_key_is_made_listed_and_revoked() -> None:
    made = json.loads(run(app, ["keys", "create", "reading room", "--scope", "write", "--days", "90", "--json"]).stdout)
    assert made["key"].startswith(f"boon_{made['id']}_")
    listed = run(app, ["keys", "list", "--json"]).stdout
    assert made["key"] not in listed
    assert [(key["id"], key["scope"]) for key in json.loads(listed)] == [(made["id"], "write")]
    lines = run(app, ["keys", "list", "--jsonl"]).stdout.splitlines()
    assert [json.loads(line) for line in lines] == json.loads(listed)
    plain = run(app, ["keys", "list"]).stdout
    assert "reading room" in plain
    assert plain.endswith("\tnever\n")
    key_file().note_use(json.loads(listed)[0]["id"])
    used = json.loads(run(app, ["keys", "list", "--json"]).stdout)[0]["last_used_at"]
    assert abs(used - time.time()) < 60
    assert "never" not in run(app, ["keys", "list"]).stdout
    assert run(app, ["keys", "revoke", made["id"]]).exit_code == 0
    assert json.loads(run(app, ["keys", "list", "--json"]).stdout)[0]["state"] == "revoked"


def test_the_key_alone_is_on_standard_output() -> None:
    result = run(app, ["keys", "create", "x"])
    assert len(result.stdout.split()) == 1


def test_mistakes_with_keys_are_said() -> None:
    assert isinstance(run(app, ["keys", "revoke", "nobody"]).exception, NotFound)
    assert isinstance(run(app, ["keys", "create", " "]).exception, InvalidRequest)
    assert run(app, ["keys", "create", "x", "--scope", "god"]).exit_code == 2


def test_the_shell_completes() -> None:
    asked = {"_BOONART_COMPLETE": "complete_bash", "COMP_WORDS": "boonart ke", "COMP_CWORD": "1"}
    assert run(app, [], env=asked, prog_name="boonart").stdout.split() == ["keys"]
