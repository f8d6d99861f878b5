"""Sentences for scenes: a title, a description and three other wordings.

Every choice hangs on the scene's seed, so twins are worded alike and differ in the exchanged words alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from boonart.sample.kinds import KINDS
from boonart.sample.scenes import Manner, Place, RelationName, Scene, Thing, stable_number

NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}

RELATION_WORDS: dict[RelationName, tuple[str, ...]] = {
    RelationName.LEFT_OF: ("to the left of", "left of", "on the left side of", "to the left of"),
    RelationName.RIGHT_OF: ("to the right of", "right of", "on the right side of", "to the right of"),
    RelationName.ABOVE: ("above", "over", "high above", "above"),
    RelationName.BELOW: ("below", "beneath", "underneath", "below"),
    RelationName.ON: ("on", "on top of", "upon", "on"),
    RelationName.UNDER: ("under", "underneath", "beneath", "under"),
    RelationName.IN: ("in", "inside", "within", "in"),
    RelationName.BEHIND: ("behind", "partly hidden behind", "standing behind", "behind"),
    RelationName.IN_FRONT_OF: ("in front of", "standing in front of", "before", "in front of"),
    RelationName.NEXT_TO: ("next to", "beside", "by the side of", "next to"),
    RelationName.WITH: ("with", "together with", "and", "with"),
    RelationName.RIDING: ("riding", "riding on", "on the back of", "riding"),
    RelationName.HOLDING: ("holding", "holding up", "carrying", "holding"),
    RelationName.SITTING_WITH: ("sitting with", "sitting beside", "seated with", "sitting with"),
    RelationName.STANDING_WITH: ("standing with", "standing beside", "on foot with", "standing with"),
    RelationName.FLYING_WITH: ("flying with", "flying together with", "flying beside", "flying with"),
    RelationName.RESTING_WITH: (
        "on the ground with",
        "standing on the ground with",
        "on the ground beside",
        "on the ground with",
    ),
    RelationName.BIGGER_THAN: ("bigger than", "larger than", "bigger than", "bigger than"),
    RelationName.SMALLER_THAN: ("smaller than", "smaller than", "smaller than", "smaller than"),
}
INVERSE = {
    RelationName.LEFT_OF: RelationName.RIGHT_OF,
    RelationName.RIGHT_OF: RelationName.LEFT_OF,
    RelationName.ABOVE: RelationName.BELOW,
    RelationName.BELOW: RelationName.ABOVE,
    RelationName.BEHIND: RelationName.IN_FRONT_OF,
    RelationName.IN_FRONT_OF: RelationName.BEHIND,
    RelationName.BIGGER_THAN: RelationName.SMALLER_THAN,
    RelationName.SMALLER_THAN: RelationName.BIGGER_THAN,
    RelationName.WITH: RelationName.WITH,
    RelationName.NEXT_TO: RelationName.NEXT_TO,
}
_COMPARISONS = (RelationName.BIGGER_THAN, RelationName.SMALLER_THAN)
_BIG = ("big", "large", "huge", "big")
_SMALL = ("small", "little", "tiny", "small")

_PLACE_WORDS: dict[Place, tuple[str, ...]] = {
    Place.ROOM: ("in a {c}room", "in a room with {c}walls", "indoors, in a {c}room", "in the {c}room"),
    Place.STREET: ("on a street", "in the street", "on a street between houses", "on the street"),
    Place.FIELD: ("in a field", "in a green field", "in the meadow", "in the field"),
    Place.SEA: ("on the sea", "at sea", "on the open water", "on the sea"),
    Place.NIGHT_TOWN: ("in a town at night", "in the dark town", "at night in a town", "in a town in the dark night"),
    Place.TOWN: ("in a town", "in the town", "among the houses of a town", "in the town"),
    Place.STATION: ("at a station", "in a railway station", "on the platform of a station", "in a station"),
    Place.TABLE: ("on a {c}tablecloth", "on a table with a {c}cloth", "on the {c}tablecloth", "on a {c}tablecloth"),
    Place.RIVER: ("by a river", "on the bank of a river", "beside the river", "by the river"),
    Place.RIVER_TOWN: (
        "by the river in a town",
        "on a river in a town",
        "by a river between houses",
        "by the river in the town",
    ),
    Place.FOREST: ("in a forest", "in the woods", "among the trunks of a forest", "in the forest"),
    Place.BEACH: ("on a beach", "at the seaside", "on the sand by the sea", "on the beach"),
    Place.GARDEN: ("in a garden", "in a garden in bloom", "in the garden", "in the garden"),
    Place.MOUNTAINS: (
        "in the mountains",
        "before high mountains",
        "in a valley under the mountains",
        "in the mountains",
    ),
    Place.SNOW: ("in the snow", "on a snowy day", "in a winter landscape", "in the snow"),
    Place.SKY: ("in the sky", "high in the sky", "among the clouds", "in the sky"),
    Place.LANDSCAPE: ("in the landscape", "in a wide landscape", "in hilly country", "in the landscape"),
}
_BARE_PLACE = {
    Place.RIVER_TOWN: (
        "a river in a town",
        "a river running through a town",
        "houses of a town along a river",
        "river in a town",
    ),
    Place.NIGHT_TOWN: (
        "a town in the dark night",
        "a dark town at night",
        "the houses of a town by night",
        "a town in the dark night",
    ),
}
_BARE_TABLE = ("on a table", "on a wooden table", "on the bare wood of a table", "on the table")
_MANNER_WORDS: dict[Manner, tuple[str, ...]] = {
    Manner.REALIST: ("a painting of {x}", "{x}", "{x}", "a painting of {x}"),
    Manner.IMPRESSIONIST: (
        "an impressionist painting of {x}",
        "{x}, painted in impressionist strokes",
        "{x}",
        "impression painting of {x}",
    ),
    Manner.ABSTRACT: (
        "an abstract painting of {x}",
        "{x}, in abstract planes",
        "{x}",
        "abstract painting of {x}",
    ),
    Manner.STILL_LIFE: (
        "a still life of {x}",
        "a still life with {x}",
        "{x}",
        "still life of {x}",
    ),
}


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said of a scene.

    Attributes:
        title: short, as a label beside the frame.
        description: one natural sentence.
        others: three further wordings of the same.
    """

    title: str
    description: str
    others: tuple[str, str, str]

    @property
    def captions(self) -> tuple[str, ...]:
        """Description and other wordings: four sentences."""
        return (self.description, *self.others)


def words_for(scene: Scene) -> Wording:
    """Title, description and three other wordings of `scene`."""
    rng = random.Random(stable_number("wording", scene.seed))
    order = [0, 1, 2, 3]
    rng.shuffle(order)
    inverse_at = rng.randrange(1, 4)
    sentences = []
    for place, variant in enumerate(order):
        body = _body(scene, variant, inverse=place == inverse_at)
        sentences.append(_sentence(_MANNER_WORDS[scene.manner][order[place - 1]].format(x=body)))
    title = _title(_body(scene, 0, inverse=False, with_place=rng.random() < 0.5))
    return Wording(title, sentences[0], (sentences[1], sentences[2], sentences[3]))


def noun_phrase(thing: Thing, variant: int = 0, *, article: str = "a") -> str:
    """Such as "a big red cow", "two sheep", "a woman with red hair"."""
    kind = KINDS[thing.kind]
    size = {"": "", "big": _BIG[variant], "small": _SMALL[variant]}[thing.size]
    colour = "" if kind.can("person") else thing.colour
    name = kind.name if thing.count == 1 else kind.plural_name
    words = " ".join(word for word in (size, colour, name) if word)
    words += looks_phrase(thing.hair, thing.colour if kind.can("person") else "")
    if thing.count > 1:
        return f"{NUMBERS[thing.count]} {words}"
    return with_article(words) if article == "a" else f"{article} {words}"


def looks_phrase(hair: str, coat: str) -> str:
    """Such as " with red hair and a blue coat", of the two colours or one; "" of none."""
    parts = []
    if hair:
        parts.append(f"{hair} hair")
    if coat:
        parts.append(with_article(f"{coat} coat"))
    return (" with " if hair else " in ") + " and ".join(parts) if parts else ""


def _body(scene: Scene, variant: int, *, inverse: bool, with_place: bool = True) -> str:
    place = place_phrase(scene, variant) if with_place or not scene.things else ""
    rain = (" in the rain", " on a rainy day", " while it rains", " in the rain")[variant] if scene.rain else ""
    if not scene.things:
        return _BARE_PLACE[scene.place][variant] + rain
    if scene.rain and not scene.relations:
        place = ""
    return f"{_things_phrase(scene, variant, inverse)}{rain} {place}".strip()


def _things_phrase(scene: Scene, variant: int, inverse: bool) -> str:
    things = scene.things
    if scene.relations and scene.relations[0].name in _COMPARISONS:
        things = tuple(replace(thing, size="") for thing in things)
    if not scene.relations:
        return _listed([noun_phrase(thing, variant) for thing in things])
    relation = scene.relations[0]
    first, second, name = relation.subject, relation.object, relation.name
    if inverse and name in INVERSE:
        first, second, name = second, first, INVERSE[name]
    phrase = (
        f"{noun_phrase(things[first], variant)} {RELATION_WORDS[name][variant]} "
        f"{_second_phrase(things, first, second, variant)}"
    )
    for other in scene.relations[1:]:
        joined = _second_phrase(things, first, other.object, variant, others=(second,))
        phrase += f" {RELATION_WORDS[other.name][variant]} {joined}"
    return phrase


def _second_phrase(things: Sequence[Thing], first: int, second: int, variant: int, others: tuple[int, ...] = ()) -> str:
    """The second thing, as "another" where the same kind was named before without telling it apart."""
    thing = things[second]
    for index in (first, *others):
        if things[index] == thing and thing.count == 1:
            return noun_phrase(thing, variant, article="another")
    return noun_phrase(thing, variant)


def place_phrase(scene: Scene, variant: int) -> str:
    """Where the scene is; a table without a coloured cloth is bare wood."""
    if not scene.place_colour:
        phrase = (_BARE_TABLE if scene.place is Place.TABLE else _PLACE_WORDS[scene.place])[variant]
        return phrase.format(c="").replace("a room with walls", "a room")
    phrase = _PLACE_WORDS[scene.place][variant].format(c=f"{scene.place_colour} ")
    return phrase.replace("a orange", "an orange")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def with_article(words: str) -> str:
    """Such as "an orange cat"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _title(text: str) -> str:
    for article in ("a ", "an ", "the "):
        if text.startswith(article):
            text = text.removeprefix(article)
            break
    return text[0].upper() + text[1:]
