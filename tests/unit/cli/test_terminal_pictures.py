"""Pictures in the terminal."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from boonart.cli import pictures
from boonart.cli.pictures import HEIGHT, Pictures, kitty, protocol, sixel, strip

SIXEL_TERMINAL = b"\x1b[?62;4;22c"
PLAIN_TERMINAL = b"\x1b[?62;22c"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def file(colour: tuple[int, int, int], size: tuple[int, int] = (120, 160)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("environment", "answer", "expected"),
    [
        ({"TERM": "xterm-kitty"}, b"", Pictures.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, b"", Pictures.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, b"", Pictures.KITTY),
        ({"TERM": "foot"}, SIXEL_TERMINAL, Pictures.SIXEL),
        ({"TERM": "xterm"}, PLAIN_TERMINAL, Pictures.OFF),
        ({"TERM": "xterm"}, b"", Pictures.OFF),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, SIXEL_TERMINAL, Pictures.OFF),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, SIXEL_TERMINAL, Pictures.OFF),
        ({"TERM": "dumb"}, SIXEL_TERMINAL, Pictures.OFF),
    ],
)
def test_the_terminal_says_what_it_can(environment: dict[str, str], answer: bytes, expected: Pictures) -> None:
    assert protocol(Pictures.AUTO, Terminal(), environment, lambda: answer) is expected


def test_what_is_asked_for_is_done_on_a_terminal_alone() -> None:
    for wanted in Pictures:
        assert protocol(wanted, io.StringIO(), {"TERM": "xterm-kitty"}, lambda: SIXEL_TERMINAL) is Pictures.OFF
    assert protocol(Pictures.SIXEL, Terminal(), {}, lambda: b"") is Pictures.SIXEL
    assert protocol(Pictures.OFF, Terminal(), {"TERM": "xterm-kitty"}, lambda: b"") is Pictures.OFF


def test_a_strip_holds_as_many_pictures_as_fit() -> None:
    sheet, shown = strip([file((200, 0, 0))] * 5, 400)
    assert (sheet.size, shown) == ((3 * 120 + 2 * 8, HEIGHT), 3)
    narrow, one = strip([file((200, 0, 0), (1600, 160))], 100)
    assert (narrow.width, one) == (100, 1)


def test_kitty_gets_the_picture_as_a_png_in_chunks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, 200, 4), dtype=np.uint8)
    picture = Image.fromarray(noise)
    messages = list(kitty(picture))
    parts = [re.fullmatch(r"\x1b_G(?:(a=T,f=100,q=2),)?m=([01]);([A-Za-z0-9+/=]*)\x1b\\", m) for m in messages]
    assert len(parts) > 1
    assert [bool(part and part[1]) for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part and part[2] for part in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert all(len(part[3]) <= 4096 for part in parts if part)
    data = base64.b64decode("".join(part[3] for part in parts if part))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), noise)


def decoded(text: str) -> dict[tuple[int, int], tuple[int, int, int]]:
    """The pixels that sixels paint, in percent of each colour."""
    body = re.fullmatch(r'\x1bP0;1;0q"1;1;\d+;\d+(.*)\x1b\\', text, re.DOTALL)
    assert body is not None
    palette: dict[str, tuple[int, int, int]] = {}
    pixels: dict[tuple[int, int], tuple[int, int, int]] = {}
    colour, left, top = "", 0, 0
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", body[1]):
        if token[1]:
            palette[token[1]] = (int(token[2]), int(token[3]), int(token[4]))
        elif token[5]:
            colour = token[5]
        elif token[9]:
            left, top = 0, top + (6 if token[9] == "-" else 0)
        else:
            bits = ord(token[7] or token[8]) - 63
            width = int(token[6] or 1)
            for column in range(left, left + width):
                pixels |= {(column, top + row): palette[colour] for row in range(6) if bits >> row & 1}
            left += width
    return pixels


def test_sixels_paint_each_pixel_once_and_leave_out_what_is_transparent() -> None:
    picture = Image.new("RGBA", (20, 15))
    picture.paste((255, 0, 0, 255), (0, 0, 10, 15))
    picture.paste((0, 0, 255, 255), (12, 7, 20, 15))
    pixels = decoded("".join(sixel(picture)))
    assert pixels == {
        **{(x, y): (100, 0, 0) for x in range(10) for y in range(15)},
        **{(x, y): (0, 0, 100) for x in range(12, 20) for y in range(7, 15)},
    }


def test_the_pictures_stand_on_a_line_of_their_own() -> None:
    stream = Terminal()
    pictures.show([file((200, 0, 0))], Pictures.KITTY, 80, stream)
    assert stream.getvalue().startswith("\x1b_G")
    assert stream.getvalue().endswith("\x1b\\\n")
    nothing = Terminal()
    pictures.show([], Pictures.KITTY, 80, nothing)
    pictures.show([file((1, 2, 3))], Pictures.OFF, 80, nothing)
    assert nothing.getvalue() == ""
