"""Which encoders there are, where their weights lie, and how to get others.

Names: `starter`; `open_clip:ARCHITECTURE/TAG` for a hub model that was pulled; `open_clip:FILE?architecture=ARCH` for
a weight file; or the name under which a file was imported.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from boonart.encoders.models_folder import (
    InstalledModel,
    folder_bytes,
    folder_name,
    install,
    installed_models,
    stated_licence,
)
from boonart.encoders.pulling import PREFIX, pull_model
from boonart.errors import ConfigurationError, ModelFileError, ModelNotAvailable
from boonart.ports import EncoderModel

__all__ = ["InstalledModel", "architecture_config", "import_model", "list_models", "load_encoder", "pull_model"]

STARTER = "starter"
FAKE = "fake"
SHIPPED = {STARTER: "encoder", "vitr-starter": "reranker"}
"""Kind by name of the models that the project ships."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_ROOT = Path(__file__).parents[1]


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
    folder = models_folder / folder_name(name)
    if name.startswith(PREFIX) and "?" in name:
        return _load_file(name, device)
    if name.startswith(PREFIX) or folder.is_dir():
        from boonart.encoders.open_clip import OpenClipEncoder

        return OpenClipEncoder.load(folder, name=name, device=device)
    known = ", ".join(model.name for model in list_models(models_folder) if model.kind == "encoder")
    raise ConfigurationError(
        f"There is no encoder {name!r}; there are: {known}.",
        hint="Other models: open_clip:ARCHITECTURE/TAG, for example open_clip:ViT-L-14/openai.",
        field="encoder",
    )


def _load_file(name: str, device: str) -> EncoderModel:
    """An encoder from `open_clip:FILE?architecture=ARCH`."""
    from boonart.encoders import open_clip as wrapped

    location, _, options = name.removeprefix(PREFIX).rpartition("?")
    file, architecture = Path(location).expanduser(), options.removeprefix("architecture=")
    if not options.startswith("architecture="):
        raise ConfigurationError(
            f"{name!r} names no architecture.", hint=f"Write {PREFIX}FILE?architecture=ARCH.", field="encoder"
        )
    if not file.is_file():
        raise ModelNotAvailable(
            f"There is no weight file {file}.",
            hint="Give its full path; or fetch weights with `boonart models pull NAME` on a machine with internet, "
            "or take a file you have with `boonart models import FILE --architecture ARCHITECTURE`.",
        )
    config = architecture_config(architecture)
    model = wrapped.build(config, file.parent)
    wrapped.load_weights(model, file)
    return wrapped.OpenClipEncoder(
        model,
        find_tokenizer(config, file.parent),
        name=f"{PREFIX}{file.stem}",
        weights_hash=wrapped.file_hash(file),
        device=device,
    )


def find_tokenizer(config: dict[str, Any], folder: Path) -> Any:
    """The tokenizer of an architecture.

    Raises:
        ConfigurationError: it needs files that are not in the folder.
    """
    import open_clip

    text = config["model_cfg"]["text_cfg"]
    length, options = text.get("context_length", 77), text.get("tokenizer_kwargs", {})
    if not text.get("hf_tokenizer_name"):
        return open_clip.SimpleTokenizer(context_length=length, **options)
    if not tokenizer_files(folder):
        raise ConfigurationError(
            f"This architecture needs the files of its tokenizer ({text['hf_tokenizer_name']}) beside the weights.",
            hint="Put its tokenizer.json and tokenizer_config.json there, or use `boonart models pull`.",
        )
    mode = text.get("tokenizer_mode")
    return open_clip.tokenizer.HFTokenizer(str(folder), context_length=length, tokenizer_mode=mode, **options)


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a tokenizer in a folder; none where there is no whole tokenizer."""
    whole = any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model", "vocab.txt", "vocab.json"))
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()] if whole else []


def architecture_config(architecture: str) -> dict[str, Any]:
    """open_clip's configuration of an architecture.

    Args:
        architecture: its name ("ViT-B-32"); or with the tag of published weights ("ViT-L-14/openai"), so that
            pictures are prepared as those want them; or a JSON file.

    Raises:
        ConfigurationError: there is none of this name.
    """
    import open_clip

    from boonart.encoders.open_clip_files import known_preprocessing

    file = Path(architecture)
    if architecture.endswith(".json") and file.is_file():
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return config if "model_cfg" in config else {"model_cfg": config}
    name, _, tag = architecture.partition("/")
    found = open_clip.get_model_config(name) if name else None
    if found is None:
        raise ConfigurationError(
            f"open_clip knows no architecture {architecture!r}.",
            hint="Give its name, such as ViT-B-32, or a JSON file with its configuration.",
            field="architecture",
        )
    preprocessing = known_preprocessing(name, tag)
    if preprocessing.pop("quick_gelu", False):
        found["quick_gelu"] = True
    return {"model_cfg": found, "preprocess_cfg": preprocessing}


def list_models(models_folder: Path) -> list[InstalledModel]:
    """The models on this machine: what the project ships, then what was pulled or imported, by name."""
    models = []
    for name, kind in SHIPPED.items():
        shipped = shipped_folder(name)
        if shipped.is_dir():
            size, licence = folder_bytes(shipped), stated_licence(shipped)
            models.append(InstalledModel(name, kind, size, licence, "comes with the project"))
    return models + installed_models(models_folder)


def import_model(file: Path, *, models_folder: Path, architecture: str, name: str = "") -> InstalledModel:
    """Take a weight file, or a folder in open_clip's form, into the models folder.

    The weights are loaded into the architecture and saved as safetensors; nothing is written unless they fit. The
    files of a tokenizer are taken along from beside the weights where the architecture needs them.

    Args:
        architecture: see `architecture_config`; not needed for a folder with `open_clip_config.json`.

    Raises:
        ModelFileError: the file is damaged, unsafe or made for another architecture.
        ConfigurationError: no architecture was named, or the name is taken.
    """
    import open_clip

    from boonart.encoders import open_clip as wrapped
    from boonart.encoders.open_clip_files import TEXT_TOWER_FOLDER

    if not file.exists():
        raise ModelFileError(f"There is no file {file}.")
    name = name or file.stem
    target = models_folder / folder_name(name)
    if target.exists() or name in (STARTER, FAKE) or name.startswith(PREFIX):
        raise ConfigurationError(f"The name {name!r} is taken.", hint="Choose another --name.", field="name")
    if file.is_dir():
        wrapped.OpenClipEncoder.load(file, name=name, device="cpu")
        about = {"name": name, "where": "imported", "licence": stated_licence(file)}
        return install(target, about, lambda folder: _copy_folder(file, folder))
    config = architecture_config(architecture)
    model = wrapped.build(config, file.parent)
    wrapped.load_weights(model, file)
    config["preprocess_cfg"] = open_clip.model.get_model_preprocess_cfg(model)
    tokenizer = find_tokenizer(config, file.parent)
    # One text and one picture: what cannot be encoded is found now and not by the first search.
    wrapped.OpenClipEncoder(model, tokenizer, name=name, weights_hash="0" * 16, device="cpu")

    def fill(folder: Path) -> None:
        (folder / wrapped.CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if config["model_cfg"]["text_cfg"].get("hf_tokenizer_name"):
            for part in tokenizer_files(file.parent):
                shutil.copy(part, folder)
        if (file.parent / TEXT_TOWER_FOLDER).is_dir():
            shutil.copytree(file.parent / TEXT_TOWER_FOLDER, folder / TEXT_TOWER_FOLDER)
        _save(model, folder)

    return install(target, {"name": name, "where": "imported", "architecture": architecture}, fill)


def _save(model: Any, folder: Path) -> None:
    import safetensors.torch

    from boonart.encoders.open_clip_files import WEIGHT_FILES

    safetensors.torch.save_model(model, str(folder / WEIGHT_FILES[0]))


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
