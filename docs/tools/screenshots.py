"""Take the pictures of the page in docs/images: `make screenshots`.

Each view of `VIEWS` is taken over the sample gallery, on a phone and on a desk, light and dark. A further view is a
line in that table: a name, an address, and where needed what a visitor does there first.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from boonart.evaluation.processes import gateway
from boonart.sample.gallery import committed_gallery

IMAGES = Path(__file__).parents[1] / "images"
COLLECTION = "sample"
WORK = "/work?id=sample-001&collection=sample&from=%2F%3Fq%3Da%2Bcow%2Bin%2Bthe%2Broom"
SIZES = {"desk": (1366, 900), "phone": (390, 844)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_QUALITY = 82


def _with_picture(words: str = "") -> Callable[[Page], None]:
    """Search with a picture of the gallery, with words beside it or without."""

    def search(page: Page) -> None:
        page.locator("#q").fill(words)
        page.locator("#picture").set_input_files(committed_gallery().parent / "pictures" / "sample-010.webp")
        page.wait_for_url("**picture=**")

    return search


def _open_first_chip(page: Page) -> None:
    page.locator(".chip summary").first.click()


def _open_filters(page: Page) -> None:
    """They stand open where there is room."""
    if (summary := page.locator(".facets > summary")).is_visible():
        summary.click()


def _choose_a_word(page: Page) -> None:
    page.locator(".matched .word", has_text="cow").click()


def _ask_why(page: Page) -> None:
    page.locator(".ask-why").first.click()
    page.locator(".why").wait_for()


def _open_detail(page: Page) -> None:
    page.locator(".detail summary").click()


def _wait_for_the_map(page: Page) -> None:
    """It is made when it is first looked at."""
    page.locator(".map canvas").wait_for(timeout=300_000)


def _into_the_map(page: Page) -> None:
    """To the first work that is marked; the drawing has 1,000 units a side."""
    _wait_for_the_map(page)
    mark = page.locator(".map .mark").first
    x, y = (float(str(mark.get_attribute(name))) / 1000 for name in ("cx", "cy"))
    page.goto(f"{page.url}&x={x:.3f}&y={y:.3f}&side=0.3")
    _wait_for_the_map(page)


@dataclass(frozen=True)
class View:
    """A view of the page.

    Attributes:
        name: what its picture is called.
        first: what is done there before it is taken.
        top: selector of what stands at the upper edge then; "" for the page's beginning.
    """

    name: str
    address: str
    first: Callable[[Page], None] | None = None
    top: str = ""

    def prepare(self, page: Page) -> None:
        """Bring the page to where it is taken."""
        if self.first is not None:
            self.first(page)
        page.evaluate("top => top ? document.querySelector(top).scrollIntoView() : scrollTo(0, 0)", self.top)
        page.wait_for_load_state("networkidle")


VIEWS = (
    View("start", "/"),
    View("results", "/?q=a+cow+in+the+room"),
    View("parts", "/?q=a+horse+by+the+sea&q=a+boat&q=rain&w=1,2,-0.5", _open_first_chip),
    View("filters", "/?q=a+cow&f=artist:Tobias+Merrowe", _open_filters),
    View("descriptions", "/", _with_picture()),
    View("picture-and-words", "/", _with_picture("in the rain")),
    View("german", "/?q=a+cow&lang=de"),
    View("right-to-left", "/?q=a+cow&lang=ar-XB"),
    View("work", WORK, _choose_a_word),
    View("detail", WORK, _open_detail, ".frame"),
    View("why", "/?q=a+cow+in+the+room", _ask_why),
    View("compare", "/compare?q=a+dog+to+the+left+of+a+man&a=none&b=default"),
    View("map", "/map", _wait_for_the_map),
    View("map-closer", "/map?q=a+cow+in+the+room", _into_the_map),
    View("manage", "/admin"),
    View("away", "/away"),
)


@contextmanager
def gallery(home: Path) -> Iterator[str]:
    """A gateway over the sample gallery in this home, which is filled where it is empty."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BOONART_HOME": str(home)}
    ingest = [sys.executable, "-m", "boonart_ingest.main", str(committed_gallery()), "--collection", COLLECTION]
    subprocess.run(ingest, env=environment, check=True)
    with gateway(home, port) as url:
        yield url


def save(png: bytes, path: Path) -> None:
    """As WebP, in which paintings keep their colours in a third of the room."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(path, "WEBP", quality=_QUALITY, method=6)


def take(url: str, chromium: str, only: list[str]) -> None:
    """Take the views named, or all."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        for device, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                phone = device == "phone"
                for view in VIEWS:
                    if only and view.name not in only:
                        continue
                    # A visitor of its own each time: the language chosen by one view is not the next one's.
                    context = browser.new_context(
                        viewport={"width": width, "height": height},
                        color_scheme=scheme,
                        has_touch=phone,
                        is_mobile=phone,
                        reduced_motion="reduce",
                        service_workers="block",
                    )
                    context.set_default_timeout(120_000)
                    page = context.new_page()
                    page.goto(url + view.address)
                    view.prepare(page)
                    save(page.screenshot(), IMAGES / f"{view.name}-{device}-{scheme}.webp")
                    context.close()
        browser.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("views", nargs="*", help="names of views; all where none is given")
    parser.add_argument("--home", type=Path, help="folder that keeps the gallery's collection for the next time")
    parser.add_argument("--url", help="a gateway that is running, over the sample gallery")
    parser.add_argument("--chromium", default=os.environ.get("BOONART_TEST_CHROMIUM", "/usr/bin/chromium"))
    given = parser.parse_args()
    if given.url:
        take(given.url, given.chromium, given.views)
        return
    with tempfile.TemporaryDirectory() as folder, gallery(given.home or Path(folder)) as url:
        take(url, given.chromium, given.views)


if __name__ == "__main__":
    main()
