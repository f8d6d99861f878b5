"""Errors there and back between processes."""

import pytest

from boonart import errors
from boonart.errors import BoonArtError, make_error


def classes(kind: type[BoonArtError] = BoonArtError) -> list[type[BoonArtError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in classes(child))]


@pytest.mark.parametrize("kind", [k for k in classes() if k.__module__ == "boonart.errors"])
def test_each_code_gives_its_class_back(kind: type[BoonArtError]) -> None:
    made = make_error(kind.code, "What is wrong.", hint="What to do.")
    assert type(made) is kind
    assert str(made) == "What is wrong. What to do."


def test_what_an_error_carries_is_kept() -> None:
    assert make_error("invalid-filter", "x", field="/filter").field == "/filter"
    locked, full = make_error("index-locked", "x", url="http://h"), make_error("overloaded", "x", retry_after=7)
    assert isinstance(locked, errors.IndexLocked)
    assert locked.url == "http://h"
    assert isinstance(full, errors.Overloaded)
    assert full.retry_after == 7


def test_a_code_of_a_newer_version_is_still_one_of_ours() -> None:
    assert type(make_error("of-tomorrow", "x")) is BoonArtError
