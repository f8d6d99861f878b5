"""Which encoders there are, where their weights lie, and how to get others.

Names: `starter`; `open_clip:ARCHITECTURE/TAG` for a hub model that was pulled; `open_clip:FILE?architecture=ARCH` for
a weight file; or the name under which a file was imported.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boonart.errors import ConfigurationError, ModelFileError, ModelNotAvailable
from boonart.ports import EncoderModel

PREFIX = "open_clip:"
STARTER = "starter"
FAKE = "fake"
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model on this machine.

    Attributes:
        name: to use as `--encoder` or `BOONART_ENCODER`.
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


def shipped_folder(name: str) -> Path:
    """The folder of weights that the project ships: beside the package, or in the checkout it runs from."""
    for folder in (_ROOT / "models" / name, _ROOT.parents[1] / "models" / name):
        if folder.is_dir():
            return folder
    return _ROOT / "models" / name


def load_encoder(name: str, *, models_folder: Path, device: str = "auto") -> EncoderModel:
    """Load an encoder by its name; nothing is fetched.

    Raises:
        ModelNotAvailable: its weights are not on this machine.
        ModelFileError: its weights are damaged or of another architecture.
        ConfigurationError: there is no encoder of this name.
    """
    if name == FAKE:
        from boonart.encoders.fake import FakeEncoder

        return FakeEncoder()
    if name == STARTER:
        from boonart.encoders.starter import StarterEncoder

        return StarterEncoder.load(shipped_folder(STARTER), device=device)
    folder = models_folder / _folder_name(name)
    if name.startswith(PREFIX) and "?" in name:
        return _load_file(name, device)
    if name.startswith(PREFIX) or folder.is_dir():
        from boonart.encoders.open_clip import OpenClipEncoder

        return OpenClipEncoder.load(folder, name=name, device=device)
    known = ", ".join(model.name for model in list_models(models_folder))
    raise ConfigurationError(
        f"There is no encoder {name!r}; there are: {known}.",
        hint="Other models: open_clip:ARCHITECTURE/TAG, for example open_clip:ViT-L-14/openai.",
        field="encoder",
    )


def _load_file(name: str, device: str) -> EncoderModel:
    """An encoder from `open_clip:FILE?architecture=ARCH`."""
    from boonart.encoders import open_clip as wrapped

    location, _, options = name.removeprefix(PREFIX).partition("?")
    file, architecture = Path(location), options.removeprefix("architecture=")
    if not file.is_file():
        raise wrapped.not_available(f"{PREFIX}{location}")
    config = architecture_config(architecture)
    model = wrapped.build(config)
    wrapped.load_weights(model, file)
    return wrapped.OpenClipEncoder(
        model,
        _plain_tokenizer(config),
        name=f"{PREFIX}{file.stem}",
        weights_hash=wrapped.file_hash(file),
        device=device,
    )


def _plain_tokenizer(config: dict[str, Any]) -> Any:
    """The tokenizer of an architecture that needs no further files.

    Raises:
        ConfigurationError: it does need files.
    """
    import open_clip

    text = config["model_cfg"]["text_cfg"]
    if text.get("hf_tokenizer_name"):
        raise ConfigurationError(
            "This architecture needs its tokenizer's files beside the weights.",
            hint="Use `boonart models pull`, or import a folder with open_clip_config.json and the tokenizer.",
        )
    return open_clip.SimpleTokenizer(context_length=text.get("context_length", 77))


def architecture_config(architecture: str) -> dict[str, Any]:
    """open_clip's configuration of an architecture, by its name or from a JSON file.

    Raises:
        ConfigurationError: there is none of this name.
    """
    import open_clip

    file = Path(architecture)
    if architecture.endswith(".json") and file.is_file():
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return config if "model_cfg" in config else {"model_cfg": config}
    found = open_clip.get_model_config(architecture) if architecture else None
    if found is None:
        raise ConfigurationError(
            f"open_clip knows no architecture {architecture!r}.",
            hint="Give its name, such as ViT-B-32, or a JSON file with its configuration.",
            field="architecture",
        )
    return {"model_cfg": found}


def list_models(models_folder: Path) -> list[InstalledModel]:
    """The models on this machine, by name."""
    models = []
    shipped = shipped_folder(STARTER)
    if shipped.is_dir():
        models.append(InstalledModel(STARTER, "encoder", _size(shipped), _licence(shipped), "comes with the project"))
    if models_folder.is_dir():
        for folder in sorted(models_folder.iterdir()):
            about = _about(folder)
            if about:
                models.append(
                    InstalledModel(
                        about["name"],
                        about.get("kind", "encoder"),
                        _size(folder),
                        about.get("licence", ""),
                        about["where"],
                    )
                )
    return models


def import_model(file: Path, *, models_folder: Path, architecture: str, name: str = "") -> InstalledModel:
    """Take a weight file, or a folder in open_clip's form, into the models folder.

    The weights are loaded into the architecture and saved as safetensors; nothing is written unless they fit.

    Raises:
        ModelFileError: the file is damaged, unsafe or made for another architecture.
        ConfigurationError: no architecture was named, or the name is taken.
    """
    import open_clip
    import safetensors.torch

    from boonart.encoders import open_clip as wrapped

    if not file.exists():
        raise ModelFileError(f"There is no file {file}.")
    name = name or file.stem
    target = models_folder / _folder_name(name)
    if target.exists():
        raise ConfigurationError(f"A model {name!r} is there already.", hint="Choose another --name.", field="name")
    if file.is_dir():
        wrapped.OpenClipEncoder.load(file, name=name, device="cpu")
        return _install(target, {"name": name, "where": "imported"}, lambda folder: _copy_folder(file, folder))
    config = architecture_config(architecture)
    model = wrapped.build(config)
    wrapped.load_weights(model, file)
    config["preprocess_cfg"] = open_clip.model.get_model_preprocess_cfg(model)
    _plain_tokenizer(config)

    def fill(folder: Path) -> None:
        (folder / wrapped.CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        safetensors.torch.save_model(model, str(folder / wrapped.WEIGHT_FILES[0]))

    return _install(target, {"name": name, "where": "imported", "architecture": architecture}, fill)


Download = Callable[[str, Path], None]
"""Fetches a hub repository into a folder."""


def hub_download(repository: str, folder: Path) -> None:
    """Fetch the weights, configuration and tokenizer of a hub repository."""
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.txt", "*.model", "open_clip_*.safetensors", "model.safetensors"]
    snapshot_download(repository, local_dir=folder, allow_patterns=patterns)


def pull_model(name: str, *, models_folder: Path, download: Download = hub_download) -> Path:
    """Fetch a hub model ahead of its use.

    Raises:
        ConfigurationError: the name is not of the form open_clip:ARCHITECTURE/TAG, or open_clip has no such tag.
        ModelNotAvailable: the hub cannot be reached.
    """
    import open_clip

    architecture, slash, tag = name.removeprefix(PREFIX).partition("/")
    if not name.startswith(PREFIX) or not slash:
        raise ConfigurationError(
            f"{name!r} is no hub model.", hint="Give open_clip:ARCHITECTURE/TAG, as in open_clip:ViT-L-14/openai."
        )
    pretrained = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
    repository = str(pretrained.get("hf_hub", "")).rstrip("/")
    if not repository:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise ConfigurationError(f"open_clip has no weights {tag!r} for {architecture!r} on a hub; it has: {tags}.")
    target = models_folder / _folder_name(name)
    if target.is_dir():
        return target

    def fill(folder: Path) -> None:
        try:
            download(repository, folder)
        except Exception as error:
            raise ModelNotAvailable(
                f"The hub repository {repository} could not be fetched: {type(error).__name__}.",
                hint="Check the connection, or pull on another machine and copy its models folder here.",
            ) from error

    _install(target, {"name": name, "where": "pulled", "repository": repository}, fill)
    return target


def _install(target: Path, about: dict[str, str], fill: Callable[[Path], None]) -> InstalledModel:
    """Fill a folder beside the target and move it there in one step, or leave nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
    try:
        fill(unfinished)
        (unfinished / "boonart.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return InstalledModel(about["name"], "encoder", _size(target), about.get("licence", ""), about["where"])


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _folder_name(name: str) -> str:
    """A name as a folder name, without path tricks."""
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "--" for letter in name)
    return safe.lstrip(".") or "model"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _about(folder: Path) -> dict[str, str] | None:
    file = folder / "boonart.json"
    if not file.is_file():
        return None
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _licence(folder: Path) -> str:
    card = folder / "card.json"
    return str(json.loads(card.read_text(encoding="utf-8")).get("licence", "")) if card.is_file() else ""
