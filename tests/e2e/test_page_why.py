"""Why a hit matched and how sure the search is, in headless Chromium, with a reranker that looks for colours."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_support import painting
from page_support import MARKS, PHONE, Visit, axe_violations, contrast, page_gateway

from boonart.encoders.fake import COLOURS

pytestmark = MARKS
QUERY = "/?q=a+red+square"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with page_gateway(tmp_path_factory) as url:
        yield url


def ask_why(visit: Visit, title: str = "Red <square>") -> None:
    visit.page.get_by_role("link", name=f"Why it matched ({title})").click()
    visit.page.locator("dialog[open] .term").first.wait_for()
    visit.pictures_come("dialog .over")


def shown(visit: Visit) -> list[str]:
    """The words whose veil lies over the picture."""
    visit.until("document.getAnimations().length === 0")
    return visit.page.evaluate(
        """[...document.querySelectorAll(".term")]
            .filter(term => getComputedStyle(term.querySelector(".veil")).opacity > 0.9)
            .map(term => term.querySelector(".word").innerText)"""
    )


def light_of(visit: Visit, x: float, y: float) -> float:
    """Mean brightness of the picture on the screen near a place given in parts of its width and height."""
    import io

    from PIL import Image

    box = visit.page.locator(".why .over").bounding_box()
    assert box is not None
    area = {"x": box["x"] + x * box["width"] - 5, "y": box["y"] + y * box["height"] - 5, "width": 10, "height": 10}
    with Image.open(io.BytesIO(visit.page.screenshot(clip=area))) as patch:
        return sum(patch.convert("L").tobytes()) / patch.width / patch.height


@pytest.mark.parametrize("visit", [{}, {"color_scheme": "dark", "reduced_motion": "reduce"}], indirect=True)
def test_a_word_that_is_pointed_at_shows_where_it_looked(visit: Visit) -> None:
    visit.open(QUERY)
    ask_why(visit)
    assert visit.page.locator("dialog .word").all_inner_texts() == ["a", "red", "square"]
    words = visit.page.locator("dialog .word")
    words.nth(1).hover()
    assert shown(visit) == ["red"]
    assert visit.page.locator(".place:visible").inner_text() == "red: top"
    # The fake's second word looks at the fifth cell of the second row; the picture is dark where it did not.
    assert light_of(visit, 4.5 / 7, 1.5 / 7) > 1.5 * light_of(visit, 0.1, 0.9)
    words.nth(0).hover()
    assert shown(visit) == ["a"]
    assert light_of(visit, 0.5 / 7, 0.5 / 7) > 1.5 * light_of(visit, 4.5 / 7, 5.5 / 7)


def test_the_veil_lies_over_the_picture_with_its_proportions(visit: Visit) -> None:
    for title in ("Red <square>", "Grey <square>"):
        visit.open("/?q=a+red+grey+square")
        ask_why(visit, title)
        boxes = visit.page.evaluate(
            """() => {
                const image = document.querySelector(".why .over");
                const box = image.getBoundingClientRect();
                const ratio = image.naturalWidth / image.naturalHeight;
                const width = Math.min(box.width, box.height * ratio);
                const picture = {left: box.left + (box.width - width) / 2, top: box.top, width, height: width / ratio};
                // The first cell's right and lower edges are lines of the grid.
                const veil = document.querySelector(".veil"), matrix = veil.getScreenCTM();
                const at = (x, y) => new DOMPoint(x, y).matrixTransform(matrix);
                const [right, bottom] = veil.getAttribute("viewBox").split(" ").slice(2).map(Number);
                const start = at(0, 0), end = at(right, bottom);
                return [picture, {left: start.x, top: start.y, width: end.x - start.x, height: end.y - start.y}];
            }"""
        )
        assert boxes[0] == pytest.approx(boxes[1], abs=1.5), title


def test_the_keyboard_goes_through_the_words_and_back_to_the_hit(visit: Visit) -> None:
    visit.open(QUERY)
    link = visit.page.get_by_role("link", name="Why it matched (Red <square>)")
    link.focus()
    visit.page.keyboard.press("Enter")
    visit.page.locator("dialog[open]").wait_for()
    # A word has the focus at once.
    visit.until("document.activeElement.type === 'radio'")
    seen = set()
    for _ in range(3):
        visit.page.keyboard.press("ArrowRight")
        seen |= set(shown(visit))
    assert seen == {"a", "red", "square"}
    visit.page.keyboard.press("Escape")
    visit.page.locator("dialog[open]").wait_for(state="detached")
    visit.until("document.activeElement.className === 'ask-why'")


@pytest.mark.parametrize("visit", [{"viewport": PHONE, "has_touch": True, "is_mobile": True}], indirect=True)
def test_a_finger_does_the_same(visit: Visit) -> None:
    visit.open(QUERY)
    visit.page.get_by_role("link", name="Why it matched (Red <square>)").tap()
    visit.page.locator("dialog[open] .term").first.wait_for()
    for place, word in ((2, "square"), (1, "red")):
        visit.page.locator("dialog .word").nth(place).tap()
        visit.until(f"document.querySelectorAll('dialog .term input')[{place}].checked")
        assert shown(visit) == [word]
        box = visit.page.locator("dialog .word").nth(place).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24
    assert not visit.scrolls_sideways()
    visit.page.get_by_role("button", name="Close").tap()
    visit.page.locator("dialog[open]").wait_for(state="detached")


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_it_is_a_page(visit: Visit) -> None:
    visit.open(QUERY)
    visit.page.get_by_role("link", name="Why it matched (Red <square>)").click()
    visit.page.wait_for_url("**/why?**")
    visit.page.locator(".word").nth(2).click()
    assert visit.page.locator(".place:visible").inner_text().startswith("square: ")
    visit.follow(visit.page.get_by_role("link", name="Back to the results"))
    assert visit.titles()[0] == "Red <square>"


def test_a_picture_is_explained_by_the_words_of_a_description(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "blue.png"
    path.write_bytes(painting(COLOURS["blue"], (200, 120)))
    visit.open()
    visit.page.locator("#picture").set_input_files(path)
    visit.page.wait_for_url("**picture=**")
    ask_why(visit, "Blue <square>")
    assert visit.page.locator("dialog .word").all_inner_texts() == ["A", "blue", "square", "on", "a", "blue", "ground"]
    image = visit.page.locator("dialog .over")
    assert image.get_attribute("alt") == "The picture you searched with"
    assert image.evaluate("image => image.complete && image.naturalWidth") == 200


def test_weak_matches_stand_under_a_line(visit: Visit) -> None:
    visit.open(QUERY)
    texts = visit.page.locator(".wall > li").evaluate_all("items => items.map(item => item.innerText.trim())")
    assert texts[0].startswith("Red <square>")
    assert texts[1] == "Weaker matches"
    assert len(texts) == 9


def test_only_strong_matches_on_request(visit: Visit) -> None:
    visit.open(QUERY)
    visit.page.get_by_text("Options").click()
    visit.page.get_by_label("Show").select_option("0.5")
    visit.page.get_by_role("button", name="Search", exact=True).click()
    visit.page.wait_for_url("**min_relevance=0.5**")
    assert visit.titles() == ["Red <square>"]
    visit.page.go_back()
    assert len(visit.titles()) == 8


def test_a_query_about_nothing_in_the_collection_says_so(visit: Visit) -> None:
    visit.open("/?q=a+violin")
    assert visit.page.get_by_text("Nothing in this collection fits well. These come nearest.").is_visible()
    assert not visit.page.get_by_text("Weaker matches").count()
    visit.open("/?q=a+violin&min_relevance=0.5")
    assert visit.titles() == []
    visit.follow(visit.page.get_by_role("link", name="Show weaker matches"))
    assert len(visit.titles()) == 8


@pytest.mark.parametrize("visit", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_its_text_stands_out(visit: Visit) -> None:
    visit.open(QUERY)
    ask_why(visit)
    for selector in (".reading h1", ".of", ".hint", ".word", ":checked + .word", ".options summary", ".close"):
        assert contrast(visit.page, selector) >= 4.5, selector


@pytest.mark.parametrize(
    "visit",
    [{}, {"color_scheme": "dark"}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(visit: Visit) -> None:
    visit.open(QUERY)
    address = visit.page.get_by_role("link", name="Why it matched (Red <square>)").get_attribute("href")
    ask_why(visit)
    assert axe_violations(visit.page) == [], "over the results"
    visit.open(str(address))
    assert axe_violations(visit.page) == [], "as a page"
