"""`boonart snapshots`: backups of collections on a Qdrant server, made and restored by Qdrant itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from boonart.cli.output import err, out, print_json

if TYPE_CHECKING:
    from boonart.index.server import QdrantServerIndex

app = typer.Typer(help="Back up and restore collections on a Qdrant server.", no_args_is_help=True)

Result = TypeVar("Result")
CollectionArgument = Annotated[str, typer.Argument(help="Name of the collection.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def create(collection: CollectionArgument, as_json: JsonOption = False) -> None:
    """Snapshot a collection as it is published now; searches and writes go on.

    The snapshot lies on the Qdrant node that made it, with the models and fields of the collection in it. Copy it away
    from there, and the pictures' folder (BOONART_HOME/pictures/NAME) with it.
    """
    made = _on_server(lambda index: index.create_snapshot(collection))
    if as_json:
        print_json(asdict(made))
    else:
        out.print(made.name)
        err.print(f"{made.size_bytes:,} bytes, on the Qdrant node that answered; docs/deploy.md says how to copy it.")


@app.command("list")
def list_(collection: CollectionArgument, as_json: JsonOption = False) -> None:
    """The snapshots of a collection that the answering Qdrant node has, oldest first."""
    found = _on_server(lambda index: index.snapshots(collection))
    if as_json:
        print_json([asdict(snapshot) for snapshot in found])
        return
    for snapshot in found:
        out.print(f"{snapshot.name}  {snapshot.created_at}  {snapshot.size_bytes:,} bytes")
    if not found:
        err.print(f"There is no snapshot of {collection}.")


@app.command()
def restore(
    collection: CollectionArgument,
    location: Annotated[
        str, typer.Argument(help="As Qdrant sees it: file:///qdrant/storage/snapshots/... or an address.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Restore a snapshot beside the published collection, then switch the name to it; searches go on meanwhile.

    A collection of that name, where there is one, is replaced at the switch.

    Example:
      boonart snapshots restore tate https://backup.example/tate.v1-2026-01-31.snapshot
    """
    version = _on_server(lambda index: index.restore_snapshot(collection, location))
    if as_json:
        print_json({"collection": collection, "version": version})
    else:
        err.print(f"{collection} is now version {version}, as the snapshot holds it.")


def _on_server(operation: Callable[[QdrantServerIndex], Awaitable[Result]]) -> Result:
    """Run an operation on the Qdrant server of the settings.

    Raises:
        ConfigurationError: the collections are in this process, not on a server.
    """
    from boonart.bootstrap import build_index
    from boonart.errors import ConfigurationError
    from boonart.index.server import QdrantServerIndex
    from boonart.settings import read_settings

    settings = read_settings()
    if not settings.qdrant_url:
        raise ConfigurationError(
            "Snapshots are made by a Qdrant server, and BOONART_QDRANT_URL names none.",
            hint=f"The embedded collections are plain files: stop `boonart serve` and copy {settings.home}.",
            field="qdrant_url",
        )

    async def run() -> Result:
        index = build_index(settings)
        assert isinstance(index, QdrantServerIndex), "a server's address makes a server's index"
        try:
            return await operation(index)
        finally:
            await index.close()

    return asyncio.run(run())
