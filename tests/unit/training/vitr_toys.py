"""A world of coloured squares, an encoder that sees it, and sentences about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from boonart.training.vitr_features import TrainingPicture
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.works import ImageEmbedding, ModelCard, Picture, TextEmbedding

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
WORDS = [*COLOURS, "left", "of"]
PAIRS = [("red", "blue"), ("green", "white"), ("red", "white"), ("blue", "green"), ("red", "green"), ("blue", "white")]
CONFIG = VitrConfig(
    4, 4, 6, embed_size=16, similarity_size=8, filters=1, aggregations=1, role=RoleConfig(size=16, feed_forward=16)
)
"""Sizes of a network for this world."""


def scene(left: str, right: str, twin: int) -> TrainingPicture:
    """A 7 x 7 picture with a square on either side; true and false sentence."""

    def load() -> Picture:
        pixels = np.zeros((7, 7, 3), dtype=np.uint8)
        pixels[2:4, 1:3], pixels[2:4, 4:6] = COLOURS[left], COLOURS[right]
        return Picture(pixels, (7, 7), "PNG")

    return TrainingPicture(
        load, (f"{left} left of {right}",), ((f"{right} left of {left}",),), twin=twin, kind="left / right"
    )


def twins(pairs: Sequence[tuple[str, str]]) -> list[TrainingPicture]:
    """Both arrangements of each pair of colours."""
    return [scene(*sides, number) for number, (a, b) in enumerate(pairs) for sides in ((a, b), (b, a))]


class SquareEncoder:
    """Region token: the colour there; word token: one-hot; global vectors: their means. Counts its calls."""

    def __init__(self) -> None:
        self.images = self.texts = 0

    @property
    def card(self) -> ModelCard:
        return ModelCard("squares@1", "encoder", "", {"D": 4, "Wi": 4, "Wt": len(WORDS)})

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        self.images += len(pictures)
        return [self._image(picture) for picture in pictures]

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self.texts += len(texts)
        return [self._text(text) for text in texts]

    def _image(self, picture: Picture) -> ImageEmbedding:
        flat = picture.pixels.reshape(49, 3) / 255.0
        tokens = np.array([[np.allclose(region, np.array(c) / 255) for c in COLOURS.values()] for region in flat])
        return ImageEmbedding(_unit(tokens.mean(axis=0)), tokens.astype(np.float16))

    def _text(self, text: str) -> TextEmbedding:
        words = text.split()
        tokens = np.array([[word == known for known in WORDS] for word in words]).astype(np.float16)
        return TextEmbedding(_unit(tokens.mean(axis=0)[:4]), tokens, tuple(words))


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / (np.linalg.norm(vector) + 1e-6)).astype(np.float32)
