"""What a request leaves behind, and what the gateway says of its own state."""

import logging
from dataclasses import replace

import pytest
from fastapi import FastAPI
from gateway_fakes import OneVectorEncoder, OneWorkIndex, candidate, client_of, fake_parts

from boonart.errors import ModelMismatch, Unavailable
from boonart.observability import configure_tracing, trace_id
from boonart.works import Candidate, Query
from boonart_services.gateway.context import Context
from boonart_services.gateway.main import create_app

TRACE = "0af7651916cd43dd8448eb211c80319c"


def context_of(app: FastAPI) -> Context:
    found = app.state.context
    assert isinstance(found, Context)
    return found


async def test_requests_are_counted_by_route_and_status() -> None:
    app = create_app(fake_parts("c"))
    async with client_of(app) as client:
        await client.post("/v1/search", json={"text": "x"})
        await client.post("/v1/search", json={"text": ""})
        for work in ("a%2Fb%20c", "nobody", "nobody2"):
            await client.get(f"/v1/works/{work}")
        await client.get("/nothing/here")
        await client.request("BREW", "/")
        for unseen in ("/healthz", "/readyz", "/static/style.css", "/metrics"):
            await client.get(unseen)
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    counted = {
        line.partition("{")[2].rpartition("}")[0]: float(line.rpartition(" ")[2])
        for line in response.text.splitlines()
        if line.startswith("boonart_requests_total{")
    }
    assert counted == {
        'code="200",method="POST /v1/search"': 1,
        'code="422",method="POST /v1/search"': 1,
        'code="200",method="GET /v1/works/{work_id:path}"': 1,
        'code="404",method="GET /v1/works/{work_id:path}"': 2,
        'code="404",method="GET elsewhere"': 1,
        'code="405",method="OTHER /"': 1,
    }
    assert 'boonart_stage_seconds_count{stage="encode"} 1.0' in response.text
    assert "boonart_ready 1.0" in response.text
    assert "boonart_requests_running 0.0" in response.text


async def test_a_bug_is_counted_as_what_it_was_answered_with() -> None:
    parts = fake_parts("c")
    assert isinstance(parts.index, OneWorkIndex)
    parts.index.error = ZeroDivisionError("a bug")
    app = create_app(parts)
    async with client_of(app) as client:
        assert (await client.post("/v1/search", json={"text": "x"})).status_code == 500
    assert 'boonart_requests_total{code="500",method="POST /v1/search"} 1.0' in context_of(app).metrics.text()


async def test_the_callers_trace_goes_on_and_its_words_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    configure_tracing("test")
    parts = fake_parts("c")
    seen: list[str] = []
    run = parts.search.run

    async def noted(query: Query) -> object:
        seen.append(trace_id())
        return await run(query)

    parts.search.run = noted  # type: ignore[method-assign, assignment]
    caplog.set_level(logging.INFO)
    async with client_of(create_app(parts), traceparent=f"00-{TRACE}-b7ad6b7169203331-01") as client:
        await client.post("/v1/search", json={"text": "something private"})
    assert seen == [TRACE]
    assert "POST /v1/search 200 in" in caplog.text
    assert "private" not in caplog.text


async def test_an_encoder_that_goes_away_later_leaves_the_gateway_ready() -> None:
    parts = fake_parts("a")
    encoder, index = parts.encoder, parts.index
    assert isinstance(encoder, OneVectorEncoder)
    assert isinstance(index, OneWorkIndex)

    async def search_keywords(collection: str, text: str, **_: object) -> list[Candidate]:
        if index.error:
            raise index.error
        return [candidate(1.0)]

    index.search_keywords = search_keywords  # type: ignore[attr-defined]
    app = create_app(parts)
    here = context_of(app)
    async with client_of(app) as client:
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        encoder.error = Unavailable("The encoder is down.")
        here.ready_at -= 60
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["degraded"]) == (200, {"encode": "The encoder is down."})
        index.error = Unavailable("Qdrant is down.")
        here.ready_at -= 60
        assert (await client.get("/readyz")).status_code == 503
        assert "boonart_ready 0.0" in here.metrics.text()


async def test_a_collection_of_other_models_is_refused_where_it_is_the_one_that_is_meant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def parts_with(default: str) -> Context:
        parts = fake_parts("a", "b", default_collection=default)
        assert isinstance(parts.index, OneWorkIndex)
        manifest = replace(parts.index.infos[1].manifest, encoder_id="another")
        parts.index.infos[1] = replace(parts.index.infos[1], manifest=manifest)
        return Context(parts)

    with pytest.raises(ModelMismatch, match="boonart reindex b"):
        await parts_with("b").check_models()
    await parts_with("a").check_models()
    assert "searches in b will be refused" in caplog.text
