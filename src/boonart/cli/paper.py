"""`boonart paper`: the experiments of the BoonArt paper on a collection of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boonart.cli.output import JsonFile, JsonFlag, err, keep, out, print_figures, print_json, print_table, progress_bar
from boonart.errors import CollectionNotFound, InvalidRequest
from boonart.works import Ranker

if TYPE_CHECKING:
    from boonart.bootstrap import Parts
    from boonart.evaluation.paper import Comparison

app = typer.Typer(help="Repeat the experiments of the BoonArt paper.", no_args_is_help=True)

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Collection to search.")]
QueriesOption = Annotated[
    Path | None, typer.Option(help="A file with one query a line; the paper's twenty by default.")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]


@contextmanager
def wired(collection: str) -> Iterator[Parts]:
    """The parts of this process, with the collection known to be there."""
    from boonart.bootstrap import build
    from boonart.settings import read_settings

    parts = build(read_settings())
    try:
        asyncio.run(parts.index.describe(collection))
        yield parts
    finally:
        asyncio.run(parts.close())


def read_queries(file: Path | None) -> tuple[str, ...]:
    """Queries from a file, or the paper's.

    Raises:
        InvalidRequest: the file is missing or empty.
    """
    from boonart.evaluation.paper import TABLE1_QUERIES

    if file is None:
        return TABLE1_QUERIES
    if not file.is_file():
        raise InvalidRequest(f"There is no file {file}.", field="queries")
    queries = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if not queries:
        raise InvalidRequest(f"{file} holds no query.", hint="Write one query a line.", field="queries")
    return queries


@app.command()
def table1(
    collection: CollectionOption = "sample",
    queries: QueriesOption = None,
    folder: OutOption = Path("results/table1"),
    json_file: JsonFile = None,
) -> None:
    """Table I: each query's best hits beside those of a keyword search, as one HTML page.

    Over the sample gallery the right picture of each query is known, and the four rankers are counted.
    """
    from boonart.evaluation import paper
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.evaluation.table1_page import table1_page

    texts = read_queries(queries)
    right = known_answers(collection)
    with stopwatch() as watch, wired(collection) as parts:
        compared = paper.table1(parts, collection, texts, right=right)
        page = table1_page(parts, collection, compared, folder)
        what = about(parts, collection)
        figures: dict[str, float] = {}
        if right:
            for name, ranker in _rankers(parts).items():
                if not paper.has_ranker(parts, collection, ranker):
                    continue
                rows = paper.table1(parts, collection, texts, right=right, ranker=ranker, limit=1)
                figures[f"table1.{name}.first_right"] = paper.first_right(rows)
    _show_table1(compared)
    if figures:
        figures["table1.queries"] = len(texts)
        print_figures("right picture first", figures)
    keep(Measurement("table1", figures, what, this_machine(), watch.seconds), json_file)
    err.print(f"The page is {page}.")


def about(parts: Parts, collection: str) -> dict[str, str | int | float | bool]:
    """What the figures depend on."""
    reranker = parts.reranker.card.id if parts.reranker is not None else ""
    return {"collection": collection, "encoder": parts.encoder.card.id, "reranker": reranker}


def _rankers(parts: Parts) -> dict[str, Ranker]:
    """The rankers to compare, by the names that figures use."""
    rankers = {"global": Ranker.NONE}
    if parts.reranker is not None:
        rankers |= {"late": Ranker.LATE, "vitr": Ranker.VITR, "role": Ranker.ROLE, "default": Ranker.DEFAULT}
    return rankers


def known_answers(collection: str) -> dict[str, frozenset[str]]:
    """Ids of the right works by query; known for the sample gallery alone."""
    if collection != "sample":
        return {}
    from boonart.evaluation.paper import TABLE1_QUERIES
    from boonart.sample.gallery import committed_gallery

    right: dict[str, frozenset[str]] = {}
    for line in committed_gallery().read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for number in record["table1"]:
            query = TABLE1_QUERIES[number - 1]
            right[query] = right.get(query, frozenset()) | {record["id"]}
    return right


def _show_table1(compared: list[Comparison]) -> None:
    rows = []
    for row in compared:
        best = row.found[0].work.title if row.found else "nothing"
        keyword = row.keyword[0].title if row.keyword else "nothing"
        mark = ""
        if row.right and row.found:
            mark = "✓ " if row.found[0].work.id in row.right else "✗ "
        rows.append((row.query, mark + best, keyword))
    print_table(["query", "BoonArt", "keyword search"], rows)


@app.command()
def figure4(
    collection: CollectionOption = "sample",
    queries: QueriesOption = None,
    folder: OutOption = Path("results"),
    as_json: JsonFlag = False,
) -> None:
    """Figure 4: the top hit of each query beside a keyword search's, as a contact sheet."""
    from boonart.evaluation import paper

    with wired(collection) as parts:
        compared = paper.table1(parts, collection, read_queries(queries), right=known_answers(collection), limit=1)
        file = paper.figure4(parts, collection, compared, folder / f"figure4-{collection}.webp")
    if as_json:
        print_json({"file": str(file), "queries": len(compared)})
        return
    err.print(f"The contact sheet is {file}.")


@app.command()
def figure5(
    collection: CollectionOption = "sample",
    pictures: Annotated[list[Path] | None, typer.Argument(help="Pictures to search with.")] = None,
    folder: OutOption = Path("results"),
    as_json: JsonFlag = False,
) -> None:
    """Figure 5: picture queries, the best description of each and its painting, as a contact sheet.

    Without pictures, eight of the collection's own are asked for, so the best answer is known.
    """
    from boonart.encoders.pictures import decode
    from boonart.evaluation import paper

    with wired(collection) as parts:
        if pictures:
            queries = [paper.PictureQuery(decode(read_file(file))) for file in pictures]
        else:
            stored = sorted(asyncio.run(paper.all_works(parts, collection)).items())
            described = [(id_, key) for id_, (work, key) in stored if work.description.strip() and key]
            step = max(1, len(described) // 8)
            queries = [
                paper.PictureQuery(paper.stored_picture(parts, collection, key), id_)
                for id_, key in described[::step][:8]
            ]
        if not queries:
            raise CollectionNotFound(
                f"No work of {collection} has both a picture and a description.", hint="Give pictures to search with."
            )
        file, first = paper.figure5(parts, collection, queries, folder / f"figure5-{collection}.webp")
    if as_json:
        print_json({"file": str(file), "queries": len(queries), **({} if pictures else {"first": first})})
        return
    if not pictures:
        out.print(f"The work's own description came first for {first} of {len(queries)} pictures.")
    err.print(f"The contact sheet is {file}.", soft_wrap=True)


def read_file(file: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InvalidRequest: there is none.
    """
    if not file.is_file():
        raise InvalidRequest(f"There is no file {file}.", field="pictures")
    return file.read_bytes()


@app.command()
def timing(
    collection: CollectionOption = "sample",
    count: Annotated[int, typer.Option(help="Queries each way.", min=2)] = 50,
    json_file: JsonFile = None,
) -> None:
    """Section III-E: time a query, both ways. The paper needed 180 and 400 ms over 6,783 works on a GPU."""
    from boonart.evaluation import paper
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine

    with stopwatch() as watch, wired(collection) as parts, progress_bar() as bar:
        task = bar.add_task("queries", total=2 * count)
        works = sorted(asyncio.run(paper.all_works(parts, collection)).items())
        if not works:
            raise CollectionNotFound(f"The collection {collection} is empty.", hint="Ingest something into it.")
        texts = [paper.TABLE1_QUERIES[i % len(paper.TABLE1_QUERIES)] for i in range(count)]
        keys = [works[i * 7 % len(works)][1][1] for i in range(count)]
        pictures = [paper.stored_picture(parts, collection, key) for key in keys]
        figures = paper.timing(parts, collection, texts, pictures, lambda: bar.advance(task))
        what = about(parts, collection)
    figures["works"] = len(works)
    print_figures(f"timing on {collection}", figures)
    keep(Measurement("timing", figures, what, this_machine(), watch.seconds), json_file)
