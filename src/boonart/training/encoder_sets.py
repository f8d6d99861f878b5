"""The training set of the encoder: pictures, captions, words and classes, and batches of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor

from boonart.encoders.starter_network import EFFICIENTNET, MAP_CHANNELS, TEXT_WIDTH, StarterNetwork, normalised
from boonart.evaluation import datasets
from boonart.training import encoder_texts
from boonart.training.encoder_features import FORMAT, Progress, TrunkViews, load_trunk_views, silent

MASK = 103
"""Id of the word piece that stands for a masked one."""


class BatchSettings(Protocol):
    """What of the training's configuration a batch depends on."""

    @property
    def word_dropout(self) -> float:
        """Share of the word pieces that are masked."""

    @property
    def words(self) -> int:
        """Single words a step."""

    @property
    def classes(self) -> int:
        """Class names a step."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B pictures and what is said of them.

    Attributes:
        trunk: (B, 208, 9, 9) float32.
        texts: word pieces of B captions, then of W words, then of C class names.
        likeness: (B, B) cosine between the pictures' captions by the untuned text model.
        held: (W, B) bool, which picture holds which word.
        probabilities: (B, C) of the untuned classifier.
    """

    trunk: Tensor
    texts: list[list[int]]
    likeness: Tensor
    held: Tensor
    probabilities: Tensor


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """N pictures.

    Attributes:
        captions: for each picture, of each caption the word pieces as it is and for the mirrored picture.
        sentences: (N, 384) normalised mean of the captions' untuned vectors.
        untuned: pooled outputs of the untuned models, see `_untuned`.
        words: searched for alone, with their word pieces.
        class_ids: for each class its names' word pieces.
    """

    views: TrunkViews
    captions: list[list[tuple[list[int], list[int]]]]
    sentences: Tensor
    untuned: dict[str, Tensor]
    words: encoder_texts.WordList
    word_ids: list[list[list[int]]]
    class_ids: list[list[list[int]]]

    def pictures(self, rows: npt.NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, npt.NDArray[np.intp]]:
        """A random view of each picture in `rows`: (B, 208, 9, 9) float32, and which views these are."""
        views = rng.integers(len(self.views.views), size=len(rows))
        picked = [self.views.views[view][row] for view, row in zip(views, rows, strict=True)]
        return torch.from_numpy(np.stack(picked).astype(np.float32)).permute(0, 3, 1, 2), views

    def batch(self, rows: npt.NDArray[np.intp], rng: np.random.Generator, settings: BatchSettings) -> Batch:
        """A random view and a random caption of each picture in `rows`, which must be sorted."""
        trunk, views = self.pictures(rows, rng)
        texts = []
        for view, row in zip(views, rows, strict=True):
            group = self.captions[row]
            caption = group[rng.integers(len(group))][int(self.views.mirrored[view, row])]
            texts.append(_masked(caption, rng, settings.word_dropout))
        likeness = self.sentences[rows] @ self.sentences[rows].T
        words = self._words(rows, rng, settings.words)
        held = torch.from_numpy(self.words.held[np.ix_(rows, words)].T.copy())
        classes = self._classes(rows, rng, settings.classes)
        texts += [self.word_ids[word][rng.integers(len(self.word_ids[word]))] for word in words]
        texts += [self.class_ids[name][rng.integers(len(self.class_ids[name]))] for name in classes]
        return Batch(trunk, texts, likeness, held, self.untuned["probabilities"][rows][:, classes])

    def _words(self, rows: npt.NDArray[np.intp], rng: np.random.Generator, count: int) -> npt.NDArray[np.intp]:
        """Words that some picture of the batch holds, frequent ones no more often than rare ones."""
        there = np.flatnonzero(self.words.held[rows].any(axis=0))
        return rng.choice(there, size=min(count, len(there)), replace=False)

    def _classes(self, rows: npt.NDArray[np.intp], rng: np.random.Generator, count: int) -> npt.NDArray[np.intp]:
        """Half of them the classes that the batch shows most, the others at random."""
        if not count:
            return np.zeros(0, dtype=np.intp)
        mass = self.untuned["probabilities"][rows].sum(dim=0).numpy()
        order = np.argsort(-mass)
        most = order[: count // 2]
        others = rng.choice(order[count // 2 :], size=count - len(most), replace=False)
        return np.concatenate([most, others])


def load_training_set(
    network: StarterNetwork,
    data: Path,
    cache: Path,
    *,
    views: int,
    seed: int,
    progress: Progress = silent,
) -> TrainingSet:
    """Read and encode Flickr8k's train split with the untuned network."""
    items = datasets.flickr8k(data, "train")
    network.eval()
    trunk = load_trunk_views(
        [item.image for item in items], cache, network.image, views=views, seed=seed, progress=progress
    )
    tokenizer = encoder_texts.load_tokenizer()

    def pieces(texts: list[str]) -> list[list[int]]:
        return encoder_texts.tokenize(tokenizer, texts)

    captions = []
    for item in items:
        plain = pieces(list(item.captions))
        exchanged = pieces([encoder_texts.exchange_sides(text) for text in item.captions])
        captions.append(list(zip(plain, exchanged, strict=True)))
    words = encoder_texts.words_of([item.captions for item in items], fewest=4, largest_share=0.3)
    names = encoder_texts.class_names()
    word_ids = [pieces(_wordings(word)) for word in words.words]
    class_ids = [pieces([text for name in group for text in _wordings(name)]) for group in names]
    untuned = _untuned(network, captions, word_ids, class_ids, trunk, cache)
    return TrainingSet(
        views=trunk,
        captions=captions,
        sentences=normalised(untuned["captions"].float().sum(dim=1)),
        untuned=untuned,
        words=words,
        word_ids=word_ids,
        class_ids=class_ids,
    )


def _wordings(word: str) -> list[str]:
    return [word, f"a {word}", f"a picture of a {word}", f"a painting of a {word}"]


def _masked(ids: list[int], rng: np.random.Generator, share: float) -> list[int]:
    """The word pieces with a share of them masked, never the two marks."""
    hidden = rng.random(len(ids)) < share
    hidden[0] = hidden[-1] = False
    return [MASK if hide else piece for piece, hide in zip(ids, hidden, strict=True)]


def _untuned(
    network: StarterNetwork,
    captions: list[list[tuple[list[int], list[int]]]],
    words: list[list[list[int]]],
    classes: list[list[list[int]]],
    views: TrunkViews,
    cache: Path,
) -> dict[str, Tensor]:
    """What the untuned models say of texts and pictures, computed once for these.

    `captions` (N, most captions, 384) float16, zero where a picture has fewer; `words` (W, 4, 384), each word in
    four wordings; `classes` (1000, 384), the mean over a class's names; `pooled` (V, N, 2560) float16;
    `probabilities` (N, 1000) of the untuned classifier.
    """
    identity = [FORMAT, len(views.views), [[plain for plain, _ in group] for group in captions]]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    file = cache / "untuned" / f"{key}.safetensors"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        pooled = torch.stack([_pooled(network, view) for view in views.views])
        found = {
            "captions": _sentences(network, captions).half(),
            "pooled": pooled.half(),
            "probabilities": _class_probabilities(pooled[0]),
            "words": torch.stack(_group_vectors(network, words) or [torch.zeros((4, TEXT_WIDTH))])[: len(words)],
            "classes": torch.stack([group.mean(dim=0) for group in _group_vectors(network, classes)]),
        }
        unfinished = file.with_suffix(".partial")
        safetensors.torch.save_file(found, unfinished)
        unfinished.replace(file)
    return safetensors.torch.load_file(file)


def _sentences(network: StarterNetwork, captions: list[list[tuple[list[int], list[int]]]]) -> Tensor:
    groups = _group_vectors(network, [[plain for plain, _ in group] for group in captions])
    return torch.nn.utils.rnn.pad_sequence(groups, batch_first=True)


def _group_vectors(network: StarterNetwork, groups: list[list[list[int]]]) -> list[Tensor]:
    """For each group of texts their untuned vectors, (texts of the group, 384)."""
    ids = [pieces for group in groups for pieces in group]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        vectors = encoder_texts.text_vectors(network.text, ids, untuned=True).float()
    return list(torch.split(vectors, [len(group) for group in groups]))


def _pooled(network: StarterNetwork, view: npt.NDArray[np.float16]) -> Tensor:
    """(N, 2560) of the untuned network."""
    pooled = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(view), 64):
            trunk = torch.from_numpy(view[start : start + 64].astype(np.float32)).permute(0, 3, 1, 2)
            pooled.append(network.image.gather(network.image.top(trunk)).float())
    return torch.cat(pooled)


def _class_probabilities(pooled: Tensor) -> Tensor:
    """(N, 1000) by the untuned classifier, from pooled features (N, 2560)."""
    weights = torch.load(EFFICIENTNET.locate(), map_location="cpu", weights_only=True)
    logits = pooled[:, :MAP_CHANNELS] @ weights["_fc.weight"].T + weights["_fc.bias"]
    probabilities: Tensor = logits.softmax(dim=1)
    return probabilities
