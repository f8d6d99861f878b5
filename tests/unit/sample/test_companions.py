from __future__ import annotations

import pytest

from boonart.sample.companions import companion_groups
from boonart.sample.scenes import Place, RelationKind, Scene
from boonart.sample.short_queries import short_queries
from boonart.sample.twins import twin_of


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene for group in companion_groups(0, 600) for scene in group.scenes]


def test_they_are_of_two_of_a_kind_or_on_a_cloth(scenes: list[Scene]) -> None:
    for scene in scenes:
        kinds = [thing.kind for thing in scene.things]
        assert len(set(kinds)) < len(kinds) or scene.place is Place.TABLE


@pytest.mark.parametrize(
    "kind",
    [RelationKind.DEPTH, RelationKind.FLYING, RelationKind.RIDING, RelationKind.COLOUR, RelationKind.PLACE_COLOUR],
)
def test_each_kind_of_relation_is_there_with_its_twin(kind: RelationKind) -> None:
    groups = [group for group in companion_groups(0, 600) if group.kind is kind]
    assert len(groups) > 20
    assert all(twin_of(first) == second for first, second in (group.scenes for group in groups))


def test_two_that_are_alike_are_asked_for_as_another(scenes: list[Scene]) -> None:
    texts = [query for scene in scenes for query in short_queries(scene) if "another" in query.text]
    assert any("behind another" in query.text for query in texts)
    assert any(query.text.endswith("another") for query in texts)
    assert all(any(fact.startswith("several ") for fact in query.asks) for query in texts)


def test_a_third_is_asked_for_too(scenes: list[Scene]) -> None:
    riding = [scene for scene in scenes if scene.kind is RelationKind.RIDING]
    texts = [query.text for scene in riding for query in short_queries(scene)]
    assert any("riding" in text and "another" in text for text in texts)
