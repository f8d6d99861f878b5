"""`boonart serve` and `boonart demo`: the page and the API on one port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import JsonFlag, err, print_json, progress_bar

HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
SAMPLE = "sample"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("serve")(serve)
    app.command("demo")(demo)


def announce_json(url: str) -> None:
    """Tell a program where the page is, once searches are answered."""
    print_json({"url": url})
    sys.stdout.flush()


def announce(url: str) -> None:
    """Tell where the page is."""
    err.print(f"BoonArt answers at [bold]{url}[/bold]  (Ctrl-C stops it)")


def serve(host: HostOption = "127.0.0.1", port: PortOption = 8000, as_json: JsonFlag = False) -> None:
    """Serve the page and the API over the collections that are there."""
    from boonart.settings import read_settings
    from boonart_services.gateway.main import serve as serve_gateway

    serve_gateway(read_settings(host=host, port=port), announce=announce_json if as_json else announce)


def demo(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    home: Annotated[Path, typer.Option(help="Folder for the demo's data.")] = Path(".boonart"),
    as_json: JsonFlag = False,
) -> None:
    """Make the sample collection, then serve it."""
    from boonart.cli.ingest import ingest_into
    from boonart.sample.gallery import committed_gallery
    from boonart.settings import read_settings
    from boonart_services.gateway.main import check_port
    from boonart_services.gateway.main import serve as serve_gateway

    check_port(host, port)
    settings = read_settings(host=host, port=port, home=home.resolve(), default_collection=SAMPLE)
    with progress_bar() as bar:
        asyncio.run(ingest_into(settings, committed_gallery(), SAMPLE, bar))
    serve_gateway(settings, announce=announce_json if as_json else announce)
