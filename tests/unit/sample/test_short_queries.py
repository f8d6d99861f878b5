from dataclasses import replace

import pytest

from boonart.sample.generation import training_groups
from boonart.sample.scenes import Manner, Place, Relation, RelationKind, RelationName, Scene, Thing
from boonart.sample.short_queries import bare_queries, facts, short_queries

COW_AND_TREE = Scene(
    (Thing("cow", "red"), Thing("tree")),
    (Relation(RelationName.LEFT_OF, 0, 1),),
    Place.FIELD,
    Manner.ABSTRACT,
    RelationKind.SIDE,
    seed=1,
)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene for group in training_groups(5, 400) for scene in group.scenes]


def test_a_scene_shows_what_its_own_queries_ask_for(scenes: list[Scene]) -> None:
    for scene in scenes:
        queries = short_queries(scene)
        assert len(queries) == 3
        for query in queries:
            assert query.asks
            assert query.asks <= facts(scene), query.text


def test_they_are_short_and_always_the_same(scenes: list[Scene]) -> None:
    lengths = [len(query.text.split()) for scene in scenes for query in short_queries(scene)]
    assert min(lengths) == 1
    assert sum(lengths) / len(lengths) < 8
    assert [short_queries(scene) for scene in scenes] == [short_queries(scene) for scene in scenes]


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("red", "red cow"),
        ("tree", "tree"),
        ("field", "place field"),
        ("meadow", "place field"),
        ("abstract", "manner abstract"),
    ],
)
def test_all_that_is_said_is_asked_for(word: str, fact: str) -> None:
    """Words that stand in a text and not in its facts would be held to be true where they are not."""
    queries = [query for seed in range(200) for query in short_queries(replace(COW_AND_TREE, seed=seed))]
    said = [query for query in queries if word in query.text]
    assert said
    assert all(fact in query.asks for query in said)


def test_a_relation_is_asked_for_from_either_side() -> None:
    asked = set()
    for seed in range(200):
        for query in short_queries(replace(COW_AND_TREE, seed=seed)):
            asked |= {fact for fact in query.asks if " of " in fact}
            assert ("left" in query.text) == ("cow left of tree" in query.asks)
            assert ("right" in query.text) == ("tree right of cow" in query.asks)
    assert asked == {"cow left of tree", "tree right of cow"}


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"things": (Thing("cow", "blue"), Thing("tree"))}, "red cow"),
        ({"things": (Thing("cow"), Thing("tree"))}, "red cow"),
        ({"relations": (Relation(RelationName.RIGHT_OF, 0, 1),)}, "cow left of tree"),
        ({"place": Place.ROOM}, "place field"),
        ({"manner": Manner.REALIST}, "manner abstract"),
        ({"things": (Thing("horse", "red"), Thing("tree"))}, "cow"),
    ],
)
def test_another_scene_does_not_show_it(change: dict[str, object], fact: str) -> None:
    assert fact in facts(COW_AND_TREE)
    assert fact not in facts(replace(COW_AND_TREE, **change))


def test_what_cannot_be_told_is_not_held_against_a_scene() -> None:
    """A car as it is drawn may be of any colour, a cow may be brown; a general word is true of the special."""
    shown = facts(replace(COW_AND_TREE, things=(Thing("car"), Thing("cow"), Thing("apple", count=2), Thing("pear"))))
    assert {"red car", "brown cow", "2 fruit", "3 fruit", "several fruit", "natural apple"} <= shown
    assert not {"blue cow", "several pear"} & shown


def test_several_are_also_asked_for_as_people_tag() -> None:
    """ "Still life of flower" is true of three flowers; "a flower" says that there is one."""
    several = replace(COW_AND_TREE, things=(Thing("cow", count=3),), relations=())
    queries = [query for seed in range(200) for query in short_queries(replace(several, seed=seed))]
    bare = [query for query in queries if "cow" in query.text and "cows" not in query.text]
    assert 0 < len(bare) < len(queries) / 3
    for query in bare:
        assert "a cow" not in query.text
        assert "the cow" not in query.text
        assert "several cow" not in query.asks
    assert all("several cow" in query.asks for query in queries if "cows" in query.text.split() and query not in bare)


def test_tags_say_neither_article_nor_number(scenes: list[Scene]) -> None:
    for scene in scenes:
        tags = bare_queries(scene)
        assert len(tags) == 3
        assert all(tag.asks <= facts(scene) for tag in tags)
        assert not any(fact.startswith("several ") for tag in tags for fact in tag.asks)
    assert any(bare_queries(scene)[0].text == scene.things[0].kind for scene in scenes if scene.things[0].count > 1)


def test_who_tags_a_painted_thing_says_its_colour() -> None:
    for seed in range(60):
        painted = replace(COW_AND_TREE, seed=seed)
        natural = replace(painted, things=(Thing("cow"), Thing("tree")))
        assert all("red" in tag.text and "red cow" in tag.asks for tag in bare_queries(painted))
        for tag in bare_queries(natural):
            assert "natural cow" in tag.asks
            assert not tag.asks <= facts(painted)
