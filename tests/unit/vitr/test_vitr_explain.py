from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from boonart.errors import InvalidRequest
from boonart.vitr.explain import draw, word_maps
from boonart.works import Picture


def test_maps_are_row_major_and_sum_to_one():
    attention = np.zeros((2, 49))
    attention[0, 8] = 3.0  # second row, second column
    maps = word_maps(("cow", "tree"), attention)
    assert [m.word for m in maps] == ["cow", "tree"]
    assert maps[0].weights[1, 1] == 1.0
    assert float(maps[1].weights.sum()) == 0.0


def test_the_drawing_lights_where_the_word_looked():
    picture = Picture(np.full((70, 140, 3), 128, dtype=np.uint8), (140, 70), "PNG")
    attention = np.zeros((1, 49))
    attention[0, 0] = 1.0
    sheet = np.asarray(Image.open(io.BytesIO(draw(picture, word_maps(("cow",), attention)))).convert("L"))
    assert sheet.shape[1] == 320
    assert sheet[40:50, :15].mean() > sheet[-20:, -40:].mean() + 30


def test_many_words_make_several_rows():
    picture = Picture(np.zeros((70, 70, 3), dtype=np.uint8), (70, 70), "PNG")
    maps = word_maps(tuple("abcdef"), np.ones((6, 49)))
    width, height = Image.open(io.BytesIO(draw(picture, maps))).size
    assert (width, height) == (4 * 320, 2 * (320 + 26))


def test_nothing_to_explain():
    with pytest.raises(InvalidRequest):
        draw(Picture(np.zeros((7, 7, 3), dtype=np.uint8), (7, 7), "PNG"), ())
