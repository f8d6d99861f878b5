"""Further scenes for training, in pairs that differ in what is shown, not in how it is related.

One kind of thing is replaced by another, or painted in another colour: "a pear in front of a vase" and "a pear in
front of a bowl", "a yellow vase" and "a red vase". Twins teach relations; what stands in them is the same, so that
nothing but chance would teach a network to look closely at that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from boonart.sample.generation import choose_kind, supply
from boonart.sample.grammar import PRODUCTIONS, are_alike
from boonart.sample.kinds import KINDS
from boonart.sample.scenes import RelationKind, Scene, Split, Thing, TwinGroup
from boonart.sample.splits import split_of

_ATTEMPTS = 200


def replacement_groups(seed: int, count: int, split: Split = Split.TRAIN) -> Iterator[TwinGroup]:
    """Pairs of such scenes, unpainted, until they hold `count` scenes.

    Args:
        split: pairs of things of this split alone occur.
    """

    def draw(rng: random.Random) -> TwinGroup | None:
        production = PRODUCTIONS[choose_kind(rng)]
        for _ in range(_ATTEMPTS):
            scene = production(rng)
            if scene is None or split_of(scene) is not split:
                continue
            other = _with_one_replaced(rng, scene)
            if other is not None and split_of(other) is split:
                return TwinGroup((scene, other), scene.kind, split)
        return None

    return supply("replaced", seed, count, split, draw)


def _with_one_replaced(rng: random.Random, scene: Scene) -> Scene | None:
    """The scene with one kind of thing in another colour or replaced by another kind, or None."""
    thing = rng.choice(scene.things)
    new = _recoloured(rng, thing, scene) if rng.random() < 0.5 else _replaced(rng, thing)
    if new is None or new in scene.things:
        return None
    return replace(scene, things=tuple(new if other == thing else other for other in scene.things))


def _recoloured(rng: random.Random, thing: Thing, scene: Scene) -> Thing | None:
    colours = KINDS[thing.kind].colours
    if len(colours) <= 4 or scene.kind is RelationKind.COLOUR:
        return None
    others = [c for c in colours if c not in (thing.colour, scene.place_colour) and not are_alike(c, thing.colour)]
    return replace(thing, colour=rng.choice(others))


def _replaced(rng: random.Random, thing: Thing) -> Thing | None:
    """Another kind that can be and do the same, in the same colour."""
    tags = KINDS[thing.kind].tags
    kinds = [kind for kind in KINDS.values() if kind.tags == tags and kind.name != thing.kind]
    kinds = [kind for kind in kinds if not thing.colour or thing.colour in kind.colours]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    return replace(thing, kind=kind.name, look=rng.randrange(len(kind.looks)))
