"""One open version of an embedded collection: a Qdrant Edge shard and what keeps it safe. Synchronous."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from boonart.errors import ModelMismatch, WorkIndexError
from boonart.index import edge_engine, folders
from boonart.index.edge_records import Records
from boonart.index.filters import compile_filter
from boonart.index.keywords import query_vector
from boonart.index.schema import (
    FIELDS,
    KEYWORDS,
    SCHEMA_VERSION,
    Field,
    check_vectors,
    countable,
    extra_field,
    to_candidate,
)
from boonart.works import Candidate, Filter, Float32Array, IndexedWork, Manifest

logger = logging.getLogger(__name__)

MAX_EXTRA_FIELDS = 64
"""`extra` fields of a collection that are indexed for filters: a record with hundreds is a mistake."""
FLUSH_EVERY = 1_000
"""Works written after which files are synced: what a power failure may cost, and what the next start after a
kill reads again from the log (40 ms)."""
_MIN_EF = 256
"""Candidates that a graph search keeps at least; benchmarks/index_recall.py measures what it gives."""


class _Engine:
    """An engine and how many threads are reading it; closed when replaced and the last reader has left."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self.shard = shard
        self.readers = 0


class Shard:
    """An open version of a collection. Thread-safe: reads run beside each other, writes one at a time.

    Args:
        exact_below: works up to which no graph is built, so that search compares with each of them.
    """

    def __init__(self, folder: Path, collection: str, *, exact_below: int) -> None:
        self._folder = folder
        self._collection = collection
        self._exact_below = exact_below
        self._writing = threading.RLock()
        self._readers = threading.Condition()
        self._closing = False
        self._unflushed = 0
        self._records = Records()
        self._optimiser: subprocess.Popen[bytes] | None = None
        self.manifest = folders.read_manifest(folder)
        if self.manifest.schema_version != SCHEMA_VERSION:
            raise ModelMismatch(
                f"The collection {collection!r} is stored in form {self.manifest.schema_version}; "
                f"this version of BoonArt reads form {SCHEMA_VERSION}.",
                hint=f"Run `boonart reindex {collection}`.",
            )
        self._state = folders.read_state(folder)
        generation = folders.read_pointer(folder)
        if generation is None:
            raise folders.corrupt(folder, "the file current is missing")
        self._files = folder / f"g{generation}"
        folders.check_inventory(self._files, self._state.inventory)
        # From here on the files change, so a later start cannot compare them with the inventory.
        self._state.inventory = {}
        folders.write_state(folder, self._state, durable=True)
        for number in folders.numbers(folder, "g"):
            if number != generation:
                folders.remove_tree(folder / f"g{number}")
        with edge_engine.engine_errors(opening=self._files):
            self._engine: _Engine | None = _Engine(edge.EdgeShard.load(str(self._files)))
            info = self._engine.shard.info()
            self._state.count = self._engine.shard.count(edge.CountRequest())
        self.fields: dict[str, Field] = {**FIELDS, **edge_engine.fields_of(info.payload_schema)}

    @staticmethod
    def make(folder: Path, manifest: Manifest) -> None:
        """Make the files of an empty version.

        Raises:
            WorkIndexError: the engine refuses.
        """
        files = folder / "g1"
        files.mkdir(parents=True)
        folders.write_manifest(folder, manifest)
        with edge_engine.engine_errors():
            shard = edge.EdgeShard.create(str(files), edge_engine.config(manifest))
            for field in (field for field in FIELDS.values() if field.indexed):
                shard.update(edge_engine.field_index(field))
            shard.flush()
            shard.close()
        folders.write_state(folder, folders.State(inventory=folders.take_inventory(files)), durable=True)
        folders.write_pointer(folder, 1)

    # --- reading ---

    @contextmanager
    def reading(self) -> Iterator[edge.EdgeShard]:
        """The engine, kept open while the body runs."""
        with self._readers:
            engine = self._engine
            if engine is None:
                raise WorkIndexError(f"The collection {self._collection!r} has been closed.")
            engine.readers += 1
        try:
            with edge_engine.engine_errors():
                yield engine.shard
        finally:
            with self._readers:
                engine.readers -= 1
                self._readers.notify_all()

    @property
    def count_known(self) -> int:
        """How many works there were after the last write."""
        return self._state.count

    def count(self, where: Filter | None) -> int:
        """How many works hold under the filter, exactly."""
        condition = self.compile(where)
        with self.reading() as shard:
            return int(shard.count(edge.CountRequest(filter=condition)))

    def compile(self, where: Filter | None) -> edge.Filter | None:
        """The engine's form of a filter, or None without one."""
        if where is None:
            return None
        # A bare name reaches an `extra` field too, unless a field of the schema has it.
        short = {name.removeprefix("extra."): field for name, field in self.fields.items()}
        known = {**short, **self.fields}
        return compile_filter(where, known, edge_engine.EdgeDialect())

    def search(self, vector: Float32Array, name: str, limit: int, where: Filter | None, exact: bool) -> list[Candidate]:
        """The nearest works by cosine."""
        values: Any = vector  # The engine takes arrays as they are, which its type stubs do not tell.
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(values, using=name),
            filter=self.compile(where),
            with_payload=False,
            params=edge.SearchParams(exact=exact, hnsw_ef=max(_MIN_EF, 2 * limit)),
        )
        return self._query(request)

    def facet(self, name: str, limit: int, where: Filter | None) -> list[tuple[str | int | bool, int]]:
        """The commonest values of a field, with their counts."""
        field = countable(name, self.fields)
        request = edge.FacetRequest(field.path, limit=limit, exact=True, filter=self.compile(where))
        with self.reading() as shard:
            found = [(hit.value, int(hit.count)) for hit in shard.facet(request).hits]
        return sorted(found, key=lambda item: (-item[1], str(item[0])))

    def search_keywords(self, text: str, limit: int, where: Filter | None) -> list[Candidate]:
        """The works that fit the text's words best."""
        words = query_vector(text)
        if not words.indices:
            return []
        values: Any = words
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(values, using=KEYWORDS),
            filter=self.compile(where),
            with_payload=False,
        )
        return self._query(request)

    def _query(self, request: edge.QueryRequest) -> list[Candidate]:
        with self.reading() as shard:
            scores = {str(hit.id): float(hit.score) for hit in shard.query(request)}
        records = self._records_of(list(scores))
        # A work that was deleted meanwhile has no record any more.
        return [_scored(records[point], score) for point, score in scores.items() if point in records]

    def _records_of(self, points: list[str]) -> dict[str, Candidate]:
        """The stored works of these points, from memory where they are known."""
        found = self._records.get(points)
        if missing := [point for point in points if point not in found]:
            stamp = self._records.stamp
            records = self.retrieve(missing)
            fetched = {point: to_candidate(point, record.payload or {}) for point, record in records.items()}
            self._records.keep(fetched, stamp)
            found |= fetched
        return found

    def retrieve(
        self, point_ids: Sequence[str], *, vectors: Sequence[str] = (), payload: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """The engine's records of these points, by id; unknown ones are left out.

        Args:
            payload: fields to return; None returns all.
        """
        with self.reading() as shard:
            found = shard.retrieve(
                list(point_ids),
                with_payload=True if payload is None else list(payload),
                with_vector=list(vectors) or False,
            )
        return {str(record.id): record for record in found}

    def scroll(self, offset: Any, limit: int, *, payload: Sequence[str] | None = None) -> tuple[list[Any], Any]:
        """Records from `offset` on in the order of ids, and the offset of the next batch or None."""
        request = edge.ScrollRequest(
            offset=offset, limit=limit, with_payload=True if payload is None else list(payload)
        )
        with self.reading() as shard:
            records, following = shard.scroll(request)
        return records, following

    # --- writing ---

    def upsert(self, works: Sequence[IndexedWork]) -> None:
        """Insert or replace; in the engine's log when it returns, which survives `kill -9`.

        The log is not synced to the disk each time: that takes from 3 ms on an idle disk to a second on a
        busy one. It is every `FLUSH_EVERY` works and at closing.
        """
        for work in works:
            check_vectors(work, self.manifest)
        with self._writing:
            new_fields = self._new_fields(works)
            with self.reading() as shard:
                for name, field in new_fields.items():
                    shard.update(edge_engine.field_index(field))
                    self.fields = {**self.fields, name: field}
                points = [edge_engine.point(work, self._collection, self.manifest) for work in works]
                shard.update(edge.UpdateOperation.upsert_points(points))
                self._records.forget(work.point_id(self._collection) for work in works)
                self._written(shard, len(works))
            self._optimise_if_due()

    def delete(self, point_ids: Sequence[str]) -> int:
        """Delete points and return how many there were."""
        with self._writing:
            there: list[Any] = list(self.retrieve(point_ids, payload=["id"]))
            if there:
                with self.reading() as shard:
                    shard.update(edge.UpdateOperation.delete_points(there))
                    self._records.forget(point_ids)
                    self._written(shard, len(there))
            return len(there)

    def close(self) -> None:
        """Flush and close; waits for writes and reads in progress."""
        self._closing = True
        if (optimiser := self._optimiser) is not None:
            optimiser.kill()
        with self._writing:
            engine = self._replace(None)
            if engine is None:
                return
            with edge_engine.engine_errors():
                engine.shard.flush()
                engine.shard.close()
            self._state.inventory = folders.take_inventory(self._files)
            folders.write_state(self._folder, self._state, durable=True)

    def _written(self, shard: edge.EdgeShard, works: int) -> None:
        self._unflushed += works
        if self._unflushed >= FLUSH_EVERY:
            shard.flush()
            self._unflushed = 0
        self._state.count = shard.count(edge.CountRequest())
        folders.write_state(self._folder, self._state)

    def _new_fields(self, works: Sequence[IndexedWork]) -> dict[str, Field]:
        found: dict[str, Field] = {}
        room = MAX_EXTRA_FIELDS - (len(self.fields) - len(FIELDS))
        for key, value in (item for work in works for item in work.work.extra.items()):
            name = f"extra.{key}"
            if name in self.fields or name in found or len(found) >= room:
                continue
            if field := extra_field(key, value):
                found[name] = field
        return found

    # --- the graph ---

    def _optimise_if_due(self) -> None:
        """Build the graph anew when the part without one has grown large.

        Each build adds at least a quarter, so a growing collection is built a logarithmic number of times.
        """
        state = self._state
        loose = state.count - state.indexed
        if state.count > self._exact_below and loose > max(self._exact_below, state.indexed) // 4:
            self.optimise()

    def optimise(self) -> bool:
        """Build the graph over all works, on a copy of the files; searches go on meanwhile, writes wait.

        Returns:
            Whether the new files took the place of the old ones.
        """
        with self._writing:
            generation = int(self._files.name.removeprefix("g")) + 1
            files = self._folder / f"g{generation}"
            folders.remove_tree(files)
            with self.reading() as shard:
                shard.flush()
            shutil.copytree(self._files, files)
            if not self._run_optimiser(files):
                folders.remove_tree(files)
                return False
            with edge_engine.engine_errors(opening=files):
                fresh = _Engine(edge.EdgeShard.load(str(files)))
            folders.write_pointer(self._folder, generation)
            old = self._replace(fresh)
            if old is not None:
                with edge_engine.engine_errors():
                    old.shard.close()
            folders.remove_tree(self._files)
            self._files = files
            self._state.indexed = self._state.count
            folders.write_state(self._folder, self._state)
            return True

    def _run_optimiser(self, files: Path) -> bool:
        if self._closing:
            return False
        command = [sys.executable, "-m", "boonart.index.optimise", str(files)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            self._optimiser = process
            if self._closing:
                process.kill()
            _, errors = process.communicate()
        self._optimiser = None
        if process.returncode != 0 and not self._closing:
            # Search stays exact, only slower, and the next write tries again.
            logger.warning("the graph of %s could not be built: %s", self._collection, errors.decode(errors="replace"))
        return process.returncode == 0

    def _replace(self, fresh: _Engine | None) -> _Engine | None:
        """Put another engine in place and return the old one once nobody reads it."""
        with self._readers:
            old, self._engine = self._engine, fresh
            while old is not None and old.readers:
                self._readers.wait()
            return old


def _scored(record: Candidate, score: float) -> Candidate:
    """The record with its score; `dataclasses.replace` takes several times as long, a hundred times a query."""
    return Candidate(
        record.point_id, record.work, score, record.content_hash, record.picture, record.description_composed
    )
