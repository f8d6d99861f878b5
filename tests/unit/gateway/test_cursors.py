"""Where a list of hits goes on."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boonart.errors import InvalidQuery
from boonart.works import Hit, Picture, Query, QueryPart, Work
from boonart_services.gateway.cursors import Cursor, digest, read, write

HITS = [Hit(rank, Work(id_), 1.0, 1.0, collection="c") for rank, id_ in enumerate("abcdef", start=1)]


def test_a_list_goes_on_after_the_last_hit_given() -> None:
    place = Cursor().after(HITS[:2])
    assert [hit.work.id for hit in place.rest(HITS)] == ["c", "d", "e", "f"]
    assert [hit.work.id for hit in place.after(HITS[2:4]).rest(HITS)] == ["e", "f"]


def test_a_work_that_came_in_between_repeats_nothing() -> None:
    place = Cursor().after(HITS[:2])
    grown = [Hit(1, Work("new"), 2.0, 2.0, collection="c"), *HITS]
    assert next(hit.work.id for hit in place.rest(grown)) == "c"


def test_where_the_last_hit_has_gone_the_count_decides() -> None:
    place = Cursor().after(HITS[:3])
    assert [hit.work.id for hit in place.rest([*HITS[:2], *HITS[3:]])] == ["e", "f"]


@given(given=st.integers(0, 1000), last=st.tuples(st.text(), st.text()))
def test_a_cursor_travels_as_text(given: int, last: tuple[str, str]) -> None:
    assert read(write(Cursor(given, last), "d"), "d") == Cursor(given, last)


@given(text=st.text(min_size=1, max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery) as error:
        read(text, "d")
    assert error.value.field == "cursor"


def test_an_altered_cursor_is_refused() -> None:
    data = bytearray(base64.urlsafe_b64decode(write(Cursor(3, ("c", "abc")), "d") + "=="))
    for place in range(len(data)):
        altered = data.copy()
        altered[place] ^= 1
        with pytest.raises(InvalidQuery):
            read(base64.urlsafe_b64encode(altered).decode(), "d")


@pytest.mark.parametrize(("before", "after"), [("", "\n"), (" ", ""), ("", "=="), ("$$", ""), ("", "A"), ("é", "")])
def test_a_cursor_with_something_added_is_refused(before: str, after: str) -> None:
    with pytest.raises(InvalidQuery, match="damaged"):
        read(before + write(Cursor(3, ("c", "abc")), "d") + after, "d")


def test_a_cursor_belongs_to_its_request_and_not_to_its_length() -> None:
    mine = digest(Query("c", text="a", limit=5))
    assert digest(Query("c", text="a", limit=7)) == mine
    other = digest(Query("c", text="b", limit=5))
    with pytest.raises(InvalidQuery, match="another request"):
        read(write(Cursor(1, ("c", "a")), mine), other)


def test_everything_that_changes_the_list_changes_the_digest() -> None:
    def of(shade: int) -> Picture:
        return Picture(np.full((2, 2, 3), shade, dtype=np.uint8), (2, 2), "PNG")

    queries = [
        Query("c", text="a"),
        Query("d", text="a"),
        Query("c", work_id="a"),
        Query("c", text="a", diversity=0.5),
        Query("c", picture=of(1)),
        Query("c", picture=of(2)),
        Query("c", parts=(QueryPart(picture=of(1)), QueryPart("a"))),
        Query("c", parts=(QueryPart(picture=of(2)), QueryPart("a"))),
        Query("c", parts=(QueryPart(picture=of(2)), QueryPart("a", weight=-1.0))),
        Query("c", text="half a character: \ud800"),
    ]
    assert len({digest(query) for query in queries}) == len(queries)
    assert [digest(replace(query)) for query in queries] == [digest(query) for query in queries]
