"""Why a picture matched: each word's map over the 7 x 7 regions, as values and drawn on the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from boonart.errors import InvalidRequest
from boonart.works import GRID, Float32Array, Picture, WordMap

_TILE = 320
"""Longest side of a picture in the drawing, in pixels."""
_CAPTION = 26
_COLUMNS = 4
_GLOW = (255, 196, 0)


def word_maps(words: Sequence[str], attention: npt.NDArray[np.floating]) -> tuple[WordMap, ...]:
    """Maps of T words.

    Args:
        words: the T words.
        attention: (T, 49), each row a distribution over the regions.
    """
    maps = np.ascontiguousarray(attention, dtype=np.float32).reshape(-1, GRID, GRID)
    sums = maps.sum(axis=(1, 2), keepdims=True)
    scaled: Float32Array = (maps / np.where(sums > 0, sums, 1.0)).astype(np.float32)
    return tuple(WordMap(word, weights) for word, weights in zip(words, scaled, strict=False))


def draw(picture: Picture, maps: Sequence[WordMap]) -> bytes:
    """The picture once for each word, lit where the word looked: a PNG.

    Raises:
        InvalidRequest: there is no word to explain.
    """
    if not maps:
        raise InvalidRequest("There is no word to explain.", hint="Give a query with at least one word.")
    scale = _TILE / max(picture.width, picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    base = Image.fromarray(picture.pixels).resize(size, Image.Resampling.LANCZOS)
    columns = min(_COLUMNS, len(maps))
    rows = -(-len(maps) // columns)
    sheet = Image.new("RGB", (columns * size[0], rows * (size[1] + _CAPTION)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=16)
    for number, word_map in enumerate(maps):
        left, top = number % columns * size[0], number // columns * (size[1] + _CAPTION)
        pen.text((left + 6, top + 4), word_map.word, fill="black", font=font)
        sheet.paste(_lit(base, word_map.weights), (left, top + _CAPTION))
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _lit(base: Image.Image, weights: Float32Array) -> Image.Image:
    """The picture dimmed where the word did not look and tinted where it looked most."""
    span = float(weights.max() - weights.min())
    levels = (weights - weights.min()) / span if span > 0 else np.zeros_like(weights)
    glow = Image.fromarray((levels * 255).astype(np.uint8)).resize(base.size, Image.Resampling.BICUBIC)
    dimmed = Image.blend(base, Image.new("RGB", base.size, "black"), 0.55)
    tinted = Image.blend(base, Image.new("RGB", base.size, _GLOW), 0.25)
    return Image.composite(tinted, dimmed, glow)
