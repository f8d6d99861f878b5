from dataclasses import replace

import numpy as np
import pytest

from boonart.errors import SourceError
from boonart.sample.generation import training_groups
from boonart.sample.kinds import KINDS
from boonart.sample.layout import Item, arrange
from boonart.sample.painting import LONGEST_SIDE, render, size_of
from boonart.sample.places import paint_place
from boonart.sample.scenes import (
    Manner,
    Place,
    Relation,
    RelationKind,
    RelationName,
    Scene,
    Thing,
)
from boonart.sample.sprites import _drawing, sprite
from boonart.sample.twins import twin_of

COW_LEFT_OF_TREE = Scene(
    (Thing("cow"), Thing("tree")),
    (Relation(RelationName.LEFT_OF, 0, 1),),
    Place.FIELD,
    Manner.REALIST,
    RelationKind.SIDE,
    seed=41,
)


def middles(scene: Scene) -> dict[str, tuple[float, float]]:
    return {item.thing.kind: (item.x, item.base - item.height / 2) for item in arrange(scene, 0.75)}


def related(name: RelationName, kind: RelationKind, *things: str) -> Scene:
    return replace(
        COW_LEFT_OF_TREE,
        things=tuple(map(Thing, things)),
        relations=(Relation(name, 0, 1),),
        kind=kind,
    )


@pytest.mark.parametrize("manner", list(Manner))
def test_the_same_scene_gives_the_same_pixels(manner: Manner) -> None:
    scene = replace(COW_LEFT_OF_TREE, manner=manner)
    pixels = render(scene)

    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert max(pixels.shape[:2]) == LONGEST_SIDE
    assert pixels.std() > 20
    np.testing.assert_array_equal(pixels, render(scene))
    assert (pixels != render(replace(scene, seed=42))[: pixels.shape[0], : pixels.shape[1]]).any()


@pytest.mark.parametrize("place", list(Place))
def test_every_place_can_be_painted_alone_and_in_the_rain(place: Place) -> None:
    empty = Scene((), (), place, Manner.IMPRESSIONIST, seed=3, rain=True)

    assert render(empty).std() > 10
    assert arrange(empty, 0.75) == []


def test_left_is_left_and_its_twin_is_mirrored() -> None:
    twin = twin_of(COW_LEFT_OF_TREE)
    assert twin is not None

    assert middles(COW_LEFT_OF_TREE)["cow"][0] < 0.5 < middles(COW_LEFT_OF_TREE)["tree"][0]
    assert middles(twin)["tree"][0] < 0.5 < middles(twin)["cow"][0]


@pytest.mark.parametrize(
    ("name", "higher", "lower"),
    [
        (RelationName.ON, "cat", "table"),
        (RelationName.UNDER, "table", "cat"),
    ],
)
def test_on_is_higher_and_under_is_lower(name: RelationName, higher: str, lower: str) -> None:
    at = middles(related(name, RelationKind.SUPPORT, "cat", "table"))

    assert at[higher][1] < at[lower][1]


def test_above_is_higher_whichever_way_it_is_said() -> None:
    above = middles(related(RelationName.ABOVE, RelationKind.HEIGHT, "bird", "kite"))
    below = middles(related(RelationName.BELOW, RelationKind.HEIGHT, "bird", "kite"))

    assert above["bird"][1] < above["kite"][1]
    assert below["kite"][1] < below["bird"][1]


def test_what_is_in_front_is_painted_last_and_hides_part_of_the_other() -> None:
    far, near = arrange(related(RelationName.BEHIND, RelationKind.DEPTH, "car", "house"), 0.75)

    assert (far.thing.kind, near.thing.kind) == ("car", "house")
    assert _overlap(far, near) > 0.05
    assert near.base > far.base


def _overlap(a: Item, b: Item) -> float:
    """Shared width of two items over the width of the narrower."""
    halves = [item.height * item.aspect() * 0.75 / 2 for item in (a, b)]
    shared = min(a.x + halves[0], b.x + halves[1]) - max(a.x - halves[0], b.x - halves[1])
    return shared / (2 * min(halves))


def test_everything_that_counts_stands_within_the_picture() -> None:
    for group in training_groups(23, 160):
        for scene in group.scenes:
            width, height = size_of(scene)
            items = arrange(scene, height / width)
            assert len({item.thing for item in items}) == len(set(scene.things))
            for item in items:
                half = item.height * item.aspect() * height / width / 2
                assert item.x - half > -0.12, scene
                assert item.x + half < 1.12, scene
                assert item.base - item.height > -0.08, scene
                assert item.base < 1.04, scene


def test_as_many_are_painted_as_the_count_says() -> None:
    scene = Scene((Thing("sheep", count=3),), (), Place.FIELD, Manner.REALIST, seed=1)

    assert len(arrange(scene, 0.75)) == 3


def test_twins_have_the_same_background() -> None:
    twin = twin_of(COW_LEFT_OF_TREE)
    assert twin is not None

    size = size_of(COW_LEFT_OF_TREE)
    assert size == size_of(twin)
    np.testing.assert_array_equal(paint_place(COW_LEFT_OF_TREE, size), paint_place(twin, size))


@pytest.mark.parametrize(("colour", "strongest"), [("red", 0), ("blue", 2), ("green", 1)])
@pytest.mark.parametrize("kind", ["cow", "dog", "car", "flower", "vase"])
def test_a_coloured_thing_is_of_that_colour(kind: str, colour: str, strongest: int) -> None:
    pixels = np.asarray(sprite(kind, 0, colour, "", "stand"), dtype=float)
    solid = pixels[pixels[..., 3] > 200][:, :3]
    share = (solid.argmax(axis=1) == strongest).mean()
    plain = np.asarray(sprite(kind, 0, "white", "", "stand"), dtype=float)
    white = plain[plain[..., 3] > 200][:, :3]

    assert share > 0.4
    assert solid[:, strongest].mean() > np.delete(solid, strongest, axis=1).mean() + 15
    assert np.ptp(white, axis=1).mean() < np.ptp(solid, axis=1).mean()


def test_every_drawing_takes_the_colours_of_its_kind() -> None:
    for kind in KINDS.values():
        for look in range(len(kind.looks)) if kind.colours else ():
            first, second = (
                np.asarray(sprite(kind.name, look, colour, "", "stand"), dtype=int) for colour in kind.colours[:2]
            )
            solid = first[..., 3] > 200
            changed = (np.abs(first - second).max(axis=-1) > 30)[solid].mean()
            assert changed > 0.08, (kind.name, look)


def test_a_seated_figure_is_lower_than_a_standing_one_and_children_are_rounder() -> None:
    standing, seated = sprite("man", 0, "", "", "stand"), sprite("man", 0, "", "", "sit")
    child = sprite("boy", 0, "", "", "stand")

    assert seated.height / seated.width < standing.height / standing.width
    assert child.height / child.width < standing.height / standing.width


def test_a_missing_drawing_is_named() -> None:
    with pytest.raises(SourceError, match="noto/unicorn"):
        _drawing("noto/unicorn")
