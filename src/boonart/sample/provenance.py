"""Who is said to have painted a scene, when and with what: plausible and made up."""

from __future__ import annotations

import random
from dataclasses import dataclass

from boonart.sample.scenes import Manner, Scene, stable_number

_ARTISTS: dict[Manner, tuple[str, ...]] = {
    Manner.REALIST: ("Aldous Fenwright", "Marthe Quillan", "Josef Harrowgate", "Edda Lindqvarn", "Tobias Merrowe"),
    Manner.IMPRESSIONIST: ("Céleste Aubrivant", "Henri Valcourbe", "Odette Saint-Orme", "Pieter van Loosdael"),
    Manner.ABSTRACT: ("Ilse Brandvoort", "Kasimir Dolenko", "Renata Oszvaldi", "Milo Tarquand"),
    Manner.STILL_LIFE: ("Cornelis van der Eyckhof", "Beatriz Almoraz", "Willem Claeszoon Tuyn", "Lucia Ferrabosca"),
}
_YEARS = {
    Manner.REALIST: (1842, 1889),
    Manner.IMPRESSIONIST: (1871, 1912),
    Manner.ABSTRACT: (1911, 1968),
    Manner.STILL_LIFE: (1631, 1774),
}
_MEDIA: dict[Manner, tuple[str, ...]] = {
    Manner.REALIST: ("Oil on canvas", "Oil on canvas", "Oil on panel", "Tempera on board"),
    Manner.IMPRESSIONIST: ("Oil on canvas", "Oil on canvas", "Pastel on paper"),
    Manner.ABSTRACT: ("Oil on canvas", "Acrylic on canvas", "Gouache on paper"),
    Manner.STILL_LIFE: ("Oil on panel", "Oil on canvas", "Oil on copper"),
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """A museum label's second line."""

    artist: str
    date: str
    medium: str


def provenance_of(scene: Scene) -> Provenance:
    """The same for twins: they are said to be a pair by one hand."""
    rng = random.Random(stable_number("provenance", scene.seed))
    first, last = _YEARS[scene.manner]
    year = rng.randint(first, last)
    date = rng.choice((f"{year}", f"{year}", f"{year}", f"c.{year}", f"{year}–{year % 100 + 1:02d}"))
    if year % 100 == 99:
        date = f"{year}"
    return Provenance(rng.choice(_ARTISTS[scene.manner]), date, rng.choice(_MEDIA[scene.manner]))
