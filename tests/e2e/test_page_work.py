"""A work's own view, a search with a detail, and two rankers side by side, in headless Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from page_support import MARKS, PHONE, Visit, axe_violations, contrast, page_gateway

pytestmark = MARKS
QUERY = "/?q=a+red+square"
RED = "/work?id=work%2Fred&collection=colours&from=%2F%3Fq%3Da%2Bred%2Bsquare%26collection%3Dcolours"
NO_SCRIPT = {"java_script_enabled": False}
FINGER = {"viewport": PHONE, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with page_gateway(tmp_path_factory) as url:
        yield url


def test_a_hit_leads_to_its_own_view_on_to_the_next_and_back_to_its_place(visit: Visit) -> None:
    visit.open(QUERY)
    visit.page.locator(".wall a.work").first.click()
    visit.page.wait_for_url("**/work?**")
    main = visit.page.locator("main")
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Red <square>"
    for words in ("Ada Grey", "1880", "A red square on a red ground", "Framed", "1 of 8"):
        assert words in main.inner_text(), words
    visit.pictures_come(".picture img")
    assert visit.page.locator(".picture img").evaluate("image => image.complete && image.naturalWidth") == 40
    source = visit.page.get_by_role("link", name="See it at museum.example")
    assert source.get_attribute("href") == "https://museum.example/red"
    assert source.get_attribute("target") == "_blank"
    assert not visit.page.get_by_role("link", name="Previous").count()
    visit.page.get_by_role("link", name="Next").click()
    visit.until("document.querySelector('.rank')?.innerText === '2 of 8'")
    visit.page.get_by_role("link", name="Back to the results").click()
    visit.page.wait_for_url("**#w2")
    assert visit.page.locator("#w2").is_visible()


def test_more_like_it_is_split_by_reason(visit: Visit) -> None:
    visit.open(RED)
    looks = visit.page.get_by_role("region", name="By looks").locator(".title").all_inner_texts()
    subject = visit.page.get_by_role("region", name="By subject").locator(".title").all_inner_texts()
    assert len(looks) == 7
    assert "Red <square>" not in looks + subject
    assert "Grey <square>" in looks
    assert "Grey <square>" not in subject, "it has no description"


def test_a_word_shows_where_it_was_found_on_the_picture(visit: Visit) -> None:
    visit.open(RED)
    assert visit.page.locator(".matched .word").all_inner_texts() == ["Whole picture", "a", "red", "square"]
    visit.pictures_come(".picture img")
    visit.page.locator(".matched .word").nth(2).click()
    boxes = visit.page.evaluate(
        """() => {
            const shown = [...document.querySelectorAll(".veil")].filter(veil => veil.matches(":checked ~ .veil"));
            return [...shown, document.querySelector(".picture img")].map(element => {
                const {left, top, width, height} = element.getBoundingClientRect();
                return {left, top, width, height};
            });
        }"""
    )
    assert len(boxes) == 2, "one veil"
    assert boxes[0] == pytest.approx(boxes[1], abs=1.5)
    assert visit.page.locator(".matched .place:visible").inner_text() == "red: top"


@pytest.mark.parametrize("visit", [{}, {"reduced_motion": "reduce"}], indirect=True)
def test_the_picture_is_zoomed_by_buttons_and_keys(visit: Visit) -> None:
    visit.open(RED)
    visit.page.get_by_role("button", name="Zoom", exact=True).press("Enter")
    canvas = visit.page.get_by_role("application", name="Picture to zoom and move: Red <square>")
    canvas.wait_for()
    visit.until("document.activeElement.getAttribute('role') === 'application'")
    assert "Escape" in visit.page.locator("#zoom-keys").inner_text()
    for name in ("Zoom in", "Zoom out", "Move left", "Move right", "Move up", "Move down", "Whole picture"):
        button = visit.page.get_by_role("button", name=name)
        button.click()
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    canvas.press("+")
    assert axe_violations(visit.page) == []
    canvas.press("Escape")
    canvas.wait_for(state="hidden")
    visit.until("document.activeElement.innerText === 'Zoom'")


def drawing(visit: Visit) -> tuple[Any, dict[str, float]]:
    """What a detail is drawn on, and where it lies."""
    visit.pictures_come(".picture img")
    visit.page.locator(".detail summary").click()
    layer = visit.page.locator(".drawing")
    layer.scroll_into_view_if_needed()
    box = layer.bounding_box()
    assert box is not None
    return layer, box


def test_a_detail_is_drawn_by_dragging(visit: Visit) -> None:
    visit.open(RED)
    _, box = drawing(visit)
    visit.page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.25 * box["height"])
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.75 * box["height"], steps=3)
    visit.page.mouse.up()
    assert numbers(visit) == pytest.approx([20, 25, 40, 50], abs=1)
    visit.page.get_by_role("button", name="Search with this detail").click()
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()[0] == "Red <square>"


def test_a_detail_is_drawn_by_two_clicks(visit: Visit) -> None:
    visit.open(RED)
    layer, box = drawing(visit)
    layer.click(position={"x": 0.9 * box["width"], "y": 0.8 * box["height"]})
    layer.click(position={"x": 0.5 * box["width"], "y": 0.2 * box["height"]})
    assert numbers(visit) == pytest.approx([50, 20, 40, 60], abs=1)


def numbers(visit: Visit) -> list[int]:
    return [int(field.input_value()) for field in visit.page.locator(".numbers input").all()]


@pytest.mark.parametrize("visit", [NO_SCRIPT], indirect=True)
def test_without_javascript_a_detail_is_a_form(visit: Visit) -> None:
    visit.open(RED)
    assert not visit.page.locator(".tools").is_visible()
    visit.page.locator(".detail summary").click()
    visit.page.get_by_role("button", name="upper left").click()
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()[0] == "Red <square>"
    visit.open(RED)
    visit.page.locator(".detail summary").click()
    visit.page.get_by_label("Width").fill("30")
    visit.page.get_by_role("button", name="Search with this detail").click()
    visit.page.wait_for_url("**picture=**")
    visit.open(RED)
    visit.page.locator(".matched .word").nth(2).click()
    assert visit.page.locator(".matched .place:visible").inner_text() == "red: top"


def test_the_keyboard_searches_with_a_detail(visit: Visit) -> None:
    visit.open(RED)
    visit.page.locator(".detail summary").press("Enter")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.name") == "left"
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**picture=**")
    assert visit.titles()


@pytest.mark.parametrize("visit", [{}, {"color_scheme": "dark"}, FINGER], indirect=True)
def test_the_view_is_accessible_and_fits(visit: Visit) -> None:
    visit.open(RED)
    visit.page.locator(".detail summary").click()
    assert axe_violations(visit.page) == []
    assert not visit.scrolls_sideways()
    for selector in (".named h1", ".facts dt", ".maker .date", ".source", ".alike .who"):
        assert contrast(visit.page, selector) >= 4.5, selector


def test_a_work_that_is_not_there_is_said(visit: Visit) -> None:
    response = visit.page.goto(visit.address + "/work?id=nothing&collection=colours")
    assert response is not None
    assert response.status == 404
    assert "no work" in visit.page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("visit", [NO_SCRIPT, {"color_scheme": "dark"}, FINGER], indirect=True)
def test_two_rankers_stand_side_by_side(visit: Visit) -> None:
    visit.open("/compare")
    visit.page.get_by_label("Query").fill("a blue square")
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.wait_for_url("**/compare?q=**")
    left, right = visit.page.locator(".sides section").all()
    assert right.locator(".title").first.inner_text() == "Blue <square>"
    assert left.locator("li").count() == right.locator("li").count() == 8
    assert "ms" in left.locator(".took").inner_text()
    assert "8 works of 8 stand in both lists." in visit.page.get_by_role("status").inner_text()
    ranks = [
        [*side.locator("li").evaluate_all("items => items.map(item => item.dataset.mark)")] for side in (left, right)
    ]
    changes = right.locator(".change").evaluate_all(
        "items => items.map(item => item.innerText.replace(/\\s+/g, ' ').trim())"
    )
    for place, (mark, change) in enumerate(zip(ranks[1], changes, strict=True)):
        moved = ranks[0].index(mark) - place
        assert change.startswith(f"▲ {moved}" if moved > 0 else f"▼ {-moved}" if moved else "="), (mark, change)
    assert not visit.scrolls_sideways()


@pytest.mark.parametrize("visit", [{}, {"color_scheme": "dark"}, FINGER], indirect=True)
def test_a_comparison_and_what_goes_wrong_are_accessible(visit: Visit) -> None:
    for path in ("/compare?q=red", "/compare?q=red&collection=no&lang=de", "/map?collection=no", "/work?id=no"):
        visit.open(path)
        assert axe_violations(visit.page) == [], path
        assert not visit.scrolls_sideways(), path
