"""`boonart search`: a text, a picture or a work in; works or descriptions out."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from boonart.cli.output import JsonFlag, err, out, print_json
from boonart.cli.pictures import Pictures, protocol
from boonart.cli.pictures import show as show_pictures
from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    IndexLocked,
    InvalidQuery,
    NotFound,
    Unavailable,
    make_error,
)
from boonart.works import Answer, Hit, Mode, Query, Ranker, Target

if TYPE_CHECKING:
    import httpx

MOST_PICTURES = 12
"""Pictures that a terminal is shown at most."""
CollectionOption = Annotated[
    str, typer.Option("--collection", "-c", help="Collection to search; not needed where there is only one.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user typed, before any model is loaded."""

    text: str
    image: Path | None
    like: str
    collection: str
    target: Target | None
    limit: int
    candidates: int
    rerank: Ranker
    min_relevance: float
    mode: Mode = Mode.VECTOR


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("search")(search)


def search(
    text: Annotated[str, typer.Argument(help='What to look for: "a man sitting with his dog".')] = "",
    image: Annotated[Path | None, typer.Option("--image", "-i", help="Search with this picture.")] = None,
    like: Annotated[str, typer.Option("--like", help="Search for works like the one of this id.")] = "",
    collection: CollectionOption = "",
    target: Annotated[
        Target | None, typer.Option(help="Works by their pictures, or descriptions (a picture's default).")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many hits.")] = 10,
    candidates: Annotated[int, typer.Option(help="How many candidates are reranked.")] = 100,
    rerank: Annotated[Ranker, typer.Option(help="How candidates are put in order.")] = Ranker.DEFAULT,
    min_relevance: Annotated[float, typer.Option(help="Leave out hits below this relevance, 0 to 1.")] = 0.0,
    mode: Annotated[Mode, typer.Option(help="How candidates are found: by meaning, by words, by both.")] = Mode.VECTOR,
    pictures: Annotated[
        Pictures, typer.Option(help="Show the pictures in the terminal; auto does where it says that it can.")
    ] = Pictures.AUTO,
    as_json: JsonFlag = False,
) -> None:
    """Find paintings by a sentence, by a picture, or by a painting like them.

    Examples:
      boonart search "cows by a river" --collection tate
      boonart search --image photo.jpg
      boonart search --like tate-n01560 --json
      boonart search "a red square" --pictures kitty
    """
    asked = Asked(text, image, like, collection, target, limit, candidates, rerank, min_relevance, mode)
    if image is not None and not image.is_file():
        raise InvalidQuery(f"There is no file {image}.", field="image")
    answer, thumbnail = answer_as_json(asked)
    if as_json:
        print_json(answer)
        return
    how = protocol(pictures, sys.stdout, os.environ)
    if how is not Pictures.OFF:
        # As many as stand in the table's first lines: no terminal is wide enough for more.
        files = [thumbnail(hit) for hit in answer["hits"][:MOST_PICTURES]]
        show_pictures([file for file in files if file], how, out.width)
    show(answer)


Thumbnail = Callable[[dict[str, Any]], bytes]
"""The bytes of a hit's picture, or nothing where it has none."""


def answer_as_json(asked: Asked) -> tuple[dict[str, Any], Thumbnail]:
    """The answer in the form of the REST API, from this process or from the server that owns the collection; and how to
    get at the pictures of its hits."""
    from boonart.settings import read_settings

    settings = read_settings()
    _refuse_nonsense(asked)
    from boonart.index.edge import EdgeIndex

    collection, url = asyncio.run(_locate(EdgeIndex(settings.collections_folder), asked.collection))
    if url:
        return _ask_server(url, asked, collection), partial(_thumbnail_from_server, url)
    from boonart.bootstrap import build

    parts = build(settings)
    picture = None
    if asked.image is not None:
        from boonart.encoders.pictures import decode

        picture = decode(asked.image.read_bytes())
    query = Query(
        collection=collection,
        text=asked.text,
        picture=picture,
        work_id=asked.like,
        target=asked.target,
        limit=asked.limit,
        candidates=asked.candidates,
        rerank=asked.rerank,
        min_relevance=asked.min_relevance,
        mode=asked.mode,
    )

    async def run() -> Answer:
        try:
            return await parts.search.run(query)
        finally:
            await parts.close()

    found = asyncio.run(run())
    keys = {hit.work.id: hit.picture.key for hit in found.hits if hit.picture.key}

    def thumbnail(hit: dict[str, Any]) -> bytes:
        key = keys.get(hit["work"]["id"], "")
        try:
            return parts.pictures.read(collection, key, "thumbnail")[0] if key else b""
        except NotFound:
            return b""

    return as_json_answer(found, collection), thumbnail


def _thumbnail_from_server(url: str, hit: dict[str, Any]) -> bytes:
    import httpx

    if "picture" not in hit:
        return b""
    try:
        response = httpx.get(url + hit["picture"]["thumbnail_url"], timeout=5.0)
    except httpx.HTTPError:
        return b""
    return response.content if response.is_success else b""


def _refuse_nonsense(asked: Asked) -> None:
    """Check what can be checked before a model is loaded, which takes seconds."""
    from boonart.search import check

    stand_in = asked.like or ("picture" if asked.image is not None else "")
    given = [bool(asked.text.strip()), asked.image is not None, bool(asked.like)]
    if sum(given) > 1:
        raise InvalidQuery("Give a text, --image or --like, only one of them.", field="text")
    check(
        Query(
            collection="",
            text=asked.text,
            work_id=stand_in,
            limit=asked.limit,
            candidates=asked.candidates,
            min_relevance=asked.min_relevance,
        )
    )


async def _locate(index: Any, name: str) -> tuple[str, str]:
    """The collection to search and, where a server owns it, that server's address."""
    try:
        names = [info.name for info in await index.collections()]
        if not name:
            if len(names) != 1:
                listed = ", ".join(names) or "none yet"
                raise CollectionNotFound(
                    f"Say which collection to search; there are: {listed}.",
                    hint="Use --collection NAME, or make one with `boonart ingest SOURCE --collection NAME`.",
                )
            name = names[0]
        await index.describe(name)
        return name, ""
    except IndexLocked as error:
        if not error.url:
            raise
        return name, error.url
    finally:
        await index.close()


def _ask_server(url: str, asked: Asked, collection: str) -> dict[str, Any]:
    """Put the same question to the running server over REST."""
    import base64

    import httpx

    body: dict[str, Any] = {
        "collection": collection,
        "limit": asked.limit,
        "candidates": asked.candidates,
        "rerank": asked.rerank.value,
        "min_relevance": asked.min_relevance,
        "mode": asked.mode.value,
    }
    if asked.target is not None:
        body["target"] = asked.target.value
    if asked.image is not None:
        body["image"] = base64.b64encode(asked.image.read_bytes()).decode()
    elif asked.like:
        body["like"] = asked.like
    else:
        body["text"] = asked.text
    try:
        response = httpx.post(f"{url}/v1/search", json=body, timeout=30.0)
    except httpx.HTTPError as error:
        raise Unavailable(
            f"The collection {collection} is open in the server at {url}, which does not answer: {error}.",
            hint="Stop that server or wait until it is ready.",
        ) from error
    if response.is_error:
        raise _error_in(response)
    answer: dict[str, Any] = response.json()
    return answer


def _error_in(response: httpx.Response) -> BoonArtError:
    """What a failed answer means: the error of its problem document, or that what answered is no BoonArt server."""
    try:
        problem = response.json()
        faults = problem.get("errors") or [{}]
        return make_error(problem["code"], problem["detail"], field=faults[0].get("pointer", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unavailable(f"{response.url} answered with {response.status_code}, which BoonArt never does so.")


def as_json_answer(answer: Answer, collection: str) -> dict[str, Any]:
    """An answer in the form of the REST API."""
    return {
        "collection": collection,
        "target": answer.target.value,
        "ranker": answer.ranker.value,
        "hits": [hit_as_json(hit) for hit in answer.hits],
        "stages": {name: round(value, 3) for name, value in answer.stages.items()},
        "degraded": dict(answer.degraded),
        "models": dict(answer.models),
    }


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """One hit in the form of the REST API."""
    from boonart_services.gateway.answers import work_json

    value: dict[str, Any] = {
        "rank": hit.rank,
        "score": hit.score,
        "global_score": hit.global_score,
        "collection": hit.collection,
        "matched_by": list(hit.matched_by),
        "work": work_json(hit.work),
    }
    if hit.relation_score is not None:
        value["relation_score"] = hit.relation_score
    if hit.relevance is not None:
        value["relevance"] = hit.relevance
    return value


def show(answer: dict[str, Any]) -> None:
    """The hits as a table, and below it what a person wants to know of how they came about."""
    hits = answer["hits"]
    if not hits:
        err.print("Nothing found.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("score" if hits[0].get("relevance") is None else "relevance", justify="right")
    for name in ("id", "title", "artist", "date"):
        table.add_column(name, overflow="fold")
    if answer["target"] == Target.DESCRIPTIONS.value:
        table.add_column("description", overflow="fold", ratio=1)
    for hit in hits:
        work = hit["work"]
        score = hit.get("relevance")
        row = [str(hit["rank"]), f"{hit['score']:.3f}" if score is None else f"{score:.2f}"]
        row += [str(work.get(name, "")) for name in ("id", "title", "artist", "date")]
        if answer["target"] == Target.DESCRIPTIONS.value:
            row.append(_shorten(str(work.get("description", ""))))
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    for stage, reason in answer["degraded"].items():
        err.print(f"Without {stage}: {reason}", style="yellow")
    times = ", ".join(f"{name} {value:.0f} ms" for name, value in answer["stages"].items())
    err.print(f"{answer['collection']}: {times}", style="dim")


def _shorten(text: str, longest: int = 160) -> str:
    return text if len(text) <= longest else text[: longest - 1].rsplit(" ", 1)[0] + "…"
