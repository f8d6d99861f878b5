"""What an address asks for, and the address of what is asked for."""

import pytest

from boonart.works import And, Equals, Or, Range
from boonart_services.gateway.asked import Asked, Part, compiled

FULL = (
    "/?q=a+dog&q=snow&w=2%2C-0.5&picture=T&pw=0.5&collection=c&mode=hybrid&more=2"
    "&f=artist%3AAda+%3A+Co&f=century%3A1800"
)


@pytest.mark.parametrize("address", ["/?q=a+dog", "/?like=w%2F1&collection=c", "/?picture=T&target=works", FULL])
def test_an_address_says_all_that_is_asked(address: str) -> None:
    assert Asked.at(address).address() == address


def test_the_parts_of_a_query_carry_their_weights() -> None:
    asked = Asked.at(FULL)
    assert asked.parts == (
        Part("text", "a dog", 0, 2.0),
        Part("text", "snow", 1, -0.5),
        Part("picture", "T", 0, 0.5),
    )
    assert [(part.step, part.unwanted) for part in asked.parts] == [
        ("more", False),
        ("normal", True),
        ("less", False),
    ]
    assert asked.chosen == (("artist", "Ada : Co"), ("century", "1800"))


def test_an_empty_text_takes_its_weight_with_it() -> None:
    asked = Asked.at("/?q=&q=snow&q=+&q=dog&w=2,-0.5,1,0.5")
    assert [(part.value, part.weight) for part in asked.parts] == [("snow", -0.5), ("dog", 0.5)]
    assert asked.text == "snow"


def test_a_part_is_weighted_and_removed_without_touching_the_others() -> None:
    asked = Asked.at("/?q=a&q=b&q=c&w=1,2,-0.5&picture=T&more=3")
    second = asked.parts[1]
    assert asked.weighted(second, 0.5).address() == "/?q=a&q=b&q=c&w=1%2C0.5%2C-0.5&picture=T"
    assert asked.without(second).address() == "/?q=a&q=c&w=1%2C-0.5&picture=T"
    assert asked.without(asked.parts[0]).address() == "/?q=b&q=c&w=2%2C-0.5&picture=T"
    assert asked.without(asked.parts[3]).address() == "/?q=a&q=b&q=c&w=1%2C2%2C-0.5"


def test_words_can_be_added_as_unwanted() -> None:
    assert Asked.at("/?q=a&q=people&join=not").address() == "/?q=a&q=people&w=1%2C-0.5"
    assert Asked.at("/?q=a&q=people&join=and").address() == "/?q=a&q=people"
    assert Asked.at("/?picture=T&q=people&join=not").address() == "/?q=people&w=-0.5&picture=T"


@pytest.mark.parametrize(
    "query", ["w=x&q=a", "w=nan,0&q=a", "pw=1e9&q=a", "mode=loud&q=a", "sort=size&q=a", "more=-1&q=a", "f=artist&q=a"]
)
def test_what_cannot_be_read_counts_as_not_given(query: str) -> None:
    assert Asked.at(f"/?{query}") == Asked("a")


def test_values_of_one_field_are_alternatives_and_fields_hold_together() -> None:
    asked = Asked(
        chosen=(("artist", "A"), ("artist", "B"), ("century", "1800"), ("extra.framed", "true"), ("extra.n", "5"))
    )
    kinds = {"extra.framed": "boolean", "extra.n": "integer"}
    assert compiled(asked, kinds) == And(
        (
            Or((Equals("artist", "A"), Equals("artist", "B"))),
            Range("date_from", 1800, 1899),
            Equals("extra.framed", True),
            Equals("extra.n", 5),
        )
    )
    assert compiled(Asked(chosen=(("artist", "A"),)), kinds, leave_out="artist") is None


def test_a_value_is_chosen_and_given_up_again() -> None:
    asked = Asked("x", more=4).toggled("artist", "A")
    assert asked.address() == "/?q=x&f=artist%3AA"
    assert asked.toggled("artist", "A") == Asked("x")
