"""The server goes and comes back while somebody searches, in headless Chromium."""

import asyncio
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from gateway_support import colour_parts
from page_support import MARKS, axe_violations, chromium, free_port, gateway_process, visiting

pytestmark = MARKS


def test_a_page_of_ours_says_that_the_server_is_away_and_comes_back_by_itself(tmp_path: Path) -> None:
    async def fill() -> None:
        async with colour_parts(tmp_path):
            pass

    asyncio.run(fill())
    port = free_port()
    given = {"HOME": str(tmp_path), "ENCODER": "fake", "RERANKER": "none", "PORT": str(port)}
    environment = {f"BOONART_{name}": value for name, value in given.items()}

    def served(log: str) -> AbstractContextManager[str]:
        return gateway_process([sys.executable, "-m", "boonart_services.gateway"], port, tmp_path / log, environment)

    with (
        chromium() as browser,
        visiting(browser, f"http://127.0.0.1:{port}", locale="de-DE", service_workers="allow") as visit,
    ):
        with served("first.log"):
            visit.open("/?q=red")
            visit.page.evaluate("navigator.serviceWorker.ready")
            visit.until("navigator.serviceWorker.controller !== null")
            visit.until("caches.keys().then(names => names.length > 0)")
        visit.page.get_by_role("searchbox").fill("blue")
        visit.page.get_by_role("searchbox").press("Enter", no_wait_after=True)
        alert = visit.page.get_by_role("alert")
        alert.wait_for()
        assert "BoonArt ist nicht erreichbar" in alert.inner_text()
        assert alert.get_by_role("link", name="Noch einmal versuchen").is_visible()
        assert "q=blue" in visit.page.url
        edge = visit.page.evaluate("getComputedStyle(document.querySelector('.error')).borderInlineStartWidth")
        assert edge == "4px", "it has its looks"
        assert axe_violations(visit.page) == []
        with served("second.log"):
            visit.page.locator(".wall .title").first.wait_for()
            assert visit.titles()[0] == "Blue <square>"
            assert "q=blue" in visit.page.url
