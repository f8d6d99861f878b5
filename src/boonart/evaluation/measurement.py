"""One form for every measurement of the project."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured, with which settings, where and how long it took.

    Attributes:
        name: "flickr8k", "bench.query", ...
        figures: numbers by flat name, such as "text_to_image.R@1" (percent) or "query.text.median_ms".
        settings: what the figures depend on: encoder, ranker, split, seed, sizes.
        machine: processor, cores, libraries.
        seconds: wall-clock time of the whole measurement.
    """

    name: str
    figures: Mapping[str, float]
    settings: Mapping[str, str | int | float | bool]
    machine: Mapping[str, str | int] = field(default_factory=dict)
    seconds: float = 0.0

    def write(self, file: Path) -> None:
        """Write as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def this_machine() -> dict[str, str | int]:
    """The machine as far as figures depend on it; no names or paths."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(slots=True)
class Stopwatch:
    """Seconds that the body of `stopwatch()` took."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the wall-clock time of the body."""
    watch = Stopwatch()
    start = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - start
