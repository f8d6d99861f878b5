"""The page in headless Chromium, against the gateway as a process of its own, over a real index."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from gateway_support import COLLECTION, colour_parts, painting
from page_support import MARKS, PHONE, Visit, contrast, free_port, gateway_process

from boonart.encoders.fake import COLOURS

pytestmark = MARKS
TRANSPARENT = re.compile(r"rgba\(0, 0, 0, 0\)")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway in a process of its own, over a collection of coloured paintings."""
    home = tmp_path_factory.mktemp("home")

    async def fill() -> None:
        async with colour_parts(home):
            pass

    asyncio.run(fill())
    port = free_port()
    given = {
        "HOME": str(home),
        "ENCODER": "fake",
        "RERANKER": "none",
        "PORT": str(port),
        "MAX_PICTURE_BYTES": "2000000",
    }
    command = [sys.executable, "-m", "boonart_services.gateway"]
    environment = {f"BOONART_{name}": value for name, value in given.items()}
    with gateway_process(command, port, home / "log", environment) as url:
        yield url


def test_a_text_search_shows_the_paintings(visit: Visit) -> None:
    visit.open()
    assert visit.page.title() == "BoonArt"
    visit.search("a red square")
    assert visit.titles()[0] == "Red <square>"
    assert len(visit.titles()) == 8
    assert "a red square" in visit.page.title()
    first = visit.page.locator(".wall li").first
    assert "Ada Grey, 1880" in first.inner_text()
    assert "A red square on a red ground" in first.inner_text()
    assert re.search(r"8 works in \d+ ms", visit.page.get_by_role("status").inner_text())
    visit.until("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_a_result_leads_to_its_source_in_a_new_tab(visit: Visit) -> None:
    visit.open("/?q=red")
    link = visit.page.get_by_role("link", name="Source (Red <square>)")
    assert link.get_attribute("href") == "https://museum.example/red"
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in str(link.get_attribute("rel"))


def test_a_result_leads_to_its_own_view_which_knows_the_way_back(visit: Visit) -> None:
    visit.open("/?q=red&min_relevance=0.1")
    address = str(visit.page.locator(".wall a.work").first.get_attribute("href"))
    assert address.startswith("/work?id=work%2Fred&collection=colours&from=")
    assert parse_qs(urlsplit(address).query)["from"] == ["/?q=red&min_relevance=0.1"]


def test_an_uploaded_picture_shows_descriptions(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    path.write_bytes(painting(COLOURS["blue"], (200, 120)))
    visit.open()
    visit.page.locator("#picture").set_input_files(path)
    visit.page.wait_for_url("**picture=**")
    assert visit.page.locator("blockquote").first.inner_text() == "A blue square on a blue ground"
    assert visit.titles()[0] == "Blue <square>"
    visit.pictures_come(".asked img")
    asked = visit.page.get_by_alt_text("The picture you searched with")
    assert asked.evaluate("image => image.naturalWidth") == 200
    visit.page.go_back()
    assert visit.page.title() == "BoonArt"
    visit.page.go_forward()
    assert visit.titles()[0] == "Blue <square>"


def test_a_pasted_picture_searches(visit: Visit) -> None:
    visit.open()
    visit.page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
        }""",
        list(painting(COLOURS["green"])),
    )
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()[0] == "Green <square>"


def test_a_dropped_picture_searches(visit: Visit) -> None:
    visit.open()
    visit.page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            for (const kind of ["dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
            }
        }""",
        list(painting(COLOURS["yellow"])),
    )
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()[0] == "Yellow <square>"


def test_a_file_that_is_no_picture_is_said(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "painting.jpg"
    path.write_text("This is no picture.")
    visit.open()
    visit.page.locator("#picture").set_input_files(path)
    alert = visit.page.get_by_role("alert")
    alert.wait_for()
    assert "picture" in alert.inner_text()
    visit.search("red")
    assert visit.titles()[0] == "Red <square>"


def test_similar_works_are_one_step_away(visit: Visit) -> None:
    visit.open("/?q=red")
    visit.page.get_by_role("link", name="Similar to Red <square>").click()
    visit.page.wait_for_url("**like=**")
    assert "Works that look like Red <square> by Ada Grey" in visit.page.get_by_role("heading", level=1).inner_text()
    assert "Red <square>" not in visit.titles()
    assert len(visit.titles()) == 7


def test_an_unknown_collection_and_a_lost_picture_are_said(visit: Visit) -> None:
    for path, words in (("/?q=x&collection=nowhere", "nowhere"), ("/?picture=gone", "no longer kept")):
        response = visit.page.goto(visit.address + path)
        assert response is not None
        assert response.status == 404
        assert words in visit.page.get_by_role("alert").inner_text()
        assert visit.page.get_by_role("searchbox").is_visible()


def test_an_address_that_is_not_there_is_a_page_for_people(visit: Visit) -> None:
    response = visit.page.goto(visit.address + "/nowhere")
    assert response is not None
    assert response.status == 404
    assert "Nothing is at /nowhere" in visit.page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("visit", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(painting(COLOURS["red"], (900, 100)))
    visit.open()
    assert not visit.scrolls_sideways()
    visit.search("red")
    assert not visit.scrolls_sideways()
    for name in ("Search", "Search with a picture"):
        control = visit.page.get_by_text(name, exact=True).first
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    visit.page.locator("#picture").set_input_files(path)
    visit.page.wait_for_url("**picture=**")
    assert not visit.scrolls_sideways()


def test_the_rows_of_the_wall_are_equally_wide_and_crop_nothing(visit: Visit) -> None:
    visit.open("/?q=red")
    boxes = visit.page.evaluate(
        """() => [...document.querySelectorAll(".wall img")].map(image => {
            const box = image.getBoundingClientRect();
            return {top: box.top, right: box.right, ratio: box.width / box.height,
                    own: Math.min(Math.max(image.getAttribute("width") / image.getAttribute("height"), 0.5), 3)};
        })"""
    )
    for box in boxes:
        assert box["ratio"] == pytest.approx(box["own"], rel=0.02)
    tops = sorted({box["top"] for box in boxes})
    assert len(tops) > 1
    edge = visit.page.evaluate("document.querySelector('.wall').getBoundingClientRect().right")
    for top in tops[:-1]:
        assert max(box["right"] for box in boxes if box["top"] == top) == pytest.approx(edge, abs=1.5)


def test_a_pictures_place_is_reserved_and_coloured_before_it_comes(visit: Visit) -> None:
    visit.page.route("**/thumbnail?**", lambda route: route.abort())
    visit.open("/?q=red")
    image = visit.page.locator(".wall img").first
    box = image.bounding_box()
    assert box is not None
    assert box["height"] > 100
    assert box["width"] > 50
    colour = image.evaluate("image => getComputedStyle(image).backgroundColor")
    assert not TRANSPARENT.fullmatch(colour)


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_words_and_pictures_are_searched(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "brown.jpg"
    path.write_bytes(painting(COLOURS["brown"], form="JPEG"))
    visit.open()
    visit.page.get_by_role("searchbox").fill("green")
    visit.follow(visit.page.get_by_role("button", name="Search", exact=True))
    assert visit.titles()[0] == "Green <square>"
    visit.open()
    visit.page.locator("#picture").set_input_files(path)
    visit.page.get_by_role("button", name="Search with it").click()
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()[0] == "Brown <square>"
    visit.page.get_by_role("searchbox").fill("green")
    visit.follow(visit.page.get_by_role("button", name="Search", exact=True))
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Paintings that fit your picture and the rest"
    assert set(visit.titles()[:2]) == {"Brown <square>", "Green <square>"}


def test_the_keyboard_reaches_everything_in_order(visit: Visit) -> None:
    visit.open("/?q=red")
    reached = []
    for _ in range(12):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()"))
    assert reached[:2] == ["Skip to the results", "BoonArt"]
    assert "Surprise me" in reached
    asking = reached.index("q")
    assert reached[asking : asking + 3] == ["q", "Search", "picture"]


def test_the_skip_link_leads_past_the_search(visit: Visit) -> None:
    visit.open("/?q=red")
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    reached = []
    for _ in range(3):
        visit.page.keyboard.press("Tab")
        reached.append(visit.page.evaluate("document.activeElement.innerText.trim()"))
    assert reached[:2] == ["Best first", "Oldest first"]
    assert reached[2].startswith("Red <square>")


@pytest.mark.parametrize("visit", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_text_stands_out_from_its_ground(visit: Visit) -> None:
    visit.open("/?q=red")
    for selector in (
        ".title",
        ".who",
        "li .what",
        ".summary",
        ".act a",
        ".choose",
        "button[type=submit]",
        ".count",
        ".views a",
    ):
        assert contrast(visit.page, selector) >= 4.5, selector


def test_the_collections_name_is_kept_from_search_to_search(visit: Visit) -> None:
    visit.open(f"/?q=red&collection={COLLECTION}")
    visit.search("blue")
    assert f"collection={COLLECTION}" in visit.page.url
    assert visit.titles()[0] == "Blue <square>"
