"""Small tools that every painter needs: seeded noise, gradients, ridges, blending. All arrays are float32."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from boonart.sample.scenes import stable_number
from boonart.works import Float32Array

Colour = tuple[float, float, float]
Floats = npt.NDArray[np.floating[Any]]
"""What the tools accept: numpy's own functions do not promise float32 to a type checker."""


def single(values: npt.ArrayLike) -> Float32Array:
    """The values as float32, not copied where they are."""
    return np.asarray(values, dtype=np.float32)


def seeded(*parts: object) -> np.random.RandomState:
    """Random numbers that depend on the parts alone; RandomState's streams never change between versions."""
    return np.random.RandomState(stable_number(*parts) % 2**32)


def stretched(values: Float32Array, size: tuple[int, int]) -> Float32Array:
    """A small array blown up smoothly to (width, height)."""
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return single(np.asarray(image.resize(size, Image.Resampling.BICUBIC)))


def noise(rng: np.random.RandomState, size: tuple[int, int], cells: float = 4, octaves: int = 3) -> Float32Array:
    """Smooth noise of about zero mean and unit range, (height, width)."""
    width, height = size
    total = np.zeros((height, width), dtype=np.float32)
    weight = 1.0
    for _ in range(octaves):
        shape = (max(2, int(cells * height / width) + 2), max(2, int(cells) + 2))
        total += weight * stretched(rng.random_sample(shape).astype(np.float32) - 0.5, size)
        cells, weight = cells * 2.1, weight * 0.5
    return total


def ridge(rng: np.random.RandomState, width: int, cells: float, octaves: int = 3) -> Float32Array:
    """A noisy line, (width,), within about -0.5..0.5."""
    return single(noise(rng, (width, 4), cells, octaves)[1])


@lru_cache(maxsize=16)
def _rows(height: int) -> Float32Array:
    return np.linspace(0, 1, height, dtype=np.float32)[:, None]


def vertical(size: tuple[int, int], stops: list[tuple[float, Colour]]) -> Float32Array:
    """A gradient from top to bottom through colours at heights 0..1, (height, width, 3)."""
    width, height = size
    at = [stop[0] for stop in stops]
    rows = _rows(height)[:, 0]
    column = np.stack([np.interp(rows, at, [stop[1][c] for stop in stops]) for c in range(3)], axis=-1)
    return single(np.repeat(column[:, None, :].astype(np.float32), width, axis=1))


def below(size: tuple[int, int], line: Floats | float) -> Float32Array:
    """Mask of what lies below a line (share of the height for each column), softened by a pixel."""
    width, height = size
    edge = np.broadcast_to(np.asarray(line, dtype=np.float32), (width,)) * height
    return single(np.clip(np.arange(height, dtype=np.float32)[:, None] - edge[None, :], 0, 1))


def blend(base: Float32Array, top: Floats | Colour, mask: Floats) -> None:
    """Lay `top` over `base` in place, as far as `mask` (height, width) says."""
    base += (np.asarray(top, dtype=np.float32) - base) * mask[..., None]


def polygons(size: tuple[int, int], shapes: list[list[tuple[float, float]]]) -> Float32Array:
    """Mask of filled polygons given in shares of the picture, (height, width), 0..1."""
    width, height = size
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.polygon([(x * width, y * height) for x, y in shape], fill=255)
    return single(np.asarray(image)) / np.float32(255)


def blurred(mask: Floats, radius: float) -> Float32Array:
    """A mask 0..1 made soft."""
    image = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8))
    return single(np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))) / np.float32(255)


def glow(size: tuple[int, int], x: float, y: float, radius: float) -> Float32Array:
    """A round light at (x, y), shares of width and height; `radius` a share of the width."""
    width, height = size
    across = np.arange(width, dtype=np.float32)[None, :] / width - x
    down = (np.arange(height, dtype=np.float32)[:, None] - y * height) / width
    return single(np.exp(-(across**2 + down**2) / (2 * radius**2)))


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """The colour between a (share 0) and b (share 1)."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)
