"""Scenes without end for training: the same grammar as the gallery, none of the pairs kept for the test."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from boonart.sample.grammar import PRODUCTIONS, sample_group
from boonart.sample.painting import render
from boonart.sample.scenes import RelationKind, Scene, Split, TwinGroup, stable_number
from boonart.sample.twins import twin_of
from boonart.sample.wording import words_for
from boonart.works import UInt8Array

# Relations make up most of the supply; a thing alone teaches what it looks like.
_WEIGHTS = {RelationKind.ALONE: 0.6, RelationKind.FLYING: 0.5, RelationKind.SIDE: 1.3}


@dataclass(frozen=True, slots=True)
class TrainingScene:
    """A generated picture with its sentences.

    Attributes:
        pixels: (H, W, 3) uint8.
        captions: four true sentences: the description and three other wordings.
        swapped: the same sentences about the twin, false here; empty for a scene without a twin.
        group: number of the twin group; members of a group follow each other.
        kind: kind of relation of the group.
    """

    pixels: UInt8Array
    captions: tuple[str, ...]
    swapped: tuple[str, ...]
    group: int
    kind: RelationKind
    scene: Scene


def training_groups(seed: int, count: int, split: Split = Split.TRAIN) -> Iterator[TwinGroup]:
    """Groups of scenes, unpainted, until they hold `count` scenes. Cheap: thousands a second.

    Args:
        split: pairs of this split alone occur.
    """

    def draw(rng: random.Random) -> TwinGroup | None:
        return sample_group(rng, choose_kind(rng), split)

    return supply("supply", seed, count, split, draw)


def choose_kind(rng: random.Random) -> RelationKind:
    """A kind of relation, each as often as it is of use."""
    kinds = list(PRODUCTIONS)
    return rng.choices(kinds, [_WEIGHTS.get(kind, 1.0) for kind in kinds])[0]


def supply(
    name: str, seed: int, count: int, split: Split, draw: Callable[[random.Random], TwinGroup | None]
) -> Iterator[TwinGroup]:
    """Groups as `draw` makes them, each by a random generator of its own, until they hold `count` scenes.

    Args:
        name: of the supply, so that two with one seed are not alike.
    """
    made = number = 0
    while made < count:
        group = draw(random.Random(stable_number(name, seed, split, number)))
        number += 1
        if group is not None:
            made += len(group.scenes)
            yield group


def paint_scene(scene: Scene, group: int) -> TrainingScene:
    """Render one scene and word it. Pure: safe to call in any process."""
    twin = twin_of(scene)
    return TrainingScene(
        render(scene),
        words_for(scene).captions,
        words_for(twin).captions if twin is not None else (),
        group,
        scene.kind,
        scene,
    )


def training_scenes(seed: int, count: int, split: Split = Split.TRAIN) -> Iterator[TrainingScene]:
    """Painted scenes with their sentences, about `count` of them (a last twin is not left out).

    Members of a twin group are adjacent: same background, things and brushwork, the relation exchanged, so they are
    hard negatives in picture and in text. To spread the painting over processes, map `paint_scene` over
    `training_groups`.
    """
    for number, group in enumerate(training_groups(seed, count, split)):
        for scene in group.scenes:
            yield paint_scene(scene, number)
