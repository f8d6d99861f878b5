"""One process owns an open collection; another learns who."""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from boonart.errors import IndexLocked
from boonart.index.folders import write_atomically


class FolderLock:
    """The lock of one collection, held until `release`.

    The system releases it when the process dies, however it dies. Who holds it stands in a second file, since
    some systems let no one read a locked file.

    Args:
        folder: where lock files are kept.
        server_url: address under which this process serves, for those that find the lock taken.
    """

    def __init__(self, folder: Path, collection: str, *, server_url: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._collection = collection
        self._server_url = server_url
        self._owner = folder / f"{collection}.json"
        # Taken in one worker thread and given back in another.
        self._lock = FileLock(folder / f"{collection}.lock", timeout=0, thread_local=False)

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            IndexLocked: another process holds it; says which.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise self._locked() from None
        owner = {"pid": os.getpid(), "url": self._server_url}
        write_atomically(self._owner, json.dumps(owner).encode(), durable=False)

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        if self._lock.is_locked:
            self._owner.unlink(missing_ok=True)
            self._lock.release()

    def _locked(self) -> IndexLocked:
        pid, url = "", ""
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            pid, url = str(owner["pid"]), str(owner["url"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # The owner is just starting or ending; the message says what is known.
        who = f"process {pid}" if pid else "another process"
        served = f", which serves it at {url}" if url else ""
        hint = f"Ask the server at {url}." if url else "Wait until it ends, or stop it."
        return IndexLocked(f"The collection {self._collection!r} is in use by {who}{served}.", hint=hint, url=url)
