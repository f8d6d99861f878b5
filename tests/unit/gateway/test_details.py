"""Details of pictures: where they lie, and that what is cut out is what was meant."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from boonart.errors import InvalidRequest, PictureError
from boonart_services.gateway.details import LEAST, LEAST_PIXELS, PRESETS, Detail, crop


def quarters() -> bytes:
    """A picture whose four quarters have four colours: red, green, blue, white."""
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:20, :40] = (255, 0, 0)
    pixels[:20, 40:] = (0, 255, 0)
    pixels[20:, :40] = (0, 0, 255)
    pixels[20:, 40:] = (255, 255, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("place", "colour"),
    [
        ("upper_left", (255, 0, 0)),
        ("upper_right", (0, 255, 0)),
        ("lower_left", (0, 0, 255)),
        ("lower_right", (255, 255, 255)),
    ],
)
def test_a_quarter_is_cut_out_at_its_place(place: str, colour: tuple[int, int, int]) -> None:
    with Image.open(io.BytesIO(crop(quarters(), PRESETS[place]))) as part:
        assert part.size == (40, 20)
        assert part.convert("RGB").getcolors() == [(800, colour)]


def test_the_nine_places_cover_the_picture_and_stay_inside() -> None:
    covered = np.zeros((100, 100), dtype=bool)
    for detail in PRESETS.values():
        left, top, right, bottom = detail.box((100, 100))
        covered[top:bottom, left:right] = True
    assert covered.all()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((0, 0, LEAST - 1, 50), "width"),
        ((0, 0, 50, 0), "height"),
        ((-1, 0, 50, 50), "width"),
        ((60, 0, 50, 50), "width"),
        ((0, 51, 50, 50), "height"),
    ],
)
def test_a_detail_that_cannot_be_is_refused(values: tuple[int, int, int, int], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Detail(*values)
    assert caught.value.field == field


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(0, 95),
    st.integers(0, 95),
    st.integers(LEAST, 100),
    st.integers(LEAST, 100),
)
def test_a_box_lies_within_its_picture_and_is_never_empty(
    size: tuple[int, int], left: int, top: int, width: int, height: int
) -> None:
    detail = Detail(left, top, min(width, 100 - left), min(height, 100 - top))
    box = detail.box(size)
    for first, last, pixels in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        assert 0 <= first < last <= pixels
        assert last - first >= min(LEAST_PIXELS, pixels)


def test_what_is_no_picture_is_not_cut() -> None:
    with pytest.raises(PictureError):
        crop(b"no picture", PRESETS["middle"])
