"""The page's HTML on fakes: what browsers are not needed for."""

import re

import numpy as np
import pytest
from gateway_fakes import WORK, OneWorkIndex, client_of, fake_parts

from boonart.errors import Unavailable
from boonart.works import Answer, Hit, Query, Ranker, StoredPicture, Target, WordMap
from boonart_services.gateway.main import create_app

HTML = {"accept": "text/html,application/xhtml+xml"}


async def page(path: str, *collections: str, **settings: object) -> tuple[int, str]:
    async with client_of(create_app(fake_parts(*collections, **settings))) as client:
        response = await client.get(path, headers=HTML)
    assert response.headers["content-type"].startswith("text/html")
    return response.status_code, response.text


async def test_the_first_view_has_examples_for_the_collection_meant() -> None:
    status, html = await page("/", "a", "b", default_collection="b")
    assert status == 200
    assert re.search(r'<option value="b" selected>', html)
    assert html.count("&amp;collection=b") >= 5
    assert "2 works in 2 collections" in html


async def test_one_collection_needs_no_choice() -> None:
    _, html = await page("/", "a")
    assert "<select" not in html


async def test_what_was_asked_comes_back_as_text_and_not_as_markup() -> None:
    status, html = await page("/?q=%3Cscript%3Ealert(1)%3C/script%3E%22", "a")
    assert status == 200
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;" in html


async def test_nothing_in_the_page_needs_an_inline_style_or_script() -> None:
    for path in ("/", "/?q=x", "/?q=x&collection=no"):
        _, html = await page(path, "a")
        assert not re.search(r"\sstyle=|\son\w+=|javascript:|<style|<script(?![^>]*\bsrc=)", html)
        assert not re.search(r'(?:src|href)="(?:https?:)?//(?!museum\.example)', html)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/?q=x&collection=no", 404, "There is no collection"),
        ("/?q=x", 404, "does not say which collection"),
        ("/?q=" + "x" * 3000, 404, "does not say"),
        ("/?q=x&collection=a&more=-1", 422, "more"),
        ("/?q=" + "x" * 3000 + "&collection=a", 422, "3,000 characters"),
        ("/?picture=gone&collection=a", 404, "no longer kept"),
        ("/?like=gone&collection=a", 404, "no work"),
        ("/elsewhere", 404, "Nothing is at /elsewhere"),
        ("/queries/gone", 404, "no longer kept"),
    ],
)
async def test_an_error_is_a_page_with_the_search_field(path: str, status: int, words: str) -> None:
    found, html = await page(path, "a", "b")
    assert found == status
    assert words in html.partition('role="alert"')[2]
    assert 'type="search"' in html


@pytest.mark.parametrize("files", [{"picture": ("", b"")}, {"picture": ("empty.png", b"")}, {"other": ("x", b"x")}])
async def test_an_upload_without_a_picture_is_said(files: dict[str, tuple[str, bytes]]) -> None:
    async with client_of(create_app(fake_parts("a"))) as client:
        response = await client.post("/", files=files, data={"collection": "a"}, headers=HTML)
    assert response.status_code == 422
    assert "No picture was chosen" in response.text


async def test_a_program_gets_a_problem_where_a_person_gets_a_page() -> None:
    async with client_of(create_app(fake_parts("a"))) as client:
        response = await client.get("/elsewhere")
        api = await client.get("/v1/elsewhere", headers=HTML)
    assert response.headers["content-type"] == api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("relevances", "line", "nothing_fits"), [((0.9, 0.002), 1, 0), ((0.002, 0.001), 0, 1), ((None, None), 0, 0)]
)
async def test_weak_matches_and_what_was_left_out_are_said(
    relevances: tuple[float | None, ...], line: int, nothing_fits: int
) -> None:
    parts = fake_parts("a")
    hits = tuple(Hit(n, WORK, 1.0, 1.0, relevance=relevance) for n, relevance in enumerate(relevances, start=1))
    given = Answer(hits, Target.WORKS, Ranker.NONE, {}, degraded={"rerank": "it is down"})

    async def run(query: Query) -> Answer:
        return given

    parts.search.run = run  # type: ignore[method-assign]
    async with client_of(create_app(parts)) as client:
        html = (await client.get("/?q=x")).text
    assert html.count("Weaker matches") == line
    assert html.count("Nothing in this collection fits well") == nothing_fits
    assert "how things relate: it is down." in html
    assert html.count("No picture") == 2


def explained_hit(**given: object) -> Hit:
    weights = np.full((7, 7), 0.2 / 48, dtype=np.float32)
    weights[6, 0] = 0.8
    even = np.full((7, 7), 1 / 49, dtype=np.float32)
    maps = (WordMap("a", even), WordMap('<dog> "x"', weights))
    return Hit(1, WORK, 1.0, 1.0, StoredPicture("k" * 16, (400, 300)), 0.5, explanation=maps, **given)  # type: ignore[arg-type]


async def why(path: str, hit: Hit | None = None) -> tuple[int, str, list[tuple[Query, str]]]:
    parts = fake_parts("a")
    asked = []

    async def explain(query: Query, work_id: str) -> Hit:
        asked.append((query, work_id))
        return hit or explained_hit()

    parts.search.explain = explain  # type: ignore[method-assign]
    async with client_of(create_app(parts)) as client:
        response = await client.get(path, headers=HTML)
    return response.status_code, response.text, asked


async def test_a_hit_says_where_each_word_looked() -> None:
    status, html, ((query, work_id),) = await why("/why?q=a+dog&work=a%2Fb+c")
    assert status == 200
    assert (query.text, query.collection, work_id) == ("a dog", "a", "a/b c")
    assert 'aria-label="a: everywhere alike"' in html
    assert 'aria-label="&lt;dog&gt; &#34;x&#34;: lower left" checked' in html
    assert html.count('<svg class="veil"') == 2
    assert 'viewBox="0 0 700 525"' in html, "the picture's proportions"
    assert 'href="/?q=a+dog"' in html
    assert not re.search(r"\sstyle=|\son\w+=|<style", html)


async def test_what_cannot_be_explained_is_said_on_a_page() -> None:
    status, html = await page("/why?q=x&work=gone", "a")
    assert status == 404
    assert "no work" in html.partition('role="alert"')[2]
    status, html = await page("/why?picture=gone&work=a%2Fb%20c", "a")
    assert (status, "no longer kept" in html) == (404, True)
    status, _ = await page("/why?q=x", "a")
    assert status == 422


async def test_only_what_the_relation_network_compared_can_be_explained() -> None:
    parts = fake_parts("a")
    hits = (explained_hit(), Hit(2, WORK, 1.0, 1.0))

    async def run(query: Query) -> Answer:
        return Answer(hits, Target.WORKS, Ranker.DEFAULT, {})

    parts.search.run = run  # type: ignore[method-assign]
    async with client_of(create_app(parts)) as client:
        html = (await client.get("/?q=a+dog")).text
        liked = (await client.get("/?like=a%2Fb+c")).text
    assert html.count("/why?q=a+dog&amp;work=a%2Fb+c&amp;collection=a") == 1
    assert "/why?" not in liked


async def test_the_least_relevance_is_asked_for_and_kept() -> None:
    parts = fake_parts("a")
    asked = []

    async def run(query: Query) -> Answer:
        asked.append(query.min_relevance)
        hits = () if query.min_relevance > 0.5 else (explained_hit(relevance=0.5),)
        return Answer(hits, Target.WORKS, Ranker.DEFAULT, {})

    parts.search.run = run  # type: ignore[method-assign]
    async with client_of(create_app(parts)) as client:
        kept = (await client.get("/?q=x&min_relevance=0.3")).text
        none = (await client.get("/?q=x&min_relevance=0.75")).text
        refused = await client.get("/?q=x&min_relevance=2", headers=HTML)
    assert asked == [0.3, 0.75]
    assert re.search(r'<option value="0.3" selected>', kept)
    assert "Nothing in this collection fits that well." in none
    assert '<a href="/?q=x">Show weaker matches</a>' in none
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "heading"),
    [
        ("/?q=x&collection=no", 404, "Diese Sammlung gibt es nicht."),
        ("/map?collection=no", 404, "Diese Sammlung gibt es nicht."),
        ("/compare?q=x&collection=no", 404, "Diese Sammlung gibt es nicht."),
        ("/compare?q=x&collection=a&a=other", 422, "Diese Anfrage ist so nicht möglich."),
        ("/work?id=gone&collection=a", 404, "Dieses Werk gibt es nicht."),
        ("/work/detail?id=gone&collection=a&place=nowhere", 422, "Diese Anfrage ist so nicht möglich."),
        ("/why?q=x&work=gone&collection=a", 404, "Dieses Werk gibt es nicht."),
        ("/elsewhere", 404, "Unter dieser Adresse ist nichts."),
    ],
)
async def test_an_error_has_its_heading_in_the_visitors_language(path: str, status: int, heading: str) -> None:
    answered, html = await page(f"{path}{'&' if '?' in path else '?'}lang=de", "a")
    assert (answered, headings(html)) == (status, [heading])
    assert re.search(r'<p lang="en" dir="auto">\w', html), "the details, as the interface gives them"


@pytest.mark.parametrize("path", ["/map", "/compare?q=x", "/work?id=x", "/admin"])
async def test_a_server_that_cannot_answer_says_so_in_the_visitors_language(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> list[object]:
        raise Unavailable("Qdrant is away.")

    monkeypatch.setattr(OneWorkIndex, "collections", away)
    status, html = await page(f"{path}{'&' if '?' in path else '?'}lang=de", "a")
    assert (status, headings(html)) == (503, ["Das ist gerade nicht verfügbar."])


def headings(html: str) -> list[str]:
    return re.findall(r"<h1[^>]*>(.*?)</h1>", html)
