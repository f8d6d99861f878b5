"""The maps of the collections: made in a job when they are first wanted, kept in the home folder, and made again when
the works have changed."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from boonart.bootstrap import Parts
from boonart.errors import BoonArtError
from boonart.maps import SIDE, CollectionMap, digest_of, make_map, read_works
from boonart.records import IngestReport, Progress, Rejected
from boonart.works import Float32Array
from boonart_services.gateway.jobs import Job, Jobs, Run

KIND = "map"
FRESH_SECONDS = 60.0
"""How long a map counts as up to date while neither version nor number of the works changes: to be certain, the hashes
of all works have to be read."""
PICTURE_SIDE = 1_200
"""Side of the drawn map in pixels."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Threads of a library that wait for each other on a busy machine take a hundred times as long as one."""


@dataclass(slots=True)
class _Kept:
    found: CollectionMap
    stamp: tuple[int, int]
    checked: float


class CollectionMaps:
    """The maps of one gateway."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._pictures: dict[tuple[str, str], bytes] = {}

    async def get(self, parts: Parts, jobs: Jobs, collection: str) -> tuple[CollectionMap | None, Job | None]:
        """The map, where there is one, and the job that makes it (again), where it is out of date or missing.

        Raises:
            CollectionNotFound: no such collection.
            Overloaded: too many jobs are running to begin another.
        """
        info = await parts.index.describe(collection)
        stamp, kept = (info.version, info.count), self._kept.get(collection)
        if kept and kept.stamp == stamp and time.monotonic() - kept.checked < FRESH_SECONDS:
            return kept.found, None
        digest = digest_of(await parts.index.content_hashes(collection))
        found = kept.found if kept else await asyncio.to_thread(CollectionMap.load, _file(parts, collection))
        if found and found.digest == digest:
            self._kept[collection] = _Kept(found, stamp, time.monotonic())
            return found, None
        running = next((job for job in jobs.all() if (job.kind, job.collection) == (KIND, collection)), None)
        if running is None or running.over:
            running = await jobs.start(KIND, collection, _making(parts, collection, digest))
        return found, running

    async def picture(self, collection: str, found: CollectionMap) -> bytes:
        """The map drawn as a PNG file: each work a dot in its picture's colour."""
        key = (collection, found.digest)
        if key not in self._pictures:
            self._pictures = {old: data for old, data in self._pictures.items() if old[0] != collection}
            self._pictures[key] = await asyncio.to_thread(drawn, found)
        return self._pictures[key]


def forget(parts: Parts, collection: str) -> None:
    """Delete a collection's map."""
    _file(parts, collection).unlink(missing_ok=True)


async def make(parts: Parts, collection: str, digest: str, on_progress: Callable[[int], None]) -> CollectionMap:
    """Read the vectors, lay them out in a process of its own, name the regions, keep the map.

    Raises:
        BoonArtError: the index cannot be read, or the process failed.
    """
    works, vectors = await read_works(parts.index, collection, on_progress)
    places = await _laid_out(vectors)
    found = await asyncio.to_thread(make_map, digest, works, places)
    await asyncio.to_thread(found.save, _file(parts, collection))
    return found


def drawn(found: CollectionMap, side: int = PICTURE_SIDE) -> bytes:
    """The map as a PNG file on a transparent ground."""
    twice = 2 * side
    image = Image.new("RGBA", (twice, twice), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    radius = max(3.0, min(13.0, 320 / max(len(found.ids), 1) ** 0.5))
    for (x, y), colour in zip((found.places / SIDE * twice).tolist(), found.colours.tolist(), strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*colour, 235), outline=(128, 120, 110, 200))
    stream = io.BytesIO()
    image.resize((side, side), Image.Resampling.BOX).save(stream, "PNG")
    return stream.getvalue()


def _file(parts: Parts, collection: str) -> Path:
    return parts.settings.home / "maps" / f"{collection}.npz"


def _making(parts: Parts, collection: str, digest: str) -> Run:
    async def run(progress: Callable[[Progress], None], _: Callable[[Rejected], None]) -> IngestReport:
        total = (await parts.index.describe(collection)).count

        def read(done: int) -> None:
            progress(Progress(done, max(total, done), 0, done, 0, 0.0, None))

        found = await make(parts, collection, digest, read)
        return IngestReport(unchanged=len(found.ids))

    return run


async def _laid_out(vectors: Float32Array) -> Float32Array:
    with tempfile.TemporaryDirectory(prefix="boonart-map-") as folder:
        source, target = Path(folder, "vectors.npy"), Path(folder, "places.npy")
        await asyncio.to_thread(np.save, source, vectors)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "boonart.map_layout",
            str(source),
            str(target),
            env={**os.environ, **_ONE_THREAD},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise BoonArtError(
                f"The map could not be laid out: {''.join(last)[:300]}",
                hint="Install what it needs with `pip install 'boonart[gateway]'`.",
            )
        return np.asarray(np.load(target, allow_pickle=False), dtype=np.float32)
