"""What the page draws where a word looked: a veil over the rest of the picture, and the place in words."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from boonart.works import GRID, REGIONS, Float32Array, Hit, WordMap
from boonart_services.gateway.answers import picture_json
from boonart_services.gateway.query_pictures import KeptPicture
from boonart_services.gateway.views import Asked, work_title

STEPS = 8
"""Strengths of the veil: more cannot be told apart, and each costs a path."""
LONGER_SIDE = 100 * GRID
"""Longer side of a veil in its own units, whatever the picture's size, so that one stylesheet softens all alike."""
_EVEN = 1.6
"""A map whose highest weight is below this many times the mean looked everywhere alike."""
_SHORT = 2
"""Longest word in letters that is not shown first where there is a longer one."""
_THIRDS = (slice(0, 2), slice(2, 5), slice(5, 7))
EVERYWHERE = "everywhere"
PLACES = (
    ("upper_left", "top", "upper_right"),
    ("left", "middle", "right"),
    ("lower_left", "bottom", "lower_right"),
)
"""Names of the places of a picture, row by row; the page's texts say them in words, under `places`."""


@dataclass(frozen=True, slots=True)
class Veil:
    """The cells of one strength, 1 to `STEPS`, as an SVG path."""

    strength: int
    path: str


@dataclass(frozen=True, slots=True)
class Term:
    """A word with where it looked.

    Attributes:
        place: one of `PLACES`, or `EVERYWHERE`.
        chosen: shown first: of the longer words, the one that looked most decidedly somewhere.
    """

    word: str
    place: str
    veils: list[Veil]
    chosen: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """Where each word looked, as the page shows it.

    Attributes:
        picture_url, width, height: the picture that the words were compared with; its size in pixels.
        veil: (width, height) of the veils in their own units; the picture's proportions.
        of_query: it is the one that was searched with, and the words are those of the description.
    """

    title: str
    work_id: str
    back: str
    picture_url: str
    width: int
    height: int
    veil: tuple[int, int]
    of_query: bool
    relevance: float | None
    terms: list[Term]

    @property
    def tall(self) -> bool:
        """Clearly higher than wide."""
        return self.width < 0.9 * self.height


def explained(hit: Hit, asked: Asked, collection: str, kept: KeptPicture | None) -> Looked:
    """A hit's explanation as the page shows it.

    Args:
        kept: the picture that was searched with, where one was.
    """
    if kept is not None:
        address, size = f"/queries/{quote(asked.picture)}", kept.size
    else:
        picture = picture_json(collection, hit.work.id, hit.picture)
        address, size = (picture["image_url"], hit.picture.size) if picture else ("", (GRID, GRID))
    scale = LONGER_SIDE / max(size)
    veil = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    # Articles and the like look somewhere too, but nobody wants to see it first.
    peaks = [(len(word_map.word) > _SHORT, float(word_map.weights.max())) for word_map in hit.explanation]
    chosen = peaks.index(max(peaks)) if peaks else 0
    return Looked(
        title=work_title(hit.work),
        work_id=hit.work.id,
        back=asked.address(),
        picture_url=address,
        width=size[0],
        height=size[1],
        veil=veil,
        of_query=kept is not None,
        relevance=hit.relevance,
        terms=[_term(word_map, veil, place == chosen) for place, word_map in enumerate(hit.explanation)],
    )


def _term(word_map: WordMap, size: tuple[int, int], chosen: bool) -> Term:
    return Term(word_map.word, place_of(word_map.weights), veils_of(word_map.weights, size), chosen)


def place_of(weights: Float32Array) -> str:
    """Where a (7, 7) map is strongest: one of `PLACES`, or `EVERYWHERE`."""
    if float(weights.max()) < _EVEN * float(weights.mean()):
        return EVERYWHERE
    means = np.array([[weights[rows, columns].mean() for columns in _THIRDS] for rows in _THIRDS])
    row, column = np.unravel_index(int(means.argmax()), means.shape)
    return PLACES[int(row)][int(column)]


def veils_of(weights: Float32Array, size: tuple[int, int]) -> list[Veil]:
    """The veil of this (width, height) for a (7, 7) map, a path for each strength.

    Cells at the rim reach beyond it, so that softening the veil does not lighten the picture's edges.
    """
    # A map that is nearly even must not look like a decided one: its spread counts for at least a cell's share.
    spread = max(float(weights.max() - weights.min()), float(weights.sum()) / REGIONS)
    hidden = np.rint(STEPS * (float(weights.max()) - weights) / spread).astype(int)
    across, down = (_edges(length) for length in size)
    veils = []
    for strength in range(1, STEPS + 1):
        cells = [
            f"M{across[column]} {down[row]}H{across[column + 1]}V{down[row + 1]}H{across[column]}z"
            for row, column in np.argwhere(hidden == strength).tolist()
        ]
        if cells:
            veils.append(Veil(strength, "".join(cells)))
    return veils


def _edges(length: int) -> list[int]:
    """The lines between the cells along a side, the outer ones beyond the rim."""
    inner = [round(length * step / GRID) for step in range(1, GRID)]
    return [-length, *inner, 2 * length]
