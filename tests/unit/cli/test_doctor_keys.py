"""`boonart doctor` and `boonart keys`, as commands."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from boonart.cli import app, doctor
from boonart.errors import InvalidRequest, NotFound
from boonart.settings import Settings

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


def test_settings_that_cannot_be_used_end_the_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_PORT", "many")
    findings = list(doctor.examine())
    assert (findings[-1].name, findings[-1].state) == ("settings", "problem")


def test_a_taken_port_and_a_full_disk_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(home=tmp_path, port=taken.getsockname()[1])
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
    assert "reading room" in run(app, ["keys", "list"]).stdout
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
