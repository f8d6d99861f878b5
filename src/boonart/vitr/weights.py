"""Weight files of the reranker: written, found, checked, loaded, and imported from the authors' layout.

A weight file is safetensors. Its metadata holds one JSON text under "boonart": the format's number, the network's
configuration, the mixtures of scores and the model card, so that a file stands for itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from boonart.errors import ModelFileError, ModelMismatch, ModelNotAvailable
from boonart.vitr.config import VitrConfig
from boonart.vitr.mixture import DISTINCTNESS, Mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.pair_scoring import DEPTH
from boonart.vitr.scoring import FeatureSource, VitrReranker
from boonart.works import ModelCard

WEIGHTS_FILE, CARD_FILE = "vitr.safetensors", "card.json"
FORMAT = 1
"""Raised when what a file means changes."""
_METADATA_KEY = "boonart"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A weight file in memory.

    Attributes:
        card: its `weights_hash` and `id` follow from the weights, whatever they were given as.
    """

    network: RelationNetwork
    mixtures: Mixtures
    card: ModelCard


def load_reranker(
    name: str,
    *,
    encoder_card: ModelCard,
    index: FeatureSource,
    models_folder: Path,
    device: str = "auto",
    bank_bytes: int = 2 * 1024**3,
    depth: int | None = DEPTH,
) -> VitrReranker:
    """The reranker that belongs to an encoder.

    Args:
        name: "auto" takes the weights that fit the encoder; else the name of a folder in `models_folder` or among
            the shipped ones, or the path of a weight file or its folder.
        encoder_card: of the encoder whose features are compared.
        index: where features come from when they are not in memory.
        models_folder: where imported and trained models are kept.
        device: "auto" takes a GPU where there is one; or "cpu", "cuda", "cuda:N".
        bank_bytes: bound of the features held in memory.
        depth: candidates that the role-aware head judges; None for all.

    Raises:
        ModelNotAvailable: no weights of this name, or none for this encoder.
        ModelFileError: the file is damaged or made for another network.
        ModelMismatch: the weights belong to another encoder.
    """
    file = find_weights(name, encoder_id=encoder_card.id, models_folder=models_folder)
    checkpoint = load_checkpoint(file)
    if checkpoint.card.encoder_id != encoder_card.id:
        raise ModelMismatch(
            f"The reranker weights {file} belong to the encoder {checkpoint.card.encoder_id}, "
            f"not to {encoder_card.id}.",
            hint="Set BOONART_RERANKER=auto, or train one: boonart train vitr --encoder NAME",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return VitrReranker(
        checkpoint.network,
        checkpoint.card,
        checkpoint.mixtures,
        index,
        bank_bytes=bank_bytes,
        device=torch.device(device),
        depth=depth,
    )


def find_weights(name: str, *, encoder_id: str, models_folder: Path) -> Path:
    """The weight file that `load_reranker` would load; see there.

    Raises:
        ModelNotAvailable: there is none.
    """
    if name == "auto":
        for file in weight_files(models_folder):
            if read_metadata(file)["card"].get("encoder_id") == encoder_id:
                return file
        raise ModelNotAvailable(
            f"There are no reranker weights for the encoder {encoder_id}.",
            hint="Train some with `boonart train vitr`, or import some with `boonart models import --vitr`.",
        )
    for place in (models_folder / name, shipped_models() / name, Path(name)):
        if place.is_file():
            return place
        if (place / WEIGHTS_FILE).is_file():
            return place / WEIGHTS_FILE
    raise ModelNotAvailable(
        f"There are no reranker weights named {name!r}.",
        hint=f"Put them into {models_folder / name}, or set BOONART_RERANKER=auto.",
    )


def weight_files(models_folder: Path) -> Iterator[Path]:
    """All weight files on this machine, the user's own before the shipped ones."""
    for folder in (models_folder, shipped_models()):
        yield from sorted(folder.glob(f"*/{WEIGHTS_FILE}"))


def shipped_models() -> Path:
    """The folder of the weights that come with the project: beside the package, or in the checkout it runs from."""
    package = Path(__file__).resolve().parents[1]
    beside = package / "models"
    return beside if beside.is_dir() else package.parents[1] / "models"


# --- the file ---


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> ModelCard:
    """Write the weight file and, for readers, its card; either the old or the new files are there.

    Floating-point weights are stored as float32, the querybank's vectors as float16.

    Returns:
        The card with the weights' hash in it.
    """
    tensors = {
        name: (tensor.half() if name.startswith("querybank.") else tensor).detach().cpu().contiguous()
        for name, tensor in checkpoint.network.state_dict().items()
    }
    card = _with_hash(checkpoint.card, tensors, checkpoint.network.config, checkpoint.mixtures)
    metadata = {
        "format": FORMAT,
        "config": checkpoint.network.config.as_dict(),
        "mixtures": checkpoint.mixtures.as_dict(),
        "card": _card_fields(card),
    }
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{WEIGHTS_FILE}.partial"
    safetensors.torch.save_file(tensors, unfinished, metadata={_METADATA_KEY: json.dumps(metadata)})
    unfinished.replace(folder / WEIGHTS_FILE)
    (folder / CARD_FILE).write_text(json.dumps(_card_fields(card), indent=2) + "\n", encoding="utf-8")
    return card


def read_metadata(file: Path) -> dict[str, Any]:
    """What a weight file says of itself: format, config, mixtures, card.

    Raises:
        ModelFileError: not a weight file of a reranker, or of a later format.
    """
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            text = (opened.metadata() or {}).get(_METADATA_KEY, "")
        values = json.loads(text)
        if values["format"] != FORMAT:
            raise ModelFileError(
                f"{file} has format {values['format']}; this version reads format {FORMAT}.",
                hint="Install a matching version of boonart.",
            )
        return {"config": values["config"], "mixtures": values["mixtures"], "card": dict(values["card"])}
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{file} is not a weight file of the reranker, or it is damaged.",
            hint="Restore the file, or train again with `boonart train vitr`.",
        ) from error


def load_checkpoint(file: Path) -> Checkpoint:
    """Read a weight file.

    Raises:
        ModelFileError: it is damaged, or its weights do not fit its configuration.
    """
    metadata = read_metadata(file)
    network = RelationNetwork(VitrConfig.from_dict(metadata["config"]))
    mixtures = Mixtures.from_dict(metadata["mixtures"])
    try:
        if network.querybank is None and mixtures.need(DISTINCTNESS):
            raise ModelFileError(f"The mixture in {file} needs a querybank, and there is none in the file.")
        tensors = safetensors.torch.load_file(file)
        network.load_state_dict(tensors)
        card = ModelCard(**metadata["card"])
    except (safetensors.SafetensorError, RuntimeError, TypeError) as error:
        raise ModelFileError(f"The weights in {file} do not fit the network that it describes.") from error
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ModelFileError(f"The weights in {file} hold values that are not numbers.")
    return Checkpoint(network, mixtures, _with_hash(card, tensors, network.config, mixtures))


def _with_hash(card: ModelCard, tensors: Mapping[str, Tensor], config: VitrConfig, mixtures: Mixtures) -> ModelCard:
    digest = hashlib.sha256(json.dumps([config.as_dict(), mixtures.as_dict()], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().contiguous().numpy().tobytes())
    short = digest.hexdigest()[:16]
    return replace(card, id=f"{card.id.split('@')[0]}@{short}", weights_hash=short)


def _card_fields(card: ModelCard) -> dict[str, Any]:
    fields = asdict(card)
    fields["dimensions"], fields["figures"] = dict(card.dimensions), dict(card.figures)
    return fields
