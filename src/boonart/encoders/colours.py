"""The colours of a picture's regions, which networks trained to name things all but forget.

"A red cow and a blue dog" asks for two of them, each in its place.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from boonart.works import GRID, REGIONS, Float16Array, UInt8Array

COLOURS = 64
"""Colours that are told apart: four levels each of red, green and blue."""
LENGTH = 4.0
"""Of a region's colours: enough to be heard beside the network's map, whose regions are about 24 long."""


def region_colours(pixels: UInt8Array) -> Float16Array:
    """Square roots of each colour's share of each region, brought to one length.

    The inner product of two regions is then Bhattacharyya's coefficient, times a constant.

    Args:
        pixels: (B, S, S, 3).

    Returns:
        (B, 49, 64) float16, regions row-major, colours by red, then green, then blue.
    """
    cells, sizes = _cells(pixels.shape[1])
    levels = (pixels >> 6).astype(np.int32)
    colours = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]
    bins = REGIONS * COLOURS
    counts = [np.bincount((cells + picture).ravel(), minlength=bins) for picture in colours]
    shares = np.stack(counts).reshape(-1, REGIONS, COLOURS) / sizes[:, None]
    return (LENGTH * np.sqrt(shares)).astype(np.float16)


@lru_cache(maxsize=2)
def _cells(side: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The first bin of each pixel's region, (S, S), and how many pixels a region has, (49,)."""
    line = np.arange(side) * GRID // side
    regions = (line[:, None] * GRID + line[None, :]).astype(np.int32)
    return regions * COLOURS, np.bincount(regions.ravel(), minlength=REGIONS).astype(np.float32)
