"""Captions with their roles exchanged: "a dog chases a boy" against "a boy chases a dog".

The rules are few and strict, so that an exchanged caption is a different statement and reads like a sentence: two
noun phrases, each an article or number and a noun of a known list with what lies between, joined by at most five
words that say how the first stands to the second. Joined by "and", "with" or "next to" the exchange would mean the
same, so such captions are left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PEOPLE = (
    "man men woman women boy boys girl girls child children kid kids baby babies toddler person people lady ladies guy "
    "guys couple player players rider biker cyclist surfer skier skateboarder snowboarder climber hiker runner dancer "
    "worker officer team crowd group"
)
_ANIMALS = (
    "dog dogs puppy puppies cat cats horse horses bird birds cow cows sheep duck ducks goat goats elephant bull deer "
    "greyhound greyhounds poodle terrier animal animals"
)
_THINGS = (
    "ball balls frisbee stick bike bicycle motorcycle skateboard surfboard bench chair table car truck bus boat canoe "
    "kayak swing slide fence wall rock rocks tree trees bush log ramp rail hill mountain cliff beach pool puddle lake "
    "river stream ocean wave waves field grass snow sand street road path sidewalk building house bridge stairs steps "
    "tent umbrella hat shirt jacket toy rope kite hoop net trampoline bed couch box bucket camera guitar sign flag "
    "fountain hose statue instrument"
)
NOUNS = _words(f"{_PEOPLE} {_ANIMALS} {_THINGS}")
_DETERMINERS = _words("a an the one two three four five some several his her their its another")
_SAME_BOTH_WAYS = _words("and or with without near by beside next alongside together while as like , . ;")
_ENDS_A_PHRASE = _SAME_BOTH_WAYS | _words(
    "in on at of to from into onto over under above below behind through across around against up down off out "
    "along toward towards past between is are was were has have wearing who that which for inside outside"
)
_LONGEST_JOINT, _LONGEST_PHRASE = 5, 5


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A noun phrase: words `start` to `end` (not included), the noun last."""

    start: int
    end: int


def exchange_roles(caption: str) -> str | None:
    """The caption with its first two noun phrases exchanged, or None where no rule applies."""
    words = re.findall(r"[\w'-]+|[.,;]", caption)
    lowered = [word.lower() for word in words]
    first = _next_phrase(lowered, 0)
    second = _next_phrase(lowered, first.end) if first is not None else None
    if first is None or second is None:
        return None
    joint = lowered[first.end : second.start]
    if not 1 <= len(joint) <= _LONGEST_JOINT or _SAME_BOTH_WAYS.intersection(joint):
        return None
    if joint in (["of"], ["in", "front", "of"]) or _is_plural(lowered, first) != _is_plural(lowered, second):
        return None
    if lowered[first.end - 1].rstrip("s") == lowered[second.end - 1].rstrip("s"):
        return None
    exchanged = (
        words[: first.start]
        + _in_place(words[second.start : second.end], capital=words[first.start][0].isupper())
        + words[first.end : second.start]
        + _in_place(words[first.start : first.end], capital=False)
        + words[second.end :]
    )
    return re.sub(r" ([.,;])", r"\1", " ".join(exchanged))


def _next_phrase(words: list[str], start: int) -> _Phrase | None:
    """The first noun phrase that begins at or after `start`."""
    for begin in range(start, len(words)):
        if words[begin] not in _DETERMINERS:
            continue
        for place in range(begin + 1, min(begin + _LONGEST_PHRASE, len(words))):
            word = words[place]
            if word in _ENDS_A_PHRASE or word in _DETERMINERS:
                break
            following = words[place + 1] if place + 1 < len(words) else "."
            if word in NOUNS and following not in NOUNS:
                return _Phrase(begin, place + 1)
    return None


def _is_plural(words: list[str], phrase: _Phrase) -> bool:
    """As far as the verb after it would tell."""
    article, noun = words[phrase.start], words[phrase.end - 1]
    return article not in {"a", "an", "one", "another"} and (
        noun in {"men", "women", "children", "people"} or noun.endswith("s")
    )


def _in_place(phrase: list[str], *, capital: bool) -> list[str]:
    head = phrase[0][0].upper() if capital else phrase[0][0].lower()
    return [head + phrase[0][1:], *phrase[1:]]
