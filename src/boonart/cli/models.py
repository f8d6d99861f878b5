"""`boonart models`: which models there are, and how to get others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from boonart.cli.output import err, out, print_json

app = typer.Typer(help="List, pull and import models.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The models on this machine, and where their weights come from."""
    from boonart.encoders.catalogue import list_models as installed
    from boonart.settings import read_settings

    models = installed(read_settings().models_folder)
    if as_json:
        print_json([model.as_json() for model in models])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "kind", "size", "licence", "where"):
        table.add_column(name)
    for model in models:
        table.add_row(model.name, model.kind, f"{model.size_bytes / 1e6:,.0f} MB", model.licence, model.where)
    out.print(table)


@app.command()
def pull(name: Annotated[str, typer.Argument(help='Such as "open_clip:ViT-L-14/openai".')]) -> None:
    """Fetch a model's weights ahead, so that nothing is fetched later."""
    from boonart.encoders.catalogue import pull_model
    from boonart.settings import read_settings

    err.print(f"{name} is at {pull_model(name, models_folder=read_settings().models_folder)}.")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A safetensors file or an original checkpoint.")],
    architecture: Annotated[str, typer.Option(help="open_clip's name of the architecture.")] = "",
    name: Annotated[str, typer.Option(help="Name to use the model by.")] = "",
) -> None:
    """Take a weight file into the models folder, after checking that it fits."""
    from boonart.encoders.catalogue import import_model
    from boonart.settings import read_settings

    model = import_model(file, models_folder=read_settings().models_folder, architecture=architecture, name=name)
    err.print(f"Imported. Use it as --encoder {model.name}, or set BOONART_ENCODER={model.name}.")
