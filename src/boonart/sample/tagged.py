"""Further scenes for training, asked for in a few words alone: things as they are by nature, and painted ones.

Who wants a blue rose says so; who types "still life of rose" wants roses, one or three, before a blue one in a vase.
Each pair shows one kind of thing in one place and manner: some of it as it is, and some in a colour of somebody's
choice, alone or beside something else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from boonart.sample.generation import supply
from boonart.sample.grammar import FLYERS, TABLETOP, colourful, make_scene, make_thing, places_for
from boonart.sample.kinds import KINDS, Kind, kinds_with
from boonart.sample.scenes import Relation, RelationKind, RelationName, Scene, Split, TwinGroup
from boonart.sample.short_queries import ShortQuery, bare_queries, short_queries
from boonart.sample.splits import split_of

_POOLS: tuple[tuple[Sequence[Kind], float], ...] = (
    (TABLETOP, 6.0),
    (kinds_with("ground"), 5.0),
    (FLYERS, 2.0),
    (kinds_with("vessel_on_water"), 0.5),
)
"""What is shown, and how often."""
_ATTEMPTS = 200


def tagged_groups(seed: int, count: int, split: Split = Split.TRAIN) -> Iterator[TwinGroup]:
    """Pairs of such scenes, unpainted, until they hold `count` scenes.

    Args:
        split: pairs of things of this split alone occur.
    """

    def draw(rng: random.Random) -> TwinGroup | None:
        for _ in range(_ATTEMPTS):
            pair = _pair(rng)
            if pair is not None and all(split_of(scene) is split for scene in pair):
                return TwinGroup(pair, RelationKind.ALONE, split)
        return None

    return supply("tagged", seed, count, split, draw)


def tags(scene: Scene) -> tuple[ShortQuery, ...]:
    """Six queries that are true of the scene."""
    return (*short_queries(scene), *bare_queries(scene))


def _pair(rng: random.Random) -> tuple[Scene, Scene] | None:
    """Some of a kind as it is, and some in a colour."""
    pools, weights = zip(*_POOLS, strict=True)
    pool = [kind for kind in rng.choices(pools, weights)[0] if not kind.can("person")]
    kind = rng.choice(colourful(pool))
    thing = make_thing(rng, kind, coloured=0.0, count=rng.choice((1, 2, 3)))
    scene = make_scene(rng, RelationKind.ALONE, (thing,), (), places_for(kind))
    if scene is None:
        return None
    painted = replace(thing, colour=rng.choice(kind.colours), count=rng.choice((1, 1, 2)))
    if painted.colour == scene.place_colour:
        return None
    return scene, _beside(rng, replace(scene, things=(painted,)), pool)


def _beside(rng: random.Random, scene: Scene, pool: Sequence[Kind]) -> Scene:
    """The scene's thing with another one, in half of the cases where there is one that fits the place."""
    thing = scene.things[0]
    held = KINDS[thing.kind].can("plant") and rng.random() < 0.5
    other = KINDS["vase"] if held else rng.choice(pool)
    if other.name == thing.kind or scene.place not in places_for(KINDS[thing.kind], other) or rng.random() < 0.5:
        return scene
    name = RelationName.IN if held and thing.count == 1 else RelationName.NEXT_TO
    things = (thing, make_thing(rng, other, coloured=0.2))
    return replace(scene, things=things, relations=(Relation(name, 0, 1),))
