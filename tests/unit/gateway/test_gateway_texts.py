"""The page's texts: every language is complete, and what is asked for is what is there."""

import re
import tomllib
from pathlib import Path
from string import Formatter

import pytest
from gateway_fakes import client_of, fake_parts
from starlette.requests import Request

from boonart_services.gateway import texts
from boonart_services.gateway.main import create_app
from boonart_services.gateway.problems import HTTP_KINDS, KINDS

GATEWAY = Path(texts.__file__).parent
LANGUAGES = sorted(path.stem for path in texts.FOLDER.glob("*.toml"))


def read(language: str) -> dict[str, texts.Text]:
    tables = tomllib.loads((texts.FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    tables.pop("language")
    return texts._flat(tables)


def values_of(text: texts.Text) -> set[str]:
    forms = text if isinstance(text, list) else [text]
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name is not None}


def asked_for() -> tuple[set[str], set[str]]:
    """Keys that templates, modules and scripts name in full, and beginnings of those that they put together."""
    whole, begun = set(), set()
    for path in [*GATEWAY.rglob("*.html"), *GATEWAY.rglob("*.py")]:
        source = path.read_text(encoding="utf-8")
        whole |= set(re.findall(r"""\b(?:t|texts)\(\s*["']([a-z_.]+)["']\s*[,)]""", source))
        whole |= set(re.findall(r"""\bkey=["']([a-z_.]+)["']""", source))
        begun |= set(re.findall(r"""\b(?:t|texts|has)\(\s*["']([a-z_.]+)["']\s*~""", source))
        begun |= set(re.findall(r"""\b(?:t|texts|has)\(\s*f["']([a-z_.]+\.)\{""", source))
    for path in (GATEWAY / "web" / "static").glob("*.js"):
        whole |= {f"script.{key}" for key in re.findall(r"""\bt\(\s*"([a-z_]+)\"""", path.read_text(encoding="utf-8"))}
    return whole, begun


def request(query: str = "", **headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "query_string": query.encode(), "headers": pairs, "path": "/", "method": "GET"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_with_the_same_values(language: str) -> None:
    first, other = read(texts.FIRST), read(language)
    assert other.keys() == first.keys()
    for key, text in other.items():
        assert values_of(text) == values_of(first[key]), key
        assert isinstance(text, list) == isinstance(first[key], list), key
        assert all(form.strip() for form in ([text] if isinstance(text, str) else text)), key


def test_every_kind_of_error_has_a_heading() -> None:
    codes = {kind.code for kind in (*KINDS.values(), *HTTP_KINDS.values())}
    assert {key for key in (f"errors.{code}" for code in codes) if key not in read(texts.FIRST)} == set()


def test_what_is_asked_for_is_there_and_what_is_there_is_asked_for() -> None:
    there = set(read(texts.FIRST))
    whole, begun = asked_for()
    assert whole - there == set()
    assert {key for key in there - whole if not key.startswith(tuple(begun))} == set()


def test_texts_that_depend_on_a_number_are_declined() -> None:
    english, german = texts.languages()["en"], texts.languages()["de"]
    assert english("site.works", count=1) == "1 work"
    assert english("site.works", count=1204) == "1,204 works"
    assert german("site.works", count=1204) == "1.204 Werke"


def test_a_missing_text_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        texts.languages()["en"]("site.nothing")


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "language"),
    [
        ("", "", "", "en"),
        ("", "", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "", "fr, en;q=0.5, de;q=0.7", "de"),
        ("", "", "de;q=0, en", "en"),
        ("", "", "de;q=x", "en"),
        ("", "lang=de", "en", "de"),
        ("lang=en", "lang=de", "de", "en"),
        ("lang=../x", "lang=de", "", "de"),
        ("lang=ar-XB", "lang=de", "de", "ar-XB"),
    ],
)
def test_the_language_is_found(query: str, cookie: str, accepted: str, language: str) -> None:
    headers = {"cookie": cookie, "accept_language": accepted}
    assert (
        texts.chosen(request(query, **{name: value for name, value in headers.items() if value})).language == language
    )


async def test_a_chosen_language_is_kept_and_said() -> None:
    async with client_of(create_app(fake_parts("a"))) as client:
        german = await client.get("/?lang=de")
        again = await client.get("/")
        mirrored = await client.get("/?lang=ar-XB")
        english = await client.get("/?lang=en")
    assert german.headers["content-language"] == again.headers["content-language"] == "de"
    assert '<html lang="de" dir="ltr">' in again.text
    assert '<html lang="ar-XB" dir="rtl">' in mirrored.text
    assert "set-cookie" not in mirrored.headers
    assert '<html lang="en" dir="ltr">' in english.text
    assert "Accept-Language" in english.headers["vary"]
    assert "Cookie" in english.headers["vary"]
