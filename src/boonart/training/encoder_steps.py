"""One step of the encoder's training: a batch in, a loss out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.training import encoder_losses as losses
from boonart.training.encoder_run import EncoderTraining
from boonart.training.encoder_sets import Rows, TrainingSet


def projection_loss(
    network: StarterNetwork,
    train: TrainingSet,
    pooled: Tensor,
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """A random view of each picture, from `pooled` (V, N, 2560), and a random caption."""
    features = pooled[rng.integers(len(pooled), size=len(rows)), rows].float()
    places = rng.integers(train.counts[rows])
    return _loss(network, train, features, rows, np.arange(len(rows)), places, rng, config, scale)


def image_loss(
    network: StarterNetwork,
    train: TrainingSet,
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """A random view of each picture through the image block, and all its captions."""
    trunk = train.pictures(rows, rng)
    with torch.autocast("cpu", torch.bfloat16):
        features = network.image.gather(network.image.top(trunk)).float()
    owners = np.repeat(np.arange(len(rows)), train.counts[rows])
    places = np.concatenate([np.arange(count) for count in train.counts[rows]])
    return _loss(network, train, features, rows, owners, places, rng, config, scale)


def _loss(
    network: StarterNetwork,
    train: TrainingSet,
    features: Tensor,
    rows: Rows,
    owners: Rows,
    places: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """The captions at `places` of the pictures `rows[owners]`; all words of the batch; all classes."""
    images = normalised(network.image.project(functional.dropout(features, config.dropout)))
    words = np.flatnonzero(train.words.held[rows].any(axis=0))
    wordings = rng.integers(train.word_readings.shape[1], size=len(words))
    read = torch.cat(
        [train.captions[rows[owners], places].float(), train.word_readings[words, wordings], train.class_readings]
    )
    texts = normalised(network.text.project(functional.dropout(read, config.dropout)))
    captions, singles, names = torch.split(texts, [len(owners), len(words), len(train.class_readings)])
    likeness = train.sentences[rows] @ train.sentences[rows].T
    targets = losses.soft_targets(
        likeness, torch.from_numpy(owners), share=config.soft_share, sharpness=config.soft_sharpness
    )
    loss = losses.contrastive(captions, images, targets, scale)
    held = torch.from_numpy(train.words.held[np.ix_(rows, words)].T.copy())
    loss = loss + config.word_weight * losses.find_all(singles, images, held, scale)
    return loss + config.class_weight * losses.name_classes(images, names, train.probabilities[rows], scale)
