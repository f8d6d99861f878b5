"""Facets and examples, made of what a collection holds."""

import pytest

from boonart.ports import CollectionInfo
from boonart.works import And, Equals, Filter, Manifest, Work
from boonart_services.gateway.asked import Asked
from boonart_services.gateway.examples import EXAMPLES, Openings, chosen
from boonart_services.gateway.page_facets import facets_of, labels_of

KINDS = {"artist": "keyword", "extra.school": "keyword", "extra.number": "keyword", "extra.year": "integer"}
VALUES = {
    "artist": [("Ada", 5), ("Ben", 3)],
    "date_from": [(1805, 2), (1899, 3), (1901, 1)],
    "subjects": [("nature > cow", 4), ("people > cow", 2), ("places > room", 2)],
    "medium": [("Oil", 8)],
    "extra.number": [(f"N{n}", 1) for n in range(8)],
    "extra.school": [("Delft", 5), ("Leiden", 3)],
}


class Index:
    """Counts as told, and remembers under which filter."""

    def __init__(self) -> None:
        self.asked: dict[str, Filter | None] = {}

    async def facet(self, collection: str, field: str, *, limit: int, where: Filter | None = None) -> list[object]:
        self.asked[field] = where
        return list(VALUES.get(field, []))

    async def fields(self, collection: str) -> dict[str, str]:
        return KINDS


async def test_fields_that_tell_works_apart_are_offered() -> None:
    facets = await facets_of(Index(), ["c"], Asked("x"), KINDS)  # type: ignore[arg-type]
    assert [facet.name for facet in facets] == ["artist", "century", "subjects", "extra.school"]
    assert [(choice.label, choice.count) for choice in facets[1].choices] == [("1800–1899", 5), ("1900–1999", 1)]
    assert facets[3].title == "School"


async def test_a_facets_own_choice_does_not_narrow_its_counts() -> None:
    index = Index()
    asked = Asked("x", chosen=(("artist", "Ada"), ("extra.school", "Delft")))
    facets = await facets_of(index, ["c"], asked, KINDS)  # type: ignore[arg-type]
    assert index.asked["artist"] == Equals("extra.school", "Delft")
    assert index.asked["subjects"] == And((Equals("artist", "Ada"), Equals("extra.school", "Delft")))
    ada, ben = facets[0].choices
    assert (ada.chosen, ben.chosen) == (True, False)
    assert ada.address == "/?q=x&f=extra.school%3ADelft"
    assert "f=artist%3ABen" in ben.address


async def test_counts_of_several_collections_are_added() -> None:
    facets = await facets_of(Index(), ["c", "d"], Asked("x"), KINDS)  # type: ignore[arg-type]
    assert [choice.count for choice in facets[0].choices] == [10, 6]


async def test_a_chosen_value_stays_though_nothing_holds_it() -> None:
    facets = await facets_of(Index(), ["c"], Asked("x", chosen=(("medium", "Fresco"),)), KINDS)  # type: ignore[arg-type]
    medium = next(facet for facet in facets if facet.name == "medium")
    assert [(choice.value, choice.count, choice.chosen) for choice in medium.choices][-1] == ("Fresco", None, True)


def test_equal_ends_of_subjects_are_told_apart() -> None:
    assert labels_of("subjects", ["nature > cow", "people > cow", "places > room"]) == {
        "nature > cow": "nature › cow",
        "people > cow": "people › cow",
        "places > room": "room",
    }


@pytest.mark.parametrize(
    ("works", "examples"),
    [
        (
            [Work("1", description="A cow in a room. It is red.", artist="A"), Work("2", "Mail Coach in a Snowstorm")],
            ("a cow in a room", "Mail Coach in a Snowstorm", "cat", "Ada"),
        ),
        ([Work("1", "Sawrey Gilpin, R.A. in 1800"), Work("2", "Untitled")], ("cow", "cat", "Ada")),
    ],
)
def test_examples_are_sentences_of_the_works_and_then_what_they_are_about(
    works: list[Work], examples: tuple[str, ...]
) -> None:
    assert chosen(works, ["nature > cow", "nature > cat"], ["Ada"]) == examples


async def test_the_sample_and_an_empty_collection_have_the_general_examples() -> None:
    empty = CollectionInfo("c", 1, 0, Manifest("e", 2))
    assert (await Openings().of(Index(), empty)).examples == EXAMPLES  # type: ignore[arg-type]
    assert (await Openings().of(Index(), None)).examples == EXAMPLES  # type: ignore[arg-type]
