"""`boonart config show`: what holds here, and why."""

import json

import pytest
from typer.testing import CliRunner

from boonart.cli import app
from boonart.settings import Settings

run = CliRunner().invoke


def test_every_setting_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_RATE_LIMIT", "60")
    shown = {setting["name"]: setting for setting in json.loads(run(app, ["config", "show", "--json"]).stdout)}
    assert shown.keys() == Settings.model_fields.keys()
    assert (shown["rate_limit"]["value"], shown["rate_limit"]["origin"]) == (60, "environment")
    assert (shown["encoder"]["value"], shown["encoder"]["origin"]) == ("starter", "default")
    assert shown["encoder"]["variable"] == "BOONART_ENCODER"


def test_only_what_differs_is_shown_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    lines = run(app, ["config", "show", "--changed"]).stdout.splitlines()
    assert "encoder\tfake\tenvironment\tBOONART_ENCODER" in lines
    assert not [line for line in lines if "default" in line.split("\t")[2]]


def test_secrets_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_QDRANT_API_KEY", "open sesame")
    result = run(app, ["config", "show", "--json"])
    assert "sesame" not in result.stdout
    assert "(set)" in result.stdout
