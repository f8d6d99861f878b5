from __future__ import annotations

from boonart.index.edge_records import Records
from boonart.works import Candidate, Work


def record(name: str, title: str = "") -> Candidate:
    return Candidate(name, Work(name, title=title))


def test_what_is_kept_is_found():
    records = Records()
    records.keep({"a": record("a")}, records.stamp)
    assert records.get(["a", "b"]) == {"a": record("a")}


def test_what_was_written_is_forgotten():
    records = Records()
    records.keep({"a": record("a"), "b": record("b")}, records.stamp)
    records.forget(["a"])
    assert list(records.get(["a", "b"])) == ["b"]


def test_what_was_fetched_before_a_write_is_not_kept():
    records = Records()
    stamp = records.stamp
    records.forget(["a"])
    records.keep({"a": record("a", "old")}, stamp)
    assert records.get(["a"]) == {}


def test_the_least_recently_used_leave_first():
    records = Records(2)
    records.keep({"a": record("a"), "b": record("b")}, records.stamp)
    records.get(["a"])
    records.keep({"c": record("c")}, records.stamp)
    assert sorted(records.get(["a", "b", "c"])) == ["a", "c"]
