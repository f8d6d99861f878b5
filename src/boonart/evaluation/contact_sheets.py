"""Contact sheets: panels of captioned pictures on one page, for Figures 4 and 5 of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from boonart.works import Picture

TILE = 220
"""Longest side of a picture, in pixels."""
_GAP, _MARGIN, _LINE = 12, 24, 19
_INK, _GREY, _PAPER, _RULE = "#222222", "#5f5f5f", "#ffffff", "#d5d5d0"
_FRAMES = {True: "#007a5a", False: "#c44e00"}
_FRAME = 5
_INSIDE = TILE - 2 * _FRAME
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture with a label above and a caption below.

    Attributes:
        picture: None leaves its place empty.
        right: frames the picture as right or wrong; None where nobody has said.
    """

    label: str
    caption: str
    picture: Picture | None = None
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A few cells under a title; all panels of a sheet have as many."""

    title: str
    cells: tuple[Cell, ...]


def contact_sheet(title: str, panels: Sequence[Panel], file: Path, *, columns: int = 3, caption_lines: int = 3) -> Path:
    """Draw the panels row by row and write a PNG or WebP file.

    Args:
        columns: panels beside each other, at most.
        caption_lines: lines of a caption; what is longer is cut with an ellipsis.
    """
    small, large = ImageFont.load_default(size=14), ImageFont.load_default(size=17)
    columns = min(columns, len(panels))
    cells = max(len(panel.cells) for panel in panels)
    width = cells * TILE + (cells - 1) * _GAP
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    titles = [_wrapped(panel.title, measure, large, width, 2) for panel in panels]
    head = 8 + max(map(len, titles)) * (_LINE + 2)
    rows = [range(start, min(start + columns, len(panels))) for start in range(0, len(panels), columns)]
    # Each row is as high as its highest picture, so that captions stand in one line under the pictures.
    tiles = [max(_height(cell) for number in row for cell in panels[number].cells) for row in rows]
    judged = any(cell.right is not None for panel in panels for cell in panel.cells)
    top = _MARGIN + 34 + (_LINE if judged else 0)
    below = 8 + caption_lines * _LINE + _MARGIN
    height = top + sum(head + _LINE + tile + below for tile in tiles)
    sheet = Image.new("RGB", (2 * _MARGIN + columns * width + (columns - 1) * 2 * _MARGIN, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 6), title, fill=_INK, font=ImageFont.load_default(size=22))
    if judged:
        draw.text((_MARGIN, _MARGIN + 24), "Green frame: right. Orange frame: wrong.", fill=_GREY, font=small)
    for row, tile in zip(rows, tiles, strict=True):
        for place, number in enumerate(row):
            left = _MARGIN + place * (width + 2 * _MARGIN)
            draw.line((left, top, left + width, top), fill=_RULE)
            for line, words in enumerate(titles[number]):
                draw.text((left, top + 8 + line * (_LINE + 2)), words, fill=_INK, font=large)
            for column, cell in enumerate(panels[number].cells):
                corner = (left + column * (TILE + _GAP), top + head)
                _draw_cell(sheet, draw, cell, corner, tile, small, caption_lines)
        top += head + _LINE + tile + below
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)
    return file


def _height(cell: Cell) -> int:
    """Height of a cell's picture in the sheet, with the room for a frame."""
    if cell.picture is None:
        return 0
    return round(cell.picture.height * min(1.0, _INSIDE / max(cell.picture.width, cell.picture.height))) + 2 * _FRAME


def _draw_cell(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    cell: Cell,
    corner: tuple[int, int],
    tile: int,
    font: Font,
    lines: int,
) -> None:
    left, top = corner
    draw.text((left, top), cell.label, fill=_GREY, font=font)
    top += _LINE
    if cell.picture is not None:
        picture = Image.fromarray(cell.picture.pixels)
        picture.thumbnail((_INSIDE, _INSIDE), Image.Resampling.LANCZOS)
        x, y = left + _FRAME, top + tile - _FRAME - picture.height
        if cell.right is not None:
            box = (x - _FRAME, y - _FRAME, x + picture.width + _FRAME - 1, y + picture.height + _FRAME - 1)
            draw.rectangle(box, fill=_FRAMES[cell.right])
        sheet.paste(picture, (x, y))
    for line, words in enumerate(_wrapped(cell.caption, draw, font, TILE, lines)):
        draw.text((left, top + tile + 4 + line * _LINE), words, fill=_INK, font=font)


def _wrapped(text: str, draw: ImageDraw.ImageDraw, font: Font, width: int, most: int) -> list[str]:
    """The text in lines of at most `width` pixels, cut with an ellipsis after `most` lines."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = [line for line in lines if line]
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and draw.textlength(f"{last} …", font=font) > width:
        last = last.rpartition(" ")[0] or last[:-1]
    return [*lines[: most - 1], f"{last} …"]
