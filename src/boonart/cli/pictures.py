"""Pictures in a terminal that can show them: by kitty's graphics protocol, or as sixels.

All hits go into one picture, side by side, so that one protocol message shows them and the table below stays whole.
Protocols: https://sw.kovidgoyal.net/kitty/graphics-protocol/ and DEC STD 070, chapter on sixel graphics.
"""

from __future__ import annotations

import base64
import io
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TextIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

HEIGHT, GAP, FRAME = 160, 8, 2
"""Of the strip and between its pictures, in pixels; width of the frame round each."""
WIDEST = 1_200
"""Pixels that a strip takes where the terminal does not say how wide it is."""
CELL = 9
"""Width of a character in pixels, where the terminal does not say."""
COLOURS = 255
"""Most colours of a sixel picture; terminals take 256."""
ASKING_SECONDS = 0.3
_CHUNK = 4_096
_KITTY = ("kitty", "ghostty", "wezterm")
_SIXEL_ANSWER = re.compile(rb"\x1b\[\?[\d;]*\b4\b[\d;]*c")


class Pictures(StrEnum):
    """How to show pictures in the terminal."""

    AUTO = "auto"
    OFF = "off"
    KITTY = "kitty"
    SIXEL = "sixel"


def protocol(
    wanted: Pictures, stream: TextIO, environment: Mapping[str, str], ask: Callable[[], bytes] | None = None
) -> Pictures:
    """The protocol to use: what is wanted, or what the terminal can; OFF where the stream is no terminal.

    Args:
        ask: asks the terminal what it is and returns its answer; the terminal itself by default.
    """
    if wanted is Pictures.OFF or not stream.isatty():
        return Pictures.OFF
    if wanted is not Pictures.AUTO:
        return wanted
    name = f"{environment.get('TERM', '')} {environment.get('TERM_PROGRAM', '')}".casefold()
    if environment.get("TMUX") or name.startswith(("screen", "tmux", "dumb")):
        # They pass pictures on only where they are told to.
        return Pictures.OFF
    if "KITTY_WINDOW_ID" in environment or any(known in name for known in _KITTY):
        return Pictures.KITTY
    return Pictures.SIXEL if _SIXEL_ANSWER.search((ask or device_attributes)()) else Pictures.OFF


def device_attributes() -> bytes:
    """What the terminal answers to "what are you?" (DA1), or nothing where it does not answer soon."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return b""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal)
            os.write(terminal, b"\x1b[c")
            answer = b""
            while not answer.endswith(b"c") and select.select([terminal], [], [], ASKING_SECONDS)[0]:
                answer += os.read(terminal, 64)
            return answer
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)


def strip(files: Sequence[bytes], width: int = WIDEST) -> tuple[Image.Image, int]:
    """Pictures side by side with their places, as many as fit; at least one.

    Args:
        files: bytes of picture files, best first.
        width: pixels.

    Returns:
        The strip on a transparent ground, and how many pictures are in it.
    """
    shown: list[Image.Image] = []
    taken = 0
    for file in files:
        with Image.open(io.BytesIO(file)) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((width, HEIGHT))
        if shown and taken + GAP + picture.width > width:
            break
        taken += picture.width + (GAP if shown else 0)
        shown.append(picture)
    sheet = Image.new("RGBA", (max(1, taken), HEIGHT))
    left = 0
    for place, picture in enumerate(shown, start=1):
        framed = ImageOps.expand(ImageOps.crop(picture, FRAME), FRAME, (120, 120, 120))
        _number(framed, place)
        sheet.paste(framed, (left, HEIGHT - framed.height))
        left += picture.width + GAP
    return sheet, len(shown)


def _number(picture: Image.Image, place: int) -> None:
    pen = ImageDraw.Draw(picture)
    text = str(place)
    box = pen.textbbox((8, 6), text, font_size=16)
    pen.rounded_rectangle((box[0] - 5, box[1] - 4, box[2] + 5, box[3] + 4), 4, fill=(20, 20, 20))
    pen.text((8, 6), text, fill=(255, 255, 255), font_size=16)


def kitty(picture: Image.Image) -> Iterator[str]:
    """The picture as messages of kitty's graphics protocol: PNG, in chunks of base64."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    data = base64.standard_b64encode(stream.getvalue()).decode()
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    for place, chunk in enumerate(chunks):
        head = "a=T,f=100,q=2," if place == 0 else ""
        yield f"\x1b_G{head}m={int(place < len(chunks) - 1)};{chunk}\x1b\\"


def sixel(picture: Image.Image) -> Iterator[str]:
    """The picture as sixels: bands of six rows, a line a colour, equal ones told once; what is transparent stays."""
    alpha = np.asarray(picture.getchannel("A")) > 127
    reduced = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    pixels = np.asarray(reduced)
    yield f'\x1bP0;1;0q"1;1;{picture.width};{picture.height}'
    for colour in range(len(palette) // 3):
        red, green, blue = (round(100 * value / 255) for value in palette[3 * colour : 3 * colour + 3])
        yield f"#{colour};2;{red};{green};{blue}"
    for top in range(0, picture.height, 6):
        band, solid = pixels[top : top + 6], alpha[top : top + 6]
        bits = (1 << np.arange(len(band)))[:, None]
        lines = []
        for colour in np.unique(band[solid]):
            columns = (((band == colour) & solid) * bits).sum(axis=0)
            lines.append(f"#{colour}" + _runs(columns))
        yield "$".join(lines) + "-"
    yield "\x1b\\"


def _runs(columns: npt.NDArray[np.integer]) -> str:
    """A line of sixels, equal ones told once with their number."""
    starts = np.flatnonzero(np.diff(columns, prepend=-1))
    lengths = np.diff(starts, append=len(columns))
    return "".join(
        (f"!{length}" if length > 3 else "") + chr(63 + columns[start]) * (1 if length > 3 else length)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    )


def show(files: Sequence[bytes], how: Pictures, columns: int, stream: TextIO | None = None) -> None:
    """Write pictures to the terminal.

    Args:
        how: KITTY or SIXEL.
        columns: width of the terminal in characters.
    """
    stream = stream or sys.stdout
    if how is Pictures.OFF or not files:
        return
    picture, _ = strip(files, min(WIDEST, CELL * columns))
    stream.write("".join(kitty(picture) if how is Pictures.KITTY else sixel(picture)) + "\n")
    stream.flush()
