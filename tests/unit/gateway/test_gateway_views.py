"""What the page shows, before any template."""

import pytest

from boonart.works import Answer, Hit, Ranker, StoredPicture, Target, Work
from boonart_services.gateway.page_pictures import colour_class
from boonart_services.gateway.views import MOST_SHOWN, PAGE_SIZE, Asked, to_results


def answer(*relevances: float | None, work: Work | None = None) -> Answer:
    hits = tuple(
        Hit(rank, work or Work(str(rank)), 1.0, 1.0, StoredPicture("k" * 16, (4, 3)), relevance=relevance)
        for rank, relevance in enumerate(relevances, start=1)
    )
    return Answer(hits, Target.WORKS, Ranker.NONE, {})


@pytest.mark.parametrize(
    ("relevances", "weak_from"),
    [((0.9, 0.02, 0.004, 0.001), 3), ((0.004,), 1), ((0.9, 0.01), 0), ((None, None), 0), ((0.9, None), 0), ((), 0)],
)
def test_the_weak_line_stands_before_the_first_weak_match(relevances: tuple[float, ...], weak_from: int) -> None:
    results = to_results(answer(*relevances), Asked("x"), "c", 1.0)
    assert results.weak_from == weak_from
    assert [tile.rank for tile in results.tiles if tile.weak] == (
        list(range(weak_from, len(relevances) + 1)) if weak_from else []
    )


@pytest.mark.parametrize("source", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "JaVaScRiPt:x", "x y"])
def test_an_address_that_is_not_of_the_web_is_not_linked(source: str) -> None:
    (tile,) = to_results(answer(0.9, work=Work("w", source_url=source)), Asked("x"), "c", 1.0).tiles
    assert tile.source == ""


def test_the_source_is_linked() -> None:
    (tile,) = to_results(answer(0.9, work=Work("w", source_url="http://m.example/1")), Asked("x"), "c", 1.0).tiles
    assert tile.source == "http://m.example/1"


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("A ford.", ""),
        ("A ford", ""),
        ("A ford. cart, horse, river", "cart, horse, river"),
        ("A cart in a ford.", "A cart in a ford."),
        ("", ""),
    ],
)
def test_a_description_does_not_repeat_the_title_above_it(description: str, shown: str) -> None:
    work = Work("w", title="A ford", description=description)
    assert to_results(answer(0.9, work=work), Asked("x"), "c", 1.0).tiles[0].description == shown


def test_a_work_without_a_title_has_a_name_and_its_whole_description() -> None:
    (tile,) = to_results(answer(0.9, work=Work("w7", description="A ford.")), Asked("x"), "c", 1.0).tiles
    assert (tile.title, tile.description) == ("Untitled (w7)", "A ford.")


def test_a_full_list_can_be_made_longer_until_the_end() -> None:
    full = to_results(answer(*[None] * PAGE_SIZE), Asked("a&b", collection="c d"), "c d", 1.0)
    assert full.more == f"/?q=a%26b&collection=c+d&more=1#w{PAGE_SIZE + 1}"
    assert to_results(answer(*[None] * (PAGE_SIZE - 1)), Asked("a"), "c", 1.0).more == ""
    assert to_results(answer(*[None] * MOST_SHOWN), Asked("a", more=50), "c", 1.0).more == ""


def test_only_the_first_pictures_are_loaded_at_once() -> None:
    eager = [tile.eager for tile in to_results(answer(*[None] * 20), Asked("a"), "c", 1.0).tiles]
    assert eager == sorted(eager, reverse=True)
    assert 0 < sum(eager) < 10


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("#000000", "g0"),
        ("#ffffff", "g5"),
        ("#7f7f7f", "g2"),
        ("#802020", "h0-0"),
        ("#e0a0a0", "h0-2"),
        ("#2020c0", "h4-1"),
        ("", "g3"),
        ("red", "g3"),
    ],
)
def test_a_colour_has_its_placeholder(colour: str, expected: str) -> None:
    assert colour_class(colour) == expected


def test_there_are_at_most_24_placeholders() -> None:
    steps = range(0, 256, 15)
    found = {colour_class(f"#{r:02x}{g:02x}{b:02x}") for r in steps for g in steps for b in steps}
    assert len(found) == 24


def test_blank_words_ask_nothing() -> None:
    assert not Asked("  ")
    assert Asked("x")
    assert Asked(like="1")
