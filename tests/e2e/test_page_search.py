"""Searching by several things, narrowing, longer lists, languages and reach for everybody, in headless Chromium."""

import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from gateway_support import colour_parts, fill, painting
from page_support import MARKS, PHONE, Visit, axe_violations, free_port, gateway_process

from boonart.encoders.fake import COLOURS
from boonart.works import Work

pytestmark = MARKS
MANY = 110
QUERY = "/?q=a+red+square&collection=colours"
LIST = "/?q=red&collection=many"


def many_works() -> Sequence[tuple[Work, bytes]]:
    """More works than one page shows, in two centuries."""
    names = list(COLOURS)
    found = []
    for number in range(MANY):
        name = names[number % len(names)]
        work = Work(
            id=f"m{number:03}",
            title=f"{name.title()} study {number}",
            artist=f"Artist {number % 5}",
            date=str(1790 + number),
            description=f"A {name} study",
            subjects=(f"colours > {name}",),
            source_url=f"https://museum.example/m{number}",
        )
        found.append((work, painting(COLOURS[name], (40 + number % 30, 40))))
    return found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("home"), free_port()

    async def prepare() -> None:
        async with colour_parts(home) as parts:
            await fill(parts, "many", many_works())

    asyncio.run(prepare())
    given = {"HOME": home, "ENCODER": "fake", "RERANKER": "none", "PORT": port, "DEFAULT_COLLECTION": "colours"}
    environment = {f"BOONART_{name}": str(value) for name, value in given.items()}
    with gateway_process([sys.executable, "-m", "boonart_services.gateway"], port, home / "log", environment) as url:
        yield url


def chips(visit: Visit) -> list[str]:
    visit.page.wait_for_load_state()
    return visit.page.locator(".chips:not(.narrowed) .chip summary").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('b, span.what, i')].map(part => part.innerText).join(' '))"
    )


def send_picture(visit: Visit, path: Path, colour: str) -> None:
    path.write_bytes(painting(COLOURS[colour], (60, 60)))
    visit.page.locator("#picture").set_input_files(path)
    visit.page.wait_for_url("**picture=**")


# --- several parts ---------------------------------------------------------------------------------------


def test_words_and_a_picture_search_together(visit: Visit, tmp_path: Path) -> None:
    visit.open("/?collection=colours")
    visit.page.get_by_role("searchbox").fill("green")
    send_picture(visit, tmp_path / "blue.png", "blue")
    assert "q=green" in visit.page.url
    assert chips(visit) == ["green", "your picture"]
    assert set(visit.titles()[:2]) == {"Blue <square>", "Green <square>"}
    visit.follow(visit.page.get_by_role("link", name="Remove green"))
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Descriptions that fit your picture"
    visit.follow(visit.page.get_by_role("link", name="Paintings that look like it"))
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Paintings that look like your picture"
    assert visit.page.locator(".wall .title").first.inner_text() == "Blue <square>"


@pytest.mark.parametrize("visit", [{}, {"java_script_enabled": False}], indirect=True)
def test_parts_are_added_weighted_turned_round_and_removed(visit: Visit) -> None:
    visit.open(QUERY)
    visit.page.get_by_text("Add to the search").click()
    visit.page.get_by_label("Words", exact=True).fill("blue")
    visit.follow(visit.page.get_by_role("button", name="Also this"))
    assert chips(visit) == ["a red square", "blue"]
    visit.page.locator(".chip summary").nth(1).click()
    visit.follow(visit.page.locator(".sheet:visible").get_by_role("link", name="more", exact=True))
    assert "w=1%2C2" in visit.page.url
    assert visit.titles()[0] == "Blue <square>"
    visit.page.locator(".chip summary").nth(1).click()
    visit.follow(visit.page.get_by_role("link", name="Not this").locator("visible=true"))
    assert chips(visit) == ["a red square", "not blue more"]
    assert visit.titles()[0] == "Red <square>"
    assert visit.titles()[-1] == "Blue <square>"
    visit.follow(visit.page.get_by_role("link", name="Remove blue"))
    assert chips(visit) == []
    assert visit.page.get_by_role("searchbox").input_value() == "a red square"
    visit.page.go_back()
    assert chips(visit) == ["a red square", "not blue more"]
    visit.page.go_forward()
    assert chips(visit) == []


def test_an_address_leads_to_the_same_search(visit: Visit) -> None:
    visit.open("/?q=red&q=blue&w=1,-0.5&collection=colours&f=artist:Ada+Grey&sort=date")
    assert chips(visit) == ["red", "not blue"]
    assert visit.page.locator(".narrowed .what").inner_text() == "Artist: Ada Grey"
    dates = visit.page.locator(".wall .date").all_inner_texts()
    assert dates == sorted(dates)
    assert len(dates) == 4


def test_only_what_is_not_wanted_is_no_search_and_can_be_mended(visit: Visit) -> None:
    visit.open("/?q=red&w=-0.5&collection=colours")
    assert "only says what is not wanted" in visit.page.get_by_role("alert").inner_text()
    assert chips(visit) == ["not red"]


# --- narrowing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visit", [{}, {"java_script_enabled": False}], indirect=True)
def test_facets_narrow_with_the_counts_that_they_promise(visit: Visit) -> None:
    visit.open(LIST)
    if not visit.page.locator(".facets h2").first.is_visible():
        visit.page.get_by_text("Filters").click()
    headings = visit.page.locator(".facets h2").all_inner_texts()
    assert headings == ["Collection", "Artist", "Period", "Subject"]
    century = visit.page.locator(".facets a", has_text="1700–1799")
    assert "10" in century.inner_text()
    visit.follow(century)
    assert len(visit.titles()) == 10
    visit.follow(visit.page.locator(".facets a", has_text="Artist 3"))
    assert len(visit.titles()) == 2
    visit.follow(visit.page.locator(".facets a", has_text="Artist 4"))
    assert len(visit.titles()) == 4, "a second artist beside the first"
    visit.follow(visit.page.get_by_role("link", name="Remove Artist 3"))
    assert len(visit.titles()) == 2
    visit.search("blue")
    assert len(visit.titles()) == 2, "filters stay with the next words"


def test_all_collections_are_searched_at_once(visit: Visit) -> None:
    visit.open(QUERY)
    visit.follow(visit.page.locator(".facets a", has_text="All collections"))
    titles = visit.titles()
    assert "Red <square>" in titles
    assert any("study" in title for title in titles)
    assert "collection=many" in str(visit.page.locator("a.work", has_text="study").first.get_attribute("href"))


def test_filters_that_leave_nothing_can_be_lifted(visit: Visit) -> None:
    visit.open("/?q=red&collection=colours&f=artist:Nobody")
    assert visit.page.get_by_text("Nothing passes these filters.").is_visible()
    visit.follow(visit.page.get_by_role("link", name="Search without filters"))
    assert len(visit.titles()) == 8


# --- long lists ------------------------------------------------------------------------------------------


def test_the_list_grows_as_one_scrolls_and_back_finds_the_place(visit: Visit) -> None:
    visit.open(LIST)
    assert len(visit.titles()) == 48
    for count in (96, MANY):
        visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
        visit.until(f"document.querySelectorAll('.wall .title').length === {count}")
        visit.until(f"document.querySelector('.summary').innerText === '{count} works shown'")
    ids = visit.page.locator(".wall > li").evaluate_all("items => items.map(item => item.id)")
    assert ids == [f"w{rank}" for rank in range(1, MANY + 1)]
    assert not visit.page.locator("p.more").count()
    visit.page.evaluate("scrollTo(0, 3000)")
    # A place is kept with the page once it was painted there.
    visit.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    place = visit.page.evaluate("scrollY")
    visit.open("/?collection=colours")
    visit.page.go_back()
    visit.until(f"Math.abs(scrollY - {place}) < 60")
    assert len(visit.titles()) == MANY


def test_a_pressed_link_shows_more_and_leads_on_from_there(visit: Visit) -> None:
    visit.page.add_init_script("window.IntersectionObserver = class { observe() {} disconnect() {} }")
    visit.open(LIST)
    visit.page.get_by_role("link", name="More", exact=True).focus()
    visit.page.keyboard.press("Enter")
    visit.until("document.querySelectorAll('.wall .title').length === 96")
    visit.until("document.activeElement.closest('li')?.id === 'w49'")


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_a_link_makes_the_list_longer(visit: Visit) -> None:
    visit.open(LIST)
    visit.follow(visit.page.get_by_role("link", name="More", exact=True))
    assert len(visit.titles()) == 96
    assert visit.page.url.endswith("#w49")


def test_what_cannot_be_loaded_is_said_and_tried_again(visit: Visit) -> None:
    visit.page.route("**/*only=new*", lambda route: route.abort())
    visit.open(LIST)
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    visit.page.get_by_text("More could not be loaded").wait_for()
    visit.page.unroute("**/*only=new*")
    visit.page.get_by_role("link", name="More", exact=True).click()
    visit.until("document.querySelectorAll('.wall .title').length >= 96")


# --- the first view --------------------------------------------------------------------------------------


def test_the_first_view_offers_examples_paintings_and_a_surprise(visit: Visit) -> None:
    visit.open("/?collection=many")
    assert visit.page.locator(".examples:not(.history) li").count() >= 3
    assert visit.page.locator(".opening img").count() >= 3
    visit.page.get_by_role("link", name="Surprise me").click()
    visit.page.wait_for_url("**like=m**")
    assert visit.page.get_by_role("heading", level=1).inner_text().startswith("Works that look like")


def test_recent_searches_are_remembered_and_forgotten(visit: Visit) -> None:
    for words in ("red", "blue"):
        visit.open(f"/?q={words}&collection=colours")
    visit.open("/")
    history = visit.page.locator(".history")
    assert history.locator("a").all_inner_texts() == ["blue", "red"]
    visit.follow(history.get_by_role("link", name="red"))
    assert visit.titles()[0] == "Red <square>"
    visit.open("/")
    history.get_by_role("button", name="Forget them").click()
    assert not history.is_visible()
    visit.open("/")
    assert not history.is_visible()


# --- for everybody ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("visit", [{"locale": "de-DE"}], indirect=True)
def test_a_german_visitor_reads_german(visit: Visit) -> None:
    visit.open(QUERY)
    assert visit.page.locator("html").get_attribute("lang") == "de"
    assert re.search(r"8 Werke in \d+ ms", visit.page.get_by_role("status").inner_text())
    assert visit.page.locator(".facets h2").all_inner_texts()[:2] == ["Sammlung", "Künstler"]
    visit.follow(visit.page.get_by_role("link", name="English"))
    assert "8 works in" in visit.page.get_by_role("status").inner_text()
    visit.search("blue")
    assert "8 works in" in visit.page.get_by_role("status").inner_text(), "the choice is kept"


@pytest.mark.parametrize("visit", [{}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_from_right_to_left_everything_is_mirrored(visit: Visit) -> None:
    for path in ("/?lang=ar-XB", f"{QUERY}&lang=ar-XB"):
        visit.open(path)
        assert visit.page.locator("html").get_attribute("dir") == "rtl"
        assert not visit.scrolls_sideways()
    brand, links = (visit.page.locator(name).bounding_box() for name in (".name", ".views"))
    assert brand is not None
    assert links is not None
    assert brand["x"] > links["x"]
    boxes = [visit.page.locator(f"#w{rank}").bounding_box() for rank in (1, 2)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] > boxes[1]["x"] or boxes[0]["y"] < boxes[1]["y"]


@pytest.mark.parametrize(
    "visit",
    [{}, {"color_scheme": "dark"}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(visit: Visit, tmp_path: Path) -> None:
    def check(where: str) -> None:
        assert axe_violations(visit.page) == [], where

    for path in ("/", "/?q=red&q=blue&w=1,-0.5&collection=many&f=artist:Artist+3", "/?q=x&collection=no"):
        visit.open(path)
        check(path)
    visit.open("/?q=red&q=blue&collection=colours&lang=de")
    visit.page.locator(".chip summary").first.click()
    check("an open menu, in German")
    visit.open("/?collection=colours&lang=en")
    send_picture(visit, tmp_path / "red.png", "red")
    check("descriptions")


def test_the_keyboard_alone_searches_refines_and_opens_a_work(visit: Visit) -> None:
    visit.open("/?collection=colours")
    press = visit.page.keyboard.press
    visit.page.keyboard.type("red")
    press("Enter")
    visit.page.wait_for_url("**q=red**")
    visit.page.locator(".add summary").focus()
    press("Enter")
    visit.until("document.activeElement.id === 'add'")
    visit.page.keyboard.type("green")
    press("Tab")
    press("Tab")
    press("Enter")
    visit.page.wait_for_url("**w=1%2C-0.5**")
    visit.page.locator(".chip summary").first.focus()
    press("Enter")
    visit.page.locator(".chip .sheet").first.wait_for()
    press("Escape")
    visit.page.locator(".chip .sheet").first.wait_for(state="hidden")
    assert visit.page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize("visit", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_finger_meets_nothing_too_small(visit: Visit) -> None:
    visit.open("/?q=red&q=blue&collection=many&f=artist:Artist+3")
    assert visit.page.locator("label[for=photograph]").is_visible()
    assert visit.page.locator("#photograph").get_attribute("capture") == "environment"
    visit.page.get_by_text("Filters").tap()
    small = visit.page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary, select, input:not([type=hidden])")]
            .map(element => [element.outerHTML.slice(0, 90), element.getBoundingClientRect()])
            .filter(([, box]) => box.width > 1 && box.height > 1 && (box.width < 24 || box.height < 24))
            .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""
    )
    assert small == []
    assert not visit.scrolls_sideways()


@pytest.mark.parametrize("visit", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_where_that_is_not_wanted(visit: Visit) -> None:
    visit.open(QUERY)
    moving = visit.page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s').length"
    )
    assert moving == 0
