"""The folder of models that were pulled or imported: one folder a model, put there in one step or not at all.

Each has a `boonart.json` that says under which name, of which kind and from where it came. Encoders and rerankers lie
side by side.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ABOUT_FILE = "boonart.json"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model on this machine.

    Attributes:
        name: to use as `--encoder` or `BOONART_ENCODER`.
        kind: "encoder" or "reranker".
        where: "comes with the project", "pulled" or "imported".
    """

    name: str
    kind: str
    size_bytes: int
    licence: str
    where: str

    def as_json(self) -> dict[str, str | int]:
        """As JSON-ready fields."""
        return asdict(self)


def install(target: Path, about: dict[str, str], fill: Callable[[Path], object]) -> InstalledModel:
    """Fill a folder beside the target and move it there in one step, or leave nothing.

    Args:
        about: "name", "where", and what else is to be remembered; a "licence" found while filling is added.
        fill: writes the model's files into the folder that it is given; what it raises is raised.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
    try:
        fill(unfinished)
        about = {**about, "licence": about.get("licence") or stated_licence(unfinished)}
        (unfinished / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        unfinished.chmod(0o755)  # a temporary folder is readable by its maker alone
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return _installed(target, about)


def installed_models(models_folder: Path) -> list[InstalledModel]:
    """The models in the folder, by name; what cannot be read is left out."""
    found = []
    for folder in sorted(models_folder.iterdir()) if models_folder.is_dir() else ():
        about = _about(folder)
        if about is not None and not folder.name.startswith("."):
            found.append(_installed(folder, about))
    return found


def folder_name(name: str) -> str:
    """A name as a folder name, without path tricks."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "--" for letter in name)
    return safe.lstrip(".") or "model"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def stated_licence(folder: Path) -> str:
    """The licence that a folder's own card or README names, or ""."""
    card, readme = folder / "card.json", folder / "README.md"
    if card.is_file():
        return str(json.loads(card.read_text(encoding="utf-8")).get("licence", ""))
    if readme.is_file():
        named = re.search(r"^license:\s*(\S+)\s*$", readme.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return named[1] if named else ""
    return ""


def _installed(folder: Path, about: dict[str, str]) -> InstalledModel:
    return InstalledModel(
        about["name"],
        about.get("kind", "encoder"),
        folder_bytes(folder),
        about.get("licence", ""),
        about.get("where", "imported"),
    )


def _about(folder: Path) -> dict[str, str] | None:
    try:
        found = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "name" in found else None
