"""One step of the encoder's training: a batch in, a loss out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.training import encoder_losses as losses
from boonart.training.encoder_run import EncoderTraining
from boonart.training.encoder_scenes import SceneSet
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


def mixed_loss(
    network: StarterNetwork,
    train: TrainingSet,
    scenes: SceneSet,
    pooled: tuple[Tensor, Tensor],
    rows: Rows,
    rng: np.random.Generator,
    config: EncoderTraining,
    scale: Tensor,
) -> Tensor:
    """As `projection_loss`, with `config.scene_batch` scenes beside the photographs.

    Captions of photographs and of scenes are told apart among their own kind only: brushwork would give the other
    kind away. Single words are searched for in both together; class names are for photographs alone.

    Args:
        pooled: of the photographs (V, N, 2560) and of the scenes (V', S, 2560).
    """
    photographs = pooled[0][rng.integers(len(pooled[0]), size=len(rows)), rows]
    picked = scenes.draw(config.scene_batch, rng)
    painted = pooled[1][picked.views, picked.rows]
    images = _projected(network.image.project, torch.cat([photographs, painted]).float(), config)
    images_of_photographs, images_of_scenes = images[: len(rows)], images[len(rows) :]
    held = np.concatenate([scenes.held_by_photographs[rows], scenes.held[picked.rows]])
    words = np.flatnonzero(held.any(axis=0))
    wordings = rng.integers(scenes.word_readings.shape[1], size=len(words))
    read = [
        train.captions[rows, rng.integers(train.counts[rows])].float(),
        scenes.captions[picked.rows, picked.places].float(),
        scenes.word_readings[words, wordings],
        train.class_readings,
    ]
    texts = _projected(network.text.project, torch.cat(read), config)
    captions, scene_captions, singles, names = torch.split(texts, [len(part) for part in read])
    targets = _photograph_targets(train, rows, np.arange(len(rows)), config)
    loss = losses.contrastive(captions, images_of_photographs, targets, scale)
    targets = _scene_targets(scenes, picked.rows, config)
    loss = loss + config.scene_weight * losses.contrastive(scene_captions, images_of_scenes, targets, scale)
    holds = torch.from_numpy(held[:, words].T.copy())
    loss = loss + config.word_weight * losses.find_all(singles, images, holds, scale)
    named = losses.name_classes(images_of_photographs, names, train.probabilities[rows], scale)
    return loss + config.class_weight * named


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
    images = _projected(network.image.project, features, config)
    words = np.flatnonzero(train.words.held[rows].any(axis=0))
    wordings = rng.integers(train.word_readings.shape[1], size=len(words))
    read = torch.cat(
        [train.captions[rows[owners], places].float(), train.word_readings[words, wordings], train.class_readings]
    )
    texts = _projected(network.text.project, read, config)
    captions, singles, names = torch.split(texts, [len(owners), len(words), len(train.class_readings)])
    targets = _photograph_targets(train, rows, owners, config)
    loss = losses.contrastive(captions, images, targets, scale)
    held = torch.from_numpy(train.words.held[np.ix_(rows, words)].T.copy())
    loss = loss + config.word_weight * losses.find_all(singles, images, held, scale)
    return loss + config.class_weight * losses.name_classes(images, names, train.probabilities[rows], scale)


def _projected(projection: nn.Linear, features: Tensor, config: EncoderTraining) -> Tensor:
    """Normalised vectors of features of which some were dropped."""
    return normalised(projection(functional.dropout(features, config.dropout)))


def _photograph_targets(train: TrainingSet, rows: Rows, owners: Rows, config: EncoderTraining) -> Tensor:
    """For captions of the photographs `rows[owners]`."""
    sentences = train.sentences[rows]
    return losses.soft_targets(
        sentences @ sentences.T,
        torch.from_numpy(owners),
        share=config.soft_share,
        sharpness=config.soft_sharpness,
    )


def _scene_targets(scenes: SceneSet, rows: Rows, config: EncoderTraining) -> Tensor:
    """For one caption a scene. Its twin is equally right: which of two is left, the vectors are not to tell."""
    sentences = scenes.sentences[rows]
    return losses.twin_targets(
        sentences @ sentences.T,
        torch.from_numpy(scenes.twins[rows]),
        share=config.soft_share,
        sharpness=config.soft_sharpness,
    )
