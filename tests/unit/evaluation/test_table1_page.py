"""The page of Table I over a collection with the fake encoder."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from boonart.encoders.fake import FakeEncoder
from boonart.errors import WorkNotFound
from boonart.evaluation.paper import Comparison
from boonart.evaluation.table1_page import table1_page
from boonart.works import Candidate, Hit, StoredPicture, Work

COW = Work("cow/1", 'A "red" <cow>', source_url="https://museum.example/cow")
DOG = Work("dog", "", source_url="javascript:alert(1)")


class Pictures:
    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        if not key:
            raise WorkNotFound("no picture")
        return key.encode(), "image/webp"


class Index:
    async def scroll(self, collection):
        yield [Candidate("p1", COW, picture=StoredPicture("aa")), Candidate("p2", DOG)]


@pytest.fixture
def parts():
    return SimpleNamespace(index=Index(), pictures=Pictures(), encoder=FakeEncoder(), reranker=None)


def compared(right: frozenset[str]) -> list[Comparison]:
    hit = Hit(1, COW, 1.0, 1.0)
    return [
        Comparison("a cow & a dog", (hit, replace(hit, rank=2, work=DOG)), (DOG,), right),
        Comparison("nothing like it", (), (), right),
    ]


def test_hits_stand_beside_those_of_the_keywords(parts, tmp_path):
    page = table1_page(parts, "works", compared(frozenset({"cow/1"})), tmp_path / "out").read_text(encoding="utf-8")
    assert "a cow &amp; a dog" in page
    assert "BoonArt <strong>1</strong> of 2, keyword search <strong>0</strong> of 2" in page
    assert page.count('class="right"') == 1
    assert page.count('class="wrong"') == 2
    assert page.count("nothing found") == 2
    assert (tmp_path / "out" / "pictures" / "cow_1.webp").read_bytes() == b"aa"
    assert "no picture" in page


def test_records_cannot_put_markup_or_scripts_into_the_page(parts, tmp_path):
    page = table1_page(parts, "<b>", compared(frozenset()), tmp_path).read_text(encoding="utf-8")
    assert "<cow>" not in page
    assert "<b>" not in page
    assert "javascript:" not in page
    assert 'href="https://museum.example/cow"' in page


def test_nothing_is_marked_where_nobody_has_said_what_is_right(parts, tmp_path):
    page = table1_page(parts, "works", compared(frozenset()), tmp_path).read_text(encoding="utf-8")
    assert 'class="right"' not in page
    assert "look and judge" in page
