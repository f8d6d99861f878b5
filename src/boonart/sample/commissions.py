"""The pictures that the gallery owes to Table I: one scene for each query, composed by hand."""

from __future__ import annotations

from boonart.sample.scenes import (
    Manner,
    Place,
    Relation,
    RelationKind,
    RelationName,
    Scene,
    Thing,
    stable_number,
)

_REAL, _IMPRESSION = Manner.REALIST, Manner.IMPRESSIONIST
_ABSTRACT, _STILL = Manner.ABSTRACT, Manner.STILL_LIFE


def _one(name: RelationName) -> tuple[Relation, ...]:
    return (Relation(name, 0, 1),)


_SCENES: dict[int, Scene] = {
    1: Scene((Thing("cow"),), (), Place.ROOM, _REAL),
    2: Scene((Thing("cow", "red"),), (), Place.ROOM, _REAL, RelationKind.PLACE_COLOUR, "blue"),
    3: Scene(
        (Thing("airplane"), Thing("airplane")), _one(RelationName.FLYING_WITH), Place.FIELD, _REAL, RelationKind.FLYING
    ),
    4: Scene((Thing("man"), Thing("dog")), _one(RelationName.SITTING_WITH), Place.GARDEN, _REAL, RelationKind.SITTING),
    5: Scene((Thing("train"),), (), Place.TOWN, _REAL),
    6: Scene(
        (Thing("man", look=1), Thing("horse"), Thing("horse")),
        (Relation(RelationName.RIDING, 0, 1), Relation(RelationName.WITH, 0, 2)),
        Place.FIELD,
        _REAL,
        RelationKind.RIDING,
    ),
    7: Scene(
        (Thing("dog", "brown"), Thing("dog", "white")),
        _one(RelationName.WITH),
        Place.ROOM,
        _REAL,
        RelationKind.COLOUR,
        "green",
    ),
    8: Scene(
        (Thing("car", "white"), Thing("house", "red")),
        _one(RelationName.NEXT_TO),
        Place.STREET,
        _REAL,
        RelationKind.COLOUR,
    ),
    9: Scene((), (), Place.RIVER_TOWN, _IMPRESSION),
    10: Scene((Thing("sheep", count=3),), (), Place.FIELD, _IMPRESSION, rain=True),
    11: Scene(
        (Thing("tree", count=2), Thing("horse")),
        _one(RelationName.WITH),
        Place.LANDSCAPE,
        _IMPRESSION,
        RelationKind.COUNT,
    ),
    12: Scene((Thing("ruin"),), (), Place.LANDSCAPE, _IMPRESSION),
    13: Scene((Thing("bird"), Thing("table")), _one(RelationName.ON), Place.ROOM, _ABSTRACT, RelationKind.SUPPORT),
    14: Scene((Thing("boat"), Thing("boat")), _one(RelationName.BEHIND), Place.SEA, _ABSTRACT, RelationKind.DEPTH),
    15: Scene((Thing("woman", "blue", hair="red"),), (), Place.ROOM, _ABSTRACT, RelationKind.COLOUR),
    16: Scene((), (), Place.NIGHT_TOWN, _ABSTRACT),
    17: Scene((Thing("flower", look=1, count=3),), (), Place.TABLE, _STILL),
    18: Scene(
        (Thing("flower", "yellow", look=2), Thing("vase", "blue", look=2)),
        _one(RelationName.NEXT_TO),
        Place.TABLE,
        _STILL,
        RelationKind.COLOUR,
    ),
    19: Scene((Thing("cat"), Thing("chair")), _one(RelationName.ON), Place.ROOM, _STILL, RelationKind.SUPPORT),
    20: Scene(
        (Thing("fruit", count=3), Thing("teapot", "white")),
        _one(RelationName.WITH),
        Place.TABLE,
        _STILL,
        RelationKind.PLACE_COLOUR,
        "blue",
    ),
}


def commissioned(seed: int) -> dict[int, Scene]:
    """The scene for each query's number; every scene satisfies its own query."""
    return {number: _seeded(scene, seed, number) for number, scene in _SCENES.items()}


def _seeded(scene: Scene, seed: int, number: int) -> Scene:
    record = scene.to_dict() | {"seed": stable_number("commission", seed, number) % 2**48}
    return Scene.from_dict(record)
