"""What people built: rows of houses, a street in perspective, a railway station."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from boonart.sample.brush import Colour, blend, glow, mixed, noise, polygons, vertical
from boonart.works import Float32Array

_FACADES: tuple[Colour, ...] = (
    (214, 190, 150),
    (196, 164, 132),
    (222, 204, 176),
    (186, 150, 122),
    (202, 182, 160),
    (176, 168, 156),
)
_ROOFS: tuple[Colour, ...] = ((158, 84, 60), (128, 74, 58), (104, 96, 98), (142, 96, 70))


def _whole(colour: Colour) -> tuple[int, int, int]:
    return (int(colour[0]), int(colour[1]), int(colour[2]))


def paint_skyline(
    canvas: Float32Array,
    size: tuple[int, int],
    rng: np.random.RandomState,
    base: float,
    *,
    tall: float,
    night: bool = False,
    haze: float = 0.0,
) -> None:
    """A row of houses on the line `base` (share of the height), painted into `canvas`.

    Args:
        tall: height of the tallest houses, share of the picture's height.
        haze: how far the houses fade into the air behind them, 0..1.
    """
    layer = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(layer)
    x = -0.03
    while x < 1.0:
        w = 0.07 + 0.06 * rng.random_sample()
        _house(draw, size, rng, (x, base, w, tall * (0.5 + 0.5 * rng.random_sample())), night)
        x += w * 0.97
    if rng.random_sample() < 0.8:
        _steeple(draw, size, 0.15 + 0.7 * rng.random_sample(), base, tall * 1.25, night)
    painted = np.asarray(layer, dtype=np.float32)
    canvas += (painted - canvas) * (1 - haze)


def _house(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    rng: np.random.RandomState,
    box: tuple[float, float, float, float],
    night: bool,
) -> None:
    width, height = size
    x, base, w, h = box
    wall, roof = _FACADES[rng.randint(len(_FACADES))], _ROOFS[rng.randint(len(_ROOFS))]
    if night:
        wall, roof = mixed(wall, (28, 32, 66), 0.76), mixed(roof, (22, 24, 52), 0.8)
    left, right, top, bottom = x * width, (x + w) * width, (base - h) * height, base * height
    draw.rectangle((left, top, right, bottom), fill=_whole(wall))
    draw.rectangle((left + (right - left) * 0.78, top, right, bottom), fill=_whole(mixed(wall, (40, 34, 40), 0.22)))
    peak = height * 0.05
    draw.polygon([(left - 2, top), ((left + right) / 2, top - peak), (right + 2, top)], fill=_whole(roof))
    lit = (250, 208, 120)
    dark = _whole(mixed(wall, (24, 26, 40), 0.62))
    step = height * 0.07
    y = top + step * 0.5
    while y < bottom - step * 0.8:
        for share in (0.14, 0.44, 0.72):
            wx = left + (right - left) * share
            glass = lit if night and rng.random_sample() < 0.55 else dark
            draw.rectangle((wx, y, wx + (right - left) * 0.14, y + step * 0.5), fill=glass)
        y += step


def _steeple(draw: ImageDraw.ImageDraw, size: tuple[int, int], x: float, base: float, tall: float, night: bool) -> None:
    width, height = size
    stone = (64, 66, 96) if night else (188, 176, 158)
    slate = (34, 38, 70) if night else (92, 98, 112)
    w = 0.022
    top = (base - tall * 0.8) * height
    draw.rectangle(((x - w) * width, top, (x + w) * width, base * height), fill=stone)
    spire = [((x - w * 1.3) * width, top), (x * width, top - tall * 0.45 * height), ((x + w * 1.3) * width, top)]
    draw.polygon(spire, fill=slate)
    clock = (250, 214, 140) if night else (70, 62, 56)
    draw.ellipse(((x - 0.008) * width, top + 4, (x + 0.008) * width, top + 4 + 0.016 * width), fill=clock)


def paint_street(canvas: Float32Array, size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    """A street that runs away from the viewer between two rows of houses, under the sky of `canvas`."""
    width, height = size
    vx, vy = 0.42 + 0.16 * rng.random_sample(), 0.52
    paint_skyline(canvas, size, rng, vy + 0.02, tall=0.14, haze=0.45)
    layer = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(layer)

    def at(side: int, depth: float, rise: float) -> tuple[float, float]:
        """A point on a row's facade: depth 0 at the viewer, 1 at the vanishing point; rise in shares of height."""
        edge = -0.12 if side < 0 else 1.12
        return ((edge + (vx - edge) * depth) * width, (0.74 + (vy - 0.74) * depth - rise * (1 - depth)) * height)

    for side in (-1, 1):
        depth = 0.0
        while depth < 0.86:
            step = 0.17 + 0.06 * rng.random_sample()
            end = min(depth + step * (1 - depth), 0.88)
            wall = mixed(_FACADES[rng.randint(len(_FACADES))], (70, 62, 72), 0.16 if side < 0 else 0.0)
            rise = 0.62 + 0.2 * rng.random_sample()
            quad = [at(side, depth, 0), at(side, end, 0), at(side, end, rise), at(side, depth, rise)]
            draw.polygon(quad, fill=_whole(mixed(wall, (200, 206, 214), depth * 0.4)))
            roof = [quad[3], quad[2], at(side, end, rise + 0.09), at(side, depth, rise + 0.09)]
            draw.polygon(roof, fill=_whole(_ROOFS[rng.randint(len(_ROOFS))]))
            for level in np.arange(0.14, rise - 0.1, 0.19).tolist():
                for share in (0.2, 0.6):
                    a = depth + (end - depth) * share
                    b = depth + (end - depth) * (share + 0.2)
                    pane = [at(side, a, level), at(side, b, level), at(side, b, level + 0.1), at(side, a, level + 0.1)]
                    draw.polygon(pane, fill=_whole(mixed(wall, (40, 44, 58), 0.6)))
            depth = end
    out = np.asarray(layer, dtype=np.float32).copy()
    road = vertical(size, [(vy, (168, 160, 156)), (1.0, (132, 124, 120))]) + noise(rng, size, 16, 2)[..., None] * 18
    blend(
        out, road, polygons(size, [[(vx - 0.02, vy), (vx + 0.02, vy), (1.4, 0.80), (1.4, 1), (-0.4, 1), (-0.4, 0.80)]])
    )
    walk = [
        [(vx - 0.02, vy), (vx - 0.012, vy), (0.0, 0.80), (-0.4, 0.86)],
        [(vx + 0.02, vy), (vx + 0.012, vy), (1.0, 0.80), (1.4, 0.86)],
    ]
    blend(out, (204, 196, 182), polygons(size, walk) * 0.8)
    return out


def paint_station(size: tuple[int, int], rng: np.random.RandomState) -> Float32Array:
    """The hall of a railway station: a glass roof on iron arches, rails, a platform."""
    canvas = vertical(size, [(0.0, (148, 160, 170)), (0.5, (222, 214, 194)), (1.0, (150, 138, 124))])
    canvas += noise(rng, size, 5, 3)[..., None] * 22
    width, height = size
    layer = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(layer)
    vx, vy = 0.45 + 0.1 * rng.random_sample(), 0.5
    for depth in (0.75, 0.55, 0.3, 0.0):
        half, top = 0.62 * (1 - depth) + 0.06, vy - 0.52 * (1 - depth)
        box = ((vx - half) * width, top * height, (vx + half) * width, (2 * vy - top + 0.2) * height)
        thick = int(2 + 7 * (1 - depth))
        tone = _whole(mixed((62, 66, 74), (196, 196, 188), depth * 0.8))
        draw.arc(box, 180, 360, fill=tone, width=thick)
        for side in (-1, 1):
            x = (vx + side * half) * width
            draw.rectangle((x - thick / 2, vy * height, x + thick / 2, (vy + 0.3 * (1 - depth)) * height), fill=tone)
    for angle in np.linspace(-0.9, 0.9, 9).tolist():
        draw.line((vx * width, vy * height, (vx + angle) * width, -0.1 * height), fill=(120, 126, 132), width=1)
    draw.polygon([(vx * width, vy * height), (-0.5 * width, height), (1.5 * width, height)], fill=(146, 134, 120))
    for a, b in ((-0.30, -0.26), (-0.08, -0.05), (0.12, 0.15)):
        rail = [(vx * width, vy * height), ((vx + a * 2.2) * width, height), ((vx + b * 2.2) * width, height)]
        draw.polygon(rail, fill=(92, 86, 84))
    platform = [
        (vx * width, vy * height),
        (width * (vx + 0.34), height),
        (width * 1.5, height),
        (width * 1.5, vy * height + height * 0.26),
    ]
    draw.polygon(platform, fill=(190, 176, 154))
    out = np.asarray(layer, dtype=np.float32).copy()
    blend(out, (255, 226, 164), glow(size, vx, vy, 0.16) * 0.7)
    steam = np.clip(noise(rng, size, 4, 4) * 1.6 + 0.1, 0, 1)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    blend(out, (236, 232, 224), steam * np.clip(1.1 - np.abs(rows - 0.45) * 3, 0, 1) * 0.6)
    blend(out, (96, 128, 150), np.clip(0.5 - rows * 1.2, 0, 1))
    out += noise(rng, size, 12, 2)[..., None] * 16
    return out
