"""`boonart config`: the settings that hold here, and where each comes from."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from boonart.cli.output import JsonFlag, print_json, print_table
from boonart.settings import read_settings

app = typer.Typer(help="The settings of this installation.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it holds.

    Attributes:
        variable: the environment variable that sets it.
        origin: "environment" or "default".
    """

    name: str
    value: Any
    variable: str
    origin: str


@app.callback()
def config() -> None:
    """The settings of this installation."""


@app.command()
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not at their default.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every setting, its value and where it comes from. Options of a command count more than the environment.

    Examples:
      boonart config show
      BOONART_ENCODER=open_clip:ViT-L-14/openai boonart config show --changed
    """
    listed = [setting for setting in settings() if setting.origin != "default" or not changed]
    if as_json:
        print_json([asdict(setting) for setting in listed])
        return
    print_table(
        ["setting", "value", "origin", "variable"],
        [(setting.name, setting.value, setting.origin, setting.variable) for setting in listed],
    )


def settings() -> list[Setting]:
    """Every setting of `boonart.settings.Settings`; secrets are not shown.

    Raises:
        ConfigurationError: one of them cannot be used.
    """
    values = read_settings()
    # Names of environment variables are read in any case, as pydantic does.
    given = {name.upper() for name in os.environ}
    found = []
    for name in type(values).model_fields:
        value = getattr(values, name)
        if isinstance(value, SecretStr):
            value = "(set)" if value.get_secret_value() else ""
        elif not isinstance(value, str | int | float | bool):
            value = "" if value is None else str(value)
        variable = f"BOONART_{name.upper()}"
        found.append(Setting(name, value, variable, "environment" if variable in given else "default"))
    return found
