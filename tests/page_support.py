"""What the page's browser tests share: a gateway as a process, Chromium, and a visitor who watches for breaches."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = Path(os.environ.get("BOONART_TEST_CHROMIUM", "/usr/bin/chromium"))
MARKS = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
]
"""What a module of browser tests is marked with."""
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = {"width": 1366, "height": 900}, {"width": 360, "height": 740}


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def gateway_process(command: Sequence[str], port: int, log: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a gateway in a process of its own, which must end without a traceback."""
    with log.open("wb") as stream:
        own = {"BOONART_GRPC_PORT": "0"}  # any free one: others may be testing beside this
        process = subprocess.Popen(command, env=os.environ | own | environment, stdout=stream, stderr=stream)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Traceback" not in log.read_text()


@contextlib.contextmanager
def page_gateway(folders: "pytest.TempPathFactory") -> Iterator[str]:
    """The address of a gateway over the works of page_gateway.py."""
    home, port = folders.mktemp("home"), free_port()
    command = [sys.executable, str(Path(__file__).with_name("page_gateway.py")), str(port), str(home)]
    with gateway_process(command, port, home / "log", {}) as url:
        yield url


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextlib.contextmanager
def chromium() -> "Iterator[playwright.Browser]":
    """A browser; start it after the gateway, since it keeps an event loop running in this thread."""
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Visit:
    """A page and everything that must not have happened on it."""

    page: "playwright.Page"
    address: str
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.address + path)

    def follow(self, control: "playwright.Locator") -> None:
        """Click what leads to another page, and wait until that page is there."""
        with self.page.expect_navigation():
            control.click()

    def search(self, text: str) -> None:
        self.page.get_by_role("searchbox").fill(text)
        with self.page.expect_navigation():
            self.page.get_by_role("searchbox").press("Enter", no_wait_after=True)

    def titles(self) -> list[str]:
        self.page.wait_for_load_state()
        return self.page.locator("main .title").all_inner_texts()

    def until(self, expression: str, seconds: float = 120.0) -> None:
        """Wait until a script's expression holds. Playwright's own way polls with `eval`, which the policy forbids."""
        end = time.monotonic() + seconds
        while not self._holds(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            self.page.wait_for_timeout(50)

    def _holds(self, expression: str) -> bool:
        try:
            return bool(self.page.evaluate(expression))
        except playwright.Error as error:
            # The page that was asked has just given way to the next.
            if "navigation" not in error.message and "destroyed" not in error.message:
                raise
            return False

    def pictures_come(self, selector: str) -> None:
        """Wait until the pictures that a selector names are there: a picture has no size of its own before."""
        self.page.locator(selector).first.wait_for()
        self.until(
            f"[...document.querySelectorAll({json.dumps(selector)})].every(one => one.complete && one.naturalWidth > 0)"
        )

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@contextlib.contextmanager
def visiting(browser: "playwright.Browser", address: str, **options: object) -> Iterator[Visit]:
    """A fresh visitor; fails the test on a script error, a breach of the policy, or a request to another host.

    The service worker stays out, except where a test is about it (`service_workers="allow"`): each visitor would start
    one more process for it, on which the pages that they open would then wait.
    """
    context = browser.new_context(**{"viewport": DESK, "service_workers": "block", **options})
    # A busy machine may take its time: what is tested is what comes, not when.
    context.set_default_timeout(120_000)
    page = context.new_page()
    here = Visit(page, address)
    context.on("request", lambda r: None if r.url.startswith(address) else here.elsewhere.append(r.url))
    page.on("pageerror", lambda error: here.complaints.append(str(error)))
    page.on("console", lambda m: here.complaints.append(m.text) if "Content Security" in m.text else None)
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', e => console.log('Content Security: ' + e.blockedURI))"
    )
    yield here
    context.close()
    assert here.elsewhere == []
    assert here.complaints == []


def contrast(page: "playwright.Page", selector: str) -> float:
    """WCAG contrast of an element's text with the nearest ground that is painted."""
    colours = page.evaluate(
        """selector => {
            const element = document.querySelector(selector);
            const colour = node => getComputedStyle(node).backgroundColor;
            let ground = element;
            while (ground.parentElement && colour(ground) === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
            return [getComputedStyle(element).color, colour(ground)];
        }""",
        selector,
    )
    lights = sorted(_luminance([int(number) for number in re.findall(r"\d+", colour)[:3]]) for colour in colours)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: list[int]) -> float:
    parts = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def axe_violations(page: "playwright.Page") -> list[str]:
    """What axe finds against WCAG 2.2 AA and its own best practices on a page as it stands, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {node['html'][:200]}" for fault in found for node in fault["nodes"]]
