"""`boonart doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from boonart.cli.output import out, print_json
from boonart.errors import BoonArtError
from boonart.settings import Settings, read_settings

LEAST_DISK = 1_000_000_000
"""Free bytes below which an ingest is likely to fail."""
_PARTS = {
    "torch": "encoder and reranker in this process (pip install 'boonart[encoder]')",
    "qdrant_edge": "collections in this process (pip install 'boonart[embedded]')",
    "fastapi": "the server and the page (pip install 'boonart[gateway]')",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: "ok", "warning" (it works without) or "problem" (something will fail).
        advice: what to do, where there is something to do.
    """

    name: str
    state: str
    detail: str
    advice: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor")(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check Python, disk, port, models, collections, GPU and services; exit with 1 where something will fail.

    Examples:
      boonart doctor
      boonart doctor --json
    """
    findings = list(examine())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": ("ok      ", "green"), "warning": ("warning ", "yellow"), "problem": ("problem ", "bold red")}
        for finding in findings:
            out.print(Text.assemble(marks[finding.state], f"{finding.name}: {finding.detail}"), soft_wrap=True)
            if finding.advice:
                out.print(Text(f"         {finding.advice}"), soft_wrap=True)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Everything that can be looked at, in the order in which a person would mend it."""
    yield _python()
    try:
        settings = read_settings()
    except BoonArtError as error:
        yield Finding("settings", "problem", error.message, error.hint)
        return
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _packages,
        _disk,
        _port,
        _models,
        _collections,
        _device,
        _peers,
        _keys,
    )
    for check in checks:
        yield from check(settings)


def _python() -> Finding:
    return Finding("Python", "ok", ".".join(map(str, sys.version_info[:3])))


def _packages(settings: Settings) -> Iterator[Finding]:
    for name, use in _PARTS.items():
        needed = not (settings.encoder_url if name == "torch" else settings.qdrant_url if name == "qdrant_edge" else "")
        if importlib.util.find_spec(name) is None:
            advice = f"It is needed for {use}." if needed else ""
            yield Finding(name, "problem" if needed else "ok", "not installed", advice)


def _disk(settings: Settings) -> Iterator[Finding]:
    place = next((path for path in (settings.home, *settings.home.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:,.1f} GB free at {settings.home}"
    if free < LEAST_DISK:
        yield Finding("disk", "problem", detail, "Make room, or set BOONART_HOME to a folder on another disk.")
    else:
        yield Finding("disk", "ok", detail)


def _port(settings: Settings) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = "If that is not a running BoonArt, choose another with --port."
            yield Finding("port", "warning", f"{settings.port} is taken ({error.strerror})", advice)
            return
    yield Finding("port", "ok", f"{settings.port} is free")


def _models(settings: Settings) -> Iterator[Finding]:
    if settings.encoder_url:
        return
    try:
        from boonart.encoders.catalogue import load_encoder

        card = load_encoder(settings.encoder, models_folder=settings.models_folder, device="cpu").card
    except ImportError as error:
        yield Finding("encoder", "problem", f"{settings.encoder} cannot be loaded: {error}.")
    except BoonArtError as error:
        yield Finding("encoder", "problem", error.message, error.hint)
    else:
        yield Finding("encoder", "ok", card.id)


def _collections(settings: Settings) -> Iterator[Finding]:
    if settings.qdrant_url:
        return
    import asyncio

    try:
        from boonart.index.edge import EdgeIndex
    except ImportError:
        return

    async def listed() -> list[str]:
        index = EdgeIndex(settings.collections_folder)
        try:
            return [f"{info.name} ({info.count:,} works)" for info in await index.collections()]
        finally:
            await index.close()

    try:
        found = asyncio.run(listed())
    except BoonArtError as error:
        yield Finding("collections", "problem", error.message, error.hint)
        return
    if not found:
        yield Finding("collections", "warning", "none yet", "Make one: boonart ingest SOURCE --collection NAME")
        return
    yield Finding("collections", "ok", ", ".join(found))
    folders = settings.collections_folder.iterdir()
    there = {path.name for path in folders if path.is_dir() and not path.name.startswith(".")}
    for name in sorted(there - {item.split(" ")[0] for item in found}):
        yield Finding(
            "collections", "problem", f"{name} cannot be opened", "Restore it from a copy, or ingest it anew."
        )


def _device(settings: Settings) -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        yield Finding("GPU", "ok", torch.cuda.get_device_name(0))
    elif settings.device.startswith("cuda"):
        yield Finding("GPU", "problem", "none is found", "Install its driver, or set BOONART_DEVICE=cpu.")
    else:
        yield Finding("GPU", "ok", "none; the processor is used")


def _peers(settings: Settings) -> Iterator[Finding]:
    for name, address in (
        ("encoder service", settings.encoder_url),
        ("reranker service", settings.reranker_url),
        ("Qdrant", settings.qdrant_url),
    ):
        if not address or address.startswith(":"):
            continue
        host, _, port = address.partition("://")[2].partition("/")[0].rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
                yield Finding(name, "ok", f"{address} answers")
        except (OSError, ValueError) as error:
            advice = "Start it, or correct its address."
            yield Finding(name, "problem", f"{address} does not answer: {error}", advice)


def _keys(settings: Settings) -> Iterator[Finding]:
    from boonart.keys import KeyFile

    try:
        count = sum(key.valid() for key in KeyFile(settings.keys_file).all())
    except BoonArtError as error:
        yield Finding("API keys", "problem", error.message, error.hint)
        return
    yield Finding("API keys", "ok", f"{count} valid" if count else "none; needed only beyond loopback")
