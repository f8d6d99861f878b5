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


def commissioned(seed: int) -> dict[int, Scene]:
    """The scene for each query's number; every scene satisfies its own query."""
    name, kind, place = RelationName, RelationKind, Place
    scenes = {
        1: Scene((Thing("cow"),), (), place.ROOM, _REAL),
        2: Scene((Thing("cow", "red"),), (), place.ROOM, _REAL, kind.PLACE_COLOUR, "blue"),
        3: Scene((Thing("airplane"), Thing("airplane")), _one(name.FLYING_WITH), place.FIELD, _REAL, kind.FLYING),
        4: Scene((Thing("man"), Thing("dog")), _one(name.SITTING_WITH), place.GARDEN, _REAL, kind.SITTING),
        5: Scene((Thing("train"),), (), place.TOWN, _REAL),
        6: Scene(
            (Thing("man", look=1), Thing("horse"), Thing("horse")),
            (Relation(name.RIDING, 0, 1), Relation(name.WITH, 0, 2)),
            place.FIELD,
            _REAL,
            kind.RIDING,
        ),
        7: Scene(
            (Thing("dog", "brown"), Thing("dog", "white")),
            _one(name.WITH),
            place.ROOM,
            _REAL,
            kind.COLOUR,
            "green",
        ),
        8: Scene(
            (Thing("car", "white"), Thing("house", "red")),
            _one(name.NEXT_TO),
            place.STREET,
            _REAL,
            kind.COLOUR,
        ),
        9: Scene((), (), place.RIVER_TOWN, _IMPRESSION),
        10: Scene((Thing("sheep", count=3),), (), place.FIELD, _IMPRESSION, rain=True),
        11: Scene(
            (Thing("tree", count=2), Thing("horse")),
            _one(name.WITH),
            place.LANDSCAPE,
            _IMPRESSION,
            kind.COUNT,
        ),
        12: Scene((Thing("ruin"),), (), place.LANDSCAPE, _IMPRESSION),
        13: Scene((Thing("bird"), Thing("table")), _one(name.ON), place.ROOM, _ABSTRACT, kind.SUPPORT),
        14: Scene((Thing("boat"), Thing("boat")), _one(name.BEHIND), place.SEA, _ABSTRACT, kind.DEPTH),
        15: Scene((Thing("woman", "blue", hair="red"),), (), place.ROOM, _ABSTRACT, kind.COLOUR),
        16: Scene((), (), place.NIGHT_TOWN, _ABSTRACT),
        17: Scene((Thing("flower", look=1, count=3),), (), place.TABLE, _STILL),
        18: Scene(
            (Thing("flower", "yellow", look=2), Thing("vase", "blue", look=2)),
            _one(name.NEXT_TO),
            place.TABLE,
            _STILL,
            kind.COLOUR,
        ),
        19: Scene((Thing("cat"), Thing("chair")), _one(name.ON), place.ROOM, _STILL, kind.SUPPORT),
        20: Scene(
            (Thing("fruit", count=3), Thing("teapot", "white")),
            _one(name.WITH),
            place.TABLE,
            _STILL,
            kind.PLACE_COLOUR,
            "blue",
        ),
    }
    return {number: _seeded(scene, seed, number) for number, scene in scenes.items()}


def _seeded(scene: Scene, seed: int, number: int) -> Scene:
    record = scene.to_dict() | {"seed": stable_number("commission", seed, number) % 2**48}
    return Scene.from_dict(record)
