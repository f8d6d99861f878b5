"""The training set of the encoder: pictures, captions, words and classes, as the untuned models see them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import (
    EFFICIENTNET,
    MAP_CHANNELS,
    TEXT_READING,
    TEXT_WIDTH,
    StarterNetwork,
    normalised,
)
from boonart.evaluation import datasets
from boonart.training import encoder_texts
from boonart.training.encoder_features import FORMAT, Progress, TrunkViews, load_trunk_views, silent

WORDINGS = ("{}", "a {}", "a picture of a {}", "a painting of a {}")
FEWEST_PICTURES, LARGEST_SHARE = 4, 0.3
"""A word is searched for alone if at least so many pictures hold it, and at most this share of them."""
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """N pictures, W words and 1,000 classes. The text layers are never tuned, so readings are computed once.

    Attributes:
        views: of the pictures.
        texts: the captions of each picture.
        counts: (N,) captions of each picture.
        captions: (N, most captions, 1152) float16 readings, zero where a picture has fewer.
        sentences: (N, 384) normalised mean of the captions' untuned vectors: how alike pictures are.
        words: searched for alone.
        word_readings: (W, 4, 1152), each word in four wordings.
        class_readings: (1000, 1152), the mean over a class's names.
        pooled: (V, N, 2560) float16 of the untuned image block.
        probabilities: (N, 1000) of the untuned classifier.
    """

    views: TrunkViews
    texts: tuple[tuple[str, ...], ...]
    counts: Rows
    captions: Tensor
    sentences: Tensor
    words: encoder_texts.WordList
    word_readings: Tensor
    class_readings: Tensor
    pooled: Tensor
    probabilities: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    def pictures(self, rows: Rows, rng: np.random.Generator) -> Tensor:
        """A random view of each picture in `rows`: (B, 208, 9, 9) float32."""
        views = rng.integers(len(self.views.views), size=len(rows))
        picked = [self.views.views[view][row] for view, row in zip(views, rows, strict=True)]
        return torch.from_numpy(np.stack(picked).astype(np.float32)).permute(0, 3, 1, 2)


def load_training_set(
    network: StarterNetwork, data: Path, cache: Path, *, views: int, seed: int, progress: Progress = silent
) -> TrainingSet:
    """Read and encode Flickr8k's train split with the untuned network."""
    items = datasets.flickr8k(data, "train")
    network.eval()
    files = [item.image for item in items]
    trunk = load_trunk_views(files, cache, network.image, views=views, seed=seed, progress=progress)
    captions = [list(item.captions) for item in items]
    words = encoder_texts.words_of(captions, fewest=FEWEST_PICTURES, largest_share=LARGEST_SHARE)
    untuned = _untuned(network, captions, words.words, trunk, cache, progress)
    sentences = untuned["captions"][:, :, -TEXT_WIDTH:].float().sum(dim=1)
    return TrainingSet(
        views=trunk,
        texts=tuple(tuple(group) for group in captions),
        counts=np.array([len(group) for group in captions]),
        captions=untuned["captions"],
        sentences=normalised(sentences),
        words=words,
        word_readings=untuned["words"],
        class_readings=untuned["classes"],
        pooled=untuned["pooled"],
        probabilities=untuned["probabilities"],
    )


def pooled_views(network: StarterNetwork, views: TrunkViews, *, tuned: bool) -> Tensor:
    """(V, N, 2560) float16 of the tuned or the untuned image block as it is."""
    block = network.image.top if tuned else network.image.untuned
    return torch.stack([_pooled(network, block, view).half() for view in views.views])


def _untuned(
    network: StarterNetwork,
    captions: Sequence[Sequence[str]],
    words: Sequence[str],
    views: TrunkViews,
    cache: Path,
    progress: Progress,
) -> dict[str, Tensor]:
    """What the untuned models say of texts and pictures, computed once for these; see `TrainingSet`."""

    def compute() -> dict[str, Tensor]:
        progress("captions and words", 0, 3)
        groups = grouped_readings(network, captions)
        progress("captions and words", 1, 3)
        worded = word_readings(network, words)
        names = [[form.format(name) for name in group for form in WORDINGS] for group in encoder_texts.class_names()]
        classes = grouped_readings(network, names)
        progress("captions and words", 2, 3)
        pooled = pooled_views(network, views, tuned=False)
        found = {
            "captions": torch.nn.utils.rnn.pad_sequence(groups, batch_first=True).half(),
            "words": worded,
            "classes": torch.stack([group.mean(dim=0) for group in classes]),
            "pooled": pooled,
            "probabilities": _class_probabilities(pooled[0].float()),
        }
        progress("captions and words", 3, 3)
        return found

    return computed_once(cache, json.dumps([FORMAT, len(views.views), list(captions)]), compute)


def computed_once(cache: Path, identity: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What the untuned models say of the things that `identity` stands for, from the cache or computed now."""
    file = cache / "untuned" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".partial")
        safetensors.torch.save_file(compute(), unfinished)
        unfinished.replace(file)
    return safetensors.torch.load_file(file)


def word_readings(network: StarterNetwork, words: Sequence[str]) -> Tensor:
    """Each word in its wordings, (W, 4, 1152)."""
    if not words:
        return torch.zeros((0, len(WORDINGS), TEXT_READING))
    return torch.stack(grouped_readings(network, [[form.format(word) for form in WORDINGS] for word in words]))


def grouped_readings(network: StarterNetwork, groups: Sequence[Sequence[str]]) -> list[Tensor]:
    """For each group of texts what the projection reads, (texts of the group, 1152)."""
    readings = encoder_texts.readings(network.text, [text for group in groups for text in group])
    return list(torch.split(readings, [len(group) for group in groups]))


def _pooled(network: StarterNetwork, block: nn.Module, view: npt.NDArray[np.float16]) -> Tensor:
    """(N, 2560) of one view."""
    pooled = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(view), 64):
            trunk = torch.from_numpy(view[start : start + 64].astype(np.float32)).permute(0, 3, 1, 2)
            pooled.append(network.image.gather(block(trunk)).float())
    return torch.cat(pooled)


def _class_probabilities(pooled: Tensor) -> Tensor:
    """(N, 1000) by the untuned classifier, from pooled features (N, 2560)."""
    weights = torch.load(EFFICIENTNET.locate(), map_location="cpu", weights_only=True)
    logits = pooled[:, :MAP_CHANNELS] @ weights["_fc.weight"].T + weights["_fc.bias"]
    probabilities: Tensor = logits.softmax(dim=1)
    return probabilities
