"""Decoding of pictures: one function for encoding, thumbnails and explanations alike.

The format is found from the content, never from a name or a media type. The pixel budget is checked from the header,
before anything is decoded, so a decompression bomb costs nothing. Large scans are reduced while they are decoded
where the format allows it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from boonart.errors import PictureTooLarge, TruncatedPicture, UnsupportedPicture
from boonart.ports import Renditions
from boonart.works import Picture

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000")
"""Formats that are read; formats that run programs or fetch other files (EPS, PDF, WMF) are not among them."""

MAX_SIDE = 2048
"""Longest side of a decoded picture, in pixels: more than any encoder or page of ours looks at."""
DISPLAY_SIDE = 1600
THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH = 448, 800
THUMBNAIL_BYTES = 100 * 1024
"""An original as small as a thumbnail is its own."""
DISPLAY_BYTES = 2 * 1024 * 1024
"""An original that is small enough in pixels and bytes is shown as it is."""

_ORIENTATION_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow's decoders raise on damaged data; a warning of theirs, where warnings are errors, is no more than that.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, OverflowError, Warning)

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"RIFF", "WEBP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG2000"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"%!PS", "a PostScript document"),
    (b"<svg", "an SVG drawing"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


@dataclass(frozen=True, slots=True)
class PictureBudget:
    """What a picture may cost.

    Attributes:
        file_bytes: largest file, in bytes.
        pixels: most pixels of a format that must be decoded whole; at 4 bytes each this bounds the memory.
        reducible_pixels: most pixels of a format that is reduced while it is decoded (JPEG, JPEG 2000).
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
    with _opened(data) as image:
        name = "JPEG" if image.format == "MPO" else str(image.format)
        _check_budget(image, name, budget)
        orientation = _orientation(image)
        size = (image.height, image.width) if orientation in (5, 6, 7, 8) else (image.width, image.height)
        _load(image, name, max_side)
        if max(image.size) > max_side:
            image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        upright = _to_rgb(image)
        if orientation in _TRANSPOSITIONS:
            upright = upright.transpose(_TRANSPOSITIONS[orientation])
        return Picture(np.array(upright, dtype=np.uint8), size, name)


def _opened(data: bytes) -> Image.Image:
    """The picture with its header read."""
    if not data:
        raise UnsupportedPicture("The picture file is empty.", hint="Give a JPEG, PNG, WebP or TIFF file.")
    # Pillow's own limit knows neither formats nor reduction; `_check_budget` takes its place.
    Image.MAX_IMAGE_PIXELS = None
    Image.init()
    try:
        return Image.open(BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    except (UnidentifiedImageError, *_DAMAGE) as error:
        known = next((name for signature, name in _SIGNATURES if data.startswith(signature)), "")
        if known:
            raise TruncatedPicture(
                f"The picture starts like a {known} file, but its header is damaged or cut off.",
                hint="Export or download it again.",
            ) from error
        raise UnsupportedPicture(
            f"This is not a picture that can be read: it looks like {_looks_like(data)}.",
            hint="Give a JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF or JPEG 2000 file.",
        ) from error


def _looks_like(data: bytes) -> str:
    start = data[:512].lstrip()
    for signature, name in _OTHERS:
        if start.startswith(signature):
            return name
    try:
        text = data[:4096].decode("utf-8")
    except UnicodeDecodeError:
        return "binary data of an unknown kind"
    return "text" if text.isprintable() or "\n" in text else "binary data of an unknown kind"


def _check_budget(image: Image.Image, name: str, budget: PictureBudget) -> None:
    pixels = image.width * image.height
    # A progressive JPEG keeps all its coefficients in memory while it is decoded, reduced or not.
    reducible = name in ("JPEG", "JPEG2000") and not image.info.get("progressive")
    most = budget.reducible_pixels if reducible else budget.pixels
    if pixels > most:
        raise PictureTooLarge(
            f"The picture has {image.width:,} x {image.height:,} pixels; a {name} file may have "
            f"{most / 1e6:,.0f} million.",
            hint="Save it smaller, or as a baseline JPEG, which is reduced while it is read.",
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _load(image: Image.Image, name: str, max_side: int) -> None:
    """Read the pixels, reduced as far as the format allows without going below `max_side`."""
    if name == "JPEG":
        image.draft(None, (max_side, max_side))
    elif name == "JPEG2000":
        levels = 0
        while max(image.size) >> (levels + 1) >= max_side:
            levels += 1
        image.reduce = levels  # type: ignore[method-assign, assignment]  # the plugin's documented attribute
    try:
        image.load()
    except MemoryError as error:
        raise PictureTooLarge("There is not enough memory to decode this picture.", hint="Save it smaller.") from error
    except _DAMAGE as error:
        raise TruncatedPicture(
            f"The {name} picture is damaged or cut off: {error}.", hint="Export or download it again."
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit sRGB, alpha over white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        image.info["icc_profile"] = profile
    elif image.mode == "P":
        profile = image.info.get("icc_profile")
        image = image.convert("RGB")
        image.info["icc_profile"] = profile
    colours = _to_srgb(image)
    if alpha is None:
        return colours
    white = Image.new("RGB", colours.size, "white")
    white.paste(colours, mask=alpha)
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
    return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply the colour profile; a broken one is passed over."""
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, *_DAMAGE):
            converted = None
        if converted is not None:
            return converted
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


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


def _web_media_type(data: bytes, picture: Picture) -> str:
    """The media type if the original can be shown as it is, else ""."""
    media_type = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}.get(picture.format, "")
    if not media_type or len(data) > DISPLAY_BYTES or max(picture.original_size) > DISPLAY_SIDE:
        return ""
    with _opened(data) as image:
        plain = image.mode in ("RGB", "L") and not image.info.get("icc_profile") and not image.info.get("exif")
        return media_type if plain and getattr(image, "n_frames", 1) == 1 else ""


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
