"""Places: the background of a picture, the line that things stand on, and the light that falls on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from boonart.sample.brush import (
    Colour,
    below,
    blend,
    blurred,
    glow,
    mixed,
    noise,
    polygons,
    ridge,
    seeded,
    vertical,
)
from boonart.sample.kinds import COLOURS
from boonart.sample.rooms import paint_room, paint_table
from boonart.sample.scenes import Place, Scene
from boonart.sample.towns import paint_skyline, paint_station, paint_street
from boonart.works import Float32Array

_GROUND = {
    Place.ROOM: 0.84,
    Place.TABLE: 0.80,
    Place.SEA: 0.80,
    Place.SKY: 0.88,
    Place.STATION: 0.86,
    Place.RIVER: 0.86,
    Place.RIVER_TOWN: 0.78,
}
_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((74, 136, 210), (206, 226, 232)),
    ((104, 152, 204), (250, 220, 170)),
    ((134, 162, 196), (228, 216, 200)),
    ((78, 112, 184), (252, 188, 132)),
    ((92, 160, 208), (240, 236, 204)),
    ((120, 110, 170), (250, 172, 128)),
)


@dataclass(frozen=True, slots=True)
class Light:
    """What the place does to things in it.

    Attributes:
        tint: multiplies the things' colours.
        shadow: strength of shadows on the ground, 0..1.
    """

    tint: Colour = (1.0, 1.0, 1.0)
    shadow: float = 0.45


def ground_of(place: Place) -> float:
    """The line that things in the middle stand on, as a share of the height."""
    return _GROUND.get(place, 0.83)


def light_of(scene: Scene) -> Light:
    """The light of the scene's place and weather."""
    if scene.place is Place.NIGHT_TOWN:
        return Light((0.66, 0.70, 0.92), 0.6)
    if scene.rain:
        return Light((0.86, 0.90, 0.95), 0.25)
    if scene.place in (Place.SKY, Place.SEA):
        return Light(shadow=0.3)
    return Light((1.0, 0.985, 0.96), 0.5)


def paint_place(scene: Scene, size: tuple[int, int]) -> Float32Array:
    """The background, (height, width, 3) float32 within 0..255."""
    rng = seeded("place", scene.seed)
    return np.clip(_PAINTERS[scene.place](scene, size, rng), 0, 255)


# --- outdoors --------------------------------------------------------------------------------------------

Painter = Callable[[Scene, tuple[int, int], np.random.RandomState], Float32Array]


def _sky(scene: Scene, size: tuple[int, int], rng: np.random.RandomState, horizon: float) -> Float32Array:
    top, low = _SKIES[rng.randint(len(_SKIES))]
    if scene.rain:
        top, low = (104, 112, 124), (176, 180, 184)
    canvas = vertical(size, [(0.0, top), (horizon, low), (1.0, low)])
    clouds = np.clip(noise(rng, size, 3.5, 4) * 1.8 - 0.14 + 0.25 * scene.rain, 0, 1)
    fade = np.clip(1.15 - np.linspace(0, 1 / max(horizon, 0.2), size[1], dtype=np.float32), 0, 1)[:, None]
    white = (150, 154, 160) if scene.rain else (252, 246, 236)
    blend(canvas, white, clouds * fade * 0.8)
    shade = np.clip(np.roll(clouds, -4, axis=0) - clouds, 0, 1)
    blend(canvas, mixed(top, (120, 110, 120), 0.5), np.clip(shade * 2.4, 0, 0.6) * fade)
    if not scene.rain:
        blend(canvas, (255, 236, 190), glow(size, 0.15 + 0.7 * rng.random_sample(), horizon * 0.7, 0.2) * 0.45)
    return canvas


def _hills(
    canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, line: float, colour: Colour, rough: float
) -> None:
    edge = line + ridge(rng, size[0], 3, 4) * rough
    texture = noise(rng, size, 9, 2)[..., None] * 26
    blend(canvas, np.asarray(colour, dtype=np.float32) + texture, below(size, edge))


def _meadow(
    canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, line: float, far: Colour, near: Colour
) -> None:
    """The ground from the line on, with tufts that grow towards the viewer."""
    ground = vertical(size, [(line, far), (1.0, near)])
    ground += noise(rng, size, 5, 3)[..., None] * 42
    streaks = noise(rng, (size[0], size[1]), 38, 1)
    depth = np.clip((np.linspace(0, 1, size[1], dtype=np.float32) - line) / (1 - line), 0, 1)[:, None]
    ground += (streaks * depth)[..., None] * np.array([46, 52, 24], dtype=np.float32)
    edge = line + ridge(rng, size[0], 4, 2) * 0.03
    blend(canvas, ground, below(size, edge))


def _field(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.5)
    _hills(canvas, size, rng, 0.46, (118, 140, 148), 0.12)
    _hills(canvas, size, rng, 0.51, (104, 136, 98), 0.10)
    gold = rng.random_sample() < 0.35
    near = (186, 158, 74) if gold else (92, 132, 54)
    _meadow(canvas, size, rng, 0.56, mixed(near, (196, 200, 150), 0.4), near)
    return canvas


def _landscape(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.5)
    _hills(canvas, size, rng, 0.40, (134, 146, 168), 0.22)
    _hills(canvas, size, rng, 0.48, (122, 140, 120), 0.16)
    _hills(canvas, size, rng, 0.55, (126, 134, 84), 0.10)
    _meadow(canvas, size, rng, 0.62, (168, 158, 98), (112, 116, 56))
    path = polygons(size, [[(0.46, 0.62), (0.49, 0.62), (0.8, 1.0), (0.5, 1.0)]])
    blend(canvas, (206, 184, 140), blurred(path, 3) * 0.75)
    return canvas


def _mountains(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.55)
    for line, colour, snow in ((0.30, (122, 136, 168), 0.9), (0.40, (98, 112, 138), 0.6)):
        edge = line + np.abs(ridge(rng, size[0], 4, 5)) * 0.62 - 0.08
        mask = below(size, edge)
        facets = noise(rng, size, 9, 3)
        blend(canvas, np.asarray(colour, dtype=np.float32) + facets[..., None] * 64, mask)
        cap = mask * (1 - below(size, edge + 0.10 + ridge(rng, size[0], 12, 2) * 0.08))
        blend(canvas, (242, 244, 250), np.clip(cap * (0.75 + facets), 0, 1) * snow)
    _hills(canvas, size, rng, 0.57, (74, 104, 84), 0.08)
    _meadow(canvas, size, rng, 0.63, (128, 152, 92), (88, 122, 60))
    return canvas


def _snow(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = vertical(size, [(0.0, (168, 182, 200)), (0.5, (226, 216, 214)), (1.0, (230, 226, 226))])
    _hills(canvas, size, rng, 0.46, (190, 200, 216), 0.16)
    bare = []
    for _ in range(9):
        x, h = rng.random_sample(), 0.1 + 0.14 * rng.random_sample()
        bare += [[(x - 0.006, 0.56), (x + 0.006, 0.56), (x, 0.56 - h)]]
        bare += [[(x, 0.56 - h * 0.5), (x + 0.05 * s, 0.56 - h * 0.9), (x, 0.56 - h * 0.42)] for s in (-1, 1)]
    blend(canvas, (92, 88, 98), blurred(polygons(size, bare), 0.8) * 0.8)
    _meadow(canvas, size, rng, 0.55, (232, 234, 240), (208, 218, 234))
    return canvas


def _trees(
    canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, line: float, colour: Colour
) -> None:
    """A row of round tree tops along a line."""
    edge = line - 0.05 - np.abs(ridge(rng, size[0], 9, 3)) * 0.22
    texture = noise(rng, size, 16, 2)[..., None] * np.array([50, 60, 34], dtype=np.float32)
    blend(canvas, np.asarray(colour, dtype=np.float32) + texture, below(size, edge))


def _forest(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = vertical(size, [(0.0, (66, 92, 58)), (0.45, (176, 190, 120)), (1.0, (70, 84, 44))])
    canvas += noise(rng, size, 12, 3)[..., None] * np.array([60, 66, 36], dtype=np.float32)
    for depth, colour in ((0.0, (126, 130, 98)), (0.5, (92, 80, 58)), (1.0, (62, 46, 34))):
        shapes = []
        for _ in range(7 - int(depth * 4)):
            x, w = rng.random_sample(), 0.008 + 0.02 * depth + 0.008 * rng.random_sample()
            shapes.append(
                [(x - w, -0.01), (x + w, -0.01), (x + w * 1.3, 0.62 + 0.1 * depth), (x - w * 1.3, 0.62 + 0.1 * depth)]
            )
        blend(canvas, colour, polygons(size, shapes) * (0.65 + 0.25 * depth))
    crown = np.clip(noise(rng, size, 8, 3) + 0.55 - np.linspace(0, 2.2, size[1], dtype=np.float32)[:, None], 0, 1)
    blend(canvas, (70, 108, 52), np.clip(crown * 2, 0, 0.9))
    _meadow(canvas, size, rng, 0.64, (124, 128, 64), (84, 76, 42))
    return canvas


def _garden(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.4)
    _trees(canvas, size, rng, 0.36, (88, 124, 72))
    _trees(canvas, size, rng, 0.52, (56, 98, 52))
    _meadow(canvas, size, rng, 0.58, (140, 170, 88), (98, 142, 62))
    for name in ("pink", "white", "purple", "yellow"):
        dots = (rng.random_sample((size[1], size[0])) > 0.985).astype(np.float32)
        band = below(size, 0.46) * (1 - below(size, 0.60))
        blend(canvas, mixed(COLOURS[name], (255, 255, 255), 0.25), np.clip(blurred(dots * band, 1.3) * 5, 0, 0.8))
    return canvas


def _water(
    canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, top: float, bottom: float, colour: Colour
) -> None:
    """Water between two heights: the mirrored picture above it, darkened and rippled."""
    height = size[1]
    first, last = int(top * height), min(int(bottom * height), height)
    rows = np.arange(first, last)
    mirror = np.clip(2 * first - rows + (rng.random_sample(len(rows)) * 4).astype(int), 0, first)
    reflected = canvas[mirror]
    depth = np.linspace(0.45, 0.85, len(rows), dtype=np.float32)[:, None, None]
    water = reflected * (1 - depth) + np.asarray(colour, dtype=np.float32) * depth
    ripple = noise(rng, (size[0], len(rows) * 6), 10, 2)[::6][: len(rows)]
    canvas[first:last] = water + ripple[..., None] * 60


def _sea(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.46)
    if rng.random_sample() < 0.5:
        _hills(canvas, size, rng, 0.43, (140, 150, 166), 0.1)
    _water(canvas, size, rng, 0.46, 1.0, ((44, 94, 128), (58, 110, 124), (52, 86, 112))[rng.randint(3)])
    rows = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    waves = noise(rng, (size[0], size[1] * 5), 16, 2)[::5][: size[1]]
    blend(canvas, (232, 240, 238), np.clip((waves - 0.28) * 5, 0, 1) * np.clip((rows - 0.46) * 1.6, 0, 0.8))
    return canvas


def _beach(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.42)
    _water(canvas, size, rng, 0.42, 0.64, (52, 122, 146))
    _meadow(canvas, size, rng, 0.62, (232, 216, 176), (214, 188, 138))
    foam = below(size, 0.61) * (1 - below(size, 0.63 + ridge(rng, size[0], 5, 2) * 0.04))
    blend(canvas, (250, 250, 244), blurred(foam, 1.2) * 0.85)
    return canvas


def _river(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.44)
    _hills(canvas, size, rng, 0.40, (128, 146, 150), 0.14)
    _trees(canvas, size, rng, 0.48, (86, 118, 74))
    _water(canvas, size, rng, 0.50, 0.74, (84, 124, 144))
    _meadow(canvas, size, rng, 0.73, (134, 156, 84), (90, 120, 52))
    return canvas


def _river_town(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.4)
    paint_skyline(canvas, size, rng, 0.52, tall=0.30)
    _water(canvas, size, rng, 0.52, 1.0 if not scene.things else 0.87, (74, 112, 136))
    if scene.things:
        _meadow(canvas, size, rng, 0.87, (168, 156, 130), (142, 128, 104))
    else:
        arch = polygons(size, [[(0.0, 0.50), (1.0, 0.46), (1.0, 0.51), (0.0, 0.55)]])
        blend(canvas, (150, 132, 110), arch)
        piers = [[(x, 0.5), (x + 0.05, 0.5), (x + 0.05, 0.62), (x, 0.62)] for x in (0.1, 0.37, 0.64, 0.9)]
        blend(canvas, (128, 112, 94), polygons(size, piers))
    return canvas


def _town(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.5)
    paint_skyline(canvas, size, rng, 0.52, tall=0.30, haze=0.4)
    paint_skyline(canvas, size, rng, 0.64, tall=0.40)
    _meadow(canvas, size, rng, 0.64, (190, 176, 150), (158, 142, 116))
    return canvas


def _night_town(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = vertical(size, [(0.0, (10, 16, 48)), (0.5, (40, 54, 104)), (1.0, (36, 38, 66))])
    blend(canvas, (82, 96, 150), np.clip(noise(rng, size, 4, 3), 0, 1) * 0.6)
    stars = (rng.random_sample((size[1], size[0])) > 0.9975).astype(np.float32)
    blend(canvas, (255, 250, 214), np.clip(blurred(stars, 0.9) * 6, 0, 1) * (1 - below(size, 0.45)))
    x = 0.15 + 0.7 * rng.random_sample()
    blend(canvas, (150, 160, 200), glow(size, x, 0.15, 0.09) * 0.8)
    blend(canvas, (252, 242, 204), np.clip((glow(size, x, 0.15, 0.03) - 0.5) * 12, 0, 1))
    paint_skyline(canvas, size, rng, 0.54, tall=0.30, night=True, haze=0.3)
    paint_skyline(canvas, size, rng, 0.66, tall=0.40, night=True)
    ground = vertical(size, [(0.66, (58, 56, 82)), (1.0, (38, 36, 58))]) + noise(rng, size, 9, 2)[..., None] * 22
    blend(canvas, ground, below(size, 0.66))
    for _ in range(4):
        blend(canvas, (250, 200, 110), glow(size, rng.random_sample(), 0.68 + 0.06 * rng.random_sample(), 0.05) * 0.4)
    return canvas


def _open_sky(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    canvas = _sky(scene, size, rng, 0.95)
    _hills(canvas, size, rng, 0.93, (122, 146, 120), 0.08)
    return canvas


_PAINTERS: dict[Place, Painter] = {
    Place.ROOM: paint_room,
    Place.STREET: lambda scene, size, rng: paint_street(_sky(scene, size, rng, 0.5), size, rng),
    Place.FIELD: _field,
    Place.SEA: _sea,
    Place.NIGHT_TOWN: _night_town,
    Place.TOWN: _town,
    Place.STATION: lambda scene, size, rng: paint_station(size, rng),
    Place.TABLE: paint_table,
    Place.RIVER: _river,
    Place.RIVER_TOWN: _river_town,
    Place.FOREST: _forest,
    Place.BEACH: _beach,
    Place.GARDEN: _garden,
    Place.MOUNTAINS: _mountains,
    Place.SNOW: _snow,
    Place.SKY: _open_sky,
    Place.LANDSCAPE: _landscape,
}
