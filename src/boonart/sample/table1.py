"""The 20 queries of the BoonArt paper's Table I, and which scenes satisfy them.

A query that names no colour where the table has a sibling that does ("a cow in the room", "a red cow in the room")
asks for the thing in its natural colours; elsewhere any colour will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from boonart.sample.kinds import KINDS
from boonart.sample.scenes import Manner, Place, RelationName, Scene, Thing

_TOWNS = (Place.TOWN, Place.NIGHT_TOWN, Place.RIVER_TOWN)
_NOT_LANDSCAPES = (Place.ROOM, Place.TABLE, Place.STATION, Place.STREET, *_TOWNS)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """One query of Table I.

    Attributes:
        number: 1 to 20, as in the paper.
        text: the paper's own words.
        satisfied_by: whether a scene shows what the query asks for.
    """

    number: int
    text: str
    satisfied_by: Callable[[Scene], bool]


def _is(thing: Thing, word: str) -> bool:
    return thing.kind == word or word in KINDS[thing.kind].is_a


def _have(scene: Scene, word: str, colour: str | None = None) -> list[Thing]:
    """The scene's things that answer to the word; "" asks for natural colours, None for any."""
    return [t for t in scene.things if _is(t, word) and colour in (None, t.colour)]


def _number(things: list[Thing]) -> int:
    return sum(thing.count for thing in things)


def _related(scene: Scene, name: RelationName, subject: str, target: str) -> bool:
    return any(
        relation.name is name
        and _is(scene.things[relation.subject], subject)
        and _is(scene.things[relation.object], target)
        for relation in scene.relations
    )


def _flower_is_yellow(thing: Thing) -> bool:
    # The first drawing of a "flower" is a yellow one, as sunflowers are.
    by_nature = thing.kind == "sunflower" or (thing.kind == "flower" and thing.look == 0)
    return thing.colour == "yellow" or (not thing.colour and by_nature)


def _in(manner: Manner, test: Callable[[Scene], bool]) -> Callable[[Scene], bool]:
    return lambda scene: scene.manner is manner and test(scene)


_IMPRESSION, _ABSTRACT, _STILL = Manner.IMPRESSIONIST, Manner.ABSTRACT, Manner.STILL_LIFE

TABLE_I: tuple[TableQuery, ...] = (
    TableQuery(1, "a cow in the room", lambda s: s.place is Place.ROOM and bool(_have(s, "cow", ""))),
    TableQuery(2, "a red cow in the room", lambda s: s.place is Place.ROOM and bool(_have(s, "cow", "red"))),
    TableQuery(
        3,
        "airplane flying with another airplane",
        lambda s: _related(s, RelationName.FLYING_WITH, "airplane", "airplane"),
    ),
    TableQuery(4, "a man sitting with his dog", lambda s: _related(s, RelationName.SITTING_WITH, "man", "dog")),
    TableQuery(5, "train in the town", lambda s: s.place in _TOWNS and bool(_have(s, "train"))),
    TableQuery(
        6,
        "a man riding a horse with another horse",
        lambda s: _related(s, RelationName.RIDING, "man", "horse") and _number(_have(s, "horse")) >= 2,
    ),
    TableQuery(
        7,
        "a brown dog with a white dog",
        lambda s: bool(_have(s, "dog", "brown")) and bool(_have(s, "dog", "white")),
    ),
    TableQuery(8, "white car on the street", lambda s: s.place is Place.STREET and bool(_have(s, "car", "white"))),
    TableQuery(
        9,
        "impression painting of river in a town",
        _in(_IMPRESSION, lambda s: s.place is Place.RIVER_TOWN),
    ),
    TableQuery(
        10,
        "impression painting of sheep in the rain",
        _in(_IMPRESSION, lambda s: s.rain and bool(_have(s, "sheep"))),
    ),
    TableQuery(
        11,
        "impression painting of trees and horse",
        _in(_IMPRESSION, lambda s: _number(_have(s, "tree")) >= 2 and bool(_have(s, "horse"))),
    ),
    TableQuery(
        12,
        "impression painting of ruin in the landscape",
        _in(_IMPRESSION, lambda s: s.place not in _NOT_LANDSCAPES and bool(_have(s, "ruin"))),
    ),
    TableQuery(
        13,
        "abstract painting of bird on the table",
        _in(_ABSTRACT, lambda s: _related(s, RelationName.ON, "bird", "table")),
    ),
    TableQuery(
        14,
        "abstract painting of a boat behinds another",
        _in(
            _ABSTRACT,
            lambda s: (
                _related(s, RelationName.BEHIND, "boat", "boat")
                or _related(s, RelationName.IN_FRONT_OF, "boat", "boat")
            ),
        ),
    ),
    TableQuery(
        15,
        "abstract painting of a person with red hair",
        _in(_ABSTRACT, lambda s: any(thing.hair == "red" for thing in s.things)),
    ),
    TableQuery(
        16,
        "abstract painting of a town in the dark night",
        _in(_ABSTRACT, lambda s: s.place is Place.NIGHT_TOWN),
    ),
    TableQuery(
        17,
        "still life of flower",
        _in(_STILL, lambda s: any(not _flower_is_yellow(t) for t in _have(s, "flower", ""))),
    ),
    TableQuery(
        18,
        "still life of yellow flower",
        _in(_STILL, lambda s: any(_flower_is_yellow(t) for t in _have(s, "flower"))),
    ),
    TableQuery(
        19,
        "still life of cat on the chair",
        _in(_STILL, lambda s: _related(s, RelationName.ON, "cat", "chair")),
    ),
    TableQuery(
        20,
        "still life of fruits on the blue tablecloth",
        _in(
            _STILL,
            lambda s: s.place is Place.TABLE and s.place_colour == "blue" and _number(_have(s, "fruit")) >= 2,
        ),
    ),
)
"""All 20, in the paper's order and spelling."""


def satisfied_queries(scene: Scene) -> tuple[int, ...]:
    """Numbers of the Table I queries that the scene satisfies."""
    return tuple(query.number for query in TABLE_I if query.satisfied_by(scene))
