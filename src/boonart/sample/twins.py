"""Twins: the scenes that differ from a scene in its relation alone."""

from __future__ import annotations

from dataclasses import replace

from boonart.sample.scenes import Relation, RelationKind, RelationName, Scene

_OPPOSITE = {
    RelationName.ON: RelationName.UNDER,
    RelationName.UNDER: RelationName.ON,
    RelationName.SITTING_WITH: RelationName.STANDING_WITH,
    RelationName.STANDING_WITH: RelationName.SITTING_WITH,
    RelationName.FLYING_WITH: RelationName.RESTING_WITH,
    RelationName.RESTING_WITH: RelationName.FLYING_WITH,
    RelationName.BIGGER_THAN: RelationName.SMALLER_THAN,
    RelationName.SMALLER_THAN: RelationName.BIGGER_THAN,
}
_APART = {RelationName.IN, RelationName.RIDING, RelationName.HOLDING, RelationName.BEHIND, RelationName.ON}


def twin_of(scene: Scene) -> Scene | None:
    """The scene's twin, or None where it relates nothing or its twin would be the same scene.

    Roles, colours, sizes or counts are exchanged, or the relation is replaced by its opposite, as the scene's kind
    of relation says. Seed, place and manner stay.
    """
    twin = _twin(scene)
    return None if twin is None or twin == scene else twin


def _twin(scene: Scene) -> Scene | None:
    kind, things = scene.kind, scene.things
    if kind is RelationKind.ALONE:
        return None
    if kind is RelationKind.PLACE_COLOUR:
        return _with_place_exchanged(scene)
    if kind is RelationKind.COLOUR:
        return _with_colours_exchanged(scene)
    if kind is RelationKind.COUNT:
        a, b = things[0], things[1]
        return replace(scene, things=(replace(a, count=b.count), replace(b, count=a.count), *things[2:]))
    if kind is RelationKind.SIZE:
        return _with_sizes_exchanged(scene)
    first = scene.relations[0]
    if kind is RelationKind.HOLDING and len(scene.relations) == 2:
        holder, held, other = first.subject, first.object, scene.relations[1].object
        exchanged = (Relation(first.name, other, held), Relation(scene.relations[1].name, other, holder))
        return replace(scene, relations=exchanged)
    if (
        kind in (RelationKind.SIDE, RelationKind.HEIGHT, RelationKind.DEPTH)
        and things[first.subject] != things[first.object]
    ):
        return replace(scene, relations=(Relation(first.name, first.object, first.subject), *scene.relations[1:]))
    name = _OPPOSITE.get(first.name) or (RelationName.NEXT_TO if first.name in _APART else None)
    if kind is RelationKind.SUPPORT and things[first.object].kind not in ("table", "chair", "bench"):
        name = RelationName.NEXT_TO
    if name is None:
        return None
    return replace(scene, relations=(Relation(name, first.subject, first.object), *scene.relations[1:]))


def _with_place_exchanged(scene: Scene) -> Scene:
    """The colours of the place and of the first coloured thing exchanged."""
    index = next(i for i, thing in enumerate(scene.things) if thing.colour)
    things = list(scene.things)
    things[index] = replace(things[index], colour=scene.place_colour)
    return replace(scene, things=tuple(things), place_colour=scene.things[index].colour)


def _with_colours_exchanged(scene: Scene) -> Scene:
    """The colours of the first two things exchanged; a lone person's hair and coat."""
    things = scene.things
    if len(things) == 1:
        only = things[0]
        return replace(scene, things=(replace(only, colour=only.hair, hair=only.colour),))
    a, b = things[0], things[1]
    if scene.place_colour and a.kind == b.kind:
        return replace(scene, things=(a, replace(b, colour=scene.place_colour)), place_colour=b.colour)
    return replace(scene, things=(replace(a, colour=b.colour), replace(b, colour=a.colour), *things[2:]))


def _with_sizes_exchanged(scene: Scene) -> Scene:
    a, b = scene.things[0], scene.things[1]
    things = (replace(a, size=b.size), replace(b, size=a.size), *scene.things[2:])
    first = scene.relations[0]
    name = _OPPOSITE.get(first.name, first.name)
    return replace(scene, things=things, relations=(replace(first, name=name), *scene.relations[1:]))
