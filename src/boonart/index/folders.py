"""The folder of an embedded collection: pointers, manifest, inventory.

    ROOT/NAME/current            number of the published version
    ROOT/NAME/v1/manifest.json   with what the version was made
    ROOT/NAME/v1/state.json      how many works, and an inventory after a clean close
    ROOT/NAME/v1/current         generation of the engine's files
    ROOT/NAME/v1/g1/             the engine's own files

A pointer is replaced in one step, so at any moment it names something whole.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from boonart.errors import IndexCorrupt
from boonart.works import Manifest

_CHECKSUM_BELOW = 256 * 1024
"""Bytes up to which a file's content is checked at opening; larger ones are compared by size alone, since
reading a whole collection would make the start slow."""


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file's content in one step.

    Args:
        durable: also survive a power failure when this returns.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power failure, where the system allows it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_pointer(folder: Path) -> int | None:
    """The number in the folder's `current`, or None where there is none.

    Raises:
        IndexCorrupt: it holds something else.
    """
    path = folder / "current"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise corrupt(path, str(error)) from error
    if not text.isascii() or not text.isdigit():
        raise corrupt(path, "it holds no number")
    return int(text)


def write_pointer(folder: Path, number: int) -> None:
    """Point the folder's `current` to `number`, atomically and durably."""
    write_atomically(folder / "current", f"{number}\n".encode())


def numbers(folder: Path, prefix: str) -> list[int]:
    """Numbers of the sub-folders `<prefix><number>`, in order."""
    found = [entry.name.removeprefix(prefix) for entry in folder.glob(f"{prefix}*") if entry.is_dir()]
    return sorted(int(number) for number in found if number.isdigit())


def remove_tree(folder: Path) -> None:
    """Delete a folder so that an interruption never leaves half of it under its name."""
    if not folder.exists():
        return
    doomed = folder.with_name(f".removed-{uuid.uuid4().hex[:8]}")
    folder.replace(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def size_on_disk(folder: Path) -> int:
    """Bytes that the folder takes; files of the engine are sparse, so their length says too much."""
    total = 0
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        total += getattr(stat, "st_blocks", -(-stat.st_size // 512)) * 512
    return total


def corrupt(path: Path, reason: str) -> IndexCorrupt:
    """The error for a collection whose files cannot be used."""
    return IndexCorrupt(
        f"The index at {path} cannot be opened: {reason}.",
        hint=(
            "Nothing in it was changed. Restore the collection's folder from a backup, or move it away and "
            "ingest again."
        ),
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Store a version's manifest."""
    write_atomically(folder / "manifest.json", json.dumps(asdict(manifest), indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """A version's manifest.

    Raises:
        IndexCorrupt: it is missing or damaged.
    """
    path = folder / "manifest.json"
    data = _read_json(path)
    types = {
        "encoder_id": str,
        "global_size": int,
        "reranker_id": str,
        "embed_size": int,
        "schema_version": int,
    }
    if set(data) != set(types) or not all(isinstance(data[name], kind) for name, kind in types.items()):
        raise corrupt(path, "it is not a manifest")
    return Manifest(**data)


@dataclass(slots=True)
class State:
    """What a version's owner last knew of it.

    Attributes:
        count: works.
        indexed: works when the graph was last built; 0 where search is exact.
        inventory: size and checksum of each engine file after a clean close; empty while a process has it
            open, and after a crash.
    """

    count: int = 0
    indexed: int = 0
    inventory: dict[str, list[int]] = field(default_factory=dict)


def write_state(folder: Path, state: State, *, durable: bool = False) -> None:
    """Store a version's state."""
    write_atomically(folder / "state.json", json.dumps(asdict(state)).encode(), durable=durable)


def read_state(folder: Path) -> State:
    """A version's state; an empty one where there is none.

    Raises:
        IndexCorrupt: it is damaged.
    """
    path = folder / "state.json"
    if not path.exists():
        return State()
    try:
        return State(**_read_json(path))
    except TypeError as error:
        raise corrupt(path, "it is not a collection's state") from error


def take_inventory(folder: Path) -> dict[str, list[int]]:
    """Size and checksum (0 for large files) of each file under the folder."""
    inventory = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            size = path.stat().st_size
            checksum = zlib.crc32(path.read_bytes()) if size < _CHECKSUM_BELOW else 0
            inventory[path.relative_to(folder).as_posix()] = [size, checksum]
    return inventory


def check_inventory(folder: Path, inventory: dict[str, list[int]]) -> None:
    """Compare a folder with its inventory.

    The engine silently makes missing files anew, empty, so it must not see a folder that lost some.

    Raises:
        IndexCorrupt: a file is missing or differs.
    """
    if not inventory:
        return
    if not folder.is_dir():
        raise corrupt(folder, "the folder is missing")
    found = take_inventory(folder)
    if damaged := sorted(name for name, entry in inventory.items() if found.get(name) != entry):
        rest = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        raise corrupt(folder, f"{damaged[0]}{rest} is missing or damaged")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise corrupt(path, "the file is missing") from error
    except (OSError, ValueError) as error:
        raise corrupt(path, f"it cannot be read ({error})") from error
    if not isinstance(data, dict):
        raise corrupt(path, "it holds something else")
    return data
