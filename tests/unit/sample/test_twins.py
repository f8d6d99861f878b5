from dataclasses import replace

import pytest

from boonart.sample.generation import training_groups
from boonart.sample.scenes import Manner, Place, Relation, RelationKind, RelationName, Scene, Split, Thing
from boonart.sample.twins import twin_of

COW, TREE, MAN, HORSE = Thing("cow"), Thing("tree"), Thing("man"), Thing("horse")


def scene(kind: RelationKind, name: RelationName, *things: Thing, **changes: str) -> Scene:
    made = Scene(things, (Relation(name, 0, 1),), Place.FIELD, Manner.REALIST, kind, seed=5)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_roles_are_exchanged_left_and_right() -> None:
    twin = twin_of(scene(RelationKind.SIDE, RelationName.LEFT_OF, COW, TREE))

    assert twin is not None
    assert twin.relations == (Relation(RelationName.LEFT_OF, 1, 0),)
    assert twin.things == (COW, TREE)


@pytest.mark.parametrize(
    ("kind", "name", "things", "expected"),
    [
        (RelationKind.SUPPORT, RelationName.ON, (Thing("cat"), Thing("chair")), RelationName.UNDER),
        (RelationKind.SUPPORT, RelationName.UNDER, (Thing("cat"), Thing("table")), RelationName.ON),
        (RelationKind.SUPPORT, RelationName.ON, (Thing("cat"), Thing("car")), RelationName.NEXT_TO),
        (RelationKind.RIDING, RelationName.RIDING, (MAN, HORSE), RelationName.NEXT_TO),
        (RelationKind.HOLDING, RelationName.HOLDING, (MAN, Thing("rose")), RelationName.NEXT_TO),
        (RelationKind.SITTING, RelationName.SITTING_WITH, (MAN, Thing("dog")), RelationName.STANDING_WITH),
        (RelationKind.CONTAINER, RelationName.IN, (Thing("cat"), Thing("basket")), RelationName.NEXT_TO),
        (RelationKind.DEPTH, RelationName.BEHIND, (Thing("boat"), Thing("boat")), RelationName.NEXT_TO),
    ],
)
def test_relations_are_replaced_by_their_opposite(
    kind: RelationKind, name: RelationName, things: tuple[Thing, ...], expected: RelationName
) -> None:
    twin = twin_of(scene(kind, name, *things))

    assert twin is not None
    assert twin.relations[0].name is expected
    assert twin.things == things


def test_colours_sizes_and_counts_change_hands() -> None:
    colours = twin_of(scene(RelationKind.COLOUR, RelationName.WITH, Thing("cow", "red"), Thing("dog", "blue")))
    sizes = twin_of(
        scene(RelationKind.SIZE, RelationName.BIGGER_THAN, Thing("cow", size="big"), Thing("dog", size="small"))
    )
    counts = twin_of(scene(RelationKind.COUNT, RelationName.WITH, Thing("cow", count=2), Thing("dog", count=3)))

    assert colours is not None
    assert [thing.colour for thing in colours.things] == ["blue", "red"]
    assert sizes is not None
    assert [thing.size for thing in sizes.things] == ["small", "big"]
    assert sizes.relations[0].name is RelationName.SMALLER_THAN
    assert counts is not None
    assert [thing.count for thing in counts.things] == [3, 2]


def test_a_red_cow_in_a_blue_room_becomes_a_blue_cow_in_a_red_room() -> None:
    room = Scene((Thing("cow", "red"),), (), Place.ROOM, Manner.REALIST, RelationKind.PLACE_COLOUR, "blue", seed=5)

    assert twin_of(room) == replace(room, things=(Thing("cow", "blue"),), place_colour="red")


def test_what_one_person_holds_the_other_holds_in_the_twin() -> None:
    relations = (Relation(RelationName.HOLDING, 0, 1), Relation(RelationName.NEXT_TO, 0, 2))
    things = (MAN, Thing("rose"), Thing("woman"))
    twin = twin_of(Scene(things, relations, Place.FIELD, Manner.REALIST, RelationKind.HOLDING))

    assert twin is not None
    assert twin.relations == (Relation(RelationName.HOLDING, 2, 1), Relation(RelationName.NEXT_TO, 2, 0))


def test_a_thing_alone_has_no_twin() -> None:
    assert twin_of(Scene((COW,), (), Place.FIELD, Manner.REALIST)) is None


@pytest.mark.parametrize("split", list(Split))
def test_twins_share_everything_but_the_relation(split: Split) -> None:
    groups = [group for group in training_groups(17, 300, split) if group.kind is not RelationKind.ALONE]
    for group in groups:
        first, twin = group.scenes
        assert first != twin
        assert (first.seed, first.place, first.manner, first.rain, first.kind) == (
            twin.seed,
            twin.place,
            twin.manner,
            twin.rain,
            twin.kind,
        )
        assert [(t.kind, t.look) for t in first.things] == [(t.kind, t.look) for t in twin.things]
    assert {group.kind for group in groups} == set(RelationKind) - {RelationKind.ALONE}
