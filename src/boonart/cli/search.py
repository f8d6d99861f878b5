"""`boonart search`: texts, pictures and works in; works or descriptions out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from boonart.cli.output import JsonFlag, JsonLinesFlag, err, out, print_json, print_json_lines, print_table
from boonart.cli.pictures import Pictures, protocol
from boonart.cli.pictures import show as show_pictures
from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    ConfigurationError,
    Forbidden,
    IndexLocked,
    InvalidFilter,
    InvalidQuery,
    Unauthenticated,
)
from boonart.works import FacetScope, Mode, Picture, Query, QueryPart, Ranker, Target

if TYPE_CHECKING:
    from boonart.client import Client, Page
    from boonart.settings import Settings

MOST_PICTURES = 12
"""Pictures that a terminal is shown at most."""
UNWANTED = -0.5
"""How much counts what is not wanted, beside what is: with the same weight the rest would hardly matter."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user typed.

    Attributes:
        parts: as `query` of `POST /v1/search`, pictures as paths.
        options: its other fields.
    """

    parts: Sequence[Mapping[str, Any]]
    collections: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """The same as arguments of `Client.search`."""
        given: dict[str, Any] = {**self.options}
        if len(self.collections) == 1:
            given["collection"] = self.collections[0]
        elif self.collections:
            given["collections"] = list(self.collections)
        if len(self.parts) == 1 and self.parts[0].keys() <= {"text", "image", "like"}:
            return {**given, **self.parts[0]}
        return {**given, "query": list(self.parts)}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("search")(search)


def search(
    text: Annotated[str, typer.Argument(help='What to look for: "a man sitting with his dog".')] = "",
    images: Annotated[
        list[Path] | None, typer.Option("--image", "-i", help="Search with this picture; several may be given.")
    ] = None,
    likes: Annotated[
        list[str] | None, typer.Option("--like", help="Search for works like the one of this id; several may be given.")
    ] = None,
    unwanted: Annotated[
        list[str] | None, typer.Option("--not", help="Lead away from this text; several may be given.")
    ] = None,
    query: Annotated[
        str, typer.Option(help='Parts with weights as JSON: \'[{"like": "n1"}, {"text": "snow", "weight": 2}]\'.')
    ] = "",
    collections: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", help="Where to search, several if given; not needed where there is one."),
    ] = None,
    filter: Annotated[
        str, typer.Option("--filter", "-f", help='Such as: artist = "Ada Grey" and date : 1790..1810.')
    ] = "",
    target: Annotated[
        Target | None, typer.Option(help="Works by their pictures, or descriptions (a picture's default).")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many hits.")] = 10,
    cursor: Annotated[str, typer.Option(help="Go on after the page that gave this cursor.")] = "",
    mode: Annotated[Mode, typer.Option(help="How candidates are found: by meaning, by words, by both.")] = Mode.VECTOR,
    keyword_weight: Annotated[float, typer.Option(help="Weight of the words beside the meaning in hybrid mode.")] = 1.0,
    candidates: Annotated[int, typer.Option(help="How many candidates are reranked.")] = 100,
    rerank: Annotated[Ranker, typer.Option(help="How candidates are put in order.")] = Ranker.DEFAULT,
    min_relevance: Annotated[float, typer.Option(help="Leave out hits below this relevance, 0 to 1.")] = 0.0,
    diversity: Annotated[float, typer.Option(help="Towards 1, hits like those before them move down.")] = 0.0,
    per_artist: Annotated[int, typer.Option(help="Most hits by one artist; 0 for no limit.")] = 0,
    facets: Annotated[
        list[str] | None, typer.Option("--facet", help="Count the values of this field; several may be given.")
    ] = None,
    facet_scope: Annotated[
        FacetScope, typer.Option(help="What facets count: all works under the filter, or the candidates.")
    ] = FacetScope.FILTERED,
    explain: Annotated[bool, typer.Option("--explain", help="With --json: where each word looked.")] = False,
    server: Annotated[
        str, typer.Option(envvar="BOONART_SERVER", help="Ask this server instead of the collections here.")
    ] = "",
    api_key: Annotated[
        str, typer.Option(envvar="BOONART_API_KEY", help="Key for a server that asks for one.", show_envvar=True)
    ] = "",
    pictures: Annotated[
        Pictures, typer.Option(help="Show the pictures in the terminal; auto does where it says that it can.")
    ] = Pictures.AUTO,
    as_json: JsonFlag = False,
    as_lines: JsonLinesFlag = False,
) -> None:
    """Find paintings by a sentence, by a picture, by a painting like them, or by several of these together.

    Examples:
      boonart search "cows by a river" --collection tate
      boonart search --image photo.jpg
      boonart search "in the snow" --like tate-n01560 --not "a rider"
      boonart search "a boat" --filter 'artist = "John Constable" and date : 1800..1820' --facet century
      boonart search N03992 --mode hybrid --json
    """
    options = {
        "filter": _filter(filter),
        "target": target,
        "limit": limit,
        "cursor": cursor or None,
        "mode": mode,
        "keyword_weight": keyword_weight,
        "candidates": candidates,
        "rerank": rerank,
        "min_relevance": min_relevance,
        "diversity": diversity,
        "per_artist": per_artist,
        "facets": facets or None,
        "facet_scope": facet_scope,
        "explain": explain,
    }
    asked = Asked(
        _parts(text, images or (), likes or (), unwanted or (), query),
        collections or (),
        {name: value for name, value in options.items() if value is not None},
    )
    _refuse_nonsense(asked)
    how = Pictures.OFF if as_json or as_lines else protocol(pictures, sys.stdout, os.environ)
    with _client(asked, server, api_key) as client:
        page = _answered(client, asked)
        if how is not Pictures.OFF:
            # As many as stand in the table's first lines: no terminal is wide enough for more.
            files = [_thumbnail(client, hit) for hit in page.raw["hits"][:MOST_PICTURES]]
            show_pictures([file for file in files if file], how, out.width)
    if as_json:
        print_json(page.raw)
    elif as_lines:
        print_json_lines(page.raw["hits"])
        show_remarks(page.raw)
    else:
        show(page.raw)


def _parts(
    text: str, images: Sequence[Path], likes: Sequence[str], unwanted: Sequence[str], query: str
) -> list[Mapping[str, Any]]:
    """What is searched with, one part each.

    Raises:
        InvalidQuery: a file that is not there, or parts that cannot be read.
    """
    parts: list[Mapping[str, Any]] = [{"text": text}] if text.strip() else []
    parts += [{"image": path} for path in images]
    parts += [{"like": work_id} for work_id in likes]
    parts += [{"text": words, "weight": UNWANTED} for words in unwanted]
    if query:
        try:
            given = json.loads(query)
        except ValueError as error:
            raise InvalidQuery(f"--query is no JSON: {error}.", field="query") from error
        if not isinstance(given, list) or not all(isinstance(part, dict) for part in given):
            raise InvalidQuery('--query is a list of parts, such as [{"text": "snow"}].', field="query")
        parts += given
    for part in parts:
        if (path := part.get("image")) is not None and not Path(str(path)).is_file():
            raise InvalidQuery(f"There is no file {path}.", field="image")
    return parts


def _filter(text: str) -> dict[str, Any] | None:
    """The filter's tree, given as JSON or in short.

    Raises:
        InvalidFilter: it cannot be read.
    """
    from boonart.search.filter_text import parse_filter

    if not text.lstrip().startswith("{"):
        return parse_filter(text) if text else None
    try:
        tree: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise InvalidFilter(f"--filter is no JSON: {error}.", field="filter") from error
    return tree


def _refuse_nonsense(asked: Asked) -> None:
    """Check what can be checked before a model is loaded, which takes seconds."""
    from boonart.search import check

    blank = Picture(np.zeros((1, 1, 3), np.uint8), (1, 1), "PNG")

    def part(given: Mapping[str, Any]) -> QueryPart:
        picture = blank if given.get("image") else None
        try:
            weight = float(given.get("weight", 1.0))
        except (TypeError, ValueError) as error:
            raise InvalidQuery(f"The weight {given['weight']!r} is no number.", field="query") from error
        return QueryPart(str(given.get("text", "")), picture, str(given.get("like", "")), weight)

    parts = tuple(part(given) for given in asked.parts)
    known = ("limit", "candidates", "min_relevance", "diversity", "keyword_weight", "per_artist", "mode")
    options = {name: asked.options[name] for name in known}
    facets, names = tuple(asked.options.get("facets", ())), tuple(asked.collections)
    names = names if len(names) > 1 else ()
    if "query" in asked.arguments() and parts:
        check(Query("", parts=parts, facets=facets, collections=names, **options))
        return
    (alone,) = parts or (QueryPart(),)
    check(Query("", alone.text, alone.picture, alone.work_id, facets=facets, collections=names, **options))


def _client(asked: Asked, server: str, api_key: str) -> Client:
    """A client of the server that is named, of the one that has the collections open, or of this process.

    Raises:
        CollectionNotFound: it is clear before a model is loaded that there is no such collection.
        ConfigurationError: this process lacks the packages to answer.
    """
    from boonart.client import Client
    from boonart.settings import read_settings

    settings = read_settings()
    url = server or ("" if settings.qdrant_url else asyncio.run(_owner(settings, asked.collections)))
    if url:
        return Client(url, api_key=api_key, retries=0)
    try:
        return Client.embedded(settings.home)
    except ImportError as error:
        raise ConfigurationError(
            f"This installation cannot search by itself: {error.name} is not installed.",
            hint="pip install 'boonart[encoder,embedded,gateway]', or name a server with --server.",
        ) from error


def _answered(client: Client, asked: Asked) -> Page:
    try:
        return client.search(**asked.arguments())
    except (Unauthenticated, Forbidden) as error:
        error.hint = "Put a key for it into BOONART_API_KEY; `boonart keys create NAME` makes one where it runs."
        raise


async def _owner(settings: Settings, names: Sequence[str]) -> str:
    """Address of the running server that has one of the collections open, or "".

    Raises:
        CollectionNotFound: none is named and it is not clear which is meant, or there is none of that name.
        IndexLocked: a process that is no server has it open.
    """
    from boonart.index.edge import EdgeIndex

    index = EdgeIndex(settings.collections_folder)
    try:
        found = [info.name for info in await index.collections()]
        if not names and len(found) != 1 and settings.default_collection not in found:
            raise CollectionNotFound(
                f"Say which collection to search; there are: {', '.join(found) or 'none yet'}.",
                hint="Use --collection NAME, or make one with `boonart ingest SOURCE --collection NAME`.",
            )
        for name in names or found:
            await index.describe(name)
    except IndexLocked as error:
        if not error.url:
            raise
        return error.url
    finally:
        await index.close()
    return ""


def _thumbnail(client: Client, hit: Mapping[str, Any]) -> bytes:
    """The bytes of a hit's picture, or nothing where it has none."""
    try:
        return client.picture(hit["work"]["id"], collection=hit["collection"], thumbnail=True)
    except BoonArtError:
        return b""


def show(answer: Mapping[str, Any]) -> None:
    """The hits as a table, and below it what a person wants to know of how they came about."""
    hits = answer["hits"]
    described = answer["target"] == Target.DESCRIPTIONS.value
    if hits:
        score = "score" if hits[0].get("relevance") is None else "relevance"
        columns = ["#", score, "id", "title", "artist", "date", *(["description"] if described else [])]
        print_table(columns, [_row(hit, described) for hit in hits], right={"#", score})
    else:
        err.print("Nothing found.")
    for name, values in answer.get("facets", {}).items():
        out.print()
        print_table([name, "works"], [(value["value"], value["count"]) for value in values], right={"works"})
    show_remarks(answer)
    times = ", ".join(f"{name} {value:.0f} ms" for name, value in answer["stages"].items())
    where = answer["collection"] or ", ".join(dict.fromkeys(hit["collection"] for hit in hits)) or "nowhere"
    err.print(f"{where}: {times}", style="dim")


def show_remarks(answer: Mapping[str, Any]) -> None:
    """What was left out or had no effect, and where the list goes on."""
    for stage, reason in answer["degraded"].items():
        err.print(f"Without {stage}: {reason}", style="yellow", markup=False)
    for warning in answer.get("warnings", ()):
        err.print(f"No effect of {warning['field']}: {warning['message']}", style="yellow", markup=False)
    if "next_cursor" in answer:
        err.print(f"More: --cursor {answer['next_cursor']}", style="dim", soft_wrap=True)


def _row(hit: Mapping[str, Any], described: bool) -> list[str]:
    work, relevance = hit["work"], hit.get("relevance")
    row = [str(hit["rank"]), f"{hit['score']:.3f}" if relevance is None else f"{relevance:.2f}"]
    row += [str(work.get(name, "")) for name in ("id", "title", "artist", "date")]
    return [*row, _shorten(str(work.get("description", "")))] if described else row


def _shorten(text: str, longest: int = 160) -> str:
    return text if len(text) <= longest else text[: longest - 1].rsplit(" ", 1)[0] + "…"
