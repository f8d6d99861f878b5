"""The browser that looks at a module's page; each module says with `address` where the page is.

Playwright is first imported here when a page is looked at: the other modules of this folder do without it.
"""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    from page_support import chromium

    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    from page_support import visiting

    with visiting(browser, address, **getattr(request, "param", {})) as here:
        yield here
