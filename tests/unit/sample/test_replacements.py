from __future__ import annotations

from dataclasses import replace

import pytest

from boonart.sample.grammar import are_alike
from boonart.sample.kinds import KINDS
from boonart.sample.replacements import replacement_groups
from boonart.sample.scenes import Scene
from boonart.sample.wording import words_for


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Scene, Scene]]:
    return [(first, second) for first, second in (group.scenes for group in replacement_groups(0, 600))]


def test_they_differ_in_one_kind_of_thing_or_in_its_colour(pairs: list[tuple[Scene, Scene]]) -> None:
    colours = kinds = 0
    for first, second in pairs:
        assert replace(second, things=first.things) == first
        changes = {(a, b) for a, b in zip(first.things, second.things, strict=True) if a != b}
        assert len(changes) == 1
        before, after = changes.pop()
        if before.kind == after.kind:
            colours += 1
            assert replace(after, colour=before.colour) == before
            assert after.colour != first.place_colour
            assert not are_alike(before.colour, after.colour)
        else:
            kinds += 1
            assert KINDS[before.kind].tags == KINDS[after.kind].tags
            assert after.look < len(KINDS[after.kind].looks)
            assert not after.colour or after.colour in KINDS[after.kind].colours
    assert min(colours, kinds) > 60


def test_both_are_worded_otherwise(pairs: list[tuple[Scene, Scene]]) -> None:
    for first, second in pairs[:60]:
        assert words_for(first).captions[0] != words_for(second).captions[0]
