"""Contact sheets: what is drawn where."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from boonart.evaluation.contact_sheets import TILE, Cell, Panel, contact_sheet
from boonart.works import Picture

BLUE, GREEN, ORANGE = (10, 20, 250), (0, 122, 90), (196, 78, 0)


def picture(width: int = 300, height: int = 200) -> Picture:
    return Picture(np.full((height, width, 3), BLUE, dtype=np.uint8), (width, height), "PNG")


def drawn(panels: list[Panel], tmp_path, **options) -> np.ndarray:
    return np.asarray(Image.open(contact_sheet("A sheet", panels, tmp_path / "new" / "sheet.png", **options)))


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_every_picture_is_there_in_its_proportions(tmp_path):
    panels = [Panel(f"query {n}", (Cell("found", "title", picture()), Cell("other", "nothing"))) for n in range(4)]
    pixels = drawn(panels, tmp_path)
    width, height = TILE - 10, round((TILE - 10) * 2 / 3)
    assert count(pixels, BLUE) == 4 * width * height


def test_panels_stand_beside_each_other_and_below(tmp_path):
    panels = [Panel(f"query {n}", (Cell("", "", picture()),)) for n in range(3)]
    beside, below = drawn(panels, tmp_path, columns=3), drawn(panels, tmp_path, columns=1)
    assert beside.shape[1] > 2.5 * TILE > below.shape[1]
    assert below.shape[0] > 2 * beside.shape[0]


@pytest.mark.parametrize(("right", "colour"), [(True, GREEN), (False, ORANGE)])
def test_right_and_wrong_ones_are_framed(tmp_path, right, colour):
    pixels = drawn([Panel("", (Cell("", "", picture(), right),))], tmp_path)
    assert count(pixels, colour) > 4 * 100 * 5
    assert count(drawn([Panel("", (Cell("", "", picture()),))], tmp_path), colour) == 0


def test_a_long_caption_stays_in_its_place(tmp_path):
    short = drawn([Panel("", (Cell("", "word", picture()),))], tmp_path)
    long = drawn([Panel("", (Cell("", "word " * 500, picture()),))], tmp_path)
    endless = drawn([Panel("", (Cell("", "w" * 5_000, picture()),))], tmp_path)
    assert short.shape == long.shape == endless.shape
