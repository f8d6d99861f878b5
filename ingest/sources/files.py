"""Files of a source, read without leaving its folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from boonart.errors import PictureTooLarge, RecordError, SourceError

MAX_PICTURE_BYTES = 64 * 1024 * 1024
FALLBACK_ENCODING = "cp1252"
"""What a text that is not UTF-8 most likely is: a spreadsheet's export in Western Europe."""
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def picture_loader(root: Path, image: str, max_bytes: int) -> Callable[[], bytes]:
    """A function that reads the picture a record names, when it is called.

    Args:
        root: the source's folder, which the path must not leave.
        image: path relative to it.
    """
    return partial(_read_picture, root, image, max_bytes)


def _read_picture(root: Path, image: str, max_bytes: int) -> bytes:
    if not image:
        raise RecordError("The record names no picture.")
    if "://" in image:
        raise RecordError(
            f"The picture {image[:200]!r} is an address; only files are read.",
            hint="Download the pictures beside the records and name their paths.",
        )
    try:
        base = root.resolve()
        path = (base / image.replace("\\", "/")).resolve()
        if not path.is_relative_to(base):
            raise RecordError(f"The picture {image[:200]!r} lies outside the source's folder.")
        if not path.is_file():
            raise RecordError(f"The picture {image[:200]!r} is not there.")
        size = path.stat().st_size
        if size > max_bytes:
            raise PictureTooLarge(f"The picture {image[:200]!r} has {size:,} bytes; {max_bytes:,} are allowed.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise RecordError(f"The picture {image[:200]!r} cannot be read: {error}") from error


def text_encoding(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, else UTF-8 if all of it is, else cp1252.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        for mark, encoding in _MARKS.items():
            if start.startswith(mark):
                return encoding
        with path.open(encoding="utf-8", newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return FALLBACK_ENCODING
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    return "utf-8"
