"""Where the things of a scene stand in the picture, and in which order they are painted.

Positions are shares of the picture: x from the left, y from the top. Random numbers hang on the scene's seed
alone, never on the relation, so that twins differ in the exchanged places alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from boonart.sample.kinds import KINDS
from boonart.sample.places import ground_of
from boonart.sample.scenes import Manner, Place, RelationName, Scene, Thing, stable_number
from boonart.sample.sprites import sprite_of

_SIZES = {"": 1.0, "big": 1.42, "small": 0.66}
_GAP = 0.03


@dataclass(frozen=True, slots=True)
class Item:
    """One drawing in the picture.

    Attributes:
        x: middle, share of the width.
        base: lower edge, share of the height.
        height: share of the picture's height.
        pose: "stand", "sit" or "ride".
        shadow: strength of the shadow under it, 0 for none.
        part: "whole", or "front" for the front part of a vessel, painted over what is inside.
    """

    thing: Thing
    x: float
    base: float
    height: float
    look: int
    flip: bool = False
    pose: str = "stand"
    shadow: float = 1.0
    part: str = "whole"

    def aspect(self) -> float:
        """Width over height of the drawing."""
        image = sprite_of(self.thing, self.pose, self.look)
        return image.width / image.height


@dataclass(frozen=True, slots=True)
class Stage:
    """The room there is to arrange things in.

    Attributes:
        ratio: height over width of the picture.
        ground: y of the line where things in the middle stand.
        jitter: random numbers of the scene, the same for its twins.
    """

    scene: Scene
    ratio: float
    ground: float
    jitter: tuple[float, ...]

    def item(self, index: int, *, scale: float = 1.0, pose: str = "stand") -> Item:
        """Thing `index` at its natural size, not yet placed."""
        thing = self.scene.things[index]
        height = KINDS[thing.kind].height * _SIZES[thing.size] * scale
        flip = self.jitter[index] > 0.5 and not KINDS[thing.kind].can("person")
        return Item(thing, 0.5, self.ground, height, thing.look, flip, pose)

    def width(self, item: Item) -> float:
        """Width of an item as a share of the picture's width."""
        return item.height * item.aspect() * self.ratio


def arrange(scene: Scene, ratio: float) -> list[Item]:
    """The drawings of the scene in painting order, the farthest first.

    Args:
        ratio: height over width of the picture.
    """
    rng = random.Random(stable_number("layout", scene.seed))
    stage = Stage(scene, ratio, ground_of(scene.place), tuple(rng.random() for _ in range(12)))
    if not scene.things:
        return []
    if not scene.relations:
        return _row(stage, [[stage.item(i, scale=1.25)] for i in range(len(scene.things))])
    return _ARRANGERS[scene.relations[0].name](stage)


# --- helpers ---------------------------------------------------------------------------------------------


def _copies(stage: Stage, item: Item) -> list[Item]:
    """The thing as often as its count says, side by side and a little staggered, around x = 0."""
    count = item.thing.count
    mixed = KINDS[item.thing.kind].can("mixed")
    if count == 1:
        return [replace(item, x=0.0)]
    item = replace(item, height=item.height * (0.8 if count == 2 else 0.68))
    width = stage.width(item)
    step = width * (0.86 if count == 2 else 0.8)
    copies = []
    for i in range(count):
        look = item.look + i if mixed else item.look
        x = (i - (count - 1) / 2) * step
        copies.append(replace(item, x=x, look=look, base=item.base + 0.03 * ((i + 1) % 2)))
    return sorted(copies, key=lambda c: c.base)


def _extent(stage: Stage, group: Sequence[Item]) -> tuple[float, float]:
    return (
        min(item.x - stage.width(item) / 2 for item in group),
        max(item.x + stage.width(item) / 2 for item in group),
    )


def _shift(group: Sequence[Item], dx: float, dy: float = 0.0) -> list[Item]:
    return [replace(item, x=item.x + dx, base=item.base + dy) for item in group]


def _scale(group: Sequence[Item], factor: float) -> list[Item]:
    return [replace(item, x=item.x * factor, height=item.height * factor) for item in group]


def _row(stage: Stage, groups: list[list[Item]], order: Sequence[int] | None = None) -> list[Item]:
    """Groups from left to right, as large as fits, on the ground (or afloat in the sky)."""
    parts = [[c for item in group for c in (_copies(stage, item) if item.x == 0.5 else [item])] for group in groups]
    order = order if order is not None else range(len(parts))
    widths = [_extent(stage, part) for part in parts]
    total = sum(right - left for left, right in widths) + _GAP * (len(parts) + 1)
    room = 2.1 if stage.scene.place is Place.TABLE else 1.3
    factor = min(room, 0.90 / total)
    tallest = max(item.height for part in parts for item in part)
    factor = min(factor, (stage.ground - 0.04) / tallest, 0.60 / tallest)
    parts = [_scale(part, factor) for part in parts]
    widths = [_extent(stage, part) for part in parts]
    free = 1.0 - sum(right - left for left, right in widths)
    gap = free / (len(parts) + 1)
    placed: list[Item] = []
    x = 0.0
    for position, index in enumerate(order):
        left, right = widths[index]
        lean = (stage.jitter[4 + position] - 0.5) * gap * 0.6
        x += gap
        drop = (stage.jitter[7 + position] - 0.5) * 0.05
        placed += _shift(parts[index], x - left + lean, drop)
        x += right - left
    return sorted(_lifted(stage, placed), key=lambda item: item.base)


def _lifted(stage: Stage, items: list[Item]) -> list[Item]:
    """Flying things off the ground."""
    lifted = []
    for item in items:
        if KINDS[item.thing.kind].can("flyer"):
            item = replace(item, base=max(item.base - 0.3, item.height + 0.05), shadow=0.0)
        lifted.append(item)
    return lifted


def _fit(stage: Stage, item: Item, height: float, width: float = 0.9) -> Item:
    """The item at this height, or smaller if it would be wider than `width`."""
    item = replace(item, height=height)
    return replace(item, height=height * min(1.0, width / stage.width(item)))


# --- one arranger for each relation ----------------------------------------------------------------------


def _side(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    order = [relation.subject, relation.object]
    if relation.name is RelationName.RIGHT_OF:
        order.reverse()
    return _row(stage, [[stage.item(0)], [stage.item(1)]], order)


def _beside(stage: Stage) -> list[Item]:
    """Side by side; which one is left is the seed's choice."""
    groups = [[stage.item(i)] for i in range(len(stage.scene.things))]
    order = list(range(len(groups)))
    if stage.jitter[3] > 0.5:
        order.reverse()
    return _row(stage, groups, order)


def _above(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    upper, lower = relation.subject, relation.object
    if relation.name is RelationName.BELOW:
        upper, lower = lower, upper
    placed = []
    for index, base in ((upper, 0.46), (lower, 0.94)):
        item = stage.item(index)
        item = _fit(stage, item, min(max(item.height * 1.2, 0.3), 0.4), 0.5)
        lean = 0.5 + (stage.jitter[4] - 0.5) * 0.4 + (stage.jitter[5 + index] - 0.5) * 0.1
        placed.append(replace(item, x=lean, base=base - (0.4 - item.height) / 2, shadow=0.0))
    return placed


def _support(stage: Stage) -> list[Item]:
    """On or under something that carries."""
    relation = stage.scene.relations[0]
    below = stage.item(relation.object)
    kind = KINDS[below.thing.kind]
    below = _fit(stage, below, {"chair": 0.62, "table": 0.42, "bench": 0.40}.get(kind.name, 0.44), 0.8)
    below = replace(below, x=0.5 + (stage.jitter[4] - 0.5) * 0.2, base=min(stage.ground + 0.06, 0.96))
    seat = {"chair": 0.50, "table": 0.72, "bench": 0.40, "bed": 0.62, "cow": 0.8}.get(kind.name, 0.97)
    if relation.name is RelationName.ON:
        thing = _fit(stage, stage.item(relation.subject), 0.36, 0.5)
        base = below.base - below.height * seat + (0.05 if kind.name == "table" else 0.02)
        lean = (stage.jitter[5] - 0.5) * (0.3 if kind.name in ("table", "bench") else 0.02)
        top = replace(thing, x=below.x + lean * stage.width(below), base=base, shadow=0.5)
        return [below, replace(top, height=min(top.height, base - 0.03))]
    room = below.height * {"chair": 0.40, "table": 0.62, "bench": 0.30}.get(kind.name, 0.5)
    thing = _fit(stage, stage.item(relation.subject), max(room, 0.22), 0.4)
    under = replace(thing, x=below.x, base=below.base + 0.015)
    return [under, below] if kind.name == "table" and stage.scene.manner is Manner.ABSTRACT else [below, under]


def _inside(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    vessel = stage.item(relation.object)
    tall = KINDS[vessel.thing.kind].name in ("vase", "bottle")
    vessel = _fit(stage, vessel, 0.46 if not tall else 0.5, 0.62)
    vessel = replace(vessel, x=0.5 + (stage.jitter[4] - 0.5) * 0.3, base=min(stage.ground + 0.07, 0.95))
    inner = _fit(stage, stage.item(relation.subject), 0.40, stage.width(vessel) * (0.9 if tall else 0.66))
    rim = vessel.base - vessel.height * (0.92 if tall else 0.6)
    base = rim + inner.height * (0.2 if tall else 0.38)
    inner = replace(inner, x=vessel.x, base=base, shadow=0.0)
    return [vessel, inner, replace(vessel, part="front", shadow=0.0)]


def _depth(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    far, near = relation.subject, relation.object
    if relation.name is RelationName.IN_FRONT_OF:
        far, near = near, far
    side = 1 if stage.jitter[4] > 0.5 else -1
    front = stage.item(near)
    front = _fit(stage, front, min(max(front.height * 1.35, 0.42), 0.62), 0.62)
    back = stage.item(far)
    back = _fit(stage, back, min(max(back.height * 1.35, 0.42), 0.62), 0.62)
    centre = 0.5 - side * 0.08
    front = replace(front, x=centre, base=min(stage.ground + 0.14, 0.97))
    reach = stage.width(front) * 0.28 + stage.width(back) * 0.3
    x = min(max(centre + side * reach, stage.width(back) / 2), 1 - stage.width(back) / 2)
    back = replace(back, x=x, base=max(stage.ground - 0.08, back.height + 0.02))
    return [back, front]


def _riding(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    mount = stage.item(relation.object)
    third = [r.object for r in stage.scene.relations[1:]]
    mount = _fit(stage, mount, 0.5, 0.46 if third else 0.7)
    shift = -0.22 if third else (stage.jitter[4] - 0.5) * 0.3
    mount = replace(mount, x=0.5 + shift, base=min(stage.ground + 0.09, 0.96))
    machine = KINDS[mount.thing.kind].can("machine")
    rider = stage.item(relation.subject, pose="ride")
    child = KINDS[rider.thing.kind].can("child")
    rider = replace(_fit(stage, rider, mount.height * (0.78 if child else 0.92), 0.4), x=mount.x, shadow=0.0)
    seat = mount.base - mount.height * (0.52 if machine else 0.62)
    rider = replace(rider, base=seat + rider.height * 0.40, flip=mount.flip)
    rider = replace(rider, base=max(rider.base, rider.height + 0.01))
    items = [mount, rider]
    for index in third:
        other = _fit(stage, stage.item(index), 0.44, 0.40)
        items.insert(0, replace(other, x=0.77, base=min(stage.ground + 0.05, 0.94)))
    return items


def _holding(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    others = [r.object for r in stage.scene.relations[1:]]
    people = sorted([relation.subject, *others])
    placed = []
    for slot, index in enumerate(people):
        person = _fit(
            stage, stage.item(index), 0.72 * (0.8 if KINDS[stage.scene.things[index].kind].can("child") else 1), 0.3
        )
        x = 0.5 if len(people) == 1 else 0.26 + 0.46 * slot
        placed.append(replace(person, x=x, base=min(stage.ground + 0.13, 0.97)))
    holder = placed[people.index(relation.subject)]
    held = _fit(stage, stage.item(relation.object), 0.27, 0.22)
    grip = holder.base - holder.height * 0.52
    side = 1 if stage.jitter[5] > 0.5 else -1
    x = holder.x + side * (stage.width(holder) * 0.42 + stage.width(held) * 0.28)
    rise = held.height * (
        0.2 if held.thing.kind in ("umbrella", "balloon", "kite", "rose", "tulip", "sunflower") else 0.5
    )
    return [*placed, replace(held, x=x, base=grip + rise, shadow=0.0)]


def _sitting(stage: Stage) -> list[Item]:
    relation = stage.scene.relations[0]
    sits = relation.name is RelationName.SITTING_WITH
    person = stage.item(relation.subject, pose="sit" if sits else "stand")
    person = _fit(stage, person, 0.56 if sits else 0.70, 0.5)
    other = stage.item(relation.object)
    natural = max(other.height * 1.35, 0.26)
    other = _fit(stage, other, natural if not KINDS[other.thing.kind].can("person") else 0.68, 0.42)
    if sits and KINDS[other.thing.kind].can("person"):
        other = _fit(stage, replace(other, pose="sit"), 0.54, 0.46)
    side = 1 if stage.jitter[4] > 0.5 else -1
    base = min(stage.ground + 0.1, 0.96)
    person = replace(person, x=0.5 - side * 0.2, base=base)
    return [person, replace(other, x=0.5 + side * 0.22, base=base + 0.01)]


def _flying(stage: Stage) -> list[Item]:
    placed = []
    for index in range(2):
        item = stage.item(index)
        item = _fit(stage, item, 0.36, 0.42)
        x = (0.27, 0.72)[index] + (stage.jitter[4 + index] - 0.5) * 0.08
        base = 0.34 + 0.08 * (index if stage.jitter[6] > 0.5 else 1 - index) + item.height / 4
        placed.append(replace(item, x=x, base=max(base, item.height + 0.02), shadow=0.0))
    return placed


def _resting(stage: Stage) -> list[Item]:
    """What flies in the twin is on the ground here, in the same order."""
    return [replace(item, base=min(stage.ground + 0.08, 0.96), shadow=1.0) for item in _flying(stage)]


_ARRANGERS: dict[RelationName, Callable[[Stage], list[Item]]] = {
    RelationName.LEFT_OF: _side,
    RelationName.RIGHT_OF: _side,
    RelationName.ABOVE: _above,
    RelationName.BELOW: _above,
    RelationName.ON: _support,
    RelationName.UNDER: _support,
    RelationName.IN: _inside,
    RelationName.BEHIND: _depth,
    RelationName.IN_FRONT_OF: _depth,
    RelationName.NEXT_TO: _beside,
    RelationName.WITH: _beside,
    RelationName.BIGGER_THAN: _beside,
    RelationName.SMALLER_THAN: _beside,
    RelationName.RIDING: _riding,
    RelationName.HOLDING: _holding,
    RelationName.SITTING_WITH: _sitting,
    RelationName.STANDING_WITH: _sitting,
    RelationName.RESTING_WITH: _resting,
    RelationName.FLYING_WITH: _flying,
}
