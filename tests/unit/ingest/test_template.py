"""Descriptions made from other fields."""

import pytest

from boonart.errors import SourceError
from boonart.works import Work
from boonart_ingest.sources.template import DEFAULT_TEMPLATE, Template

COW = Work("a", title="Pastoral", artist="Cuyp", subjects=("nature > animals: mammals > cow", "places > river"))


@pytest.mark.parametrize(
    ("template", "work", "expected"),
    [
        (DEFAULT_TEMPLATE, COW, "Pastoral. cow, river"),
        (DEFAULT_TEMPLATE, Work("a", title="Pastoral"), "Pastoral"),
        (DEFAULT_TEMPLATE, Work("a", subjects=("x > cow",)), "cow"),
        (DEFAULT_TEMPLATE, Work("a"), ""),
        (DEFAULT_TEMPLATE, Work("a", title="Why?", subjects=("cow",)), "Why? cow"),
        (DEFAULT_TEMPLATE, Work("a", title="A {title}", subjects=()), "A {title}"),
        ("{title} by {artist}, {date}", COW, "Pastoral by Cuyp"),
        ("{title} by {artist}, {date}", Work("a", title="T", date="1650"), "T, 1650"),
        ("{title} by {artist}, {date}", Work("a", artist="Cuyp", date="1650"), "Cuyp, 1650"),
        ("A painting: {title}. {subjects}.", COW, "A painting: Pastoral. cow, river."),
        ("A painting: {title}. {subjects}.", Work("a", subjects=("cow",)), "A painting: cow."),
        ("A painting: {title}.", Work("a"), ""),
        ("{{{title}}}", COW, "{Pastoral}"),
    ],
)
def test_missing_fields_take_their_separator_along(template: str, work: Work, expected: str) -> None:
    assert Template(template).compose(work) == expected


def test_subjects_that_end_alike_are_named_once() -> None:
    work = Work("a", subjects=("people > adults > Man", "portraits > man", "x > cow", "x >"))
    assert Template("{subjects}").compose(work) == "Man, cow"


def test_a_description_that_is_there_stays() -> None:
    work = Work("a", title="T", description="As the museum says")
    assert Template(DEFAULT_TEMPLATE).apply(work) == (work, False)
    composed, flag = Template(DEFAULT_TEMPLATE).apply(Work("a", title="T", description=" "))
    assert (composed.description, flag) == ("T", True)
    assert Template(DEFAULT_TEMPLATE).apply(Work("a")) == (Work("a"), False)
    assert Template("").apply(Work("a", title="T")) == (Work("a", title="T"), False)


@pytest.mark.parametrize("template", ["{titel}", "{title", "{title!r}", "{title:>9}", "{0}", "no field", "{title.x}"])
def test_templates_that_cannot_work_are_refused(template: str) -> None:
    with pytest.raises(SourceError):
        Template(template)
