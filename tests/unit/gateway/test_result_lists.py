"""The list that a work was chosen from."""

import pytest

from boonart_services.gateway.result_lists import Listed, Neighbours, list_address, neighbours
from boonart_services.gateway.work_views import subject_name, work_address


@pytest.mark.parametrize(
    "given",
    [
        "",
        "/",
        "//elsewhere/?q=x",
        "https://elsewhere/?q=x",
        "/work?id=1",
        "/\\elsewhere/?q",
        "/?q=\n",
        "/?" + "x" * 5000,
    ],
)
def test_what_is_no_list_of_this_page_is_not_linked_to(given: str) -> None:
    assert list_address(given) == ""


def test_a_list_is_linked_to_without_its_place() -> None:
    assert list_address("/?q=a+dog&collection=tate#w3") == "/?q=a+dog&collection=tate"


def test_the_neighbours_are_those_before_and_after() -> None:
    works = [Listed(name, "tate", work_address(name, "tate", "/?q=x")) for name in ("a/1", "b&2", "c")]
    one, two, three = works
    assert neighbours(works, "b&2", "tate") == Neighbours(2, 3, one.address, three.address)
    assert neighbours(works, "a/1", "tate") == Neighbours(1, 3, "", two.address)
    assert neighbours(works, "c", "tate") == Neighbours(3, 3, two.address, "")
    assert neighbours([one, two], "c", "tate") == Neighbours(count=2)
    assert neighbours([one, two], "a/1", "masters").rank == 0, "the same id in another collection is another work"


def test_a_subject_is_named_by_its_end() -> None:
    assert subject_name("nature > animals: mammals > cow") == "cow"
    assert subject_name("cow") == "cow"
