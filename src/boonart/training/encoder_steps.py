"""One step of each stage of the encoder's training: a batch in, a loss out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.training import encoder_losses as losses
from boonart.training import encoder_texts
from boonart.training.encoder_run import EncoderTraining
from boonart.training.encoder_sets import TrainingSet

Rows = npt.NDArray[np.intp]


def projection_loss(
    network: StarterNetwork,
    train: TrainingSet,
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """A random view and caption of each picture, both as the untuned models pool them."""
    pooled = train.untuned["pooled"]
    views = rng.integers(len(pooled), size=len(rows))
    places = np.array([rng.integers(len(train.captions[row])) for row in rows])
    features = functional.dropout(pooled[views, rows].float(), config.dropout)
    sentences = functional.dropout(train.untuned["captions"][rows, places].float(), config.dropout)
    images, texts = normalised(network.image.project(features)), normalised(network.text.project(sentences))
    return losses.contrastive(texts, images, _targets(train, rows, torch.arange(len(rows)), config), scale)


def image_loss(
    network: StarterNetwork,
    train: TrainingSet,
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """A random view of each picture; all its captions, all words of the batch and all classes, untuned."""
    trunk, _ = train.pictures(rows, rng)
    images = _image_vectors(network, trunk, config)
    owners = np.repeat(np.arange(len(rows)), [len(train.captions[row]) for row in rows])
    places = np.concatenate([np.arange(len(train.captions[row])) for row in rows])
    sentences = train.untuned["captions"][rows[owners], places].float()
    words = np.flatnonzero(train.words.held[rows].any(axis=0))
    word_vectors = train.untuned["words"]
    wordings = rng.integers(word_vectors.shape[1], size=len(words))
    read = torch.cat([sentences, word_vectors[words, wordings], train.untuned["classes"]])
    texts = normalised(network.text.project(functional.dropout(read, config.dropout)))
    captions, singles, names = torch.split(texts, [len(owners), len(words), len(train.untuned["classes"])])
    loss = losses.contrastive(captions, images, _targets(train, rows, torch.from_numpy(owners), config), scale)
    held = torch.from_numpy(train.words.held[np.ix_(rows, words)].T.copy())
    loss = loss + config.word_weight * losses.find_all(singles, images, held, scale)
    probabilities = train.untuned["probabilities"][rows]
    return loss + config.class_weight * losses.name_classes(images, names, probabilities, scale)


def joint_loss(
    network: StarterNetwork,
    train: TrainingSet,
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """A random view and caption of each picture, some words and some classes, through the tuned text layers."""
    batch = train.batch(rows, rng, config)
    images = _image_vectors(network, batch.trunk, config)
    with torch.autocast("cpu", torch.bfloat16):
        texts = normalised(_tuned_vectors(network, batch.texts, config))
    captions, words, names = torch.split(texts, [len(rows), len(batch.held), batch.probabilities.shape[1]])
    targets = _targets(train, rows, torch.arange(len(rows)), config)
    loss = losses.contrastive(captions, images, targets, scale)
    loss = loss + config.word_weight * losses.find_all(words, images, batch.held, scale)
    return loss + config.class_weight * losses.name_classes(images, names, batch.probabilities, scale)


def _targets(train: TrainingSet, rows: Rows, owners: Tensor, config: EncoderTraining) -> Tensor:
    likeness = train.sentences[rows] @ train.sentences[rows].T
    return losses.soft_targets(likeness, owners, share=config.soft_share, sharpness=config.soft_sharpness)


def _image_vectors(network: StarterNetwork, trunk: Tensor, config: EncoderTraining) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        features = network.image.top(trunk)
    pooled = functional.dropout(network.image.gather(features).float(), config.dropout)
    return normalised(network.image.project(pooled))


def _tuned_vectors(network: StarterNetwork, ids: Sequence[Sequence[int]], config: EncoderTraining) -> Tensor:
    """Text vectors (M, D) with gradients in the tuned layers alone."""
    tower, rows, vectors = network.text, [], []
    for places, pieces, padding in encoder_texts.in_chunks(ids):
        with torch.no_grad():
            hidden = tower.embed(pieces)
            for layer in tower.layers[: config.frozen_text_layers]:
                hidden = layer(hidden, src_key_padding_mask=padding)
        tokens = tower.transform(hidden, padding, first=config.frozen_text_layers)
        vectors.append(tower.pool(tokens, padding))
        rows.append(places)
    return torch.cat(vectors)[torch.argsort(torch.cat(rows))]
