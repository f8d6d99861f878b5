from __future__ import annotations

import numpy as np

from boonart.encoders.colours import COLOURS, LENGTH, region_colours


def test_each_region_has_the_shares_of_its_own_colours():
    pixels = np.zeros((1, 14, 14, 3), dtype=np.uint8)
    pixels[0, :2, :2] = (255, 0, 0)  # the first region, all red
    pixels[0, :2, 2] = (0, 0, 255)  # half of the second, blue
    colours = region_colours(pixels)
    assert (colours.shape, colours.dtype) == ((1, 49, COLOURS), np.float16)
    red, blue, black = 3 * 16, 3, 0
    assert np.flatnonzero(colours[0, 0]).tolist() == [red]
    assert colours[0, 0, red] == LENGTH
    np.testing.assert_allclose(colours[0, 1, [black, blue]], LENGTH * np.sqrt(0.5), atol=4e-3)
    assert np.flatnonzero(colours[0, 2:].sum(axis=0)).tolist() == [black]


def test_shares_sum_to_one_whatever_the_size_and_the_batch():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 30, 30, 3), dtype=np.uint8)
    together = region_colours(pixels)
    np.testing.assert_allclose((together.astype(np.float32) ** 2).sum(axis=2), LENGTH**2, atol=0.03)
    np.testing.assert_array_equal(together[2:], region_colours(pixels[2:]))
