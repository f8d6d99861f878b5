"""What people type of a scene: a few words, true of more scenes than one, and which scenes they are true of.

A description names everything in its scene. Somebody who searches names one thing, or two, or a manner: "still life
of flower", "a man with a dog". What a query asks for and what a scene shows are sets of facts, short strings such as
"red cow" or "place room"; the query is true of the scenes that show all that it asks for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from boonart.sample.kinds import COLOURS, KINDS
from boonart.sample.scenes import Manner, Place, Relation, RelationName, Scene, Thing, stable_number
from boonart.sample.wording import INVERSE, NUMBERS, RELATION_WORDS, looks_phrase, place_phrase, with_article

_LOOSE = frozenset({RelationName.WITH, RelationName.NEXT_TO})
"""Relations that any two things of a scene are in."""
_ALSO: dict[Place, tuple[Place, ...]] = {
    Place.TOWN: (Place.STREET,),
    Place.STREET: (Place.TOWN,),
    Place.NIGHT_TOWN: (Place.TOWN, Place.STREET),
    Place.RIVER_TOWN: (Place.TOWN, Place.RIVER),
    Place.FIELD: (Place.LANDSCAPE, Place.SKY),
    Place.RIVER: (Place.LANDSCAPE,),
    Place.FOREST: (Place.LANDSCAPE,),
    Place.MOUNTAINS: (Place.LANDSCAPE, Place.SKY),
    Place.SNOW: (Place.LANDSCAPE,),
    Place.BEACH: (Place.SEA, Place.SKY, Place.LANDSCAPE),
    Place.SEA: (Place.SKY,),
    Place.LANDSCAPE: (Place.FIELD, Place.SKY),
}
"""Places that a place may be taken for."""
_COATS_OF_ANIMALS = ("white", "brown", "black", "grey", "orange", "pink", "yellow")
_PLURALS = {"person": "people", "child": "children"}
_SLIPS = 0.1
"""Share of the texts that are typed in a hurry."""
_OF_COLOURS = 0.7
"""Share of coloured things that are called by their colour."""
_BARE = 0.4
"""Share of several things that, without article or number, are asked for as people tag: "still life of flower"."""
_UNSLIPPED = frozenset({"a", "an", "the", "of", "in", "on", "and", "with", "to", "person", "child", *KINDS})
"""Words that stay: the smallest, and those that an "s" would make mean several."""
_MANNERS: dict[Manner, tuple[str, ...]] = {
    Manner.REALIST: ("painting of {x}", "a picture of {x}"),
    Manner.IMPRESSIONIST: ("impressionist painting of {x}", "impression painting of {x}", "{x}, impressionist"),
    Manner.ABSTRACT: ("abstract painting of {x}", "an abstract painting of {x}", "{x}, abstract"),
    Manner.STILL_LIFE: ("still life of {x}", "a still life with {x}", "still life with {x}"),
}


@dataclass(frozen=True, slots=True)
class ShortQuery:
    """A few words.

    Attributes:
        asks: facts that a scene must show for the words to be true of it.
    """

    text: str
    asks: frozenset[str]


def facts(scene: Scene) -> frozenset[str]:
    """All that a short query may ask for and that the scene shows, or may be taken to show."""
    found = {
        f"manner {scene.manner}",
        f"place {scene.place}",
        *(f"place {place}" for place in _ALSO.get(scene.place, ())),
    }
    if scene.place_colour:
        found.add(f"place {scene.place_colour}")
    if scene.rain:
        found.add("rain")
    counts: dict[str, int] = {}
    for thing in scene.things:
        for name in _names(thing):
            counts[name] = counts.get(name, 0) + thing.count
            found |= {name, f"{thing.count} {name}", *(f"{colour} {name}" for colour in _colours(thing))}
            if thing.size:
                found.add(f"{thing.size} {name}")
            if thing.hair:
                found.add(f"{thing.hair}-haired {name}")
    found |= {f"{count} {name}" for name, count in counts.items()}
    found |= {f"several {name}" for name, count in counts.items() if count > 1}
    for relation in scene.relations:
        first, second = scene.things[relation.subject], scene.things[relation.object]
        for a in _names(first):
            for b in _names(second):
                found.add(f"{a} {relation.name} {b}")
                if relation.name in INVERSE:
                    found.add(f"{b} {INVERSE[relation.name]} {a}")
    return frozenset(found)


def short_queries(scene: Scene) -> tuple[ShortQuery, ...]:
    """Three queries that are true of the scene: of one thing, of what it does with another, and of the manner."""
    rng = random.Random(stable_number("short", scene.seed))
    if not scene.things:
        return ()
    queries = (
        _query(rng, scene, _one_thing(rng, scene)),
        _query(rng, scene, _two_things(rng, scene)),
        _in_manner(rng, scene, _query(rng, scene, (_one_thing if rng.random() < 0.5 else _two_things)(rng, scene))),
    )
    return tuple(replace(query, text=_slip(rng, query.text)) for query in queries)


def bare_queries(scene: Scene) -> tuple[ShortQuery, ...]:
    """Three that tag the scene's first thing, however many there are: "rose", and twice "still life of rose"."""
    rng = random.Random(stable_number("bare", scene.seed))
    if not scene.things:
        return ()
    said = [_phrase(rng, replace(scene.things[0], count=1), "", of_colours=1.0)[0] for _ in range(3)]
    return (said[0], *(_in_manner(rng, scene, query) for query in said[1:]))


def _query(rng: random.Random, scene: Scene, said: ShortQuery) -> ShortQuery:
    """With the place or the rain, or without."""
    if scene.rain and rng.random() < 0.5:
        return ShortQuery(f"{said.text} in the rain", said.asks | {"rain"})
    if rng.random() < 0.6 or (not scene.place_colour and scene.place is Place.TABLE):
        return said
    asks = {f"place {scene.place}", *([f"place {scene.place_colour}"] if scene.place_colour else [])}
    return ShortQuery(f"{said.text} {place_phrase(scene, rng.randrange(4))}", said.asks | asks)


def _in_manner(rng: random.Random, scene: Scene, said: ShortQuery) -> ShortQuery:
    words = rng.choice(_MANNERS[scene.manner])
    asks = said.asks if scene.manner is Manner.REALIST else said.asks | {f"manner {scene.manner}"}
    return ShortQuery(words.format(x=said.text), asks)


def _one_thing(rng: random.Random, scene: Scene) -> ShortQuery:
    return _phrase(rng, rng.choice(scene.things), rng.choice(("", "a", "the")))[0]


def _two_things(rng: random.Random, scene: Scene) -> ShortQuery:
    if len(scene.things) < 2:
        return _one_thing(rng, scene)
    article = rng.choice(("", "a", "a", "the"))
    relation = rng.choice(scene.relations) if scene.relations else Relation(RelationName.WITH, 0, 1)
    first, second, name = relation.subject, relation.object, relation.name
    if name in INVERSE and rng.random() < 0.3:
        first, second, name = second, first, INVERSE[name]
    (a, named_a), (b, named_b) = (_phrase(rng, scene.things[place], article) for place in (first, second))
    if scene.things[first] == scene.things[second] and scene.things[first].count == 1:
        b, named_b = _another(rng, named_a), named_a
    asks = a.asks | b.asks
    if name in _LOOSE or rng.random() < 0.25:
        return ShortQuery(f"{a.text} {rng.choice(('and', 'with'))} {b.text}", asks)
    told = ShortQuery(f"{a.text} {rng.choice(RELATION_WORDS[name])} {b.text}", asks | {f"{named_a} {name} {named_b}"})
    third = next((place for place in range(len(scene.things)) if place not in (first, second)), None)
    return told if third is None or rng.random() < 0.5 else _and_a_third(rng, scene, told, third, second, named_b)


def _and_a_third(rng: random.Random, scene: Scene, told: ShortQuery, third: int, second: int, named: str) -> ShortQuery:
    """The two, and one more that is with them; `named` is what the second was called."""
    if scene.things[third] == scene.things[second]:
        other = _another(rng, named)
    else:
        other = _phrase(rng, scene.things[third], rng.choice(("", "a")))[0]
    return ShortQuery(f"{told.text} {rng.choice(('and', 'with'))} {other.text}", told.asks | other.asks)


def _another(rng: random.Random, name: str) -> ShortQuery:
    """The second of two that are alike; what it asks for beside the first."""
    return ShortQuery(rng.choice((f"another {name}", f"another {name}", "another")), frozenset({f"several {name}"}))


def _slip(rng: random.Random, text: str) -> str:
    """What fingers make of it: an "s" too many at one word, now and then."""
    if rng.random() >= _SLIPS:
        return text
    words = text.split()
    place = rng.randrange(len(words))
    if words[place] not in _UNSLIPPED and not words[place].endswith("s"):
        words[place] += "s"
    return " ".join(words)


def _phrase(
    rng: random.Random, thing: Thing, article: str, *, of_colours: float = _OF_COLOURS
) -> tuple[ShortQuery, str]:
    """The thing in some words, and the name that it is called by; a colour is said with this probability."""
    kind = KINDS[thing.kind]
    name = rng.choice((kind.name, kind.name, kind.name, *kind.is_a))
    person, coloured = kind.can("person"), bool(thing.colour) and rng.random() < of_colours
    asks = {name}
    if not thing.colour and kind.colours and not person:
        asks.add(f"natural {name}")  # who wants a red cow says so
    words, hair, coat = [], "", ""
    if thing.size and rng.random() < 0.7:
        words.append(thing.size)
        asks.add(f"{thing.size} {name}")
    if coloured:
        asks.add(f"{thing.colour} {name}")
        if person:
            coat = thing.colour
        else:
            words.append(thing.colour)
    if thing.hair and rng.random() < 0.7:
        asks.add(f"{thing.hair}-haired {name}")
        hair = thing.hair
    bare = thing.count > 1 and not article and rng.random() < _BARE
    if thing.count > 1 and not bare:
        asks.add(f"several {name}")
        words.append(_PLURALS.get(name) or (KINDS[name].plural_name if name in KINDS else f"{name}s"))
        if article == "a":
            words.insert(0, NUMBERS[thing.count])
            asks.add(f"{thing.count} {name}")
    else:
        words.append(name)
        if article == "a":
            words = [with_article(" ".join(words))]
    text = " ".join((["the"] if article == "the" else []) + words) + looks_phrase(hair, coat)
    return ShortQuery(text, frozenset(asks)), name


def _names(thing: Thing) -> tuple[str, ...]:
    return (thing.kind, *KINDS[thing.kind].is_a)


def _colours(thing: Thing) -> Iterator[str]:
    """Colours that the thing has or may be seen to have; "natural" for one that nobody has painted."""
    if thing.colour:
        yield thing.colour
        return
    yield "natural"
    kind = KINDS[thing.kind]
    yield from _COATS_OF_ANIMALS if kind.can("animal") and kind.colours else COLOURS
