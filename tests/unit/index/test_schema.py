"""Payloads there and back, and what a filter may name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boonart.errors import InvalidRequest
from boonart.index.schema import (
    FIELDS,
    FieldKind,
    check_collection_name,
    extra_field,
    extra_name,
    keyword_text,
    to_candidate,
    to_payload,
    vector_specs,
)
from boonart.works import IndexedWork, Manifest, StoredPicture, Work

MANIFEST = Manifest("fake:a", 8, "fake:r", 4)
TEXT = st.text(max_size=30)
WORKS = st.builds(
    Work,
    id=st.text(min_size=1, max_size=20),
    title=TEXT,
    artist=TEXT,
    date=TEXT,
    medium=TEXT,
    description=TEXT,
    subjects=st.lists(st.text(min_size=1, max_size=20), max_size=4).map(tuple),
    source_url=TEXT,
    credit=TEXT,
    licence=TEXT,
    image=TEXT,
    extra=st.dictionaries(
        TEXT, TEXT | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
    ),
)


@given(
    work=WORKS,
    key=st.sampled_from(["", "0" * 32]),
    words=st.lists(st.text(min_size=1, max_size=5), max_size=3),
    composed=st.booleans(),
)
def test_a_payload_gives_back_the_work(work: Work, key: str, words: list[str], composed: bool) -> None:
    picture = StoredPicture(key, (640, 480), "#ffffff") if key else StoredPicture()
    indexed = IndexedWork(
        work,
        "hash",
        np.zeros(8, np.float32),
        picture=picture,
        description_composed=composed,
        description_words=tuple(words),
    )
    payload = to_payload(indexed, MANIFEST)
    candidate = to_candidate("point", payload, 0.5)
    assert candidate.work == work
    assert candidate.picture == picture
    assert (candidate.content_hash, candidate.description_composed) == ("hash", composed)
    assert (candidate.point_id, candidate.score) == ("point", 0.5)
    assert payload.get("description_words", []) == words
    assert payload["models"] == ["fake:a", "fake:r"]


def test_empty_fields_are_left_out() -> None:
    payload = to_payload(IndexedWork(Work("a"), "h", np.zeros(8, np.float32)), MANIFEST)
    assert set(payload) == {"id", "description_composed", "content_hash", "models"}


def test_values_that_json_cannot_hold_become_texts() -> None:
    work = Work("a", extra={"nan": float("nan"), "huge": 2**70, "fine": 3})
    payload = to_payload(IndexedWork(work, "h", np.zeros(8, np.float32)), MANIFEST)
    assert payload["extra"] == {"nan": "nan", "huge": str(2**70), "fine": 3}


def test_a_collection_without_a_reranker_has_no_multivectors() -> None:
    assert [spec.name for spec in vector_specs(Manifest("a", 8))] == ["image", "description"]
    assert [(spec.name, spec.size) for spec in vector_specs(MANIFEST)][2:] == [("regions", 4), ("words", 4)]


@pytest.mark.parametrize(
    ("key", "value", "path", "kind"),
    [
        ("room", 3, "extra.room", FieldKind.INTEGER),
        ("on loan", True, 'extra."on loan"', FieldKind.BOOLEAN),
        ("inv.no", "N1", 'extra."inv.no"', FieldKind.KEYWORD),
        ("height", 1.5, "extra.height", FieldKind.FLOAT),
    ],
)
def test_extra_fields_have_paths(key: str, value: str | float, path: str, kind: FieldKind) -> None:
    field = extra_field(key, value)
    assert field is not None
    assert (field.path, field.kind) == (path, kind)
    assert extra_name(path) == key


@pytest.mark.parametrize("key", ["", 'a"b', "a\\b"])
def test_a_key_that_cannot_be_a_path_is_not_filterable(key: str) -> None:
    assert extra_field(key, "x") is None


def test_every_text_of_a_work_can_be_filtered() -> None:
    stored = set(to_payload(IndexedWork(Work(*"abcdef", subjects=("s",)), "h", np.zeros(8)), MANIFEST))
    assert stored - {"content_hash", "models"} <= set(FIELDS)


def test_the_keyword_text_holds_what_people_search_for() -> None:
    work = Work("id", title="Cow", artist="Cuyp", description="In a field", subjects=("animals > cow",), date="1650")
    assert keyword_text(work) == "Cow Cuyp In a field animals > cow"


@pytest.mark.parametrize("name", ["tate", "a", "A-1_b", "0" * 64])
def test_good_names_pass(name: str) -> None:
    check_collection_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "_a", "a/b", "a.b", "a b", "0" * 65, "ä", "a\n"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_collection_name(name)
    assert caught.value.field == "collection"
