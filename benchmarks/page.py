"""How fast and how steady the page is: `python benchmarks/page.py --home DIR --collection NAME --json FILE`.

Starts the gateway over a home that holds the collection, and searches in headless Chromium as a visitor does: words
into the field, Enter. The weight is that of a first visit, whose browser holds nothing yet. The figures have the
project's one form for measurements; the goals are those of docs/page.md.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from boonart.evaluation.measurement import Measurement, this_machine
from boonart.evaluation.processes import gateway

QUERIES = (
    "a man with a dog",
    "a boat on a stormy sea",
    "a woman reading by a window",
    "two horses in a field",
    "flowers in a vase",
    "a church beside a river",
    "children at play",
    "a battle with many soldiers",
)
GOALS = {"first_results_ms": 1000.0, "layout_shift": 0.05, "weight_kb": 150.0}
_WATCH = """
    window.shifts = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({type: "layout-shift", buffered: true});
    addEventListener("keydown", event => {
        if (event.key === "Enter") sessionStorage.setItem("pressed", performance.timeOrigin + performance.now());
    }, true);
"""
_PAINTED = """() => new Promise(done => {
    const ask = () => {
        const painted = performance.getEntriesByName("first-contentful-paint")[0];
        const pressed = Number(sessionStorage.getItem("pressed"));
        if (painted) done(performance.timeOrigin + painted.startTime - pressed); else setTimeout(ask, 20);
    };
    ask();
})"""
_PICTURES = """() => Promise.race([
    Promise.all([...document.images].filter(image => image.getBoundingClientRect().top < innerHeight)
        .map(image => image.decode().catch(() => {})))
        .then(() => performance.timeOrigin + performance.now() - Number(sessionStorage.getItem("pressed"))),
    new Promise(done => setTimeout(() => done(-1), 15000)),
])"""
_WEIGHT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(entry => entry.initiatorType !== "img" && !/thumbnail|image|queries/.test(entry.name))
    .reduce((sum, entry) => sum + entry.transferSize, 0)"""


def search(page: Page, url: str, collection: str, words: str) -> dict[str, float]:
    """Figures of one search, from the first view on."""
    page.goto(f"{url}/?collection={collection}", wait_until="networkidle")
    page.locator("#q").fill(words)
    page.locator("#q").press("Enter")
    page.wait_for_url("**q=**")
    figures = {"first_results_ms": page.evaluate(_PAINTED), "first_pictures_ms": page.evaluate(_PICTURES)}
    if page.locator(".wall li, .texts li").count() == 0:
        sys.exit(f"{words!r} finds nothing in {collection}")
    # Down the page as a reader goes, so that what comes in late would be seen to push.
    for _ in range(12):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(60)
    page.wait_for_timeout(300)
    return {**figures, "layout_shift": page.evaluate("window.shifts")}


def weight(browser: Browser, url: str, collection: str) -> float:
    """Compressed bytes of the results' page without its pictures, for a first visitor, in kB."""
    page = browser.new_context(service_workers="block").new_page()
    page.goto(f"{url}/?q={QUERIES[0].replace(' ', '+')}&collection={collection}", wait_until="load")
    page.wait_for_timeout(500)
    return float(page.evaluate(_WEIGHT)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder with the collection")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--encoder", default="starter")
    parser.add_argument("--port", type=int, default=8077)
    parser.add_argument("--rounds", type=int, default=2, help="searches of each query; the first round warms up")
    parser.add_argument("--chromium", default=os.environ.get("BOONART_TEST_CHROMIUM", "/usr/bin/chromium"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    start = time.perf_counter()
    with gateway(given.home, given.port, ENCODER=given.encoder) as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=given.chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_context(viewport={"width": 1366, "height": 900}).new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(_WATCH)
        search(page, url, given.collection, QUERIES[0])
        found = [search(page, url, given.collection, words) for _ in range(given.rounds) for words in QUERIES]
        kilobytes = weight(browser, url, given.collection)
        browser.close()
    figures = {
        "first_results_ms": statistics.median(one["first_results_ms"] for one in found),
        "first_results_ms.worst": max(one["first_results_ms"] for one in found),
        "first_pictures_ms": statistics.median(one["first_pictures_ms"] for one in found),
        "layout_shift": max(one["layout_shift"] for one in found),
        "weight_kb": kilobytes,
    }
    settings = {"collection": given.collection, "encoder": given.encoder, "rounds": given.rounds}
    measured = Measurement(
        "page",
        {name: round(value, 4) for name, value in figures.items()},
        settings,
        this_machine(),
        time.perf_counter() - start,
    )
    for name, value in figures.items():
        goal = f"   goal {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:24} {value:10.3f}{goal}")
    if given.json:
        measured.write(given.json)


if __name__ == "__main__":
    main()
