"""A work's picture as the page's templates place it, in the sizes that a browser may choose from."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from boonart.encoders.pictures import DISPLAY_SIDE, THUMBNAIL_HEIGHT, THUMBNAIL_PROPORTION, THUMBNAIL_WIDTH, fitted
from boonart.ports import THUMBNAIL_HEIGHTS
from boonart.works import StoredPicture
from boonart_services.gateway.answers import picture_json


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A picture with its addresses.

    Attributes:
        width: of the original, in pixels; with `height` it reserves the picture's place.
        colour: class of the placeholder.
        thumbnails: addresses by their pictures' widths in pixels, the smallest first.
        shown_width: of the picture at `image_url`.
    """

    image_url: str
    thumbnail_url: str
    width: int
    height: int
    colour: str
    thumbnails: dict[int, str]
    shown_width: int

    @property
    def srcset(self) -> str:
        """The thumbnails to choose from; "" where there is but one."""
        return _srcset(self.thumbnails) if len(self.thumbnails) > 1 else ""

    @property
    def large_srcset(self) -> str:
        """The thumbnails and the whole picture; "" where there is no choice."""
        return _srcset(large) if len(large := {**self.thumbnails, self.shown_width: self.image_url}) > 1 else ""

    def sizes(self, rem: float) -> str:
        """How wide it is where it is `rem` high, in words for a browser: at most as wide as a phone."""
        wide = round(rem * min(self.width / self.height, THUMBNAIL_PROPORTION), 1)
        return f"(max-width: {wide + 2:g}rem) calc(100vw - 2rem), {wide:g}rem"


def _srcset(addresses: dict[int, str]) -> str:
    return ", ".join(f"{address} {width}w" for width, address in addresses.items())


def page_picture(collection: str, work_id: str, stored: StoredPicture) -> PagePicture | None:
    """A work's picture; None where it has none."""
    found = picture_json(collection, work_id, stored)
    if found is None:
        return None
    address = found["thumbnail_url"]
    shown = fitted(stored.size, (DISPLAY_SIDE, DISPLAY_SIDE))
    widths = {fitted(shown, (THUMBNAIL_PROPORTION * height, height))[0]: height for height in THUMBNAIL_HEIGHTS[::-1]}
    thumbnails = {width: f"{address}&height={height}" for width, height in widths.items()}
    # Nothing has to be made where the stored one is just as wide.
    thumbnails[fitted(stored.size, (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT))[0]] = address
    return PagePicture(
        image_url=found["image_url"],
        thumbnail_url=address,
        width=stored.size[0],
        height=stored.size[1],
        colour=colour_class(stored.colour),
        thumbnails=dict(sorted(thumbnails.items())),
        shown_width=shown[0],
    )


def colour_class(colour: str) -> str:
    """The placeholder class of a colour: one of 24, since styles in the page itself are not allowed.

    `g0` to `g5` are greys from dark to light; `h<hue>-<lightness>` are six hues in three lightnesses.
    """
    try:
        number = int(colour.removeprefix("#"), 16)
    except ValueError:
        return "g3"
    red, green, blue = ((number >> shift & 255) / 255 for shift in (16, 8, 0))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < 0.15:
        return f"g{min(5, int(lightness * 6))}"
    return f"h{int(hue * 6 + 0.5) % 6}-{min(2, int(lightness * 3))}"
