"""Speed of the whole system, as a user sees it, and as ratios within one run."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from boonart.bootstrap import build
from boonart.errors import CollectionNotFound
from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
from boonart.records import SourceRecord
from boonart.settings import Settings

QUERIES = (
    "cows by a river",
    "a man sitting with his dog",
    "ships on a stormy sea",
    "a woman reading a letter by a window",
    "a ruined abbey in the evening",
    "two children playing in a garden",
    "portrait of a bearded man in black",
    "a horse and a rider on a road",
    "still life with fruit on a blue tablecloth",
    "a bridge over a canal in a town",
)
WARM_UP = 5


@contextlib.contextmanager
def running_server(settings: Settings) -> Iterator[str]:
    """The gateway in a thread of this process on a free port of the loopback address; yields its address."""
    import uvicorn

    from boonart_services.gateway.main import create_app

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    parts = build(settings, server_url=url)
    server = uvicorn.Server(
        uvicorn.Config(create_app(parts), host="127.0.0.1", port=port, log_level="warning", lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=url, timeout=60.0) as client:
            _wait_until_ready(client, thread)
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def _wait_until_ready(client: httpx.Client, thread: threading.Thread) -> None:
    pause = threading.Event()
    while thread.is_alive():
        with contextlib.suppress(httpx.TransportError):
            if client.get("/healthz").is_success:
                return
        pause.wait(0.05)
    raise CollectionNotFound("The server stopped before it was ready; its log says why.")


def bench_query(
    settings: Settings,
    collection: str,
    *,
    queries: int,
    rerank: str = "default",
    advance: Callable[[], None] = lambda: None,
) -> Measurement:
    """Times of text and picture queries, one after the other, from the request to the whole answer.

    Returns:
        `query.<kind>.median_ms` and `.p95_ms`, and `stage.<name>.median_ms` of the text queries, `kind` being
        "text" and "image".
    """
    with (
        stopwatch() as watch,
        running_server(settings) as url,
        httpx.Client(base_url=url, timeout=60.0) as client,
    ):
        name = collection or _only_collection(client)
        common = {"collection": name, "rerank": rerank, "limit": 20}
        texts = [{**common, "text": QUERIES[i % len(QUERIES)] + " " * (i // len(QUERIES))} for i in range(queries)]
        pictures = [
            {**common, "image": base64.b64encode(picture).decode()}
            for picture in _pictures(client, name, texts[0], queries)
        ]
        figures: dict[str, float] = {}
        for kind, bodies in (("text", texts), ("image", pictures)):
            times, stages = _ask(client, bodies, advance)
            figures[f"query.{kind}.median_ms"] = statistics.median(times)
            figures[f"query.{kind}.p95_ms"] = statistics.quantiles(times, n=20)[-1]
            prefix = "stage" if kind == "text" else f"stage.{kind}"
            for stage, values in stages.items():
                figures[f"{prefix}.{stage}.median_ms"] = statistics.median(values)
    return Measurement(
        "bench.query",
        figures,
        {"collection": name, "queries": queries, "rerank": rerank, "encoder": settings.encoder},
        this_machine(),
        watch.seconds,
    )


def _only_collection(client: httpx.Client) -> str:
    names = [item["name"] for item in client.get("/v1/collections").raise_for_status().json()["collections"]]
    if len(names) != 1:
        raise CollectionNotFound(
            f"Say which collection to measure; there are: {', '.join(names) or 'none yet'}.",
            hint="Use --collection NAME.",
        )
    return str(names[0])


def _pictures(client: httpx.Client, collection: str, body: dict[str, Any], count: int) -> list[bytes]:
    """Display pictures of works in the collection, as a user would upload them."""
    hits = client.post("/v1/search", json={**body, "limit": 50}).raise_for_status().json()["hits"]
    found = [client.get(hit["picture"]["image_url"]).raise_for_status().content for hit in hits]
    return [found[i % len(found)] for i in range(count)]


def _ask(
    client: httpx.Client, bodies: list[dict[str, Any]], advance: Callable[[], None]
) -> tuple[list[float], dict[str, list[float]]]:
    """Milliseconds of each query, and of each stage."""
    times: list[float] = []
    stages: dict[str, list[float]] = {}
    for body in bodies[:WARM_UP]:
        client.post("/v1/search", json=body).raise_for_status()
    for body in bodies:
        with stopwatch() as watch:
            response = client.post("/v1/search", json=body)
        times.append(1000 * watch.seconds)
        for stage, value in response.raise_for_status().json()["stages"].items():
            stages.setdefault(stage, []).append(value)
        advance()
    return times, stages


def bench_ingest(settings: Settings, source: Path) -> Measurement:
    """An ingest of `source` into a fresh folder against a bare loop over the encoder on the same inputs.

    Returns:
        `ingest.works_per_second`, `encoder.works_per_second` and `ingest.ratio_to_encoder`: how many times
        longer the whole ingest (decoding, renditions, index, reranker's features) takes than encoding alone.
    """
    from boonart.cli.ingest import ingest_into
    from boonart.encoders.catalogue import load_encoder
    from boonart.encoders.pictures import decode
    from boonart_ingest.sources import open_source

    records = [record for record in open_source(source) if isinstance(record, SourceRecord)]
    pictures = [decode(record.read_picture()) for record in records]
    texts = [record.work.description or record.work.title for record in records]
    model = load_encoder(settings.encoder, models_folder=settings.models_folder, device=settings.device)
    batch = 16
    model.encode_images(pictures[:batch])
    with stopwatch() as plain:
        for start in range(0, len(records), batch):
            model.encode_images(pictures[start : start + batch])
            model.encode_texts(texts[start : start + batch])
    with tempfile.TemporaryDirectory() as folder:
        fresh = settings.model_copy(update={"home": Path(folder)})
        with stopwatch() as whole:
            asyncio.run(ingest_into(fresh, source, "bench"))
    figures = {
        "ingest.works_per_second": len(records) / whole.seconds,
        "encoder.works_per_second": len(records) / plain.seconds,
        "ingest.ratio_to_encoder": whole.seconds / plain.seconds,
    }
    return Measurement(
        "bench.ingest",
        figures,
        {"encoder": settings.encoder, "works": len(records), "batch": batch},
        this_machine(),
        plain.seconds + whole.seconds,
    )
