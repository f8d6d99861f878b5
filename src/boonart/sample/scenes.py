"""The words of the sample gallery: things, how they relate, where they are and how they are painted.

A `Scene` is a small graph. Everything else in this room is a function of it: the sentence that describes it
(`wording`), the scenes that differ from it in the relation alone (`twins`) and the picture (`painting`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Manner(StrEnum):
    """How a scene is painted."""

    REALIST = "realist"
    IMPRESSIONIST = "impressionist"
    ABSTRACT = "abstract"
    STILL_LIFE = "still life"


class Place(StrEnum):
    """Where a scene is set."""

    ROOM = "room"
    STREET = "street"
    FIELD = "field"
    SEA = "sea"
    NIGHT_TOWN = "town at night"
    TOWN = "town"
    STATION = "station"
    TABLE = "table"
    RIVER = "river"
    RIVER_TOWN = "river in a town"
    FOREST = "forest"
    BEACH = "beach"
    GARDEN = "garden"
    MOUNTAINS = "mountains"
    SNOW = "snow"
    SKY = "sky"
    LANDSCAPE = "landscape"


class RelationName(StrEnum):
    """How the first thing of a relation stands to the second."""

    LEFT_OF = "left of"
    RIGHT_OF = "right of"
    ABOVE = "above"
    BELOW = "below"
    ON = "on"
    UNDER = "under"
    IN = "in"
    BEHIND = "behind"
    IN_FRONT_OF = "in front of"
    NEXT_TO = "next to"
    WITH = "with"
    RIDING = "riding"
    HOLDING = "holding"
    SITTING_WITH = "sitting with"
    STANDING_WITH = "standing with"
    FLYING_WITH = "flying with"
    RESTING_WITH = "on the ground with"
    BIGGER_THAN = "bigger than"
    SMALLER_THAN = "smaller than"


class RelationKind(StrEnum):
    """The kinds by which the relation probe reports; a twin group has one."""

    SIDE = "left / right"
    HEIGHT = "above / below"
    SUPPORT = "on / under"
    CONTAINER = "in / next to"
    DEPTH = "behind / in front of"
    RIDING = "riding"
    HOLDING = "holding"
    SITTING = "sitting with"
    FLYING = "flying with"
    SIZE = "bigger / smaller"
    COUNT = "counts"
    COLOUR = "colours"
    PLACE_COLOUR = "colours of thing and place"
    ALONE = "no relation"


class Split(StrEnum):
    """Which part of the work a scene serves."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of thing in a scene.

    Attributes:
        kind: a name out of `kinds.KINDS`.
        colour: a name out of `kinds.COLOURS`, or "" for the thing's natural colours.
        size: "", "big" or "small".
        count: how many of it stand together, 1 to 3.
        look: which of the kind's drawings is used.
        hair: colour of a person's hair, or "".
    """

    kind: str
    colour: str = ""
    size: str = ""
    count: int = 1
    look: int = 0
    hair: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """`things[subject]` stands in relation `name` to `things[object]`."""

    name: RelationName
    subject: int
    object: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene graph, and the seed of everything about the picture that the graph leaves open.

    Attributes:
        relations: between things, by their place in `things`; empty for a thing alone.
        place_colour: colour of a room's walls or of a table's cloth, or "".
        rain: whether it rains.
        seed: fixes composition, light and brushwork; twins share it, so that they differ in the relation alone.
    """

    things: tuple[Thing, ...]
    relations: tuple[Relation, ...]
    place: Place
    manner: Manner
    kind: RelationKind = RelationKind.ALONE
    place_colour: str = ""
    rain: bool = False
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON-serialisable values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Scene:
        """The scene that `to_dict` wrote; KeyError, TypeError or ValueError for anything else."""
        return cls(
            things=tuple(Thing(**thing) for thing in record["things"]),
            relations=tuple(
                Relation(RelationName(r["name"]), int(r["subject"]), int(r["object"])) for r in record["relations"]
            ),
            place=Place(record["place"]),
            manner=Manner(record["manner"]),
            kind=RelationKind(record["kind"]),
            place_colour=record["place_colour"],
            rain=record["rain"],
            seed=record["seed"],
        )


@dataclass(frozen=True, slots=True)
class TwinGroup:
    """Scenes that differ in one relation alone (or a single scene without any).

    Attributes:
        scenes: one or two scenes with the same seed, place and manner.
    """

    scenes: tuple[Scene, ...]
    kind: RelationKind
    split: Split = field(default=Split.TRAIN)


def stable_number(*parts: object) -> int:
    """A 64-bit number that depends on the parts alone, on every machine and in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
