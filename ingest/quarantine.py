"""What could not be ingested, as JSON lines beside the collection."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TextIO

from boonart.records import Rejected


class QuarantineFile:
    """One line a record or picture that could not be used; each run begins it anew.

    A run looks at every record again, so the file always tells the state of the source. It is removed when
    there is nothing to tell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def __enter__(self) -> QuarantineFile:
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rejected: Rejected) -> None:
        """Write one line."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        line = {
            "id": rejected.work_id,
            "place": rejected.place,
            "code": rejected.error.code,
            "reason": rejected.error.message,
            "hint": rejected.error.hint,
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
