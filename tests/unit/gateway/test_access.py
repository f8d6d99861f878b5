"""Keys, scopes, limits and origins at the gateway's door."""

from pathlib import Path

import pytest
from gateway_fakes import client_of, fake_parts
from gateway_support import assert_problem

from boonart.errors import ConfigurationError
from boonart.keys import KeyFile, Scope
from boonart.settings import Settings
from boonart_services.gateway.access import check_public, scope_of
from boonart_services.gateway.main import create_app

SEARCH = {"text": "x"}
OPEN = ("/healthz", "/openapi.json", "/static/style.css")


async def status(settings: dict[str, object], method: str, path: str, key: str = "", header: str = "bearer") -> int:
    headers = {} if not key else {"Authorization": f"Bearer {key}"} if header == "bearer" else {"X-API-Key": key}
    async with client_of(create_app(fake_parts("a", **settings)), **headers) as client:
        response = await client.request(method, path, json=SEARCH if path == "/v1/search" else {"ids": ["x"]})
    return response.status_code


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/", Scope.SEARCH),
        ("POST", "/v1/search", Scope.SEARCH),
        ("POST", "/v1/search/image", Scope.SEARCH),
        ("GET", "/v1/collections", Scope.SEARCH),
        ("GET", "/v1/collections/a", Scope.SEARCH),
        ("GET", "/v1/works/jobs", Scope.SEARCH),
        ("POST", "/v1/collections/a/works", Scope.WRITE),
        ("POST", "/v1/collections/a/works/delete", Scope.WRITE),
        ("POST", "/v1/collections/a/works/", Scope.WRITE),
        ("GET", "/v1/jobs", Scope.WRITE),
        ("GET", "/v1/jobs/1/events", Scope.WRITE),
        ("POST", "/v1/jobs/1/cancel", Scope.WRITE),
        ("POST", "/v1/collections", Scope.ADMIN),
        ("DELETE", "/v1/collections/a", Scope.ADMIN),
        ("DELETE", "/v1/collections/a/works", Scope.WRITE),
    ],
)
def test_each_address_has_its_scope(method: str, path: str, scope: Scope) -> None:
    assert scope_of(method, path) is scope


async def test_on_loopback_no_key_is_needed() -> None:
    assert await status({}, "POST", "/v1/search") == 200


async def test_elsewhere_a_key_is_needed(tmp_path: Path) -> None:
    public: dict[str, object] = {"host": "0.0.0.0"}
    for path in ("/v1/search", "/v1/collections", "/", "/why?q=x&work=y"):
        assert await status(public, "GET" if path != "/v1/search" else "POST", path) == 401
    for path in OPEN:
        assert await status(public, "GET", path) == 200


@pytest.mark.parametrize("header", ["bearer", "x-api-key"])
@pytest.mark.parametrize(
    ("scope", "search", "write", "admin"),
    [(Scope.SEARCH, 200, 403, 403), (Scope.WRITE, 200, 200, 403), (Scope.ADMIN, 200, 200, 200)],
)
async def test_a_key_reaches_as_far_as_its_scope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: Scope, search: int, write: int, admin: int, header: str
) -> None:
    monkeypatch.setattr("gateway_fakes.HOME", tmp_path)
    _, key = KeyFile(tmp_path / "keys.json").create("x", scope)
    public: dict[str, object] = {"host": "0.0.0.0"}
    assert await status(public, "POST", "/v1/search", key, header) == search
    assert (await status(public, "GET", "/v1/jobs", key, header)) == write
    refused = await status(public, "DELETE", "/v1/collections/nowhere?confirm=nowhere", key, header)
    assert refused == (404 if admin == 200 else admin)


async def test_a_key_that_is_none_is_refused_even_where_none_is_needed() -> None:
    async with client_of(create_app(fake_parts("a")), Authorization="Bearer boon_x_y") as client:
        response = await client.post("/v1/search", json=SEARCH)
    assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_search_may_be_open_to_all_and_nothing_else() -> None:
    public: dict[str, object] = {"host": "0.0.0.0", "anonymous": "search"}
    assert await status(public, "POST", "/v1/search") == 200
    assert await status(public, "DELETE", "/v1/collections/a?confirm=a") == 401


async def test_too_many_requests_are_told_when_to_come_back() -> None:
    async with client_of(create_app(fake_parts("a", rate_limit=2))) as client:
        answers = [await client.post("/v1/search", json=SEARCH) for _ in range(3)]
        health = await client.get("/healthz")
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=2;w=60'
    assert answers[0].headers["ratelimit"].startswith('"default";r=1;t=')
    assert_problem(answers[2], 429, "rate-limited")
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30
    assert health.status_code == 200


async def test_who_tries_out_keys_is_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_fakes.HOME", tmp_path)
    parts = fake_parts("a", rate_limit=2, anonymous="none")
    _, text = KeyFile(parts.settings.keys_file).create("reading room", Scope.SEARCH)
    async with client_of(create_app(parts)) as client:
        guesses = [
            await client.post("/v1/search", json=SEARCH, headers={"X-API-Key": f"boon_{number}_guess"})
            for number in range(3)
        ]
        right = await client.post("/v1/search", json=SEARCH, headers={"X-API-Key": text})
    assert [answer.status_code for answer in guesses] == [401, 401, 429]
    assert right.status_code == 200, "a key has an allowance of its own"


async def test_only_listed_origins_may_call() -> None:
    app = create_app(fake_parts("a", cors_origins="https://museum.example, https://other.example"))
    async with client_of(app) as client:
        listed = await client.post("/v1/search", json=SEARCH, headers={"Origin": "https://museum.example"})
        other = await client.post("/v1/search", json=SEARCH, headers={"Origin": "https://evil.example"})
        asked = {"Origin": "https://museum.example", "Access-Control-Request-Method": "POST"}
        asked["Access-Control-Request-Headers"] = "authorization, content-type, if-none-match, last-event-id"
        preflight = await client.options("/v1/search", headers=asked)
    assert listed.headers["access-control-allow-origin"] == "https://museum.example"
    assert "access-control-allow-origin" not in other.headers
    assert preflight.status_code == 200
    # The map is named by its tag, and a search tells its times: scripts of the page must be able to read both.
    assert {"ETag", "Server-Timing"} <= set(listed.headers["access-control-expose-headers"].split(", "))


@pytest.mark.parametrize(
    ("origin", "method", "header", "what"),
    [
        ("https://evil.example", "POST", "content-type", "origin"),
        ("https://museum.example", "PATCH", "content-type", "method"),
        ("https://museum.example", "POST", "x-strange", "headers"),
    ],
)
async def test_what_a_page_may_not_do_is_a_problem(origin: str, method: str, header: str, what: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
    async with client_of(create_app(fake_parts("a", cors_origins="https://museum.example"))) as client:
        refused = await client.options("/v1/search", headers=asked)
    body = assert_problem(refused, 400, "bad-request")
    assert f"Disallowed CORS {what}" in str(body["detail"])
    assert ("access-control-allow-origin" in refused.headers) == (what != "origin")


def test_a_public_address_without_keys_is_refused_unless_said_so(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match="keys create"):
        check_public(Settings(home=tmp_path, host="0.0.0.0"), keys)
    check_public(Settings(home=tmp_path, host="127.0.0.1"), keys)
    check_public(Settings(home=tmp_path, host="::1"), keys)
    check_public(Settings(home=tmp_path, host="0.0.0.0", anonymous="search"), keys)
    key, _ = keys.create("x", Scope.SEARCH)
    check_public(Settings(home=tmp_path, host="0.0.0.0"), keys)
    keys.revoke(key.id)
    with pytest.raises(ConfigurationError):
        check_public(Settings(home=tmp_path, host="0.0.0.0"), keys)


async def test_a_key_that_opened_something_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_fakes.HOME", tmp_path)
    keys = KeyFile(tmp_path / "keys.json")
    reader, text = keys.create("reader", Scope.SEARCH)
    public: dict[str, object] = {"host": "0.0.0.0"}
    assert await status(public, "GET", "/v1/jobs", text) == 403
    assert keys.last_used() == {}
    assert await status(public, "POST", "/v1/search", text) == 200
    assert set(keys.last_used()) == {reader.id}
