"""Decoding of pictures: one function for encoding, thumbnails and explanations alike.

The format is found from the content, never from a name or a media type. The pixel budget is checked from the header,
before anything is decoded, so a decompression bomb costs nothing. Large scans are reduced while they are decoded
where the format allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from boonart.encoders.picture_files import DAMAGE, jpeg2000_levels, jpeg_keeps_all, open_picture
from boonart.errors import PictureTooLarge, TruncatedPicture
from boonart.ports import Renditions
from boonart.works import Picture

MAX_SIDE = 2048
"""Longest side of a decoded picture, in pixels: more than any encoder or page of ours looks at."""
DISPLAY_SIDE = 1600
THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH = 448, 800
THUMBNAIL_PROPORTION = 3
"""Thumbnails of the other heights are at most so many times as wide, as a tile of the page's wall is."""
THUMBNAIL_BYTES = 100 * 1024
"""An original as small as a thumbnail is its own."""
DISPLAY_BYTES = 2 * 1024 * 1024
"""An original that is small enough in pixels and bytes is shown as it is."""
METADATA_BYTES = 4 * 1024
"""With more of captions, positions and histories in it, an original is not shown as it is."""

_ORIENTATION_TAG = 0x0112
_REDUCED_IMAGE_TAG = 254
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MOST_PAGES = 16


@dataclass(frozen=True, slots=True)
class PictureBudget:
    """What a picture may cost.

    Attributes:
        file_bytes: largest file, in bytes.
        pixels: most pixels that are ever decoded; at 4 bytes each, and once more while they are converted, this
            bounds the memory.
        reducible_pixels: most pixels of a file that is reduced while it is decoded (JPEG, JPEG 2000, a TIFF with
            smaller pages in it).
    """

    file_bytes: int = 512 * 1024 * 1024
    pixels: int = 120_000_000
    reducible_pixels: int = 1_000_000_000


DEFAULT_BUDGET = PictureBudget()


def decode(data: bytes, *, budget: PictureBudget = DEFAULT_BUDGET, max_side: int = MAX_SIDE) -> Picture:
    """Decode a picture file to upright sRGB pixels.

    Applies the EXIF orientation and the colour profile, lays alpha over white, and brings 16-bit, CMYK, greyscale
    and palette pictures to 8-bit RGB. Of an animation the first frame is taken. Thread-safe.

    Args:
        data: the file's bytes.
        max_side: the result is reduced to this longest side, in pixels.

    Raises:
        UnsupportedPicture: not a picture, or of a format that is not read.
        PictureTooLarge: over the budget; nothing was decoded.
        TruncatedPicture: the data ends too early or is damaged.
    """
    if len(data) > budget.file_bytes:
        raise PictureTooLarge(
            f"The picture file has {len(data) / 1e6:,.0f} MB; {budget.file_bytes / 1e6:,.0f} MB are allowed.",
            hint="Save it smaller.",
        )
    image, name = open_picture(data)
    with image:
        size = image.size
        try:
            _plan(image, name, data, budget, max_side)
            image.load()
            # Only now: Pillow turns TIFF pictures itself while it loads them, and takes the mark away.
            orientation = _orientation(image)
            upright = _to_rgb(_reduced(image, max_side))
            if orientation in _TRANSPOSITIONS:
                upright = upright.transpose(_TRANSPOSITIONS[orientation])
            pixels = np.array(upright, dtype=np.uint8)
        except MemoryError as error:
            raise PictureTooLarge(
                "There is not enough memory to decode this picture.", hint="Save it smaller."
            ) from error
        except DAMAGE as error:
            raise TruncatedPicture(
                f"The {name} picture is damaged or cut off: {error}.", hint="Export or download it again."
            ) from error
    return Picture(pixels, (size[1], size[0]) if orientation in (5, 6, 7, 8) else size, name)


def _plan(image: Image.Image, name: str, data: bytes, budget: PictureBudget, max_side: int) -> None:
    """Have the picture reduced while it is decoded, as far as its format allows and `max_side` needs.

    Raises:
        PictureTooLarge: it would still go over the budget.
    """
    pixels, longest = image.width * image.height, max(image.size)
    halvings = 0
    if name == "JPEG" and not jpeg_keeps_all(data):
        halvings = 3
    elif name == "JPEG2000":
        halvings = jpeg2000_levels(data)
    elif name == "TIFF" and longest > max_side and _take_smaller_page(image, budget, max_side):
        return
    # Reduced further than to `max_side` only where it would not fit the budget otherwise.
    wanted = 0
    while wanted < halvings and (longest >> (wanted + 1) >= max_side or pixels >> (2 * wanted) > budget.pixels):
        wanted += 1
    most = (
        min(budget.pixels << (2 * halvings), max(budget.pixels, budget.reducible_pixels)) if halvings else budget.pixels
    )
    if pixels > most:
        raise PictureTooLarge(
            f"The picture has {image.width:,} x {image.height:,} pixels; a {name} file like this may have "
            f"{most / 1e6:,.0f} million.",
            hint="Save it smaller, or as a baseline JPEG, which is reduced while it is read.",
        )
    if name == "JPEG" and wanted:
        image.draft(None, (max(1, image.width >> wanted), max(1, image.height >> wanted)))
    elif wanted:
        image.reduce = wanted  # type: ignore[method-assign, assignment]  # the JPEG 2000 plugin's attribute


def _take_smaller_page(image: Image.Image, budget: PictureBudget, max_side: int) -> bool:
    """Turn to the smallest page of a TIFF pyramid that has `max_side`; False leaves the first page.

    A pyramid's further pages are marked as reduced forms of the first.
    """
    if image.width * image.height > budget.reducible_pixels or _orientation(image) != 1:
        return False
    profile, ratio = image.info.get("icc_profile"), image.width / image.height
    found: list[tuple[int, int]] = []
    for page in range(1, _MOST_PAGES):
        try:
            image.seek(page)
        except EOFError:
            break
        reduced = int(image.tag_v2.get(_REDUCED_IMAGE_TAG, 0)) & 1  # type: ignore[attr-defined]
        alike = abs(image.width / image.height / ratio - 1) < 0.05
        if reduced and alike and image.width * image.height <= budget.pixels:
            found.append((max(image.size), page))
    image.seek(0)
    enough = [entry for entry in found if entry[0] >= max_side]
    if not enough and (not found or image.width * image.height <= budget.pixels):
        return False
    image.seek(min(enough)[1] if enough else max(found)[1])
    if profile:
        image.info.setdefault("icc_profile", profile)
    return True


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except DAMAGE:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reduced(image: Image.Image, max_side: int) -> Image.Image:
    """At most `max_side`, in a mode whose values can be averaged."""
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")
    if max(image.size) > max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit sRGB, alpha over white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    if image.mode not in ("RGBA", "LA"):
        return _to_srgb(image)
    alpha = image.getchannel("A")
    white = Image.new("RGB", image.size, "white")
    white.paste(_to_srgb(image.convert(image.mode.removesuffix("A"))), mask=alpha)
    return white


def _from_deep(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or floating-point greyscale picture to 8-bit RGB."""
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    highest = float(values.max(initial=0.0))
    if image.mode == "F":
        scale = 255.0 if highest <= 1.0 else 255.0 / max(255.0, highest)
    else:
        scale = 1.0 if highest <= 255.0 and image.mode == "I" else 255.0 / max(65535.0, highest)
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply the colour profile; one that is broken or of another kind of picture is passed over."""
    profile = image.info.get("icc_profile")
    converted = None
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            if not ImageCms.getProfileDescription(source).startswith("sRGB"):
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, *DAMAGE):
            converted = None
    if converted is None and image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    return converted or (image if image.mode == "RGB" else image.convert("RGB"))


# --- renditions ------------------------------------------------------------------------------------------


def renditions(data: bytes, picture: Picture) -> Renditions:
    """The forms of a picture that pages show.

    The display form is the original file where browsers show it as it is, upright, in sRGB and small enough;
    otherwise a JPEG of at most `DISPLAY_SIDE`. The thumbnail is a WebP of at most 800 x 448.

    Args:
        data: the original file's bytes.
        picture: what `decode` made of them.
    """
    image = Image.fromarray(picture.pixels)
    media_type = _web_media_type(data, picture)
    if media_type:
        display = data
    else:
        media_type = "image/jpeg"
        display = _saved(image, (DISPLAY_SIDE, DISPLAY_SIDE), "JPEG", quality=88)
    small = picture.original_size[0] <= THUMBNAIL_WIDTH and picture.original_size[1] <= THUMBNAIL_HEIGHT
    if display is data and small and len(data) <= THUMBNAIL_BYTES:
        return Renditions(display, media_type, display, media_type)
    thumbnail = _saved(image, (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), "WEBP", quality=80, method=2)
    return Renditions(display, media_type, thumbnail, "image/webp")


def fitted(size: tuple[int, int], largest: tuple[int, int]) -> tuple[int, int]:
    """A picture's size, reduced to `largest` in its proportions; never enlarged."""
    scale = min(1.0, largest[0] / size[0], largest[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def thumbnail(display: bytes, height: int) -> tuple[bytes, str]:
    """A display form as a thumbnail of at most this height: its bytes and their media type.

    Raises:
        PictureError: bytes that are no usable picture.
    """
    image, _ = open_picture(display)
    with image:
        size = fitted(image.size, (THUMBNAIL_PROPORTION * height, height))
    # Formats that can be are reduced while they are decoded, which takes most of the time.
    picture = decode(display, max_side=max(size))
    return _saved(Image.fromarray(picture.pixels), size, "WEBP", quality=80, method=2), "image/webp"


def _web_media_type(data: bytes, picture: Picture) -> str:
    """The media type if the original can be shown as it is, else ""."""
    media_type = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}.get(picture.format, "")
    if not media_type or len(data) > DISPLAY_BYTES or max(picture.original_size) > DISPLAY_SIDE:
        return ""
    image, _ = open_picture(data)
    with image:
        plain = image.mode in ("RGB", "L") and not image.info.get("icc_profile") and not image.info.get("exif")
        metadata = sum(len(value) for value in image.info.values() if isinstance(value, (str, bytes)))
        still = getattr(image, "n_frames", 1) == 1
        return media_type if plain and still and metadata <= METADATA_BYTES else ""


def _saved(
    image: Image.Image, largest: tuple[int, int], form: str, *, quality: int, method: int | None = None
) -> bytes:
    reduced = image.copy()
    reduced.thumbnail(largest, Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = BytesIO()
    extra = {} if method is None else {"method": method}
    reduced.save(stream, form, quality=quality, **extra)
    return stream.getvalue()


def dominant_colour(picture: Picture) -> str:
    """The commonest colour of a picture as "#rrggbb": the placeholder while its thumbnail loads."""
    small = Image.fromarray(picture.pixels).resize((32, 32), Image.Resampling.BOX)
    palette = small.quantize(6, method=Image.Quantize.MEDIANCUT)
    counts = palette.getcolors() or [(1, 0)]
    index = max(counts)[1]
    red, green, blue = (palette.getpalette() or [128, 128, 128])[3 * int(index) : 3 * int(index) + 3]  # type: ignore[call-overload]
    return f"#{red:02x}{green:02x}{blue:02x}"
