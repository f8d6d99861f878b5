"""Pictures in lists, in headless Chromium: sharp on each screen, and no larger than that needs."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_support import COLLECTION, colour_parts, colour_works, fill, painting
from page_support import DESK, MARKS, PHONE, Visit, free_port, gateway_process

from boonart.encoders.fake import COLOURS

pytestmark = MARKS
SIZES = ((1500, 1000), (1000, 1500), (1200, 1200), (2400, 800))
PHONES = {"viewport": PHONE, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
DENSE = {"viewport": DESK, "device_scale_factor": 2}
VIEWS = {
    "wall": ("/?q=red", ".wall img"),
    "similar": ("/work?id=work%2Fred&collection=colours", ".alike img"),
    "compare": ("/compare?q=red", ".sides img"),
}
LOADED = """selector => [...document.querySelectorAll(selector)].filter(image => image.complete && image.currentSrc)
    .map(image => {
        const offered = image.srcset.split(", ").map(choice => choice.split(" "));
        const chosen = offered.find(([address]) => new URL(address, location).href === image.currentSrc);
        // A picture is fitted into a place of other proportions.
        const {width, height} = image.getBoundingClientRect();
        const ratio = image.getAttribute("width") / image.getAttribute("height");
        return {
            chosen: Number.parseInt(chosen[1]),
            widths: offered.map(([, width]) => Number.parseInt(width)),
            needed: Math.min(width, height * ratio) * devicePixelRatio,
        };
    })"""
"""Of each picture that is there: the width of its file, all widths that were offered, and the pixels of its place."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway over paintings as large as museums give them."""
    home = tmp_path_factory.mktemp("home")

    async def fill_it() -> None:
        async with colour_parts(home, collections=()) as parts:
            colours = zip(colour_works(), COLOURS.values(), strict=True)
            works = [
                (work, painting(colour, SIZES[number % len(SIZES)], "JPEG"))
                for number, ((work, _), colour) in enumerate(colours)
            ]
            await fill(parts, COLLECTION, works)

    asyncio.run(fill_it())
    port = free_port()
    given = {"HOME": str(home), "ENCODER": "fake", "RERANKER": "none", "PORT": str(port)}
    environment = {f"BOONART_{name}": value for name, value in given.items()}
    with gateway_process([sys.executable, "-m", "boonart_services.gateway"], port, home / "log", environment) as url:
        yield url


@pytest.mark.parametrize(
    "visit", [{"viewport": DESK}, DENSE, PHONES], indirect=True, ids=["desk", "dense desk", "phone"]
)
@pytest.mark.parametrize("view", VIEWS)
def test_pictures_are_as_large_as_their_places(visit: Visit, view: str) -> None:
    address, selector = VIEWS[view]
    visit.open(address)
    visit.page.locator(selector).last.scroll_into_view_if_needed()
    visit.until(f"[...document.querySelectorAll({selector!r})].filter(i => i.complete && i.currentSrc).length > 3")
    for picture in visit.page.evaluate(LOADED, selector):
        sharp = picture["chosen"] >= 0.7 * picture["needed"] or picture["chosen"] == max(picture["widths"])
        small = picture["chosen"] <= 2.3 * picture["needed"] or picture["chosen"] == min(picture["widths"])
        assert sharp, picture
        assert small, picture


@pytest.mark.parametrize("visit", [PHONES], indirect=True)
def test_a_phone_shows_a_work_without_loading_all_of_it(visit: Visit) -> None:
    visit.open("/work?id=work%2Fred&collection=colours")
    image = visit.page.locator(".picture img")
    visit.pictures_come(".picture img")
    assert "thumbnail?" in str(image.evaluate("image => image.currentSrc"))
    assert "/image?" in str(visit.page.locator("a.picture").get_attribute("href")), "zoom has the whole picture"


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_places_are_reserved_before_their_pictures_come_without_a_script(visit: Visit) -> None:
    held: list[Any] = []
    visit.page.route("**/thumbnail?**", lambda route: held.append(route))
    with visit.page.expect_request("**/thumbnail?**"):
        visit.page.goto(visit.address + "/?q=red", wait_until="domcontentloaded")
    images = visit.page.locator(".wall img")
    before = [image.bounding_box() for image in images.all()]
    assert len(before) == 8
    assert held
    # This lets those go that are held.
    visit.page.unroute("**/thumbnail?**")
    visit.page.wait_for_load_state()
    loaded = images.first.evaluate("image => image.complete && image.naturalWidth > 0")
    after = [image.bounding_box() for image in images.all()]
    assert loaded
    for box, later in zip(before, after, strict=True):
        assert box is not None
        assert later is not None
        assert all(abs(box[side] - later[side]) < 1 for side in ("x", "y", "width", "height")), (box, later)


@pytest.mark.parametrize("visit", [DENSE], indirect=True)
def test_the_maps_pictures_are_small(visit: Visit) -> None:
    # A map of few works shows their pictures at once, a fuller one when it is seen closer.
    with visit.page.expect_request("**/thumbnail?**height=*") as asked:
        visit.open("/map")
        visit.page.locator(".map canvas").press("+")
    assert asked.value.url.endswith("height=320")
