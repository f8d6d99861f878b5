"""The network's parts for many pairs of an encoded set: for choosing the best epoch and fitting mixtures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from boonart.training.vitr_batches import image_tensors, padded_texts
from boonart.training.vitr_features import PairFeatures
from boonart.vitr.mixture import DISTINCTNESS
from boonart.vitr.model import RelationNetwork
from boonart.vitr.pair_scoring import late_interaction
from boonart.works import Float32Array, Ranker

BLOCK = 1024
"""Pairs that pass through a head at once."""
Parts = dict[str, Float32Array]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PreparedSet:
    """A set after what does not depend on pairs.

    Attributes:
        regions: (N, 49, E) float16, filtered.
        words: (M, T, E) float16, padded at the end.
        mask: (M, T) bool.
        image_globals, text_globals: (N, D) and (M, D) float32.
        image_popularity, text_popularity: (N,) and (M,), see `Querybank`; zeros without one.
    """

    regions: Tensor
    words: Tensor
    mask: Tensor
    image_globals: Tensor
    text_globals: Tensor
    image_popularity: Tensor
    text_popularity: Tensor


@torch.inference_mode()
def prepare_set(network: RelationNetwork, features: PairFeatures) -> PreparedSet:
    """Filter all regions and project all words, as an ingest does."""
    network.eval()
    device = next(network.parameters()).device
    regions = []
    for start in range(0, len(features.image_globals), 64):
        rows = np.arange(start, min(start + 64, len(features.image_globals)))
        regions.append(network.regions(image_tensors(features, rows)[0].to(device)).half())
    texts = padded_texts(features, np.arange(len(features.owners)))
    words = torch.cat([network.words(block.to(device)).half() for block in torch.split(texts.tokens, 1024)])
    image_globals, text_globals = torch.from_numpy(features.image_globals).to(device), texts.global_vectors.to(device)
    bank = network.querybank
    return PreparedSet(
        torch.cat(regions),
        words,
        texts.mask.to(device),
        image_globals,
        text_globals,
        image_globals.new_zeros(len(image_globals)) if bank is None else bank.of_pictures(image_globals),
        text_globals.new_zeros(len(text_globals)) if bank is None else bank.of_texts(text_globals),
    )


@torch.inference_mode()
def pair_parts(
    network: RelationNetwork,
    prepared: PreparedSet,
    texts: Rows,
    pictures: Rows,
    rankers: Iterable[Ranker],
    *,
    from_text: bool,
) -> Parts:
    """Raw parts of P pairs, (P,) float32 each.

    Args:
        texts, pictures: (P,) rows of the set.
        rankers: whose parts are wanted.
        from_text: whether the texts are the queries, the pictures the candidates, or the other way round.
    """
    wanted = list(rankers)
    network.eval()
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(texts), BLOCK):
        text_rows = torch.from_numpy(texts[start : start + BLOCK])
        picture_rows = torch.from_numpy(pictures[start : start + BLOCK])
        for name, values in _block(network, prepared, text_rows, picture_rows, wanted).items():
            found.setdefault(name, []).append(values.float().cpu())
        popularity = prepared.image_popularity[picture_rows] if from_text else prepared.text_popularity[text_rows]
        if network.querybank is not None:
            found.setdefault(DISTINCTNESS, []).append(-popularity.cpu())
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def _block(
    network: RelationNetwork, prepared: PreparedSet, texts: Tensor, pictures: Tensor, rankers: list[Ranker]
) -> Mapping[str, Tensor]:
    mask = prepared.mask[texts]
    longest = int(mask.sum(dim=1).max())
    mask = mask[:, :longest]
    words = prepared.words[texts, :longest].float()
    regions = prepared.regions[pictures].float()
    image_global, text_global = prepared.image_globals[pictures], prepared.text_globals[texts]
    parts = {"global": (image_global * text_global).sum(dim=1)}
    if Ranker.LATE in rankers:
        parts["late"] = late_interaction(regions, words, mask)
    if Ranker.VITR in rankers:
        parts["vitr"] = network.vitr(regions, words, mask, image_global, text_global)
    if Ranker.ROLE in rankers and network.role is not None:
        parts["role"], parts["grounding"] = network.role(regions, words, mask)
    return parts


@dataclass(frozen=True, slots=True)
class CandidateLists:
    """Q queries with C candidates each, by the global vectors, and their parts.

    Attributes:
        candidates: (Q, C) rows of the other side, best first.
        right: (Q, C) bool.
        parts: (Q, C) by name.
        popularity: (Q,), of the queries, see `Querybank`.
    """

    candidates: Rows
    right: npt.NDArray[np.bool_]
    parts: Parts
    popularity: Float32Array


def candidate_lists(
    network: RelationNetwork,
    prepared: PreparedSet,
    features: PairFeatures,
    queries: Rows,
    *,
    from_text: bool,
    candidates: int,
    rankers: Iterable[Ranker],
) -> CandidateLists:
    """The global model's best candidates of each query, with the network's parts.

    Args:
        queries: rows of texts (`from_text`) or of pictures.
    """
    if from_text:
        similar = features.text_globals[queries] @ features.image_globals.T
        best = np.argsort(-similar, axis=1, kind="stable")[:, :candidates]
        right = np.array(
            [[features.is_true(text, int(picture)) for picture in row] for text, row in zip(queries, best, strict=True)]
        )
        texts, pictures = np.repeat(queries, best.shape[1]), best.ravel()
    else:
        own = features.own_texts  # who asks what a picture shows wants descriptions, not what others would type
        similar = features.image_globals[queries] @ features.text_globals[own].T
        best = own[np.argsort(-similar, axis=1, kind="stable")[:, :candidates]]
        right = features.owners[best] == queries[:, None]
        texts, pictures = best.ravel(), np.repeat(queries, best.shape[1])
    parts = pair_parts(network, prepared, texts, pictures, rankers, from_text=from_text)
    popularity = (prepared.text_popularity if from_text else prepared.image_popularity).cpu().numpy()[queries]
    return CandidateLists(best, right, {name: values.reshape(best.shape) for name, values in parts.items()}, popularity)


def recalls(lists: CandidateLists, score: Float32Array) -> tuple[float, float, float]:
    """R@1, R@5, R@10 in percent after ordering the candidates by `score` (Q, C)."""
    order = np.argsort(-score, axis=1, kind="stable")
    right = np.take_along_axis(lists.right, order, axis=1)
    return tuple(100.0 * float(right[:, :cut].any(axis=1).mean()) for cut in (1, 5, 10))  # type: ignore[return-value]


def mixed(parts: Mapping[str, Float32Array], weights: Mapping[str, float]) -> Float32Array:
    """The weighted sum of parts."""
    return np.asarray(sum(weight * parts[name] for name, weight in weights.items()), dtype=np.float32)
