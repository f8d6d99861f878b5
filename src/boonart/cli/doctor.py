"""`boonart doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer
from rich.text import Text

from boonart.cli.output import JsonFlag, out, print_json
from boonart.errors import BoonArtError, ModelMismatch, ModelNotAvailable
from boonart.settings import Settings, local_address, read_settings

if TYPE_CHECKING:
    from boonart.ports import CollectionInfo, WorkIndex
    from boonart.works import ModelCard

LEAST_PYTHON = (3, 11)
GRPC_PORT = "BOONART_GRPC_PORT"
LEAST_DISK = 1_000_000_000
"""Free bytes below which an ingest is likely to fail."""
_DEFAULT_PORTS = {"http": 6333, "https": 6333}
"""Qdrant's own port, where its address names none; ours always name one."""
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


def doctor(as_json: JsonFlag = False) -> None:
    """Check Python, disk, ports, models, collections, GPU and services; exit with 1 where something will fail.

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
        _grpc_port,
        _parts,
        _device,
        _peers,
        _keys,
    )
    for check in checks:
        yield from check(settings)


def _python() -> Finding:
    here = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        return Finding("Python", "problem", f"{here}; {least} is the least", f"Install BoonArt under Python {least}.")
    return Finding("Python", "ok", here)


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
    if reason := _taken(settings.host, settings.port):
        if _is_boonart(settings):
            yield Finding("port", "ok", f"{settings.port}: a running BoonArt answers there")
            return
        advice = "Stop what listens there, or choose another with --port."
        yield Finding("port", "warning", f"{settings.port} cannot be used ({reason})", advice)
        return
    yield Finding("port", "ok", f"{settings.port} is free")


def _grpc_port(settings: Settings) -> Iterator[Finding]:
    """The gateway as a service (`python -m boonart_services.gateway`) has a second door."""
    try:
        from boonart_services.gateway.settings import GatewaySettings
    except ImportError:
        return
    from boonart.settings import read_settings_as

    try:
        gateway = read_settings_as(GatewaySettings)
    except BoonArtError as error:
        yield Finding("gRPC port", "problem", error.message, error.hint)
        return
    if not gateway.grpc_port:
        return
    if (reason := _taken(gateway.grpc_host, gateway.grpc_port)) and not _is_boonart(settings):
        advice = f"Only the gateway as a service needs it: stop what listens there, or set {GRPC_PORT}."
        yield Finding("gRPC port", "warning", f"{gateway.grpc_port} cannot be used ({reason})", advice)


def _taken(host: str, port: int) -> str:
    """Why nobody can listen there, or ""."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _is_boonart(settings: Settings) -> bool:
    """Whether what has the port is one of ours."""
    import httpx

    try:
        answer = httpx.get(f"{local_address(settings.host, settings.port)}/healthz", timeout=3.0)
        return answer.is_success and answer.json().get("status") == "ok"
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def _parts(settings: Settings) -> Iterator[Finding]:
    """The models, and whether they made the collections that are there."""
    from boonart.bootstrap import build_index

    encoder = yield from _encoder(settings)
    try:
        index = build_index(settings)
    except ImportError:
        return  # Said where the packages are looked at.
    except BoonArtError as error:
        yield Finding("collections", "problem", error.message, error.hint)
        return
    reranker = yield from _reranker(settings, encoder, index)

    async def listed() -> list[CollectionInfo]:
        try:
            return await index.collections()
        finally:
            await index.close()

    try:
        found = asyncio.run(listed())
    except BoonArtError as error:
        yield Finding("collections", "problem", error.message, error.hint)
        return
    yield from _collections(settings, found, encoder, reranker)


def _encoder(settings: Settings) -> Generator[Finding, None, ModelCard | None]:
    if settings.encoder_url:
        return None
    try:
        from boonart.encoders.catalogue import load_encoder

        card = load_encoder(settings.encoder, models_folder=settings.models_folder, device="cpu").card
    except ImportError as error:
        advice = "pip install 'boonart[encoder]', or set BOONART_ENCODER_URL."
        yield Finding("encoder", "problem", f"{settings.encoder} cannot be loaded: {error}.", advice)
        return None
    except BoonArtError as error:
        yield Finding("encoder", "problem", error.message, error.hint)
        return None
    yield Finding("encoder", "ok", card.id)
    return card


def _reranker(
    settings: Settings, encoder: ModelCard | None, index: WorkIndex
) -> Generator[Finding, None, ModelCard | None]:
    if settings.reranker_url or encoder is None:
        return None
    if settings.reranker == "none":
        yield Finding("reranker", "ok", "none is wanted; answers come in the order of the global vectors")
        return None
    try:
        from boonart.vitr.weights import load_reranker

        reranker = load_reranker(
            settings.reranker,
            encoder_card=encoder,
            index=index,
            models_folder=settings.models_folder,
            device="cpu",
            bank_bytes=0,
        )
    except ModelNotAvailable as error:
        state = "warning" if settings.reranker == "auto" else "problem"
        advice = error.hint or "Train them: boonart train vitr --help"
        yield Finding("reranker", state, error.message, advice)
        return None
    except BoonArtError as error:
        yield Finding("reranker", "problem", error.message, error.hint)
        return None
    card = reranker.card
    asyncio.run(reranker.close())
    yield Finding("reranker", "ok", card.id)
    return card


def _collections(
    settings: Settings, found: list[CollectionInfo], encoder: ModelCard | None, reranker: ModelCard | None
) -> Iterator[Finding]:
    from boonart.manifests import check_manifest

    if not found:
        yield Finding("collections", "warning", "none yet", "Make one: boonart ingest SOURCE --collection NAME")
    else:
        yield Finding("collections", "ok", ", ".join(f"{info.name} ({info.count:,} works)" for info in found))
    for info in found:
        if encoder is None:
            break
        try:
            check_manifest(info.manifest, encoder, reranker, collection=info.name)
        except ModelMismatch as error:
            yield Finding("collections", "problem", error.message, error.hint)
    if settings.qdrant_url or not settings.collections_folder.is_dir():
        return
    folders = settings.collections_folder.iterdir()
    there = {path.name for path in folders if path.is_dir() and not path.name.startswith(".")}
    for name in sorted(there - {info.name for info in found}):
        advice = "Restore it from a copy, or ingest it anew."
        yield Finding("collections", "problem", f"{name} cannot be opened", advice)


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
    for name, addresses in (
        ("encoder service", settings.encoder_url),
        ("reranker service", settings.reranker_url),
        ("Qdrant", settings.qdrant_url),
    ):
        # A service may be named by the addresses of all its replicas.
        for address in (part.strip() for part in addresses.split(",")):
            if address and not address.startswith(":"):
                yield _peer(name, address)


def _peer(name: str, address: str) -> Finding:
    advice = "Start it, or correct its address."
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
        if not host or port is None:
            raise ValueError("it has no host or no port")
        with socket.create_connection((host, port), timeout=3):
            return Finding(name, "ok", f"{address} answers")
    except ValueError as error:
        return Finding(name, "problem", f"{address} is no address: {error}", "It looks like grpc://HOST:PORT.")
    except OSError as error:
        return Finding(name, "problem", f"{address} does not answer: {error}", advice)


def _keys(settings: Settings) -> Iterator[Finding]:
    from boonart.keys import KeyFile

    try:
        count = sum(key.valid() for key in KeyFile(settings.keys_file).all())
    except BoonArtError as error:
        yield Finding("API keys", "problem", error.message, error.hint)
        return
    yield Finding("API keys", "ok", f"{count} valid" if count else "none; needed only beyond loopback")
