import re

import pytest

from boonart.sample.generation import training_groups
from boonart.sample.scenes import Manner, Place, Relation, RelationKind, RelationName, Scene, Thing
from boonart.sample.twins import twin_of
from boonart.sample.wording import noun_phrase, words_for


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Thing("cow"), "a cow"),
        (Thing("apple", size="big"), "a big apple"),
        (Thing("umbrella"), "an umbrella"),
        (Thing("sheep", count=2), "two sheep"),
        (Thing("woman", "orange", hair="red"), "a woman with red hair and an orange coat"),
        (Thing("man", "blue"), "a man in a blue coat"),
        (Thing("box", "red", count=3), "three red boxes"),
    ],
)
def test_noun_phrases(thing: Thing, words: str) -> None:
    assert noun_phrase(thing) == words


def scene(name: RelationName, kind: RelationKind, *things: Thing, seed: int = 1) -> Scene:
    return Scene(things, (Relation(name, 0, 1),), Place.FIELD, Manner.REALIST, kind, seed=seed)


def test_left_and_right_are_worded_from_both_sides_but_never_wrongly() -> None:
    captions: list[str] = []
    for seed in range(20):
        sided = scene(RelationName.LEFT_OF, RelationKind.SIDE, Thing("cow"), Thing("tree"), seed=seed)
        captions += words_for(sided).captions

    for caption in captions:
        cow_first = caption.index("cow") < caption.index("tree")
        assert ("left" in caption) is cow_first
        assert ("right" in caption) is not cow_first
    assert any("right" in caption for caption in captions)


def test_the_same_kind_twice_is_another() -> None:
    boats = scene(RelationName.BEHIND, RelationKind.DEPTH, Thing("boat"), Thing("boat"))

    assert all(re.search(r"boat .*another boat", caption) for caption in words_for(boats).captions)


def test_comparisons_do_not_also_name_the_sizes() -> None:
    compared = scene(
        RelationName.BIGGER_THAN, RelationKind.SIZE, Thing("cow", size="big"), Thing("horse", size="small")
    )

    for caption in words_for(compared).captions:
        assert re.search(r"cow (bigger|larger) than a horse|horse smaller than a cow", caption)


def test_every_scene_has_four_different_sentences_and_its_twin_none_of_them() -> None:
    groups = list(training_groups(11, 300))
    for group in groups:
        captions = words_for(group.scenes[0]).captions
        assert len(captions) == 4
        for caption in captions:
            assert caption[0].isupper()
            assert caption.endswith(".")
            assert not re.search(r"\b[Aa] [aeio]|  |[{}]", caption), caption
        twin = twin_of(group.scenes[0])
        if twin is not None:
            assert not set(captions) & set(words_for(twin).captions)
    assert sum(len(set(words_for(g.scenes[0]).captions)) == 4 for g in groups) > 0.9 * len(groups)
