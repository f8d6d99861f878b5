"""The grammar: which scenes there are. Each production builds one kind of relation from two kinds of thing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from boonart.sample.kinds import KINDS, Kind, kinds_with
from boonart.sample.scenes import (
    Manner,
    Place,
    Relation,
    RelationKind,
    RelationName,
    Scene,
    Split,
    Thing,
    TwinGroup,
)
from boonart.sample.splits import split_of
from boonart.sample.twins import twin_of

_LAND = (
    Place.FIELD,
    Place.STREET,
    Place.TOWN,
    Place.NIGHT_TOWN,
    Place.STATION,
    Place.RIVER,
    Place.FOREST,
    Place.BEACH,
    Place.GARDEN,
    Place.MOUNTAINS,
    Place.SNOW,
    Place.LANDSCAPE,
)
_AIR = (Place.SKY, Place.SEA, Place.FIELD, Place.MOUNTAINS, Place.BEACH, Place.LANDSCAPE, Place.TOWN)
_PAINTED = (Manner.REALIST, Manner.IMPRESSIONIST, Manner.ABSTRACT)
FLIGHT_PLACES = (Place.FIELD, Place.BEACH, Place.LANDSCAPE, Place.MOUNTAINS)
"""Places where what flies has a ground to rest on."""
CLOTHS = ("white", "blue", "red", "green")
_ALIKE = frozenset(
    map(
        frozenset,
        (
            ("orange", "yellow"),
            ("orange", "red"),
            ("orange", "brown"),
            ("brown", "black"),
            ("blue", "purple"),
            ("pink", "red"),
            ("pink", "purple"),
            ("brown", "red"),
        ),
    )
)
"""Pairs of colours that paint and light make look alike: never the only difference between twins."""
_SEED_BITS = 48
_ATTEMPTS = 200

Production = Callable[[random.Random], Scene | None]


def places_for(*kinds: Kind) -> tuple[Place, ...]:
    """Places where all these kinds can be together."""
    if all(kind.can("table") for kind in kinds):
        return (Place.TABLE, Place.TABLE, Place.ROOM)
    if all(kind.can("indoor") for kind in kinds):
        return (Place.ROOM, *(_LAND if all(kind.can("outdoor") for kind in kinds) else ()))
    if any(kind.can("vessel_on_water") for kind in kinds):
        return (Place.SEA, Place.RIVER_TOWN) if all(kind.can("water") or kind.can("flies") for kind in kinds) else ()
    if all(kind.can("flyer") for kind in kinds):
        return _AIR
    if all(kind.can("outdoor") or kind.can("ground") for kind in kinds):
        return (
            (Place.BEACH, Place.RIVER) if any(kind.can("water") and not kind.can("ground") for kind in kinds) else _LAND
        )
    return ()


def make_scene(
    rng: random.Random,
    kind: RelationKind,
    things: Sequence[Thing],
    relations: Sequence[Relation],
    places: Sequence[Place],
    **changes: object,
) -> Scene | None:
    """A scene of these things in one of the places, in a manner that fits it; None where there is no place."""
    if not places:
        return None
    place = rng.choice(list(places))
    manners: tuple[Manner, ...] = _PAINTED
    if place is Place.TABLE:
        manners = (Manner.STILL_LIFE, Manner.STILL_LIFE, Manner.STILL_LIFE, *_PAINTED)
    elif place is Place.ROOM and _fit_for_still_life(things):
        manners = (Manner.STILL_LIFE, *_PAINTED)
    colour = ""
    if place is Place.TABLE and rng.random() < 0.5:
        colour = rng.choice([cloth for cloth in CLOTHS if cloth not in {thing.colour for thing in things}])
    scene = Scene(
        tuple(things), tuple(relations), place, rng.choice(manners), kind, colour, seed=rng.getrandbits(_SEED_BITS)
    )
    if place in _LAND and place is not Place.STATION and rng.random() < 0.04:
        scene = replace(scene, rain=True)
    return replace(scene, **changes)  # type: ignore[arg-type]


def two_colours(rng: random.Random, colours: Sequence[str]) -> tuple[str, str] | None:
    """Two colours that nobody takes for each other, or None."""
    first, second = rng.sample(list(colours), 2)
    return None if are_alike(first, second) else (first, second)


def are_alike(first: str, second: str) -> bool:
    """Whether paint and light make these colours look alike."""
    return frozenset((first, second)) in _ALIKE


def colourful(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    """Those of the kinds that are painted in many colours."""
    return tuple(kind for kind in kinds if len(kind.colours) > 4)


def _fit_for_still_life(things: Sequence[Thing]) -> bool:
    """Something small, and nobody about."""
    kinds = [KINDS[thing.kind] for thing in things]
    return any(kind.can("small") for kind in kinds) and not any(kind.can("person") for kind in kinds)


def make_thing(rng: random.Random, kind: Kind, *, coloured: float = 0.35, **changes: object) -> Thing:
    """A thing of this kind; with this probability in a colour of its own."""
    colour = rng.choice(kind.colours) if kind.colours and rng.random() < coloured else ""
    hair = ""
    if kind.can("person") and rng.random() < 0.12:
        hair, colour = "red", ""
    return replace(Thing(kind.name, colour, look=rng.randrange(len(kind.looks)), hair=hair), **changes)  # type: ignore[arg-type]


def _two(rng: random.Random, first: Sequence[Kind], second: Sequence[Kind]) -> tuple[Kind, Kind]:
    return rng.choice(list(first)), rng.choice(list(second))


_SOLID = kinds_with("ground", without=("flyer",))
FLYERS = (*kinds_with("flyer"), *kinds_with("flies", "ground"))
TABLETOP = kinds_with("table")
_COLOURED = colourful((*_SOLID, *kinds_with("vessel_on_water"), *TABLETOP))


def _side(rng: random.Random) -> Scene | None:
    pool = rng.choice((_SOLID, _SOLID, _SOLID, TABLETOP, FLYERS, kinds_with("water")))
    a, b = _two(rng, pool, pool)
    name = rng.choice((RelationName.LEFT_OF, RelationName.RIGHT_OF))
    if a is b:
        return None
    things = (make_thing(rng, a), make_thing(rng, b))
    return make_scene(rng, RelationKind.SIDE, things, (Relation(name, 0, 1),), places_for(a, b))


def _height(rng: random.Random) -> Scene | None:
    abstract = rng.random() < 0.5
    pool = (*_SOLID, *TABLETOP, *FLYERS) if abstract else FLYERS
    a, b = _two(rng, pool, pool)
    if a is b or (abstract and max(a.height, b.height) > 0.5):
        return None
    name = rng.choice((RelationName.ABOVE, RelationName.BELOW))
    changes: dict[str, object] = {"manner": Manner.ABSTRACT} if abstract else {}
    return make_scene(
        rng,
        RelationKind.HEIGHT,
        (make_thing(rng, a), make_thing(rng, b)),
        (Relation(name, 0, 1),),
        (Place.SKY, Place.FIELD, Place.SEA, Place.LANDSCAPE) if abstract else _AIR,
        **changes,
    )


def _support(rng: random.Random) -> Scene | None:
    carried = (*kinds_with("small"), *kinds_with("pet"))
    carrier = rng.choice((*kinds_with("support", "shelter"), *kinds_with("support", "shelter"), *kinds_with("support")))
    a = rng.choice(carried)
    if a is carrier:
        return None
    indoor = a.can("indoor") or a.can("table")
    inside: tuple[Place, ...] = (Place.ROOM,) if indoor and carrier.can("indoor") else ()
    outside = _LAND if carrier.can("outdoor") and not a.can("table") else ()
    if carrier.name == "table" and not inside:
        inside = (Place.ROOM,)
    things = (make_thing(rng, a), make_thing(rng, carrier, coloured=0.2))
    name = RelationName.ON
    if carrier.name in ("table", "chair", "bench") and rng.random() < 0.5:
        name = RelationName.UNDER
    return make_scene(rng, RelationKind.SUPPORT, things, (Relation(name, 0, 1),), (*inside, *outside))


def _container(rng: random.Random) -> Scene | None:
    vessel = rng.choice(kinds_with("holds"))
    if vessel.name == "vase":
        pool: Sequence[Kind] = kinds_with("plant", "handy")
    else:
        pool = (*kinds_with("small", without=("holds", "furniture")), *kinds_with("fruit"))
    a = rng.choice(list(pool))
    things = (make_thing(rng, a), make_thing(rng, vessel))
    places: tuple[Place, ...] = (Place.TABLE,) if a.can("table") else ()
    if vessel.can("ground"):
        places = (*places, Place.ROOM, *(_LAND if a.can("outdoor") else ()))
    elif a.can("pet"):
        places = (Place.ROOM, Place.TABLE)
    return make_scene(rng, RelationKind.CONTAINER, things, (Relation(RelationName.IN, 0, 1),), places)


def _depth(rng: random.Random) -> Scene | None:
    pool = rng.choice((kinds_with("bulky", "ground"), (*_SOLID,), kinds_with("vessel_on_water"), TABLETOP))
    a, b = _two(rng, pool, pool)
    name = rng.choice((RelationName.BEHIND, RelationName.IN_FRONT_OF))
    if a is b:
        return None
    things = (make_thing(rng, a), make_thing(rng, b))
    return make_scene(rng, RelationKind.DEPTH, things, (Relation(name, 0, 1),), places_for(a, b))


def _riding(rng: random.Random) -> Scene | None:
    rider, mount = _two(rng, kinds_with("rider"), kinds_with("mount"))
    things = [make_thing(rng, rider), make_thing(rng, mount, coloured=0.3)]
    relations = [Relation(RelationName.RIDING, 0, 1)]
    if rng.random() < 0.2:
        things.append(make_thing(rng, mount, coloured=0.0, look=things[1].look))
        relations.append(Relation(RelationName.WITH, 0, 2))
        things[1] = replace(things[1], colour="")
    return make_scene(rng, RelationKind.RIDING, things, relations, _LAND)


def _holding(rng: random.Random) -> Scene | None:
    people = kinds_with("holder")
    holder, held = _two(rng, people, kinds_with("handy"))
    things = [make_thing(rng, holder), make_thing(rng, held)]
    relations = [Relation(RelationName.HOLDING, 0, 1)]
    if rng.random() < 0.55:
        other = rng.choice([kind for kind in people if kind is not holder])
        things.append(make_thing(rng, other))
        relations.append(Relation(RelationName.NEXT_TO, 0, 2))
    return make_scene(rng, RelationKind.HOLDING, things, relations, (Place.ROOM, *_LAND))


def _sitting(rng: random.Random) -> Scene | None:
    people = kinds_with("person")
    companions = (*kinds_with("pet"), *kinds_with("animal", "small", "ground"), *people)
    person, other = _two(rng, people, companions)
    if person is other:
        return None
    places = (Place.ROOM, *_LAND) if other.can("indoor") else _LAND
    name = rng.choice((RelationName.SITTING_WITH, RelationName.STANDING_WITH))
    things = (make_thing(rng, person), make_thing(rng, other))
    return make_scene(rng, RelationKind.SITTING, things, (Relation(name, 0, 1),), places)


def _flying(rng: random.Random) -> Scene | None:
    a, b = _two(rng, FLYERS, FLYERS)
    things = (make_thing(rng, a), make_thing(rng, b))
    return make_scene(
        rng,
        RelationKind.FLYING,
        things,
        (Relation(RelationName.FLYING_WITH, 0, 1),),
        FLIGHT_PLACES,
    )


def _size(rng: random.Random) -> Scene | None:
    pool = rng.choice((_SOLID, _SOLID, TABLETOP))
    a, b = _two(rng, pool, pool)
    if a is b or not 0.55 < a.height / b.height < 1.8:
        return None
    big = rng.random() < 0.5
    things = (
        make_thing(rng, a, size="big" if big else "small"),
        make_thing(rng, b, size="small" if big else "big"),
    )
    name = RelationName.WITH
    if rng.random() < 0.4:
        name = RelationName.BIGGER_THAN if big else RelationName.SMALLER_THAN
    return make_scene(rng, RelationKind.SIZE, things, (Relation(name, 0, 1),), places_for(a, b))


def _count(rng: random.Random) -> Scene | None:
    pool = rng.choice((_SOLID, _SOLID, TABLETOP))
    a, b = _two(rng, pool, pool)
    if a is b or max(a.height, b.height) > 0.55:
        return None
    first, second = rng.sample((1, 2, 3), 2)
    things = (make_thing(rng, a, count=first, coloured=0.15), make_thing(rng, b, count=second, coloured=0.15))
    return make_scene(rng, RelationKind.COUNT, things, (Relation(RelationName.WITH, 0, 1),), places_for(a, b))


def _colour(rng: random.Random) -> Scene | None:
    if rng.random() < 0.12:
        person = rng.choice(kinds_with("person"))
        two = two_colours(rng, ("red", "blue", "green", "black", "white", "purple", "yellow"))
        if two is None:
            return None
        only = make_thing(rng, person, colour=two[1], hair=two[0])
        return make_scene(rng, RelationKind.COLOUR, (only,), (), (Place.ROOM, *_LAND))
    a, b = _two(rng, _COLOURED, _COLOURED)
    shared = [colour for colour in a.colours if colour in b.colours]
    if a is b or len(shared) < 2:
        return None
    two = two_colours(rng, shared)
    if two is None:
        return None
    first, second = two
    things = (make_thing(rng, a, colour=first, hair=""), make_thing(rng, b, colour=second, hair=""))
    name = rng.choice((RelationName.WITH, RelationName.NEXT_TO))
    return make_scene(rng, RelationKind.COLOUR, things, (Relation(name, 0, 1),), places_for(a, b))


def _place_colour(rng: random.Random) -> Scene | None:
    kind = rng.choice([kind for kind in _COLOURED if kind.can("ground") or kind.can("table")])
    place = Place.TABLE if kind.can("table") else Place.ROOM
    two = two_colours(rng, [c for c in kind.colours if c not in ("black", "brown")])
    if two is None:
        return None
    first, second = two
    things = (make_thing(rng, kind, colour=first, hair=""),)
    return make_scene(rng, RelationKind.PLACE_COLOUR, things, (), (place,), place_colour=second)


def _alone(rng: random.Random) -> Scene | None:
    kind = rng.choice((*_SOLID, *TABLETOP, *FLYERS, *kinds_with("vessel_on_water")))
    thing = make_thing(rng, kind, coloured=0.5, count=rng.choice((1, 1, 2, 3)))
    return make_scene(rng, RelationKind.ALONE, (thing,), (), places_for(kind))


PRODUCTIONS: dict[RelationKind, Production] = {
    RelationKind.SIDE: _side,
    RelationKind.HEIGHT: _height,
    RelationKind.SUPPORT: _support,
    RelationKind.CONTAINER: _container,
    RelationKind.DEPTH: _depth,
    RelationKind.RIDING: _riding,
    RelationKind.HOLDING: _holding,
    RelationKind.SITTING: _sitting,
    RelationKind.FLYING: _flying,
    RelationKind.SIZE: _size,
    RelationKind.COUNT: _count,
    RelationKind.COLOUR: _colour,
    RelationKind.PLACE_COLOUR: _place_colour,
    RelationKind.ALONE: _alone,
}
"""How a scene of each kind is made."""


def sample_group(rng: random.Random, kind: RelationKind, split: Split) -> TwinGroup | None:
    """A group of this kind whose pairs all belong to `split`; None where none was found in some hundred tries."""
    return group_of(rng, PRODUCTIONS[kind], split)


def group_of(rng: random.Random, production: Production, split: Split) -> TwinGroup | None:
    """A group by this production whose pairs all belong to `split`; None where none was found in some hundred tries."""
    for _ in range(_ATTEMPTS):
        scene = production(rng)
        if scene is None or split_of(scene) is not split:
            continue
        twin = twin_of(scene)
        if scene.kind is RelationKind.ALONE:
            return TwinGroup((scene,), scene.kind, split)
        if twin is not None:
            return TwinGroup((scene, twin), scene.kind, split)
    return None
