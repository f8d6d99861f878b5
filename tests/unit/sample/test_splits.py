from boonart.sample.gallery import exhibits
from boonart.sample.generation import training_groups
from boonart.sample.grammar import PRODUCTIONS
from boonart.sample.scenes import Manner, RelationKind, Split
from boonart.sample.splits import Pair, pair_of, pairs_of, split_of_pair


def pairs_in_gallery(split: Split) -> set[Pair]:
    return {pair for exhibit in exhibits() if exhibit.split is split for pair in pairs_of(exhibit.scene)}


def test_pairs_have_no_order() -> None:
    assert pair_of("tree", "cow") == pair_of("cow", "tree")


def test_no_pair_of_the_gallerys_test_split_occurs_in_train_or_dev() -> None:
    test, train, dev = (pairs_in_gallery(split) for split in (Split.TEST, Split.TRAIN, Split.DEV))

    assert len(test) > 60
    assert not test & train
    assert not test & dev
    assert not train & dev


def test_generated_training_scenes_hold_no_pair_of_the_test_split() -> None:
    trained = {pair for group in training_groups(1, 3000) for scene in group.scenes for pair in pairs_of(scene)}

    assert len(trained) > 800
    assert {split_of_pair(pair) for pair in trained} == {Split.TRAIN}
    assert not trained & pairs_in_gallery(Split.TEST)


def test_the_paper_s_own_pairs_are_kept_for_the_test() -> None:
    for pair in (("cow", "room"), ("dog", "man"), ("bird", "table"), ("boat", "boat")):
        assert split_of_pair(pair) is Split.TEST


def test_every_manner_and_every_kind_of_relation_occurs_in_the_test_split() -> None:
    test = [exhibit.scene for exhibit in exhibits() if exhibit.split is Split.TEST]

    assert {scene.manner for scene in test} == set(Manner)
    assert {scene.kind for scene in test} == set(PRODUCTIONS)
    for kind in set(PRODUCTIONS) - {RelationKind.ALONE}:
        assert sum(scene.kind is kind for scene in test) >= 12
