"""docs/openapi.json is the document that the gateway serves; run this file to write it anew."""

import json
from pathlib import Path
from typing import Any

from gateway_fakes import fake_parts

from boonart_services.gateway.main import create_app

COPY = Path(__file__).parents[3] / "docs" / "openapi.json"


def served() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(create_app(fake_parts("c")).openapi()))
    return document


def test_the_copy_in_the_docs_is_what_is_served() -> None:
    assert json.loads(COPY.read_text(encoding="utf-8")) == served(), f"run python {Path(__file__).name} and commit it"


if __name__ == "__main__":
    COPY.write_text(json.dumps(served(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
