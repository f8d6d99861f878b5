"""Fetching a model from its hub ahead of its use: the only code of ours that downloads weights, and only when asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from boonart.encoders.models_folder import folder_name, install
from boonart.errors import BoonArtError, ConfigurationError, ModelFileError, ModelNotAvailable

PREFIX = "open_clip:"
ABOUT_PATTERNS = ("*.json", "*.txt", "*.model", "README.md")
SAFE_PATTERNS = ("open_clip_*.safetensors", "model.safetensors")
PICKLE_PATTERNS = ("open_clip_pytorch_model.bin", "pytorch_model.bin")

Download = Callable[[str, Path, Sequence[str]], None]
"""Fetches those files of a hub repository, or of an https address, that match the patterns, into a folder."""


def hub_download(source: str, folder: Path, patterns: Sequence[str]) -> None:
    """Fetch from the hub through its own client, or from an address through open_clip, which checks known hashes."""
    if source.startswith("https://"):
        from open_clip.pretrained import download_pretrained_from_url

        download_pretrained_from_url(source, cache_dir=str(folder))
        return
    from huggingface_hub import snapshot_download

    snapshot_download(source, local_dir=folder, allow_patterns=list(patterns))


def pull_model(name: str, *, models_folder: Path, download: Download = hub_download) -> Path:
    """Fetch a hub model, check that it loads, and keep it as safetensors.

    Args:
        name: open_clip:ARCHITECTURE/TAG.
        download: takes the hub's place in tests.

    Raises:
        ConfigurationError: the name is not of that form, or open_clip has no such weights.
        ModelNotAvailable: the hub cannot be reached.
        ModelFileError: what it gave does not load.
    """
    from boonart.encoders.open_clip_files import known_preprocessing

    architecture, slash, tag = name.removeprefix(PREFIX).partition("/")
    if not name.startswith(PREFIX) or not slash:
        raise ConfigurationError(
            f"{name!r} is no hub model.", hint="Give open_clip:ARCHITECTURE/TAG, as in open_clip:ViT-L-14/openai."
        )
    known_preprocessing(architecture, tag)
    source, patterns = _source(architecture, tag)
    target = models_folder / folder_name(name)
    if target.is_dir():
        return target

    def fetch(source: str, folder: Path, patterns: Sequence[str]) -> None:
        try:
            download(source, folder, patterns)
        except Exception as error:
            raise ModelNotAvailable(
                f"{source} could not be fetched: {type(error).__name__}: {error}",
                hint="Check the connection; or pull on another machine and copy its models folder here; or take a "
                "file you have with `boonart models import FILE --architecture ARCHITECTURE`.",
            ) from error

    def fill(folder: Path) -> None:
        fetch(source, folder, [*ABOUT_PATTERNS, *patterns])
        if not _weights(folder):
            fetch(source, folder, PICKLE_PATTERNS)
        _complete(folder, f"{architecture}/{tag}", fetch)
        shutil.rmtree(folder / ".cache", ignore_errors=True)

    install(target, {"name": name, "where": "pulled", "source": source}, fill)
    return target


def _source(architecture: str, tag: str) -> tuple[str, Sequence[str]]:
    """Where open_clip's table says the weights are, and which files there hold them."""
    import open_clip

    published = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
    hub = str(published.get("hf_hub", ""))
    if not hub:
        return str(published["url"]), ()
    # "owner/repository/" or "owner/repository/file"
    owner, repository, file = hub.split("/", 2)
    return f"{owner}/{repository}", (file, file.rsplit(".", 1)[0] + ".safetensors") if file else SAFE_PATTERNS


def _weights(folder: Path) -> list[Path]:
    """Weight files in a folder, safetensors first."""
    found = [file for ending in ("safetensors", "bin", "pt", "pth") for file in folder.glob(f"*.{ending}")]
    return sorted(found, key=lambda file: file.suffix != ".safetensors")


def _complete(folder: Path, architecture: str, fetch: Download) -> None:
    """Add what loading without a network needs, check that it loads, and keep the weights as safetensors alone."""
    import safetensors.torch

    from boonart.encoders.catalogue import TOKENIZER_FILES, architecture_config, find_tokenizer, tokenizer_files
    from boonart.encoders.open_clip_files import CONFIG_FILE, TEXT_TOWER_FOLDER, WEIGHT_FILES, build, load_weights

    weights = _weights(folder)
    if not weights:
        raise ModelFileError(f"There are no weights of {architecture} where open_clip's table says.")
    if (folder / CONFIG_FILE).is_file():
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    else:
        config = architecture_config(architecture)
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    text = config["model_cfg"]["text_cfg"]
    if text.get("hf_tokenizer_name") and not tokenizer_files(folder):
        fetch(text["hf_tokenizer_name"], folder, TOKENIZER_FILES)
    if text.get("hf_model_name"):
        fetch(text["hf_model_name"], folder / TEXT_TOWER_FOLDER, ["config.json"])
    try:
        model = build(config, folder)
        load_weights(model, weights[0])
        find_tokenizer(config, folder)
    except BoonArtError as error:
        raise ModelFileError(f"What was fetched for {architecture} does not load: {error.message}") from error
    if weights[0].suffix != ".safetensors" or weights[0].name not in WEIGHT_FILES:
        safetensors.torch.save_model(model, str(folder / WEIGHT_FILES[0]))
        weights[0].unlink()
    for spare in weights[1:]:
        spare.unlink()
