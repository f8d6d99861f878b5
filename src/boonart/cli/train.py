"""`boonart train`: the heads of the starter encoder, and the relation network."""

from __future__ import annotations

import typer

app = typer.Typer(help="Train the models that the project ships, or your own.", no_args_is_help=True)
