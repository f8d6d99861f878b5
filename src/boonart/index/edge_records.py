"""The records that searches met last: so payloads are made into works once, not a hundred times a query."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from boonart.works import Candidate

MAX_RECORDS = 10_000
"""Records held of a collection: some 30 MB of ordinary ones."""


class Records:
    """Stored works by point id, the least recently used leave first. Safe to use from several threads.

    A reader may have fetched a record that a writer has replaced meanwhile. So `stamp` is read before fetching, and
    what was fetched before the last write is not kept.
    """

    def __init__(self, most: int = MAX_RECORDS) -> None:
        self._most = most
        self._held: OrderedDict[str, Candidate] = OrderedDict()
        self._writes = 0
        self._lock = threading.Lock()

    @property
    def stamp(self) -> int:
        """Changes with each write."""
        return self._writes

    def get(self, point_ids: Iterable[str]) -> dict[str, Candidate]:
        """Those that are held."""
        with self._lock:
            found = {point: record for point in point_ids if (record := self._held.get(point)) is not None}
            for point in found:
                self._held.move_to_end(point)
            return found

    def keep(self, fetched: Mapping[str, Candidate], stamp: int) -> None:
        """Hold what was fetched since `stamp` was read, unless something was written since."""
        with self._lock:
            if stamp != self._writes:
                return
            self._held.update(fetched)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def forget(self, point_ids: Iterable[str]) -> None:
        """To be called once these points have been written or deleted."""
        with self._lock:
            self._writes += 1
            for point in point_ids:
                self._held.pop(point, None)
