"""docs/openapi.json is the document that the gateway serves; run this file to write it anew.

It refuses to write one that breaks what the copy promises. Where that is meant, `--break` writes it all the same, and
CHANGELOG.md says what breaks.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway_fakes import fake_parts
from openapi_changes import breaking

from boonart_services.gateway.main import create_app

COPY = Path(__file__).parents[3] / "docs" / "openapi.json"


def served() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(create_app(fake_parts("c")).openapi()))
    return document


def kept() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(COPY.read_text(encoding="utf-8"))
    return document


def test_the_copy_in_the_docs_is_what_is_served() -> None:
    assert kept() == served(), f"run python {Path(__file__).name} and commit it"


def test_nothing_that_was_promised_is_broken() -> None:
    assert breaking(kept(), served()) == []


def properties(document: dict[str, Any], schema: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][schema]["properties"]
    return found


def lose_a_path(document: dict[str, Any]) -> None:
    del document["paths"]["/v1/jobs/{job_id}"]


def lose_a_method(document: dict[str, Any]) -> None:
    del document["paths"]["/v1/collections"]["post"]


def rename_an_operation(document: dict[str, Any]) -> None:
    document["paths"]["/v1/search"]["post"]["operationId"] = "find"


def lose_a_field_of_a_request(document: dict[str, Any]) -> None:
    del properties(document, "SearchRequest")["diversity"]


def lose_a_field_deep_in_an_answer(document: dict[str, Any]) -> None:
    del properties(document, "PictureBody")["thumbnail_url"]


def lose_a_value(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Ranker"]["enum"].remove("vitr")


def need_a_field(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["NewCollection"]["required"].append("size")


def need_a_parameter(document: dict[str, Any]) -> None:
    extra = {"name": "x", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"]["/v1/collections"]["get"].setdefault("parameters", []).append(extra)


def promise_a_field_no_longer(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["HitBody"]["required"].remove("score")


def take_less(document: dict[str, Any]) -> None:
    properties(document, "SearchRequest")["limit"]["maximum"] = 100


def change_a_type(document: dict[str, Any]) -> None:
    properties(document, "HitBody")["rank"]["type"] = "string"


def answer_in_another_form(document: dict[str, Any]) -> None:
    document["paths"]["/v1/search"]["post"]["responses"]["200"]["content"] = {"text/plain": {}}


@pytest.mark.parametrize(
    "change",
    [
        lose_a_path,
        lose_a_method,
        rename_an_operation,
        lose_a_field_of_a_request,
        lose_a_field_deep_in_an_answer,
        lose_a_value,
        need_a_field,
        need_a_parameter,
        promise_a_field_no_longer,
        take_less,
        change_a_type,
        answer_in_another_form,
    ],
)
def test_the_rule_catches(change: Any) -> None:
    changed = copy.deepcopy(kept())
    change(changed)
    assert breaking(kept(), changed) != []


def test_the_rule_lets_additions_pass() -> None:
    grown = copy.deepcopy(kept())
    grown["paths"]["/v1/new"] = grown["paths"]["/v1/jobs"]
    properties(grown, "SearchRequest")["new"] = {"type": "string"}
    properties(grown, "HitBody")["new"] = {"type": "string"}
    properties(grown, "SearchRequest")["limit"]["maximum"] = 5_000
    grown["components"]["schemas"]["Ranker"]["enum"].append("new")
    assert breaking(kept(), grown) == []


if __name__ == "__main__":
    broken = breaking(kept(), served()) if COPY.exists() else []
    if broken and "--break" not in sys.argv:
        sys.exit("This breaks what docs/openapi.json promises:\n" + "\n".join(broken))
    COPY.write_text(json.dumps(served(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
