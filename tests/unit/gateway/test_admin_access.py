"""Who reaches the page for the person who runs the server."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_fakes import client_of, fake_parts

from boonart.keys import KeyFile, Scope
from boonart_services.gateway import uploads
from boonart_services.gateway.access import scope_of
from boonart_services.gateway.main import create_app


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anyone:{key}".encode()).decode()}


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/jobs/1/events", "/admin/collections/x/delete"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_all_of_it_is_for_admins(path: str, method: str) -> None:
    assert scope_of(method, path) is Scope.ADMIN


def test_what_only_begins_alike_is_not() -> None:
    assert scope_of("GET", "/administer") is Scope.SEARCH


async def test_a_browser_is_asked_for_a_key_and_sends_it_as_a_password(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, reader = keys.create("reader", Scope.SEARCH)
    _, owner = keys.create("owner", Scope.ADMIN)
    parts = fake_parts("a")
    values = parts.settings.model_copy(update={"home": tmp_path, "anonymous": "search"})
    async with client_of(create_app(replace(parts, settings=values))) as client:
        asked = await client.get("/admin", headers={"accept": "text/html"})
        assert asked.status_code == 401
        assert asked.headers["www-authenticate"].startswith("Basic realm=")
        assert (await client.get("/", headers={"accept": "text/html"})).status_code == 200
        assert (await client.get("/admin", headers=basic("boon_wrong_key"))).status_code == 401
        assert (await client.get("/admin", headers={"authorization": "Basic %%%"})).status_code == 401
        assert (await client.get("/admin", headers=basic(reader))).status_code == 403
        assert (await client.get("/admin", headers=basic(owner))).status_code == 200
        bearer = {"authorization": f"Bearer {owner}"}
        assert (await client.get("/admin", headers=bearer)).status_code == 200
        elsewhere = await client.delete("/v1/collections/a", headers=basic(owner))
        assert elsewhere.status_code == 401, "a password that a browser sends by itself opens this page alone"
        assert elsewhere.headers["www-authenticate"] == "Bearer"


def test_records_and_pictures_meet_by_name() -> None:
    assert uploads._beside(b'{"id": "1", "image": "deep/down/one.png"}') == b'{"id": "1", "image": "one.png"}\n'
    assert uploads._beside(b"no record\n") == b"no record\n"
    for name in ("", ".", "..", "a/..", "works.jsonl", "..\\..\\works.jsonl"):
        assert uploads._name(name) == "", name
    assert uploads._name("C:\\pictures\\one.png") == "one.png"
