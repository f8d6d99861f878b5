"""A word's map as the page draws it."""

import re

import numpy as np
import pytest

from boonart_services.gateway.word_maps import STEPS, place_of, veils_of


def peak(row: int, column: int, height: float = 0.9) -> np.ndarray:
    weights = np.full((7, 7), (1 - height) / 48, dtype=np.float32)
    weights[row, column] = height
    return weights


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [
        (0, 0, "upper_left"),
        (1, 3, "top"),
        (0, 6, "upper_right"),
        (3, 1, "left"),
        (3, 3, "middle"),
        (2, 5, "right"),
        (6, 1, "lower_left"),
        (5, 4, "bottom"),
        (6, 6, "lower_right"),
    ],
)
def test_the_strongest_place_has_a_name(row: int, column: int, place: str) -> None:
    assert place_of(peak(row, column)) == place


def test_a_map_without_a_preference_says_so_and_hides_nothing() -> None:
    even = np.full((7, 7), 1 / 49, dtype=np.float32)
    even[2, 2] *= 1.01
    assert place_of(even) == "everywhere"
    assert veils_of(even, (700, 500)) == []


def test_the_veil_covers_all_cells_but_the_strongest() -> None:
    (veil,) = veils_of(peak(0, 1), (700, 350))
    assert veil.strength == STEPS
    assert veil.path.count("z") == 48
    assert "M100 -350" not in veil.path, "the strongest cell is open"
    assert "M-700 -350H100V50H-700z" in veil.path, "a cell at the rim reaches beyond it"


def test_strengths_fall_as_weights_rise() -> None:
    weights = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    veils = veils_of(weights / weights.sum(), (700, 700))
    strengths = [veil.strength for veil in veils]
    assert strengths == list(range(1, STEPS + 1))
    first_row_of = {v.strength: min(int(y) for y in re.findall(r"M\S+ (\S+?)H", v.path)) for v in veils}
    assert first_row_of[STEPS] < first_row_of[1], "the darkest lies where the weight is least"
