"""Which pairs of things may be seen in training, and which are kept for dev and test.

A pair is unordered and is made of two kinds of thing, or, where the thing's relation is to the place itself, of a
kind and the place. A scene belongs to a split only if all its pairs do.
"""

from __future__ import annotations

from itertools import combinations

from boonart.sample.scenes import RelationKind, Scene, Split, stable_number

Pair = tuple[str, str]

# The pairs of the paper's Table I are always test pairs.
_TABLE_I_PAIRS: frozenset[Pair] = frozenset(
    {
        ("cow", "room"),
        ("airplane", "airplane"),
        ("dog", "man"),
        ("town", "train"),
        ("horse", "man"),
        ("horse", "horse"),
        ("dog", "dog"),
        ("car", "street"),
        ("car", "house"),
        ("horse", "tree"),
        ("landscape", "ruin"),
        ("bird", "table"),
        ("boat", "boat"),
        ("street", "woman"),
        ("field", "sheep"),
        ("flower", "table"),
        ("cat", "chair"),
        ("fruit", "table"),
        ("fruit", "teapot"),
        ("table", "teapot"),
        ("flower", "vase"),
        ("room", "woman"),
    }
)
_TEST_SHARE, _DEV_SHARE = 0.18, 0.10


def pair_of(a: str, b: str) -> Pair:
    """The unordered pair."""
    return (a, b) if a <= b else (b, a)


def split_of_pair(pair: Pair) -> Split:
    """The split that a pair is kept for: fixed by its names, the same everywhere."""
    if pair in _TABLE_I_PAIRS:
        return Split.TEST
    share = stable_number("pairs of things", *pair) % 10_000 / 10_000
    if share < _TEST_SHARE:
        return Split.TEST
    return Split.DEV if share < _TEST_SHARE + _DEV_SHARE else Split.TRAIN


def pairs_of(scene: Scene) -> frozenset[Pair]:
    """All pairs that the scene relates."""
    kinds = [thing.kind for thing in scene.things]
    pairs = {pair_of(a, b) for a, b in combinations(kinds, 2)}
    if not scene.relations or scene.kind is RelationKind.PLACE_COLOUR:
        pairs |= {pair_of(kind, scene.place.value) for kind in kinds}
    return frozenset(pairs)


def split_of(scene: Scene) -> Split | None:
    """The scene's split, or None where its pairs belong to different ones."""
    splits = {split_of_pair(pair) for pair in pairs_of(scene)}
    if not splits:
        return Split.TEST
    return splits.pop() if len(splits) == 1 else None
