from __future__ import annotations

from pathlib import Path

import pytest

from boonart.evaluation.processes import service


def test_a_service_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(SystemExit, match=r"boonart_services\.nothing does not become ready"),
        service("boonart_services.nothing", tmp_path, "http://127.0.0.1:9/readyz"),
    ):
        pass
