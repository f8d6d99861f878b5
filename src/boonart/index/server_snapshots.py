"""Snapshots of collections, which a Qdrant server makes and restores by itself."""

from __future__ import annotations

from dataclasses import dataclass

from qdrant_client import models

from boonart.errors import ConfigurationError, WorkIndexError
from boonart.index.server_calls import Connection
from boonart.index.server_names import Names


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a collection, in the snapshots folder of the Qdrant node that made it."""

    name: str
    created_at: str
    size_bytes: int


class Snapshots:
    """Snapshots of published versions, on a Qdrant of one node."""

    def __init__(self, qdrant: Connection, names: Names) -> None:
        self._qdrant = qdrant
        self._names = names

    async def create(self, collection: str) -> Snapshot:
        """Snapshot the published version.

        Raises:
            ConfigurationError: Qdrant has several nodes.
            BoonArtError: Qdrant cannot make one.
        """
        await self._check_one_node()
        name = self._names.target(collection)
        made = await self._qdrant.copy(lambda client: client.create_snapshot(name), collection)
        if made is None:
            raise WorkIndexError(f"Qdrant made no snapshot of {collection!r}.", hint="See its log.")
        return _described(made)

    async def listed(self, collection: str) -> list[Snapshot]:
        """Those of the published version, oldest first."""
        name = self._names.target(collection)
        found = await self._qdrant.read(lambda client: client.list_snapshots(name), collection)
        return sorted(map(_described, found), key=lambda snapshot: (snapshot.created_at, snapshot.name))

    async def restore(self, collection: str, location: str) -> int:
        """Restore a snapshot as the next version, not published as yet, and return its number.

        Raises:
            ConfigurationError: Qdrant has several nodes.
            BoonArtError: Qdrant cannot restore it.
        """
        await self._check_one_node()
        number = max(await self._names.versions(collection), default=0) + 1
        physical = self._names.target(collection, number)
        # Qdrant's own choice would be the copies of the new collection, which are empty.
        first = models.SnapshotPriority.SNAPSHOT
        await self._qdrant.copy(lambda client: client.recover_snapshot(physical, location, priority=first), collection)
        await self._names.adopt(collection, number)
        return number

    async def _check_one_node(self) -> None:
        if (nodes := await self._names.nodes()) > 1:
            raise ConfigurationError(
                f"This Qdrant has {nodes} nodes, and a snapshot holds the shards of one alone.",
                hint="Stop it and copy the volumes of all its nodes: docs/deploy.md, Backup.",
            )


def _described(found: models.SnapshotDescription) -> Snapshot:
    return Snapshot(found.name, str(found.creation_time or ""), found.size)
