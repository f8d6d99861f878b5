"""What a picture file is, told from its content: its format, or what else it seems to be.

Only the plugins of `FORMATS` are ever started, each by our own choice. So neither a name, nor a media type, nor the
order of Pillow's plugins decides; and nothing that runs programs or fetches files (EPS, PDF, WMF) is within reach.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from io import BytesIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from boonart.errors import TruncatedPicture, UnsupportedPicture

FORMATS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
"""Formats that are read and what reads them. A camera's MPO is read as the JPEG that it begins with."""

# What Pillow's decoders raise on damaged data.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    Image.DecompressionBombError,
)

_OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),  # a bare codestream
)
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
)
_PILLOW = r"PIL\."


def open_picture(data: bytes) -> tuple[Image.Image, str]:
    """The picture with only its header read, and the name of its format.

    Raises:
        UnsupportedPicture: not a picture, or of a format that is not read.
        TruncatedPicture: it begins like a picture, but its header cannot be read.
    """
    name = find_format(data)
    codec = _OPTIONAL.get(name)
    if not name or (codec and not features.check(codec)):
        raise UnsupportedPicture(
            f"This is not a picture that can be read: it is {f'a {name} file' if name else look_alike(data)}.",
            hint="Give a JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF or JPEG 2000 file.",
        )
    _silence_pillow()
    try:
        return FORMATS[name](BytesIO(data)), name
    except DAMAGE as error:
        raise TruncatedPicture(
            f"The file begins like {name} data, but it is damaged or cut off.",
            hint="Export or download it again.",
        ) from error


def find_format(data: bytes) -> str:
    """The name of the file's format in `FORMATS`, or ""."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return "AVIF" if {b"avif", b"avis"} & set(_brands(data)) else ""


def look_alike(data: bytes) -> str:
    """What data that is no picture of ours seems to be, in words."""
    if not data:
        return "an empty file"
    if {b"heic", b"heix", b"hevc", b"heim", b"mif1"} & set(_brands(data)):
        return "a HEIC picture"
    start = data[:512].lstrip().lower()
    for signature, name in _OTHERS:
        if start.startswith(signature.lower()):
            return name
    # A character may be cut at the end of the excerpt, hence the second try.
    for end in range(4096, 4092, -1):
        try:
            text = data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
        if all(letter.isprintable() or letter.isspace() for letter in text):
            return f"a text file, which begins with {' '.join(text.split())[:40]!r}"
        break
    return "binary data of an unknown kind"


def jpeg_keeps_all(data: bytes) -> bool:
    """Whether decoding holds every coefficient of a JPEG in memory, reduced or not.

    So it is with progressive files, and with baseline files that have a scan for each colour. Where the headers
    cannot be followed the answer is the careful one.
    """
    place, components, progressive = 2, 0, False
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xDA:
            return progressive or data[place + 4] < components
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            progressive, components = marker in (0xC2, 0xC6, 0xCA, 0xCE), data[place + 9]
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return True


def jpeg2000_levels(data: bytes) -> int:
    """How often a JPEG 2000 picture can be halved while it is decoded; 0 where that cannot be told."""
    place = data.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return 0
    place += 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        if data[place + 1] == 0x52:
            return min(data[place + 9], 32)
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0


def _brands(data: bytes) -> list[bytes]:
    """The brands of an ISO media file such as AVIF or HEIC."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return [data[8:12], *(data[place : place + 4] for place in range(16, end, 4))]


def _silence_pillow() -> None:
    """Keep Pillow's warnings about strangers' files out of our output.

    Whatever matters is raised as an error of ours. `warnings.catch_warnings` is no way: it is not thread-safe.
    """
    for entry in warnings.filters:
        if entry[0] == "ignore" and getattr(entry[3], "pattern", "") == _PILLOW:
            return
    warnings.filterwarnings("ignore", module=_PILLOW)
