from itertools import groupby

from boonart.sample.generation import training_groups, training_scenes
from boonart.sample.kinds import KINDS
from boonart.sample.scenes import Place, RelationKind, Split


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others() -> None:
    first = [group.scenes for group in training_groups(1, 50)]

    assert first == [group.scenes for group in training_groups(1, 50)]
    assert first != [group.scenes for group in training_groups(2, 50)]


def test_the_grammar_is_rich() -> None:
    scenes = [scene for group in training_groups(5, 4000) for scene in group.scenes]

    assert len({thing.kind for scene in scenes for thing in scene.things}) >= 90
    assert len({scene.place for scene in scenes}) >= len(Place) - 1
    assert {scene.kind for scene in scenes} == set(RelationKind)
    assert len(KINDS) >= 90


def test_painted_scenes_come_in_groups_with_the_twins_sentences_as_swapped() -> None:
    made = list(training_scenes(3, 6))

    assert len(made) >= 6
    for _, members in groupby(made, key=lambda scene: scene.group):
        group = list(members)
        for scene in group:
            assert scene.pixels.shape[2] == 3
            assert len(scene.captions) == 4
        if len(group) == 2:
            assert group[0].swapped == group[1].captions
            assert group[1].swapped == group[0].captions
            assert (group[0].pixels != group[1].pixels).any()
        else:
            assert group[0].kind is RelationKind.ALONE
            assert group[0].swapped == ()


def test_test_scenes_can_be_drawn_too() -> None:
    assert all(group.split is Split.TEST for group in training_groups(1, 40, Split.TEST))
