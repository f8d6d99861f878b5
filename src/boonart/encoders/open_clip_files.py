"""Files of open_clip models: architectures built and weights loaded, with nothing fetched and nothing run."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg
from torch import nn

from boonart.encoders.torchscript import is_torchscript, read_torchscript
from boonart.errors import ConfigurationError, ModelFileError, ModelNotAvailable

CONFIG_FILE = "open_clip_config.json"
"""open_clip's own description of a model in a folder."""
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
_OPENAI_SETTINGS = ("input_resolution", "context_length", "vocab_size")
TEXT_TOWER_FOLDER = "text_tower"
"""Holds the `config.json` of a text tower from the transformers library."""


def build(config: dict[str, Any], folder: Path | None = None) -> nn.Module:
    """A randomly initialised model from open_clip's configuration; nothing is fetched.

    Args:
        config: {"model_cfg": ..., "preprocess_cfg": ...}, as in `open_clip_config.json`.
        folder: of the model, where its text tower needs a file from it.

    Raises:
        ModelFileError: the configuration makes no model.
        ModelNotAvailable: the text tower's configuration is not in the folder.
    """
    settings = copy.deepcopy(config["model_cfg"])
    custom = settings.pop("custom_text", False)
    settings["vision_cfg"]["timm_model_pretrained"] = False
    text = settings["text_cfg"]
    if text.get("hf_model_name"):
        tower = folder / TEXT_TOWER_FOLDER if folder else None
        if tower is None or not (tower / "config.json").is_file():
            raise ModelNotAvailable(
                f"The text tower {text['hf_model_name']} has its configuration in a file that is not here.",
                hint=f"Use `boonart models pull`, or import a folder with {TEXT_TOWER_FOLDER}/config.json in it.",
            )
        text |= {"hf_model_name": str(tower), "hf_model_pretrained": False}
        custom = True
    kind: Any = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    if "multimodal_cfg" in settings:
        kind = open_clip.CoCa
    try:
        model = kind(**settings)
    except (TypeError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelFileError(f"open_clip cannot build this architecture: {error}") from error
    preprocess = {**config.get("preprocess_cfg", {}), "size": model.visual.image_size}
    merged = open_clip.transform.merge_preprocess_dict(PreprocessCfg(), preprocess)
    open_clip.model.set_model_preprocess_cfg(model, merged)
    built: nn.Module = model
    return built


def load_weights(model: nn.Module, file: Path) -> None:
    """Load safetensors or an original checkpoint; of pickles and TorchScript archives only the weights are read.

    Raises:
        ModelFileError: the file is damaged, unsafe or made for another architecture.
    """
    try:
        if is_torchscript(file):
            _load_openai(model, file)
        else:
            open_clip.factory.load_checkpoint(model, str(file), strict=True, weights_only=True)
    except ModelFileError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelFileError(
            f"{file.name} cannot be loaded into this architecture: {reason}",
            hint="Check --architecture. Files that hold code instead of plain weights are never loaded: "
            "convert them to safetensors on a machine where they are trusted.",
        ) from error


def known_preprocessing(architecture: str, tag: str = "") -> dict[str, Any]:
    """How the published weights of an architecture want their pictures, and whether they use QuickGELU.

    Args:
        tag: of the published weights; without one, what all of the architecture's weights agree on.

    Raises:
        ConfigurationError: there are no such published weights.
    """
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise ConfigurationError(
            f"open_clip has no weights {tag!r} for {architecture!r}; it has: {', '.join(tags) or 'none'}."
        )
    found = []
    for name in [tag] if tag else tags:
        published = open_clip.pretrained.get_pretrained_cfg(architecture, name)
        chosen = {key: published[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in published}
        found.append({**chosen, "quick_gelu": bool(published.get("quick_gelu"))})
    return found[0] if found and all(one == found[0] for one in found) else {}


def file_hash(file: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def not_available(name: str) -> ModelNotAvailable:
    """The one error for weights that are not here, naming the two ways out."""
    return ModelNotAvailable(
        f"The weights of {name} are not on this machine, and nothing is fetched unasked.",
        hint=f"Fetch them once with `boonart models pull {name}` on a machine with internet, or take a file you have "
        "with `boonart models import FILE --architecture ARCHITECTURE`.",
    )


def _load_openai(model: nn.Module, file: Path) -> None:
    """Load one of OpenAI's own files, a TorchScript archive; the program in it is not run."""
    if not any(isinstance(module, open_clip.transformer.QuickGELU) for module in model.modules()):
        raise ModelFileError(
            f"{file.name} is a TorchScript archive as OpenAI publishes them; those networks use QuickGELU, and this "
            "architecture does not.",
            hint="Name the architecture with its tag, as in --architecture ViT-L-14/openai.",
        )
    state = {
        name: tensor
        for name, tensor in read_torchscript(file).items()
        if name not in _OPENAI_SETTINGS and name.rsplit(".", 1)[-1] != "attn_mask"
    }
    model.load_state_dict(state, strict=True)
