"""API keys at rest."""

import stat
from pathlib import Path

import pytest

from boonart.errors import ConfigurationError, InvalidRequest, NotFound
from boonart.keys import ApiKey, KeyFile, Scope


def test_a_key_is_found_by_its_text_alone_and_kept_as_a_hash(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "home" / "keys.json")
    key, text = keys.create("reading room", Scope.SEARCH)
    assert keys.find(text) == key
    secret = text.split("_", 2)[2]
    stored = (tmp_path / "home" / "keys.json").read_text()
    assert secret not in stored
    assert stat.S_IMODE((tmp_path / "home" / "keys.json").stat().st_mode) == 0o600
    assert KeyFile(tmp_path / "home" / "keys.json").find(text) == key, "another process knows it too"


@pytest.mark.parametrize(
    "change", ["", "x", "boon", "boon_{id}_", "boon_{id}_x", "other_{id}_{secret}", "boon_ffffffff_{secret}"]
)
def test_anything_else_is_no_key(tmp_path: Path, change: str) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    _, text = keys.create("x", Scope.ADMIN)
    _, id_, secret = text.split("_", 2)
    assert keys.find(change.format(id=id_, secret=secret)) is None


def test_a_revoked_key_is_listed_and_opens_nothing(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, text = keys.create("x", Scope.SEARCH)
    _, other = keys.create("y", Scope.WRITE)
    revoked = keys.revoke(key.id)
    assert keys.find(text) is None
    assert keys.find(other) is not None
    assert [one.valid() for one in keys.all()] == [False, True]
    assert keys.revoke(key.id).revoked == revoked.revoked
    with pytest.raises(NotFound):
        keys.revoke("nobody")


def test_a_key_expires() -> None:
    key = ApiKey("1", "x", Scope.SEARCH, "", created=0.0, expires=100.0)
    assert key.valid(99.0)
    assert not key.valid(100.0)


def test_scopes_include_those_before_them() -> None:
    assert Scope.ADMIN.includes(Scope.SEARCH)
    assert Scope.WRITE.includes(Scope.WRITE)
    assert not Scope.SEARCH.includes(Scope.WRITE)


@pytest.mark.parametrize(("name", "days"), [("", 0), ("x" * 201, 0), ("x", -1), ("x", float("nan"))])
def test_a_key_that_says_nothing_is_not_made(tmp_path: Path, name: str, days: float) -> None:
    with pytest.raises(InvalidRequest):
        KeyFile(tmp_path / "keys.json").create(name, Scope.SEARCH, days=days)
    assert not (tmp_path / "keys.json").exists()


@pytest.mark.parametrize(
    "content", ["{", "[1]", '[{"id": "x"}]', '[{"id":"a","name":"a","scope":"god","digest":"","created":1}]']
)
def test_a_damaged_file_is_said_and_lets_nobody_in(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(ConfigurationError, match="keys create"):
        KeyFile(tmp_path / "keys.json").find("boon_x_y")


def test_when_a_key_was_used_is_kept_to_the_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("boonart.keys.time.time", lambda: now[0])
    keys = KeyFile(tmp_path / "keys.json")
    first, second = (keys.create(name, Scope.SEARCH)[0] for name in ("x", "y"))
    assert keys.last_used() == {}
    keys.note_use(first.id)
    now[0] += 59
    keys.note_use(first.id)
    keys.note_use(second.id)
    other = KeyFile(tmp_path / "keys.json")
    assert other.last_used() == {first.id: 1_000_000.0, second.id: 1_000_059.0}
    now[0] += 1
    keys.note_use(first.id)
    assert other.last_used() == {first.id: 1_000_060.0, second.id: 1_000_059.0}


def test_a_use_changes_nothing_of_the_keys(tmp_path: Path) -> None:
    running, line = KeyFile(tmp_path / "keys.json"), KeyFile(tmp_path / "keys.json")
    key, _ = running.create("x", Scope.SEARCH)
    line.revoke(key.id)
    running.note_use(key.id)
    assert not KeyFile(tmp_path / "keys.json").all()[0].valid()
    assert stat.S_IMODE((tmp_path / "keys-used.json").stat().st_mode) == 0o600


def test_uses_that_cannot_be_read_or_written_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    (tmp_path / "keys-used.json").write_text("damaged")
    assert keys.last_used() == {}
    keys.note_use("a")
    assert set(keys.last_used()) == {"a"}

    def full(*_: object, **__: object) -> tuple[int, str]:
        raise OSError("No space left on device")

    monkeypatch.setattr("boonart.keys.tempfile.mkstemp", full)
    keys.note_use("b")
    assert "No space left" in caplog.text
    assert set(keys.last_used()) == {"a"}
