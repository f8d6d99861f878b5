from __future__ import annotations

from dataclasses import replace

import pytest

from boonart.sample.kinds import KINDS
from boonart.sample.scenes import Scene, Split
from boonart.sample.short_queries import facts
from boonart.sample.splits import split_of
from boonart.sample.tagged import tagged_groups, tags


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Scene, Scene]]:
    return [(first, second) for first, second in (group.scenes for group in tagged_groups(0, 600))]


def test_one_is_as_it_is_and_the_other_painted(pairs: list[tuple[Scene, Scene]]) -> None:
    for first, second in pairs:
        assert replace(second, things=first.things, relations=()) == first
        (thing,), painted = first.things, second.things[0]
        assert not thing.colour
        assert painted.colour in KINDS[painted.kind].colours
        assert painted.colour != first.place_colour
        assert (painted.kind, painted.look) == (thing.kind, thing.look)
    several = sum(first.things[0].count > 1 for first, _ in pairs)
    beside = sum(len(second.things) > 1 for _, second in pairs)
    assert len(pairs) / 3 < several < len(pairs)
    assert len(pairs) / 10 < beside < len(pairs) / 2


def test_a_coloured_thing_is_not_what_is_asked_for_without_a_colour(pairs: list[tuple[Scene, Scene]]) -> None:
    asked = 0
    for first, second in pairs:
        for query in tags(first):
            assert query.asks <= facts(first), query.text
            asked += 1
            # Beside a blue rose may stand a flower as it is.
            assert len(second.things) > 1 or not query.asks <= facts(second), query.text
        assert all(query.asks <= facts(second) for query in tags(second))
    assert asked > 1000


def test_no_pair_of_things_of_another_split_occurs(pairs: list[tuple[Scene, Scene]]) -> None:
    assert {split_of(scene) for pair in pairs for scene in pair} == {Split.TRAIN}
    dev = [scene for group in tagged_groups(0, 60, Split.DEV) for scene in group.scenes]
    assert {split_of(scene) for scene in dev} == {Split.DEV}


def test_they_are_the_same_each_time() -> None:
    assert list(tagged_groups(3, 40)) == list(tagged_groups(3, 40))
    assert list(tagged_groups(3, 40)) != list(tagged_groups(4, 40))
