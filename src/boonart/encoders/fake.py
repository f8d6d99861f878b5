"""A deterministic encoder without weights: for tests, and to try the system where no model can be had.

Texts and pictures meet in a space of colours: a text that names a colour is near a picture in which it prevails.
Other words and details move the vectors a little, always the same way for the same input.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from boonart.works import GRID, REGIONS, Float32Array, ImageEmbedding, ModelCard, Picture, TextEmbedding

COLOURS = {
    "red": (200, 40, 40),
    "green": (50, 140, 60),
    "blue": (50, 80, 190),
    "yellow": (230, 210, 60),
    "white": (240, 240, 240),
    "black": (20, 20, 20),
    "brown": (120, 80, 50),
    "grey": (128, 128, 128),
}
_PALETTE = np.array(list(COLOURS.values()), dtype=np.float32)


class FakeEncoder:
    """Colours as vectors.

    Args:
        size: D, at least 8: a dimension a colour, the others for details.
        width: Wt and Wi.
    """

    def __init__(self, size: int = 32, width: int = 16) -> None:
        self._size, self._width = size, width
        self._card = ModelCard(
            id=f"fake-{size}",
            kind="encoder",
            weights_hash="0" * 16,
            dimensions={"D": size, "Wt": width, "Wi": width},
            licence="Apache-2.0",
            description="Deterministic colours instead of a model.",
        )

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Encode texts, in order."""
        return [self._text(text) for text in texts]

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """Encode pictures, in order."""
        return [self._image(picture) for picture in pictures]

    def _text(self, text: str) -> TextEmbedding:
        words = tuple(re.findall(r"\w+", text)) or ("",)
        vector = self._details(text.lower()) * 0.2
        for word in words:
            if word.lower() in COLOURS:
                vector[list(COLOURS).index(word.lower())] += 1.0
        tokens = np.stack([self._details(word.lower(), self._width) for word in words])
        return TextEmbedding(_unit(vector), tokens.astype(np.float16), words)

    def _image(self, picture: Picture) -> ImageEmbedding:
        rows = np.linspace(0, picture.height - 1, 4 * GRID).astype(int)
        columns = np.linspace(0, picture.width - 1, 4 * GRID).astype(int)
        sampled = picture.pixels[np.ix_(rows, columns)].astype(np.float32)
        nearest = np.linalg.norm(sampled[:, :, None, :] - _PALETTE, axis=3).argmin(axis=2)
        counts = np.bincount(nearest.ravel(), minlength=len(COLOURS)).astype(np.float32)
        vector = self._details(sampled.astype(np.uint8).tobytes().hex()) * 0.2
        vector[: len(COLOURS)] += counts / counts.max()
        blocks = sampled.reshape(GRID, 4, GRID, 4, 3).mean(axis=(1, 3)).reshape(REGIONS, 3) / 255.0
        tokens = np.tile(blocks, (1, self._width // 3 + 1))[:, : self._width]
        return ImageEmbedding(_unit(vector), tokens.astype(np.float16))

    def _details(self, text: str, size: int = 0) -> Float32Array:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        return _unit(np.random.default_rng(seed).standard_normal(size or self._size).astype(np.float32))


def _unit(vector: Float32Array) -> Float32Array:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
