"""What holds for every kind of further training scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from boonart.sample.companions import companion_groups
from boonart.sample.replacements import replacement_groups
from boonart.sample.scenes import Split, TwinGroup
from boonart.sample.splits import split_of

Generate = Callable[..., Iterator[TwinGroup]]
each = pytest.mark.parametrize("generate", [companion_groups, replacement_groups])


@each
@pytest.mark.parametrize("split", list(Split))
def test_pairs_stay_in_their_split(generate: Generate, split: Split) -> None:
    """The boats of Table I are a pair of the test split: no training scene shows two boats."""
    for group in generate(0, 60, split):
        assert all(split_of(scene) is split for scene in group.scenes)


@each
def test_the_same_seed_gives_the_same_scenes(generate: Generate) -> None:
    first, again, other = (list(generate(seed, 40)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
