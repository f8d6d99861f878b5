"""Weights in the layout of VITR's authors: three state dicts, mapped to this project's parameter names.

| authors | here |
|---|---|
| image encoder: the layer from local features to E (`fc`) | `project_regions` |
| text encoder: the layer from token features to E (`fc`) | `project_words` |
| `RelationalGraphFilterN.theta.0`, `.phi.0` | `filters.(N - 1).theta`, `.phi` |
| `RelationalGraphFilterN.W1.0` (convolution), `.W1.1` (batch norm) | `filters.(N - 1).relate`, `.norm` |
| `RelationalGraphFilterN.W2.0`, `.W3.0` | `filters.(N - 1).summarise`, `.gate` |
| `rr_w`, `clip_w` | `vitr.local_similarity`, `vitr.global_similarity` |
| `GraphAggregatingN.query_w.0`, `.key_w.0`, `.sim_w.0` | `vitr.aggregations.(N - 1).query`, `.key`, `.update` |
| `rnn.*` | `vitr.fuse.*` |
| `sim_w` | `vitr.score` |

The authors' similarity encoder holds a fourth `GraphAggregating` that its forward pass does not use; it is left out.
A leading `module.` (data-parallel training) is ignored. The encoders' state dicts may hold CLIP's own weights too.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from boonart.errors import ModelFileError
from boonart.vitr.config import VitrConfig
from boonart.vitr.mixture import Direction, Mixture, Mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, save_checkpoint
from boonart.works import ModelCard, Ranker

USED_AGGREGATIONS = 3

_FILTER = {
    "theta.0": "theta",
    "phi.0": "phi",
    "W1.0": "relate",
    "W1.1": "norm",
    "W2.0": "summarise",
    "W3.0": "gate",
}
_AGGREGATION = {"query_w.0": "query", "key_w.0": "key", "sim_w.0": "update"}
_SINGLE = {
    "rr_w": "vitr.local_similarity",
    "clip_w": "vitr.global_similarity",
    "rnn": "vitr.fuse",
    "sim_w": "vitr.score",
}


def import_vitr(
    image_encoder: Path, text_encoder: Path, similarity_encoder: Path, *, encoder_card: ModelCard, out: Path
) -> ModelCard:
    """Convert the authors' three files into one weight file.

    Args:
        image_encoder, text_encoder, similarity_encoder: state dicts, as safetensors or as checkpoints that load
            weights-only.
        encoder_card: of the encoder whose features the network was trained on.
        out: folder for the weight file and its card.

    Returns:
        The card of the imported weights.

    Raises:
        ModelFileError: a file cannot be read, lacks a parameter, or does not fit the encoder.
    """
    similarity = read_state_dict(similarity_encoder)
    mapped = map_similarity_encoder(similarity)
    embed_size = mapped["vitr.local_similarity.weight"].shape[1]
    for target, file in (("project_regions", image_encoder), ("project_words", text_encoder)):
        weight, bias = _projection(read_state_dict(file), embed_size, file)
        mapped[f"{target}.weight"], mapped[f"{target}.bias"] = weight, bias
    config = _config(mapped)
    _check_fit(config, encoder_card)
    network = RelationNetwork(config)
    try:
        absent, unknown = network.load_state_dict(mapped, strict=False)
    except RuntimeError as error:
        raise ModelFileError(f"The files do not make up one network: {error}") from error
    if unknown or any(not name.endswith("num_batches_tracked") for name in absent):
        raise ModelFileError(f"The files do not make up the network; first difference: {(unknown + absent)[0]}.")
    mixture = Mixture({"vitr": 1.0})
    mixtures = Mixtures(Ranker.VITR, {Ranker.VITR: dict.fromkeys(Direction, mixture)})
    card = ModelCard(
        id=out.name,
        kind="reranker",
        weights_hash="",
        dimensions={"D": config.global_size, "E": embed_size, "S": config.similarity_size},
        description="VITR, imported from its authors' layout; ranks by the network's score alone.",
        encoder_id=encoder_card.id,
    )
    return save_checkpoint(Checkpoint(network, mixtures, card), out)


def read_state_dict(file: Path) -> dict[str, Tensor]:
    """Tensors by name, without a leading `module.`.

    Raises:
        ModelFileError: the file cannot be read without running code from it.
    """
    try:
        if file.suffix == ".safetensors":
            values: object = safetensors.torch.load_file(file)
        else:
            values = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, safetensors.SafetensorError, EOFError) as error:
        raise ModelFileError(
            f"{file} cannot be read as weights.",
            hint="Save the state dict alone (torch.save(model.state_dict(), …)) or as safetensors.",
        ) from error
    if not isinstance(values, Mapping) or not all(isinstance(value, Tensor) for value in values.values()):
        raise ModelFileError(f"{file} holds no state dict.", hint="Save model.state_dict() alone.")
    return {str(name).removeprefix("module."): value.float() for name, value in values.items()}


def map_similarity_encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' names of the similarity encoder's parameters to ours.

    Raises:
        ModelFileError: a needed parameter is not there.
    """
    mapped = {}
    for name, tensor in weights.items():
        if (target := _similarity_name(name)) is not None:
            mapped[target] = tensor
    if "vitr.local_similarity.weight" not in mapped or "vitr.global_similarity.weight" not in mapped:
        raise ModelFileError(
            "The similarity encoder's file lacks rr_w or clip_w.",
            hint="Give the files in this order: image encoder, text encoder, similarity encoder.",
        )
    return mapped


def _similarity_name(name: str) -> str | None:
    """Our name of a parameter, or None where it is not used."""
    block = re.fullmatch(r"(RelationalGraphFilter|GraphAggregating)(\d+)\.(\w+\.\d+)\.(\w+)", name)
    if block is None:
        part, _, leaf = name.partition(".")
        return f"{_SINGLE[part]}.{leaf}" if part in _SINGLE else None
    kind, number, part, leaf = block[1], int(block[2]), block[3], block[4]
    if kind == "RelationalGraphFilter":
        return f"filters.{number - 1}.{_FILTER[part]}.{leaf}" if part in _FILTER else None
    if number > USED_AGGREGATIONS or part not in _AGGREGATION:
        return None
    return f"vitr.aggregations.{number - 1}.{_AGGREGATION[part]}.{leaf}"


def _projection(weights: Mapping[str, Tensor], embed_size: int, file: Path) -> tuple[Tensor, Tensor]:
    """Weight (E, width) and bias (E,) of an encoder's projection: `fc`, or the only layer of that size."""
    found = [
        name.removesuffix(".weight")
        for name, tensor in weights.items()
        if name.endswith(".weight")
        and tensor.ndim == 2
        and len(tensor) == embed_size
        and f"{name.removesuffix('.weight')}.bias" in weights
    ]
    named = [name for name in found if name.split(".")[-1] == "fc"]
    chosen = named if len(named) == 1 else found
    if len(chosen) != 1:
        raise ModelFileError(
            f"{file} holds {len(chosen)} layers that project to {embed_size}; one is needed.",
            hint="Name the projection `fc`.",
        )
    return weights[f"{chosen[0]}.weight"], weights[f"{chosen[0]}.bias"]


def _config(mapped: Mapping[str, Tensor]) -> VitrConfig:
    local, overall = mapped["vitr.local_similarity.weight"], mapped["vitr.global_similarity.weight"]
    return VitrConfig(
        global_size=overall.shape[1],
        image_token_size=mapped["project_regions.weight"].shape[1],
        text_token_size=mapped["project_words.weight"].shape[1],
        embed_size=local.shape[1],
        similarity_size=local.shape[0],
        filters=sum(name.endswith(".theta.weight") for name in mapped),
        aggregations=sum(name.endswith(".update.weight") for name in mapped),
        role=None,
    )


def _check_fit(config: VitrConfig, encoder_card: ModelCard) -> None:
    sizes = {"D": config.global_size, "Wi": config.image_token_size, "Wt": config.text_token_size}
    wrong = [
        f"{name} = {size} (the encoder has {encoder_card.dimensions[name]})"
        for name, size in sizes.items()
        if encoder_card.dimensions.get(name, size) != size
    ]
    if wrong:
        raise ModelFileError(
            f"The weights do not fit the encoder {encoder_card.id}: {', '.join(wrong)}.",
            hint="Choose the encoder that they were trained on.",
        )
