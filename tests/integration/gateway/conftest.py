"""What the gateway's tests share as fixtures."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from doors_support import Doors, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with opened(tmp_path_factory.mktemp("home")) as both:
        yield both
