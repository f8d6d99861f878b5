"""The painter: a scene in, a picture out. `render` is a pure function of the scene and the package's version."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from boonart.sample.brush import seeded
from boonart.sample.layout import Item, arrange
from boonart.sample.manners import paint_in
from boonart.sample.places import Light, light_of, paint_place
from boonart.sample.scenes import Place, RelationKind, Scene, stable_number
from boonart.sample.sprites import sprite_of
from boonart.works import UInt8Array

LONGEST_SIDE = 384
"""Of every picture, in pixels."""

_WIDE = ((384, 288), (384, 304), (384, 272))
_TALL = ((304, 384), (320, 384))


def size_of(scene: Scene) -> tuple[int, int]:
    """(width, height) of the scene's picture: mostly landscape, sometimes portrait; twins have the same."""
    rng = random.Random(stable_number("size", scene.seed))
    portrait = scene.kind in (RelationKind.HOLDING, RelationKind.HEIGHT) or scene.place is Place.TABLE
    if portrait and rng.random() < 0.35 and len(scene.things) < 3:
        return _TALL[rng.randrange(len(_TALL))]
    return _WIDE[rng.randrange(len(_WIDE))]


def render(scene: Scene) -> UInt8Array:
    """Paint the scene.

    Returns:
        (H, W, 3) uint8, longest side `LONGEST_SIDE`. The same pixels for the same scene.
    """
    size = size_of(scene)
    canvas = Image.fromarray(paint_place(scene, size).astype(np.uint8))
    focus = Image.new("L", size)
    light = light_of(scene)
    for item in arrange(scene, size[1] / size[0]):
        _put(canvas, focus, item, light)
    if scene.rain:
        _rain(canvas, scene)
    eye = np.asarray(focus.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float32) / np.float32(255)
    if not scene.things:
        eye = np.full_like(eye, 0.35)
    return paint_in(scene.manner, np.asarray(canvas), eye, scene.seed)


@lru_cache(maxsize=1)
def _soft_disc() -> Image.Image:
    disc = Image.new("L", (128, 128))
    ImageDraw.Draw(disc).ellipse((24, 24, 104, 104), fill=255)
    return disc.filter(ImageFilter.GaussianBlur(12))


def _put(canvas: Image.Image, focus: Image.Image, item: Item, light: Light) -> None:
    """Paint one item, its shadow first."""
    image = sprite_of(item.thing, item.pose, item.look)
    height = max(8, round(item.height * canvas.height))
    width = max(8, round(height * image.width / image.height))
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    if item.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = _tinted(image, light)
    left = round(item.x * canvas.width - width / 2)
    top = round(item.base * canvas.height - height)
    if item.part == "front":
        image = image.crop((0, int(height * (1 - _front_share(item))), width, height))
        top += height - image.height
    if item.shadow > 0:
        _shade(canvas, (left, top, width, height), light.shadow * item.shadow)
    canvas.paste(image, (left, top), image)
    focus.paste(255, (left, top), image)


def _front_share(item: Item) -> float:
    """How much of a vessel's height lies in front of what is in it."""
    return {"bowl": 0.82, "basket": 0.55, "boat": 0.3, "vase": 0.9}.get(item.thing.kind, 0.7)


def _tinted(image: Image.Image, light: Light) -> Image.Image:
    if light.tint == (1.0, 1.0, 1.0):
        return image
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= np.asarray(light.tint, dtype=np.float32)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def _shade(canvas: Image.Image, box: tuple[int, int, int, int], strength: float) -> None:
    """A shadow on the ground under the box, thrown to the right."""
    left, top, width, height = box
    deep = max(10, int(min(width, height) * 0.34))
    mask = _soft_disc().resize((int(width * 1.35), deep)).point(lambda v: int(v * strength))
    canvas.paste((26, 22, 36), (left - int(width * 0.1), top + height - int(deep * 0.62)), mask)


def _rain(canvas: Image.Image, scene: Scene) -> None:
    """Slanting rain over everything, and a wet shine on the ground."""
    rng = seeded("rain", scene.seed)
    width, height = canvas.size
    layer = Image.new("L", canvas.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(260):
        x, y = rng.randint(-20, width + 20), rng.randint(-20, height)
        long = rng.randint(14, 34)
        draw.line((x, y, x - long * 0.28, y + long), fill=int(rng.randint(90, 170)), width=1 + rng.randint(2))
    canvas.paste((226, 232, 240), (0, 0), layer)
