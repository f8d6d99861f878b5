"""The map of a collection and the page for the person who runs it, in headless Chromium."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_support import painting
from page_support import MARKS, PHONE, Visit, axe_violations, page_gateway

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytestmark = MARKS
NO_SCRIPT = {"java_script_enabled": False}
FINGER = {"viewport": PHONE, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with page_gateway(tmp_path_factory) as url:
        deadline = time.monotonic() + 120
        while httpx.get(f"{url}/v1/collections/colours/map", timeout=30).status_code != 200:
            assert time.monotonic() < deadline, httpx.get(f"{url}/v1/jobs").text
            time.sleep(0.2)
        yield url


def points(visit: Visit) -> list[tuple[float, float]]:
    """Where each work's point lies on the screen."""
    answer = httpx.get(f"{visit.address}/v1/collections/colours/map", timeout=30)
    count = len(answer.content) // 7
    pairs = [int.from_bytes(answer.content[2 * n : 2 * n + 2], "little") / 65535 for n in range(2 * count)]
    box = visit.page.locator(".map").bounding_box()
    extent = visit.page.locator(".map").get_attribute("data-extent")
    assert box is not None
    assert extent is not None
    left, top, right, bottom = map(float, extent.split(","))
    scale = min((box["width"] - 2) / (right - left), (box["height"] - 2) / (bottom - top))
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return [
        (across + (x - (left + right) / 2) * scale, down + (y - (top + bottom) / 2) * scale)
        for x, y in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def test_a_point_on_the_map_leads_to_its_work(visit: Visit) -> None:
    visit.open("/map")
    visit.page.locator(".map canvas").wait_for()
    assert visit.page.locator(".in-view .title").count() == 8
    visit.page.locator(".map").scroll_into_view_if_needed()
    place = points(visit)[0]
    visit.page.mouse.move(*place)
    visit.page.locator(".tip b").wait_for()
    title = visit.page.locator(".tip b").inner_text()
    assert title.endswith("<square>")
    visit.page.mouse.click(*place)
    visit.page.wait_for_url("**/work?**")
    assert visit.page.get_by_role("heading", level=1).inner_text() == title


def test_keys_and_buttons_move_and_zoom_and_the_address_keeps_the_place(visit: Visit) -> None:
    visit.open("/map")
    canvas = visit.page.get_by_role("application")
    canvas.wait_for()
    canvas.press("+")
    canvas.press("+")
    canvas.press("ArrowLeft")
    visit.page.wait_for_url("**side=0.39**")
    held = visit.page.locator(".in-view .title").count()
    expect(visit.page.locator(".in-view [role=status]")).not_to_contain_text("8 of 8")
    visit.page.reload()
    canvas.wait_for()
    assert "side=0.39" in visit.page.url
    visit.page.get_by_role("link", name="Whole map").click()
    expect(visit.page.locator(".in-view .title")).to_have_count(8)
    assert held <= 8
    visit.until("!location.search.includes('side=')")


@pytest.mark.parametrize("visit", [{}, NO_SCRIPT], indirect=True)
def test_what_fits_a_query_is_marked_and_listed_first(visit: Visit) -> None:
    visit.open("/map")
    visit.page.get_by_label("Mark what fits").fill("a blue square")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.wait_for_url("**q=**")
    assert visit.page.locator("circle.mark").count() == 1, "what fits, not what is weak"
    assert visit.page.locator(".in-view .title").first.inner_text() == "Blue <square>"


@pytest.mark.parametrize("visit", [NO_SCRIPT], indirect=True)
def test_without_javascript_the_map_is_a_picture_with_links(visit: Visit) -> None:
    visit.open("/map")
    drawn = visit.page.locator("svg.drawn image").get_attribute("href")
    assert drawn is not None
    picture = httpx.get(visit.address + drawn, timeout=30)
    assert picture.headers["content-type"] == "image/png"
    assert "immutable" in picture.headers["cache-control"]
    visit.page.get_by_role("link", name="Zoom in").click()
    visit.page.wait_for_url("**side=**")
    visit.page.locator(".in-view a").first.click()
    visit.page.wait_for_url("**/work?**")


@pytest.mark.parametrize("visit", [{}, {"color_scheme": "dark"}, FINGER], indirect=True)
def test_both_pages_are_accessible_and_fit(visit: Visit) -> None:
    for path in ("/map?q=red", "/admin"):
        visit.open(path)
        if path != "/admin":
            visit.page.locator(".map canvas").wait_for()
        assert axe_violations(visit.page) == [], path
        assert not visit.scrolls_sideways(), path


@pytest.mark.parametrize("visit", [NO_SCRIPT, {}], indirect=True)
def test_a_collection_is_made_filled_and_deleted_with_its_name_typed(visit: Visit, tmp_path: Path) -> None:
    works, picture = tmp_path / "works.jsonl", tmp_path / "one.png"
    picture.write_bytes(painting((200, 30, 30)))
    lines = [{"id": "one", "title": "One", "image": "images/one.png"}, {"id": "two", "image": "images/gone.png"}]
    works.write_text("\n".join(json.dumps(line) for line in lines))
    visit.open("/admin")
    assert "8" in visit.page.get_by_role("article", name="colours").inner_text()
    visit.page.get_by_label("New collection").fill("attic")
    visit.page.get_by_role("button", name="Create").click()
    attic = visit.page.get_by_role("article", name="attic")
    attic.wait_for()
    attic.get_by_text("Add works").click()
    attic.get_by_label("Records (works.jsonl)").set_input_files(works)
    attic.get_by_label("The pictures that they name").set_input_files(picture)
    attic.get_by_role("button", name="Add", exact=True).click()
    job = visit.page.locator(".job", has_text="attic").first
    deadline = time.monotonic() + 60
    while "some put aside" not in job.inner_text():
        assert time.monotonic() < deadline, job.inner_text()
        visit.page.wait_for_timeout(300)
        visit.page.reload()
    assert "2 of 2 works" in job.inner_text()
    attic.get_by_text("1 record that could not be used").click()
    assert "gone.png" in attic.inner_text()
    for typed, there in (("attics", True), ("attic", False)):
        visit.open("/admin")
        attic.locator(".danger summary").click()
        attic.get_by_label("Deleting cannot be undone").fill(typed)
        visit.follow(attic.get_by_role("button", name="Delete for good"))
        visit.open("/admin")
        assert bool(attic.count()) == there


def test_a_form_of_another_site_changes_nothing(visit: Visit) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}):
        answer = httpx.post(
            f"{visit.address}/admin/collections/colours/delete", data={"confirm": "colours"}, headers=headers
        )
        assert answer.status_code == 403
    assert httpx.get(f"{visit.address}/v1/collections/colours").is_success
