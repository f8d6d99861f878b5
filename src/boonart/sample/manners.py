"""The painting manners: what the brush makes of a composed picture.

Each takes the composition as (height, width, 3) uint8 and a map of where the eye should rest (1 on things, 0 on
background) and returns the painted picture, uint8. Deterministic in its seed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from boonart.sample.brush import blurred, glow, noise, seeded, single, stretched
from boonart.sample.scenes import Manner
from boonart.works import Float32Array, UInt8Array

_ANGLES = 24


def paint_in(manner: Manner, picture: UInt8Array, focus: Float32Array, seed: int) -> UInt8Array:
    """The picture in this manner.

    Args:
        picture: (H, W, 3) uint8.
        focus: (H, W) float32, 0..1.
    """
    rng = seeded("manner", seed)
    if manner is Manner.IMPRESSIONIST:
        painted = _impressionist(picture, focus, rng)
    elif manner is Manner.ABSTRACT:
        painted = _abstract(picture, focus, rng)
    elif manner is Manner.STILL_LIFE:
        painted = _still_life(picture, focus, rng)
    else:
        painted = _realist(picture, focus, rng)
    return _whole(painted)


# --- brushwork -------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _bristles(length: int, thickness: int, angle: int, variant: int) -> Image.Image:
    """The mark of one brush stroke as a mask: a rounded bar with bristle lines along it, turned by its angle."""
    rng = np.random.RandomState(variant * 977 + length * 31 + thickness)
    along = np.linspace(-1, 1, length * 2)[None, :]
    across = np.linspace(-1, 1, thickness * 2)[:, None]
    body = np.clip(3.2 * (1 - np.abs(along) ** 3 - np.abs(across) ** 2.4), 0, 1)
    hairs = 0.62 + 0.38 * rng.random_sample((thickness * 2, 1)) + 0.1 * rng.random_sample((thickness * 2, length * 2))
    mark = Image.fromarray((np.clip(body * hairs, 0, 1) * 255).astype(np.uint8))
    return mark.rotate(angle * 180 / _ANGLES, resample=Image.Resampling.BILINEAR, expand=True).resize(
        (
            max(
                3, int(length * abs(np.cos(angle * np.pi / _ANGLES)) + thickness * abs(np.sin(angle * np.pi / _ANGLES)))
            ),
            max(
                3, int(length * abs(np.sin(angle * np.pi / _ANGLES)) + thickness * abs(np.cos(angle * np.pi / _ANGLES)))
            ),
        ),
        Image.Resampling.BILINEAR,
    )


def _directions(picture: UInt8Array, swirl: Float32Array) -> Float32Array:
    """The angle of the brush at each pixel, radians: along edges where there are any, along a slow swirl elsewhere."""
    grey = Image.fromarray(picture).convert("L").filter(ImageFilter.GaussianBlur(2.2))
    light = np.asarray(grey, dtype=np.float32)
    gy, gx = np.gradient(light)
    # Structure tensor, smoothed: its minor axis runs along the edge.
    jxx, jyy, jxy = _smooth(gx * gx), _smooth(gy * gy), _smooth(gx * gy)
    strength = np.clip((jxx + jyy) / 30.0, 0, 1)
    tangent = 0.5 * np.arctan2(2 * jxy, jxx - jyy) + np.pi / 2
    # Blend as doubled angles, since a stroke has no head.
    c = strength * np.cos(2 * tangent) + (1 - strength) * np.cos(2 * swirl) * 0.6
    s = strength * np.sin(2 * tangent) + (1 - strength) * np.sin(2 * swirl) * 0.6
    return single(0.5 * np.arctan2(s, c))


def _smooth(values: npt.ArrayLike) -> Float32Array:
    image = Image.fromarray(single(values))
    small = image.resize((max(2, image.width // 4), max(2, image.height // 4)), Image.Resampling.BOX)
    return single(np.asarray(small.resize(image.size, Image.Resampling.BILINEAR)))


def _strokes(
    canvas: Image.Image,
    colours: UInt8Array,
    angles: Float32Array,
    rng: np.random.RandomState,
    *,
    count: int,
    length: int,
    thickness: int,
    chance: Float32Array | None = None,
    jitter: float = 14.0,
) -> None:
    """Lay strokes on the canvas, each in the colour found under its middle, a little off."""
    height, width = angles.shape
    xs = rng.randint(0, width, count)
    ys = rng.randint(0, height, count)
    if chance is not None:
        keep = rng.random_sample(count) < chance[ys, xs]
        xs, ys = xs[keep], ys[keep]
    tone = rng.normal(0, jitter, (len(xs), 1)) + rng.normal(0, jitter * 0.45, (len(xs), 3))
    shades = np.clip(colours[ys, xs].astype(np.float32) + tone, 0, 255).astype(int).tolist()
    turns = np.round(-angles[ys, xs] * _ANGLES / np.pi).astype(int) % _ANGLES
    variants = rng.randint(0, 3, len(xs))
    for x, y, shade, turn, variant in zip(
        xs.tolist(), ys.tolist(), shades, turns.tolist(), variants.tolist(), strict=True
    ):
        mark = _bristles(length, thickness, turn, variant)
        canvas.paste((shade[0], shade[1], shade[2]), (x - mark.width // 2, y - mark.height // 2), mark)


def _impasto(picture: Float32Array, strength: float) -> Float32Array:
    """Paint that stands out catches light from the upper left: the picture's own relief as light and shade."""
    light = picture.mean(axis=-1)
    relief = light - np.asarray(
        Image.fromarray(light.astype(np.uint8)).filter(ImageFilter.GaussianBlur(3)), dtype=np.float32
    )
    slope = np.zeros_like(relief)
    slope[1:, 1:] = relief[1:, 1:] - relief[:-1, :-1]
    return single(picture + np.clip(slope, -40, 40)[..., None] * strength)


@lru_cache(maxsize=8)
def _weave(width: int, height: int) -> Float32Array:
    """The weave of a canvas, (height, width), about -1..1; the same cloth for every picture of a size."""
    rng = np.random.RandomState(11)
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = stretched(rng.random_sample((6, 6)).astype(np.float32), (width, height)) * 2
    threads = np.sin((x + bend) * 2.2) * 0.5 + np.sin((y + bend) * 2.2) * 0.5
    return single(threads + rng.normal(0, 0.5, (height, width)))


def _finish(picture: Float32Array, *, weave: float, vignette: float, glaze: tuple[float, float, float]) -> Float32Array:
    """Canvas, varnish and the darker rim of an old painting."""
    height, width = picture.shape[:2]
    rim = 1 - vignette * (1 - glow((width, height), 0.5, 0.5, 0.52))
    tone = np.asarray(glaze, dtype=np.float32)
    return single((picture + _weave(width, height)[..., None] * weave) * rim[..., None] * tone)


# --- manners ---------------------------------------------------------------------------------------------


def _impressionist(picture: UInt8Array, focus: Float32Array, rng: np.random.RandomState) -> Float32Array:
    height, width = focus.shape
    swirl = noise(rng, (width, height), 2.5, 2) * 2.4 + rng.random_sample() * 0.8
    angles = _directions(picture, swirl)
    rich = _saturated(picture, 1.22)
    soft = np.asarray(Image.fromarray(rich).filter(ImageFilter.GaussianBlur(2.0)))
    canvas = Image.fromarray(np.clip(soft * 0.85 + 20, 0, 255).astype(np.uint8))
    _strokes(canvas, soft, angles, rng, count=1100, length=26, thickness=9, jitter=17)
    _strokes(canvas, soft, angles, rng, count=1700, length=15, thickness=5, chance=0.55 + 0.45 * focus, jitter=14)
    near = blurred(np.clip(focus, 0, 1), 1.5)
    _strokes(
        canvas, rich, angles, rng, count=4200, length=8, thickness=3, chance=np.clip(near * 1.1, 0.06, 1), jitter=8
    )
    painted = np.asarray(canvas, dtype=np.float32)
    # Bring the drawing of the things back through the paint, so that they stay what they are.
    painted += (rich - painted) * (near * 0.42)[..., None]
    return _finish(_impasto(painted, 0.5), weave=2.5, vignette=0.1, glaze=(1.02, 1.0, 0.97))


def _realist(picture: UInt8Array, focus: Float32Array, rng: np.random.RandomState) -> Float32Array:
    height, width = focus.shape
    angles = _directions(picture, noise(rng, (width, height), 2.5, 2) * 2.0)
    soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.2)))
    canvas = Image.fromarray(picture)
    _strokes(canvas, soft, angles, rng, count=1100, length=18, thickness=6, chance=1 - focus * 0.85, jitter=7)
    _strokes(canvas, picture, angles, rng, count=2000, length=9, thickness=3, jitter=7)
    painted = np.asarray(canvas, dtype=np.float32)
    painted += (picture - painted) * (focus * 0.4)[..., None]
    return _finish(_impasto(painted, 0.25), weave=4.0, vignette=0.28, glaze=(1.02, 0.985, 0.91))


def _still_life(picture: UInt8Array, focus: Float32Array, rng: np.random.RandomState) -> Float32Array:
    """Warm light from the left on dark ground."""
    height, width = focus.shape
    light = 0.5 + 0.62 * glow((width, height), 0.34, 0.46, 0.36)
    bright = picture * (light + focus * 0.16)[..., None]
    lit = _whole(bright * np.array([1.07, 0.99, 0.86], dtype=np.float32))
    angles = _directions(lit, noise(rng, (width, height), 2.0, 2) * 2.0)
    canvas = Image.fromarray(lit)
    _strokes(canvas, lit, angles, rng, count=1000, length=20, thickness=7, chance=1 - focus * 0.9, jitter=5)
    _strokes(canvas, lit, angles, rng, count=1500, length=8, thickness=3, jitter=5)
    painted = np.asarray(canvas, dtype=np.float32)
    painted += (lit - painted) * (focus * 0.55)[..., None]
    return _finish(_impasto(painted, 0.25), weave=3.0, vignette=0.42, glaze=(1.03, 0.98, 0.9))


def _abstract(picture: UInt8Array, focus: Float32Array, rng: np.random.RandomState) -> Float32Array:
    """Flat planes: the picture seen through facets, each a little shifted and toned, in few colours."""
    height, width = focus.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    facet = np.zeros((height, width), dtype=np.int64)
    edges = np.zeros((height, width), dtype=np.float32)
    for bit in range(9):
        angle = rng.random_sample() * np.pi
        px, py = rng.random_sample() * width, rng.random_sample() * height
        distance = (x - px) * np.cos(angle) + (y - py) * np.sin(angle)
        facet += (distance > 0).astype(np.int64) << bit
        edges = np.maximum(edges, np.clip(1.4 - np.abs(distance), 0, 1))
    calm = 1 - 0.74 * blurred(focus, 4)
    shift = (rng.random_sample((512, 2)) - 0.5) * 22
    tone = rng.normal(0, 1, 512)
    tint = rng.normal(0, 24, (512, 3))
    sx = np.clip(x + shift[facet, 0] * calm, 0, width - 1).astype(int)
    sy = np.clip(y + shift[facet, 1] * calm, 0, height - 1).astype(int)
    simple = Image.fromarray(_saturated(picture, 1.35)).filter(ImageFilter.MedianFilter(5))
    few = simple.quantize(24, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    planes = np.asarray(few, dtype=np.float32)
    # Few colours for the world, their own for the things.
    planes = planes + (np.asarray(simple, dtype=np.float32) - planes) * (focus * 0.75)[..., None]
    planes = planes[sy, sx]
    planes += (tone[facet] * 20 * calm)[..., None] + tint[facet] * calm[..., None]
    ramp = (noise(rng, (width, height), 3, 1) * 20)[..., None]
    planes = planes + ramp * calm[..., None]
    planes *= (1 - 0.5 * edges * (0.35 + 0.65 * calm))[..., None]
    return _finish(planes, weave=4.5, vignette=0.06, glaze=(1.0, 1.0, 0.98))


def _saturated(picture: UInt8Array, factor: float) -> UInt8Array:
    pixels = picture.astype(np.float32)
    grey = pixels.mean(axis=-1, keepdims=True)
    return _whole(grey + (pixels - grey) * factor)


def _whole(pixels: npt.ArrayLike) -> UInt8Array:
    return np.asarray(np.clip(single(pixels), 0, 255), dtype=np.uint8)
