"""Generated scenes that the encoder learns from beside the photographs.

Flickr8k's captions speak of no owl, no pineapple and one zebra, and its pictures are no paintings. The scenes,
painted by this project's own code, hold such things, with sentences that say what is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from boonart.encoders.starter_network import TEXT_WIDTH, StarterNetwork, normalised
from boonart.training import encoder_texts
from boonart.training.encoder_features import FORMAT, Progress, TrunkViews, encode_views, silent
from boonart.training.encoder_sets import (
    FEWEST_PICTURES,
    LARGEST_SHARE,
    Rows,
    TrainingSet,
    computed_once,
    grouped_readings,
    word_readings,
)
from boonart.training.vitr_sources import scene_pictures
from boonart.works import Picture

VIEWS = (0, 2)
"""Views that scenes are encoded in: as they are, and one crop with changed light and colour; see `altered`."""


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Scenes of one step.

    Attributes:
        rows: (B,) of the scenes, none twice.
        views: (B,) in which each is seen.
        places: (B,) of the caption that each is given.
    """

    rows: Rows
    views: Rows
    places: Rows


@dataclass(frozen=True, slots=True)
class SceneSet:
    """S scenes, and the W words that photographs or scenes are searched for by.

    Attributes:
        views: of the scenes: the picture, a crop, and the picture's trunk output mirrored, which stands in for
            that of a mirrored picture. The captions stay as they are even so: the vector that learns from them
            is shipped as the mean over both sides and cannot tell left from right.
        captions: (S, C, 1152) float16 readings, equally many a scene.
        sentences: (S, 384) normalised mean of the captions' untuned vectors: how alike scenes are.
        twins: (S,) group of scenes that differ in a relation alone, -1 for a scene without a twin.
        words: searched for alone; those of the photographs and those of the scenes.
        held_by_photographs: (N, W) bool.
        held: (S, W) bool.
        word_readings: (W, 4, 1152), each word in four wordings.
    """

    views: TrunkViews
    captions: Tensor
    sentences: Tensor
    twins: Rows
    words: tuple[str, ...]
    held_by_photographs: npt.NDArray[np.bool_]
    held: npt.NDArray[np.bool_]
    word_readings: Tensor

    def __len__(self) -> int:
        return len(self.twins)

    def draw(self, size: int, rng: np.random.Generator) -> SceneBatch:
        """A random view and caption of `size` random scenes, of all where there are fewer."""
        rows = rng.permutation(len(self))[:size]
        views = rng.integers(len(self.views.views), size=len(rows))
        return SceneBatch(rows, views, rng.integers(self.captions.shape[1], size=len(rows)))


def load_scene_set(
    network: StarterNetwork,
    train: TrainingSet,
    cache: Path,
    *,
    count: int,
    seed: int,
    progress: Progress = silent,
) -> SceneSet:
    """Paint scenes of the train split and encode them with the untuned network, or read what was encoded before.

    Args:
        train: the photographs, for the words they hold.
        count: of scenes, at least one; one more where the last has a twin.
    """
    pictures = scene_pictures(seed, count, "train")
    texts = [picture.own_captions for picture in pictures]
    as_painted, crop = encode_views(
        [partial(_painted, picture.load) for picture in pictures],
        texts,
        cache,
        network.image,
        views=VIEWS,
        seed=seed,
        stage="scenes",
        progress=progress,
    )
    frequent = encoder_texts.words_of(texts, fewest=FEWEST_PICTURES, largest_share=LARGEST_SHARE)
    words = sorted({*train.words.words, *frequent.words})

    def compute() -> dict[str, Tensor]:
        progress("sentences of scenes", 0, 1)
        found = {
            "captions": torch.stack(grouped_readings(network, texts)).half(),
            "words": word_readings(network, words),
        }
        progress("sentences of scenes", 1, 1)
        return found

    untuned = computed_once(cache, json.dumps([FORMAT, "scenes", texts, words]), compute)
    return SceneSet(
        views=TrunkViews((as_painted, crop, as_painted[:, :, ::-1])),
        captions=untuned["captions"],
        sentences=normalised(untuned["captions"][:, :, -TEXT_WIDTH:].float().sum(dim=1)),
        twins=np.array([picture.twin for picture in pictures]),
        words=tuple(words),
        held_by_photographs=encoder_texts.held_words(train.texts, words).held,
        held=encoder_texts.held_words(texts, words).held,
        word_readings=untuned["words"],
    )


def _painted(load: Callable[[], Picture]) -> Image.Image:
    return Image.fromarray(load().pixels)
