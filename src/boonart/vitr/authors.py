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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".tar", ".ckpt")

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
_ROLES = {"image": ("image", "img"), "text": ("text", "txt"), "similarity": ("sim",)}
"""What the name of each file in a folder contains, and the order of the three."""
_HINT = "Give the files in this order: image encoder, text encoder, similarity encoder."


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors by name, without a leading `module.`, and the file they came from."""

    file: Path
    tensors: Mapping[str, Tensor]


def import_vitr(paths: Sequence[Path], *, name: str, encoder_card: ModelCard, out: Path) -> ModelCard:
    """Convert the authors' three state dicts into one weight file.

    Args:
        paths: see `read_authors`.
        name: of the weights, as their card will say.
        encoder_card: of the encoder whose features the network was trained on.
        out: folder for the weight file and its card; nothing is written unless all fits.

    Returns:
        The card of the imported weights.

    Raises:
        ModelFileError: a file cannot be read, lacks a parameter, or does not fit the encoder.
    """
    return save_checkpoint(convert(*read_authors(paths), name=name, encoder_card=encoder_card), out)


def convert(
    image_encoder: StateDict,
    text_encoder: StateDict,
    similarity_encoder: StateDict,
    *,
    name: str,
    encoder_card: ModelCard,
) -> Checkpoint:
    """One network of the authors' three state dicts; see `import_vitr`."""
    mapped = map_similarity_encoder(similarity_encoder.tensors)
    embed_size = mapped["vitr.local_similarity.weight"].shape[1]
    for target, encoder in (("project_regions", image_encoder), ("project_words", text_encoder)):
        weight, bias = _projection(encoder, embed_size)
        mapped[f"{target}.weight"], mapped[f"{target}.bias"] = weight, bias
    config = _config(mapped)
    _check_fit(config, encoder_card)
    network = RelationNetwork(config)
    _check_parameters(network, mapped)
    network.load_state_dict(mapped, strict=False)
    mixture = Mixture({"vitr": 1.0})
    mixtures = Mixtures(Ranker.VITR, {Ranker.VITR: dict.fromkeys(Direction, mixture)})
    card = ModelCard(
        id=name,
        kind="reranker",
        weights_hash="",
        dimensions=config.dimensions,
        description="VITR, imported from its authors' layout; ranks by the network's score alone.",
        encoder_id=encoder_card.id,
    )
    return Checkpoint(network, mixtures, card)


def read_authors(paths: Sequence[Path]) -> tuple[StateDict, StateDict, StateDict]:
    """The state dicts of image encoder, text encoder and similarity encoder.

    Args:
        paths: three files in this order; or a folder with three files whose names say which is which ("image" or
            "img", "text" or "txt", "sim"); or one checkpoint that holds the three as a list, by itself or as `model`.

    Raises:
        ModelFileError: they cannot be told apart, or a file cannot be read without running code from it.
    """
    if len(paths) == 1 and paths[0].is_dir():
        paths = _in_folder(paths[0])
    if len(paths) == 3:
        first, second, third = (StateDict(file, _state_dict(_load(file), file)) for file in paths)
        return first, second, third
    if len(paths) != 1:
        raise ModelFileError(f"{len(paths)} files are given; VITR's weights are three state dicts.", hint=_HINT)
    file = paths[0]
    values = _load(file)
    if isinstance(values, Mapping) and "model" in values:
        values = values["model"]
    if not isinstance(values, list | tuple) or len(values) != 3:
        raise ModelFileError(f"{file} holds no list of three state dicts.", hint=_HINT)
    first, second, third = (StateDict(file, _state_dict(part, file)) for part in values)
    return first, second, third


def _in_folder(folder: Path) -> list[Path]:
    """The three files of a folder in their order, or the one checkpoint that is there."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)
    if len(files) == 1:
        return files
    found: list[Path] = []
    for role, marks in _ROLES.items():
        matching = [file for file in files if any(mark in file.name.lower() for mark in marks)]
        if len(matching) != 1:
            raise ModelFileError(
                f"{folder} holds {len(matching)} weight files of the {role} encoder by their names; one is needed.",
                hint="Name the three files themselves, in this order: image encoder, text encoder, similarity encoder.",
            )
        found += matching
    return found


def _load(file: Path) -> object:
    """What a file holds, without running code from it."""
    if not file.is_file():
        raise ModelFileError(f"There is no file {file}.")
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        values: object = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(
            f"{file} holds code or objects besides weights, or is damaged; it was not run.",
            hint="Save the state dict alone (torch.save(model.state_dict(), …)) or as safetensors.",
        ) from error
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, safetensors.SafetensorError) as error:
        raise ModelFileError(
            f"{file} cannot be read as weights.",
            hint="Save the state dict alone (torch.save(model.state_dict(), …)) or as safetensors.",
        ) from error
    return values


def _state_dict(values: object, file: Path) -> dict[str, Tensor]:
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
    for name in ("vitr.local_similarity.weight", "vitr.global_similarity.weight"):
        if name not in mapped or mapped[name].ndim != 2:
            raise ModelFileError("The similarity encoder's file lacks rr_w or clip_w.", hint=_HINT)
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


def _projection(encoder: StateDict, embed_size: int) -> tuple[Tensor, Tensor]:
    """Weight (E, width) and bias (E,) of an encoder's projection: `fc`, or the only layer of that size."""
    weights = encoder.tensors
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
            f"{encoder.file} holds {len(chosen)} layers that project to {embed_size}; one is needed.",
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


def _check_parameters(network: RelationNetwork, mapped: Mapping[str, Tensor]) -> None:
    """Refuse weights that lack a parameter, have one of another shape or one that is no number."""
    for name, own in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name not in mapped:
            raise ModelFileError(f"The files lack {name}.", hint="docs/vitr.md says what it is called in them.")
        if mapped[name].shape != own.shape:
            raise ModelFileError(
                f"The files do not make up one network: {name} has the shape {tuple(mapped[name].shape)}; "
                f"{tuple(own.shape)} is needed."
            )
        if not bool(mapped[name].isfinite().all()):
            raise ModelFileError(f"The files hold values that are not numbers, in {name}.")


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
