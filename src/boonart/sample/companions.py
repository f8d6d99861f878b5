"""Further scenes for training, of what the gallery's grammar shows seldom or never.

Two of one kind, which nothing but their place tells apart ("a boat behind another"); and several things on a
coloured cloth, where a colour belongs to the cloth or to one of them. The gallery does not draw on these
productions, so that what hangs in it stays as it is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from boonart.sample.generation import supply
from boonart.sample.grammar import (
    CLOTHS,
    FLIGHT_PLACES,
    FLYERS,
    TABLETOP,
    Production,
    colourful,
    group_of,
    make_scene,
    make_thing,
    places_for,
    two_colours,
)
from boonart.sample.kinds import Kind, kinds_with
from boonart.sample.scenes import Place, Relation, RelationKind, RelationName, Scene, Split, TwinGroup

_BULKY = kinds_with("bulky", "ground")
_VESSELS = kinds_with("vessel_on_water")
_PETS = (*kinds_with("pet"), *kinds_with("person"))


def _twice(
    rng: random.Random, pool: Sequence[Kind], kind: RelationKind, name: RelationName, places: Sequence[Place] = ()
) -> Scene | None:
    chosen = rng.choice(list(pool))
    thing = make_thing(rng, chosen, coloured=0.25)
    return make_scene(rng, kind, (thing, thing), (Relation(name, 0, 1),), places or places_for(chosen, chosen))


def _behind(rng: random.Random) -> Scene | None:
    pool = rng.choice((_BULKY, _BULKY, _VESSELS, TABLETOP))
    return _twice(rng, pool, RelationKind.DEPTH, RelationName.BEHIND)


def _flying(rng: random.Random) -> Scene | None:
    return _twice(rng, FLYERS, RelationKind.FLYING, RelationName.FLYING_WITH, FLIGHT_PLACES)


def _riding(rng: random.Random) -> Scene | None:
    rider, mount = rng.choice(kinds_with("rider")), rng.choice(kinds_with("mount"))
    ridden = make_thing(rng, mount, coloured=0.0)
    relations = (Relation(RelationName.RIDING, 0, 1), Relation(RelationName.WITH, 0, 2))
    things = (make_thing(rng, rider), ridden, ridden)
    return make_scene(rng, RelationKind.RIDING, things, relations, places_for(mount))


def _two_coats(rng: random.Random) -> Scene | None:
    """Two of a kind in two colours, in a room of a third: its twin exchanges one of them with the room."""
    kind = rng.choice(colourful((*_PETS, *kinds_with("indoor", "ground"))))
    chosen = two_colours(rng, kind.colours)
    walls = rng.choice(("red", "blue", "green", "yellow", "purple", "orange"))
    if chosen is None or walls in chosen:
        return None
    look = make_thing(rng, kind, coloured=0.0, hair="")
    things = tuple(replace(look, colour=colour) for colour in chosen)
    relation = Relation(rng.choice((RelationName.WITH, RelationName.NEXT_TO)), 0, 1)
    return make_scene(rng, RelationKind.COLOUR, things, (relation,), (Place.ROOM,), place_colour=walls)


def _on_a_cloth(rng: random.Random) -> Scene | None:
    """Some things as they are and a coloured one, on a cloth of another colour."""
    coloured = rng.choice(colourful(TABLETOP))
    plain = rng.choice([kind for kind in TABLETOP if kind is not coloured])
    colour, cloth = rng.choice(coloured.colours), rng.choice(CLOTHS)
    if colour == cloth:
        return None
    things = (
        make_thing(rng, plain, coloured=0.0, count=rng.choice((1, 2, 3))),
        make_thing(rng, coloured, coloured=0.0, colour=colour),
    )
    relation = Relation(RelationName.WITH, 0, 1)
    return make_scene(rng, RelationKind.PLACE_COLOUR, things, (relation,), (Place.TABLE,), place_colour=cloth)


def _natural_still_life(rng: random.Random) -> Scene | None:
    """One kind of thing on a table, in its own colour or a given one."""
    kind = rng.choice(TABLETOP)
    thing = make_thing(rng, kind, coloured=0.4, count=rng.choice((1, 2, 3)))
    return make_scene(rng, RelationKind.ALONE, (thing,), (), (Place.TABLE,))


_PRODUCTIONS: dict[Production, float] = {
    _behind: 1.0,
    _flying: 0.7,
    _riding: 0.7,
    _two_coats: 1.0,
    _on_a_cloth: 1.0,
    _natural_still_life: 0.7,
}
"""How such scenes are made, and how often."""


def companion_groups(seed: int, count: int, split: Split = Split.TRAIN) -> Iterator[TwinGroup]:
    """Groups of such scenes, unpainted, until they hold `count` scenes.

    Args:
        split: pairs of this split alone occur.
    """

    def draw(rng: random.Random) -> TwinGroup | None:
        return group_of(rng, rng.choices(list(_PRODUCTIONS), list(_PRODUCTIONS.values()))[0], split)

    return supply("companions", seed, count, split, draw)
