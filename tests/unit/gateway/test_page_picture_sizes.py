"""The sizes of a picture from which a browser chooses."""

import pytest

from boonart.works import StoredPicture
from boonart_services.gateway.page_pictures import PagePicture, page_picture


def offered(width: int, height: int) -> PagePicture:
    found = page_picture("c", "w", StoredPicture("0123456789abcdef", (width, height), "#802020"))
    assert found is not None
    return found


def choices(srcset: str) -> list[tuple[str, str]]:
    """What stands after the common address, with the width."""
    base = "/v1/works/w/thumbnail?collection=c&v=0123456789ab"
    pairs = [part.split(" ") for part in srcset.split(", ")] if srcset else []
    return [(address.removeprefix(base), width) for address, width in pairs]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # Heights of 160, 320, 448 (the stored one) and 640 pixels.
        ((3000, 2000), [("&height=160", "240w"), ("&height=320", "480w"), ("", "672w"), ("&height=640", "960w")]),
        # A tall one.
        ((1000, 2000), [("&height=160", "80w"), ("&height=320", "160w"), ("", "224w"), ("&height=640", "320w")]),
        # A frieze: thumbnails are at most three times as wide as high, the stored one at most 800 pixels wide.
        ((8000, 800), [("&height=160", "480w"), ("", "800w"), ("&height=320", "960w"), ("&height=640", "1600w")]),
        # A small file is never enlarged, and where the stored one is as large, nothing else is made.
        ((480, 380), [("&height=160", "202w"), ("&height=320", "404w"), ("", "480w")]),
        ((600, 500), [("&height=160", "192w"), ("&height=320", "384w"), ("", "538w"), ("&height=640", "600w")]),
        ((60, 40), []),
    ],
)
def test_a_few_widths_are_offered(size: tuple[int, int], expected: list[tuple[str, str]]) -> None:
    assert choices(offered(*size).srcset) == expected


def test_a_works_own_view_offers_the_whole_picture_too() -> None:
    assert offered(3000, 2000).large_srcset.split(", ")[-1] == (
        "/v1/works/w/image?collection=c&v=0123456789ab 1600w"
    ), "the display form has at most 1,600 pixels a side"
    assert offered(60, 40).large_srcset == ""


def test_the_place_is_as_wide_as_its_height_makes_it_and_no_wider_than_a_phone() -> None:
    assert offered(300, 200).sizes(18) == "(max-width: 29rem) calc(100vw - 2rem), 27rem"
    assert offered(2000, 200).sizes(10) == "(max-width: 32rem) calc(100vw - 2rem), 30rem"


def test_a_work_without_a_picture_has_none() -> None:
    assert page_picture("c", "w", StoredPicture()) is None
