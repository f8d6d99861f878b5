"""`boonart keys`: who may use the server over the network."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from boonart.cli.output import JsonFlag, JsonLinesFlag, err, out, print_json, print_json_lines, print_table
from boonart.keys import ApiKey, KeyFile, Scope
from boonart.settings import read_settings

app = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True)


def key_file() -> KeyFile:
    """The keys of this installation."""
    return KeyFile(read_settings().keys_file)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    scope: Annotated[Scope, typer.Option(help="What it allows; each includes those before it.")] = Scope.SEARCH,
    days: Annotated[float, typer.Option(help="Days until it expires; 0 for never.")] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Make a key. It is shown once and kept as a hash.

    Examples:
      boonart keys create "reading room"
      boonart keys create importer --scope write --days 90
    """
    key, text = key_file().create(name, scope, days=days)
    if as_json:
        print_json({**_as_json(key), "key": text})
        return
    out.print(text, soft_wrap=True)
    err.print(f"The key {key.id} allows {key.scope.value}. Keep it now: it cannot be shown again.")


@app.command("list")
def list_keys(as_json: JsonFlag = False, as_lines: JsonLinesFlag = False) -> None:
    """List the keys, without their secrets, with when each was last used (to the minute)."""
    file = key_file()
    keys, used = file.all(), file.last_used()
    listed = [_as_json(key, used.get(key.id)) for key in keys]
    if as_json:
        print_json(listed)
        return
    if as_lines:
        print_json_lines(listed)
        return
    if not keys:
        err.print("There are no keys.")
        return
    rows = [(key.id, key.name, key.scope.value, _state(key), _moment(used.get(key.id))) for key in keys]
    print_table(["id", "name", "scope", "state", "last used"], rows)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `boonart keys list` shows it.")],
    as_json: JsonFlag = False,
) -> None:
    """Make a key invalid at once, in running servers too."""
    key = key_file().revoke(key_id)
    if as_json:
        print_json(_as_json(key))
        return
    err.print(f"The key {key.id} ({key.name}) is revoked.")


def _state(key: ApiKey) -> str:
    if key.revoked:
        return "revoked"
    if not key.valid():
        return "expired"
    return f"until {time.strftime('%Y-%m-%d', time.localtime(key.expires))}" if key.expires else "valid"


def _moment(used: float | None) -> str:
    return "never" if used is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(used))


def _as_json(key: ApiKey, used: float | None = None) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "state": _state(key),
        "created": key.created,
        **({"expires": key.expires} if key.expires else {}),
        **({"last_used_at": used} if used is not None else {}),
    }
