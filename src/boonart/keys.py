"""API keys: made once, shown once, kept as hashes in one file.

A key is `boon_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 of it is enough: there is nothing to
guess, and each request can afford it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from boonart.errors import ConfigurationError, InvalidRequest, NotFound

PREFIX = "boon"
REREAD_SECONDS = 1.0
"""How long the file is taken as unchanged: a revoked key works this much longer at most."""


USED_SECONDS = 60.0
"""How precisely it is kept when a key was last used: no key costs more than one write in this time."""
logger = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a key allows; each includes those before it."""

    SEARCH = "search"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        """Whether this scope allows what the other does."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept.

    Attributes:
        digest: SHA-256 of the secret, in hex.
        created, expires: seconds since 1970; `expires` 0 for never.
        revoked: seconds since 1970, or 0.
    """

    id: str
    name: str
    scope: Scope
    digest: str
    created: float
    expires: float = 0.0
    revoked: float = 0.0

    def valid(self, now: float | None = None) -> bool:
        """Neither revoked nor out of date."""
        return not self.revoked and (not self.expires or (now or time.time()) < self.expires)


class KeyFile:
    """The keys of an installation, in one JSON file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        # A file of its own: a server that notes a use must never undo what the command line does to the keys.
        self._uses_path = path.with_name(f"{path.stem}-used.json")
        self._used: dict[str, float] = {}

    def all(self) -> list[ApiKey]:
        """All keys, also those that are no longer valid, the oldest first.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        if time.monotonic() - self._read_at >= REREAD_SECONDS:
            self._keys = self._read()
            self._read_at = time.monotonic()
        return list(self._keys.values())

    def create(self, name: str, scope: Scope, *, days: float = 0.0) -> tuple[ApiKey, str]:
        """Make a key; the second value is the whole key, which cannot be had again.

        Args:
            days: after which it is no longer valid; 0 for never.

        Raises:
            InvalidRequest: a name that says nothing, or a time that has passed.
        """
        if not name.strip() or len(name) > 200:
            raise InvalidRequest("A key needs a name of at most 200 characters.", field="name")
        if not 0 <= days < 100_000:
            raise InvalidRequest("A key is valid for some days, or for ever with 0.", field="days")
        key_id, secret, now = secrets.token_hex(4), secrets.token_urlsafe(32), time.time()
        key = ApiKey(key_id, name.strip(), scope, _digest(secret), now, now + 86_400 * days if days else 0.0)
        self._write([*self._read().values(), key])
        return key, f"{PREFIX}_{key_id}_{secret}"

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key invalid at once; it stays in the list.

        Raises:
            NotFound: there is none of this id.
        """
        keys = self._read()
        if key_id not in keys:
            raise NotFound(f"There is no key {key_id[:80]!r}.", hint="See `boonart keys list`.")
        old = keys[key_id]
        keys[key_id] = ApiKey(**{**asdict(old), "scope": old.scope, "revoked": old.revoked or time.time()})
        self._write(list(keys.values()))
        return keys[key_id]

    def find(self, text: str) -> ApiKey | None:
        """The valid key that this text is, or None."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        known = {key.id: key for key in self.all()}.get(key_id)
        # Compared even where there is none, so that the time tells nothing of which ids exist.
        same = hmac.compare_digest(_digest(secret), known.digest if known else _digest(""))
        return known if known and same and prefix == PREFIX and known.valid() else None

    def note_use(self, key_id: str) -> None:
        """Remember that a key was used now. Where that cannot be written, only the log tells."""
        now = time.time()
        if now - self._used.get(key_id, 0.0) < USED_SECONDS:
            return
        self._used[key_id] = now
        try:
            _replace(self._uses_path, {**self.last_used(), key_id: now})
        except OSError as error:
            logger.warning("when keys were used cannot be written to %s: %s", self._uses_path, error)

    def last_used(self) -> dict[str, float]:
        """When each key was last used, in seconds since 1970, by its id; keys that never were are left out."""
        try:
            found = json.loads(self._uses_path.read_text(encoding="utf-8"))
            return {str(key_id): float(moment) for key_id, moment in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # Missing or damaged, it is made anew; nothing depends on it.
            return {}

    def _read(self) -> dict[str, ApiKey]:
        try:
            records = json.loads(self._path.read_text(encoding="utf-8"))
            keys = [ApiKey(**{**record, "scope": Scope(record["scope"])}) for record in records]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"The keys in {self._path} cannot be read: {error}.",
                hint="Restore the file, or delete it and make new keys with `boonart keys create`.",
            ) from error
        return {key.id: key for key in keys}

    def _write(self, keys: Sequence[ApiKey]) -> None:
        _replace(self._path, [asdict(key) for key in keys])
        self._read_at = float("-inf")


def _replace(path: Path, value: object) -> None:
    """Write JSON to a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    try:
        # mkstemp's files are their owner's alone, and the rename keeps that.
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
