"""The table of problems is complete, and documented."""

import re
from pathlib import Path

import pytest

from boonart import errors
from boonart_services.gateway.problems import HTTP_KINDS, INTERNAL, KINDS, kind_of, pointer

DOCS = Path(__file__).parents[3] / "docs" / "api.md"
# These are raised while something is set up or ingested, never while a request is answered.
NOT_OVER_HTTP = {errors.ConfigurationError, errors.SourceError, errors.RecordError, errors.VersionMismatch}


def all_errors() -> list[type[errors.BoonArtError]]:
    found, waiting = [], [errors.BoonArtError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == "boonart.errors"]


@pytest.mark.parametrize("error", [e for e in all_errors() if e not in NOT_OVER_HTTP], ids=lambda e: e.__name__)
def test_every_error_has_a_kind_of_its_own_or_its_parents(error: type[errors.BoonArtError]) -> None:
    assert kind_of(error("What is wrong.")) is not INTERNAL or error is errors.BoonArtError


def test_the_callers_faults_are_4xx_and_ours_are_5xx() -> None:
    for error, kind in KINDS.items():
        theirs = issubclass(error, errors.InvalidRequest | errors.NotFound | errors.CollectionExists)
        theirs = theirs or issubclass(error, errors.Overloaded | errors.Unauthenticated | errors.Forbidden)
        theirs = theirs or error in {errors.ModelMismatch, errors.RequestInProgress}
        assert (400 <= kind.status < 500) == theirs, kind


def test_an_error_without_a_line_takes_its_parents() -> None:
    class FrameNotFound(errors.WorkNotFound):
        pass

    assert kind_of(FrameNotFound("No frame.")) is KINDS[errors.WorkNotFound]


def test_a_code_always_has_the_same_status() -> None:
    statuses: dict[str, int] = {}
    for kind in (*KINDS.values(), *HTTP_KINDS.values()):
        assert statuses.setdefault(kind.code, kind.status) == kind.status


def test_the_documentation_lists_every_kind_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([45]\d\d) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert {(code, int(status)) for code, status in rows} == {
        (kind.code, kind.status) for kind in (*KINDS.values(), *HTTP_KINDS.values())
    }


@pytest.mark.parametrize(("parts", "expected"), [(("a", 0, "b"), "/a/0/b"), (("a/b", "c~d"), "/a~1b/c~0d"), ((), "")])
def test_a_pointer_is_escaped(parts: tuple[str | int, ...], expected: str) -> None:
    assert pointer(*parts) == expected
