"""Indoors: a room in perspective, and the table of a still life."""

from __future__ import annotations

import numpy as np

from boonart.sample.brush import Colour, below, blend, blurred, glow, mixed, noise, polygons, vertical
from boonart.sample.kinds import COLOURS
from boonart.sample.scenes import Scene
from boonart.works import Float32Array

_WALLS: tuple[Colour, ...] = (
    (206, 190, 160),
    (182, 172, 156),
    (196, 176, 150),
    (170, 178, 168),
    (200, 186, 178),
)
_FLOORS: tuple[tuple[Colour, Colour], ...] = (
    ((124, 88, 58), (156, 112, 74)),
    ((96, 70, 52), (122, 92, 68)),
    ((150, 128, 104), (182, 158, 128)),
)


def _box(x: float, y: float, w: float, h: float) -> list[tuple[float, float]]:
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]


def paint_room(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    """A corner of a room: back wall, side wall, floor, and something on the wall."""
    wall = _WALLS[rng.randint(len(_WALLS))]
    if scene.place_colour:
        wall = mixed(COLOURS[scene.place_colour], (160, 150, 140), 0.1)
    canvas = vertical(size, [(0.0, mixed(wall, (40, 36, 40), 0.22)), (0.68, wall), (1.0, wall)])
    canvas += noise(rng, size, 5, 3)[..., None] * 18
    if rng.random_sample() < 0.4:
        step = 0.05 + 0.04 * rng.random_sample()
        stripes = [_box(x, 0, step * 0.4, 0.66) for x in np.arange(0.16, 1.0, step).tolist()]
        blend(canvas, mixed(wall, (255, 250, 235), 0.35), polygons(size, stripes) * 0.5)
    corner = 0.08 + 0.14 * rng.random_sample()
    side = polygons(size, [[(0, 0), (corner, 0.05), (corner, 0.66), (0, 0.84)]])
    blend(canvas, mixed(wall, (30, 28, 34), 0.34), side)
    _floor(canvas, size, rng, corner)
    skirting = polygons(size, [_box(corner, 0.635, 1 - corner, 0.027)])
    blend(canvas, mixed(wall, (255, 250, 240), 0.5), skirting)
    left = corner + 0.06 + (0.66 - corner) * rng.random_sample()
    (_window, _window, _pictures, _curtain)[rng.randint(4)](canvas, size, rng, left)
    blend(canvas, (255, 232, 190), glow(size, left, 0.3, 0.3) * 0.14)
    return np.ascontiguousarray(canvas[:, ::-1]) if rng.random_sample() < 0.5 else canvas


def _floor(canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, corner: float) -> None:
    far, near = _FLOORS[rng.randint(len(_FLOORS))]
    floor = vertical(size, [(0.66, far), (1.0, near)])
    boards = [
        [(0.5 + (x - 0.5) * 0.7, 0.66), (0.504 + (x - 0.5) * 0.7, 0.66), (x + 0.01, 1), (x, 1)]
        for x in np.linspace(-0.6, 1.6, 22).tolist()
    ]
    if rng.random_sample() < 0.4:
        boards += [_box(-0.1, y, 1.2, 0.006) for y in (0.70, 0.75, 0.82, 0.91)]
    blend(floor, mixed(far, (30, 20, 14), 0.4), polygons(size, boards) * 0.7)
    floor += noise(rng, size, 14, 2)[..., None] * 16
    ground = polygons(size, [[(corner, 0.66), (1, 0.66), (1, 1), (0, 1), (0, 0.84)]])
    blend(canvas, floor, ground)
    if rng.random_sample() < 0.35:
        rug = polygons(size, [[(0.28, 0.76), (0.78, 0.76), (0.92, 0.95), (0.14, 0.95)]])
        inner = polygons(size, [[(0.32, 0.78), (0.74, 0.78), (0.86, 0.93), (0.20, 0.93)]])
        tone = ((140, 64, 52), (84, 92, 116), (150, 120, 74))[rng.randint(3)]
        blend(canvas, tone, rug * 0.8)
        blend(canvas, mixed(tone, (240, 220, 180), 0.3), inner * 0.5)


def _window(canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, x: float) -> None:
    """A window, and its light on the floor."""
    panes = [_box(x + a, b, 0.08, 0.15) for a in (0.015, 0.105) for b in (0.122, 0.288)]
    blend(canvas, (232, 222, 204), polygons(size, [_box(x, 0.1, 0.2, 0.36)]))
    outside = vertical(size, [(0.1, (150, 190, 222)), (0.4, (226, 232, 220)), (0.46, (150, 172, 120))])
    blend(canvas, outside, polygons(size, panes))
    patch = polygons(size, [[(x - 0.05, 0.75), (x + 0.2, 0.75), (x + 0.12, 0.97), (x - 0.2, 0.97)]])
    blend(canvas, (255, 226, 170), blurred(patch, 4) * 0.32)


def _curtain(canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, x: float) -> None:
    """A window between two curtains."""
    _window(canvas, size, rng, x)
    tone = ((206, 192, 168), (170, 150, 128), (226, 218, 202))[rng.randint(3)]
    for left in (x - 0.06, x + 0.16):
        cloth = polygons(size, [[(left, 0.06), (left + 0.1, 0.06), (left + 0.08, 0.54), (left + 0.01, 0.54)]])
        folds = 0.5 + 0.5 * np.sin(np.linspace(0, 150, size[0], dtype=np.float32))[None, :]
        blend(canvas, tone, cloth)
        blend(canvas, mixed(tone, (60, 44, 40), 0.5), cloth * folds * 0.4)


def _pictures(canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState, x: float) -> None:
    """Framed pictures on the wall."""
    for left, top, w, h in ((x, 0.14, 0.17, 0.24), (x - 0.14, 0.2, 0.1, 0.13))[: 1 + rng.randint(2)]:
        blend(canvas, (134, 100, 52), polygons(size, [_box(left, top, w, h)]))
        inner = polygons(size, [_box(left + 0.014, top + 0.02, w - 0.028, h - 0.04)])
        tones = rng.randint(70, 190, 3)
        sky = (float(tones[0]), float(tones[1]), float(tones[2]))
        blend(canvas, vertical(size, [(top, mixed(sky, (240, 230, 210), 0.4)), (top + h, sky)]), inner)


def paint_table(scene: Scene, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    """A table against a dim wall, bare or under a coloured cloth."""
    tone = ((58, 46, 38), (50, 54, 50), (66, 50, 44), (72, 66, 58))[rng.randint(4)]
    back = mixed(tone, (190, 160, 120), 0.25)
    canvas = vertical(size, [(0.0, mixed(tone, (0, 0, 0), 0.2)), (0.6, back), (1, tone)])
    canvas += noise(rng, size, 4, 3)[..., None] * 22
    blend(canvas, (206, 170, 120), glow(size, 0.22, 0.28, 0.28) * 0.35)
    cloth: Colour = (148, 100, 62)
    if scene.place_colour:
        cloth = COLOURS[scene.place_colour]
    light = mixed(cloth, (255, 246, 226), 0.12)
    top = vertical(size, [(0.58, mixed(cloth, (0, 0, 0), 0.35)), (0.72, cloth), (1.0, light)])
    if scene.place_colour:
        folds = noise(rng, size, 5, 2) + 0.4 * np.sin(np.linspace(0, 19, size[0], dtype=np.float32))[None, :]
        top += (noise(rng, size, 4, 2) * 26)[..., None] + (folds * below(size, 0.9) * 46)[..., None]
    else:
        top += noise(rng, (size[0], size[1] * 4), 7, 3)[::4][: size[1]][..., None] * 34
    blend(canvas, top, below(size, 0.60))
    edge = below(size, 0.895) * (1 - below(size, 0.905))
    blend(canvas, mixed(cloth, (0, 0, 0), 0.55), edge * 0.8)
    return canvas
