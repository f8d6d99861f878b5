"""A detail of a work's picture: which part of it, and that part as a picture file to search with."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from boonart.encoders.pictures import decode
from boonart.errors import InvalidRequest

WHOLE = 100
"""Positions and sizes are whole percents of the picture's width and height, so that an address can carry them."""
LEAST = 5
"""Smallest width and height of a detail in percent: less is a few brush strokes, which look like anything."""
LEAST_PIXELS = 16
"""Smallest side of a detail in pixels."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A rectangle in a picture, in whole percents from its upper left corner.

    Raises:
        InvalidRequest: it reaches beyond the picture or is too small.
    """

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, start, length in (("width", self.left, self.width), ("height", self.top, self.height)):
            if length < LEAST:
                raise InvalidRequest(
                    f"The detail is too small: its {name} is {length} % of the picture.",
                    hint=f"Take at least {LEAST} %.",
                    field=name,
                )
            if start < 0 or start + length > WHOLE:
                raise InvalidRequest(
                    "The detail reaches beyond the picture.",
                    hint="Left and width, and top and height, make 100 % at most.",
                    field=name,
                )

    def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in pixels of a picture of this (width, height), `LEAST_PIXELS` a side at least
        where the picture has as many."""
        left, right = _span(self.left, self.width, size[0])
        top, bottom = _span(self.top, self.height, size[1])
        return left, top, right, bottom


PRESETS = {
    "upper_left": Detail(0, 0, 50, 50),
    "top": Detail(25, 0, 50, 50),
    "upper_right": Detail(50, 0, 50, 50),
    "left": Detail(0, 25, 50, 50),
    "middle": Detail(25, 25, 50, 50),
    "right": Detail(50, 25, 50, 50),
    "lower_left": Detail(0, 50, 50, 50),
    "bottom": Detail(25, 50, 50, 50),
    "lower_right": Detail(50, 50, 50, 50),
}
"""Nine overlapping quarters, by the name of their place, row by row."""


def crop(data: bytes, detail: Detail) -> bytes:
    """The detail of a picture file as a picture file of its own (PNG: nothing is lost before it is encoded).

    Raises:
        PictureError: bytes that are no usable picture.
    """
    picture = decode(data)
    left, top, right, bottom = detail.box((picture.width, picture.height))
    stream = io.BytesIO()
    Image.fromarray(picture.pixels[top:bottom, left:right]).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _span(start: int, length: int, pixels: int) -> tuple[int, int]:
    first, last = pixels * start // WHOLE, -(-pixels * (start + length) // WHOLE)
    short = min(LEAST_PIXELS, pixels) - (last - first)
    if short > 0:
        first = max(0, min(first - short // 2, pixels - min(LEAST_PIXELS, pixels)))
        last = first + min(LEAST_PIXELS, pixels)
    return first, last
