"""Drawings turned into painted things: rasterised, recoloured, given volume, posed.

The drawings are vector files under `artwork/` (see `artwork/CREDITS.md`); everything is cached in the process.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from importlib import resources

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from boonart.errors import ConfigurationError, SourceError
from boonart.sample.brush import Colour, noise, single
from boonart.sample.kinds import COLOURS, KINDS
from boonart.sample.scenes import Thing
from boonart.works import Float32Array

RASTER = 224
"""Height in pixels at which drawings are rasterised; things in a picture are smaller."""

_HAIR = ("#312d2d", "#3c2c23", "#ab872f", "#9b782c", "#444445", "#3f4040", "#473530", "#42312c", "#785447")
_COATS = ("#00bda3", "#06927f", "#583ee2", "#4b0fce")
_TROUSERS = ("#7c7c7c", "#686868")
_SHOES = ("#335599",)
# What people wear whose coat no sentence speaks of, by look: muted, as painters' models are.
_PLAIN_COATS = ((98, 128, 112), (152, 102, 88), (90, 112, 148))
_PLAIN_TROUSERS = ((92, 84, 80), (78, 80, 92), (112, 98, 82))
# The colour of the part that "a red ..." speaks of, where it is not the drawing's most frequent colour.
_BODY: dict[str, str] = {
    "fluent/ewe": "#cdc4d6",
    "noto/ewe": "#ffffff",
    "noto/cow": "#fafafa",
    "fluent/cow": "#e6e6e6",
    "noto/soccer-ball": "#fafafa",
    "noto/butterfly": "#42a5f5",
    "fluent/butterfly": "#ff822d",
    "fluent/bus": "#ffb02e #e6e6e6",
    "noto/bus": "#ffb803 #f1edec",
    "fluent/bicycle": "#f92f60",
    "fluent/motorcycle": "#f92f60",
    "noto/tractor": "#02ab47",
    "fluent/helicopter": "#ff822d",
    "noto/helicopter": "#ffd61c",
}
# Drawings whose own colour is too shrill for a painting.
_NATURAL: dict[str, Colour] = {
    "noto/deciduous-tree": (92, 126, 56),
    "fluent/deciduous-tree": (74, 112, 58),
    "noto/evergreen-tree": (44, 92, 62),
    "fluent/airplane": (120, 150, 180),
    "noto/small-airplane": (92, 140, 170),
    "fluent/small-airplane": (176, 72, 66),
    "noto/cat": (222, 156, 74),
}


@lru_cache(maxsize=256)
def _drawing(look: str) -> str:
    file = resources.files("boonart.sample").joinpath("artwork", f"{look}.svg")
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SourceError(
            f"The drawing {look!r} is missing from the installed package.",
            hint="Install boonart again; its artwork belongs to the package data.",
        ) from error


def _rasterise(svg: str) -> Image.Image:
    try:
        import resvg_py  # only painting needs it, and it comes with the extra
    except ImportError as error:
        raise ConfigurationError(
            "Painting needs the package resvg-py, which is not installed.",
            hint="Run `pip install 'boonart[sample]'`.",
        ) from error
    image = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, height=RASTER)))).convert("RGBA")
    box = image.getchannel("A").point(lambda a: 255 * (a > 40)).getbbox()
    return image.crop(box) if box else image


@lru_cache(maxsize=1024)
def sprite(kind: str, look: int, colour: str, hair: str, pose: str) -> Image.Image:
    """The thing as an RGBA picture cut to its outline, lit from the upper left.

    Args:
        colour: colour name for its body (or a person's coat), "" for the drawing's own.
        hair: colour name for a person's hair, or "".
        pose: "stand", "sit" or "ride".
    """
    definition = KINDS[kind]
    name = definition.looks[look % len(definition.looks)]
    svg = _drawing(name)
    if definition.can("person"):
        image = _figure(svg, colour, hair, pose, look=look, child=definition.can("child"))
    else:
        image = _rasterise(svg)
        if colour:
            image = recolour(image, COLOURS[colour], _BODY.get(name, ""))
        elif name in _NATURAL:
            image = recolour(image, _NATURAL[name])
    return _with_volume(image)


def sprite_of(thing: Thing, pose: str = "stand", look: int | None = None) -> Image.Image:
    """`sprite` for a thing of a scene."""
    return sprite(thing.kind, thing.look if look is None else look, thing.colour, thing.hair, pose)


# --- colour ----------------------------------------------------------------------------------------------


def recolour(image: Image.Image, colour: Colour, body: str = "") -> Image.Image:
    """The picture with its body in another colour, light and shade kept.

    Args:
        image: RGBA.
        colour: sRGB values, 0..255.
        body: the colours to replace as "#rrggbb", parted by spaces; by default the most frequent one.
    """
    pixels = np.asarray(image, dtype=np.float32)
    rgb, alpha = pixels[..., :3], pixels[..., 3]
    result = rgb
    for source in [_parse(code) for code in body.split()] or [_dominant(rgb, alpha)]:
        mask = _likeness(rgb, source)
        light = _luminance(rgb) / max(_luminance(source[None])[0], 24.0)
        shade = np.clip(light, 0.25, 1.0)[..., None] * single(colour)
        gleam = np.clip(light - 1.0, 0.0, 0.8)[..., None]
        painted = shade + (255.0 - shade) * gleam * 0.6
        result = result + (painted - result) * mask[..., None]
    out = np.dstack([result, alpha]).clip(0, 255).astype(np.uint8)
    return Image.fromarray(out, "RGBA")


def _parse(code: str) -> Float32Array:
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)


def _luminance(rgb: Float32Array) -> Float32Array:
    return single(rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32))


def _dominant(rgb: Float32Array, alpha: Float32Array) -> Float32Array:
    solid = rgb[alpha > 200]
    codes = (solid // 16).astype(np.int64) @ np.array([256, 16, 1])
    winner = np.bincount(codes, minlength=4096).argmax()
    return single(solid[codes == winner].mean(axis=0))


def _likeness(rgb: Float32Array, source: Float32Array) -> Float32Array:
    """How much each pixel belongs to the body: hue for coloured bodies, greyness for grey ones; 0..1."""
    chroma = rgb.max(axis=-1) - rgb.min(axis=-1)
    source_chroma = float(source.max() - source.min())
    if source_chroma < 40:
        near = np.abs(_luminance(rgb) - _luminance(source[None])[0])
        return single(np.clip((60 - chroma) / 25, 0, 1) * np.clip((95 - near) / 30, 0, 1))
    plane = rgb - rgb.mean(axis=-1, keepdims=True)
    axis = source - source.mean()
    cosine = (plane @ axis) / (np.linalg.norm(plane, axis=-1) * np.linalg.norm(axis) + 1e-3)
    strong = np.clip((chroma / source_chroma - 0.18) / 0.2, 0, 1)
    return single(np.clip((cosine - 0.86) / 0.08, 0, 1) * strong)


def _with_volume(image: Image.Image) -> Image.Image:
    """Light from the upper left and a darker rim at the lower right, so that flat drawings look round."""
    alpha = image.getchannel("A")
    soft = np.asarray(alpha.filter(ImageFilter.GaussianBlur(RASTER / 14)), dtype=np.float32) / 255
    fall_y, fall_x = np.gradient(soft)
    slope = single((fall_x + fall_y) * (RASTER / 14))
    pixels = np.asarray(image, dtype=np.float32).copy()
    height = np.linspace(1.05, 0.86, pixels.shape[0], dtype=np.float32)[:, None]
    gain = height * (1.0 + np.clip(slope, -0.6, 0.35) * 0.7)
    # Pigment is never even, nor as pure as a screen's colours.
    gain *= 1.0 + 0.13 * noise(np.random.RandomState(5), image.size, 5, 3)
    grey = pixels[..., :3].mean(axis=-1, keepdims=True)
    pixels[..., :3] = grey + (pixels[..., :3] - grey) * 0.9
    pixels[..., :3] = np.clip(pixels[..., :3] * gain[..., None] + np.clip(slope, 0, 0.3)[..., None] * 26, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


# --- people ----------------------------------------------------------------------------------------------


def _figure(svg: str, colour: str, hair: str, pose: str, *, look: int, child: bool) -> Image.Image:
    dress = look % len(_PLAIN_COATS)
    trousers = _PLAIN_TROUSERS[dress]
    svg = _replace(svg, _COATS, COLOURS[colour] if colour else _PLAIN_COATS[dress])
    svg = _replace(svg, _TROUSERS, trousers)
    svg = _replace(svg.replace('"#359"', f'"{_SHOES[0]}"'), _SHOES, (62, 50, 46))
    if hair:
        svg = _replace(svg, _HAIR, COLOURS[hair])
    image = _rasterise(svg)
    if child:
        image = _childlike(image)
    if pose == "stand":
        return image
    return _seated(image) if pose == "sit" else _astride(image, trousers)


def _replace(svg: str, codes: tuple[str, ...], colour: tuple[int, int, int]) -> str:
    """The drawing with these fills in another colour, darker ones darker."""
    lightest = max(float(_luminance(_parse(code)[None])[0]) for code in codes)

    def paint(match: re.Match[str]) -> str:
        code = match.group(0).lower()
        if code not in codes:
            return match.group(0)
        share = 0.72 + 0.28 * float(_luminance(_parse(code)[None])[0]) / lightest
        return "#" + "".join(f"{int(channel * share):02x}" for channel in colour)

    return re.sub(r"#[0-9a-fA-F]{6}\b", paint, svg)


def _childlike(image: Image.Image) -> Image.Image:
    """A grown-up's figure with a child's proportions: a larger head on a shorter body."""
    width, height = image.size
    neck = int(height * 0.25)
    head = image.crop((0, 0, width, neck))
    body = image.crop((0, neck, width, height)).resize((width, int((height - neck) * 0.72)), Image.Resampling.BICUBIC)
    head = head.resize((int(width * 1.3), int(neck * 1.3)), Image.Resampling.BICUBIC)
    out = Image.new("RGBA", (max(head.width, width), head.height + body.height - 4))
    out.alpha_composite(body, ((out.width - width) // 2, head.height - 4))
    out.alpha_composite(head, ((out.width - head.width) // 2, 0))
    return out.crop(out.getchannel("A").getbbox())


def _astride(image: Image.Image, trousers: tuple[int, int, int]) -> Image.Image:
    """The upper body of the figure and one bent leg, to be set on a mount seen from the side."""
    width, height = image.size
    hip = int(height * 0.60)
    out = Image.new("RGBA", (int(width * 1.5), int(height * 0.86)))
    left = int(width * 0.2)
    out.alpha_composite(image.crop((0, 0, width, hip)), (left, 0))
    draw = ImageDraw.Draw(out)
    seat, knee, foot = (
        (left + width * 0.46, hip - 8),
        (left + width * 0.92, hip + 8),
        (left + width * 0.72, height * 0.82),
    )
    thick = int(width * 0.26)
    near, far = trousers, (trousers[0] * 5 // 6, trousers[1] * 5 // 6, trousers[2] * 5 // 6)
    for start, end, tone in ((seat, knee, near), (knee, foot, far)):
        draw.line((*start, *end), fill=tone, width=thick)
        draw.ellipse(_around(end, thick / 2), fill=tone)
    draw.ellipse(_around(seat, thick / 2), fill=near)
    toe = (foot[0] - thick * 0.2, foot[1] - thick * 0.25, foot[0] + thick * 1.0, foot[1] + thick * 0.35)
    draw.rounded_rectangle(toe, radius=thick * 0.25, fill=(62, 50, 46))
    return out.crop(out.getchannel("A").getbbox())


def _around(point: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    return (point[0] - radius, point[1] - radius, point[0] + radius, point[1] + radius)


def _seated(image: Image.Image) -> Image.Image:
    """The figure on a wooden seat: the legs shorter and wider from the hip on."""
    width, height = image.size
    hip = int(height * 0.56)
    legs = image.crop((0, hip, width, height))
    legs = legs.resize((int(width * 1.25), int(legs.height * 0.62)), Image.Resampling.BICUBIC)
    wide = int(width * 1.9)
    out = Image.new("RGBA", (wide, hip + legs.height))
    draw = ImageDraw.Draw(out)
    seat, thick = hip - int(height * 0.02), int(height * 0.07)
    for x in (0.08, 0.86):
        draw.rectangle((wide * x, seat, wide * (x + 0.06), out.height - 6), fill=(88, 54, 28, 255))
        draw.rectangle((wide * x, seat - height * 0.26, wide * (x + 0.05), seat), fill=(98, 62, 34, 255))
    draw.rectangle((wide * 0.04, seat - height * 0.27, wide * 0.96, seat - height * 0.19), fill=(134, 88, 50, 255))
    draw.rectangle((0, seat, wide, seat + thick), fill=(150, 100, 58, 255))
    out.alpha_composite(legs, ((wide - legs.width) // 2, hip))
    out.alpha_composite(image.crop((0, 0, width, hip + 6)), ((wide - width) // 2, 0))
    return out
