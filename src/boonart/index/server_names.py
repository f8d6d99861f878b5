"""Names on a Qdrant server: which alias points to which physical collection, and what that one says of itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from qdrant_client import models

from boonart.errors import CollectionExists, CollectionNotFound
from boonart.index import server_engine as engine
from boonart.index.schema import FIELDS, Field, check_collection_name
from boonart.index.server_calls import Connection, NameTaken
from boonart.index.server_options import ServerOptions
from boonart.works import Manifest

FRESH_SECONDS = 1.0
"""How long what a collection says of itself is taken as known: a search then costs one call, not two. What this
process changes itself is known at once."""
_VERSION = re.compile(r"(?P<name>.+)\.v(?P<version>[1-9][0-9]*)")


class Names:
    """Collections by name and version.

    A collection NAME is an alias of the physical collection NAME.vN. The full stop cannot occur in NAME, so that no
    collection's physical name can be another's name.
    """

    def __init__(self, qdrant: Connection, options: ServerOptions) -> None:
        self._qdrant = qdrant
        self._options = options
        self._known: dict[str, tuple[float, engine.Described]] = {}

    def target(self, collection: str, version: int | None = None) -> str:
        """What Qdrant knows a version as; the alias for the published one.

        Raises:
            InvalidRequest: not a name for a collection.
        """
        check_collection_name(collection)
        alias = f"{self._options.prefix}{collection}"
        return alias if version is None else f"{alias}.v{version}"

    async def published(self) -> dict[str, int]:
        """The published version by collection, without those of other programs and other prefixes."""
        response = await self._qdrant.read(lambda client: client.get_aliases())
        prefix = self._options.prefix
        found = {}
        for alias in response.aliases:
            match = _VERSION.fullmatch(alias.collection_name)
            if match and match["name"] == alias.alias_name and alias.alias_name.startswith(prefix):
                found[alias.alias_name.removeprefix(prefix)] = int(match["version"])
        return found

    async def versions(self, collection: str) -> list[int]:
        """The numbers of a collection's physical versions, in order."""
        alias = self.target(collection)
        response = await self._qdrant.read(lambda client: client.get_collections(), collection)
        matches = [_VERSION.fullmatch(item.name) for item in response.collections]
        return sorted(int(match["version"]) for match in matches if match and match["name"] == alias)

    async def describe(
        self, collection: str, version: int | None = None, *, fresh: bool = False, patient: bool = False
    ) -> engine.Described:
        """What a version says of itself, at most `FRESH_SECONDS` old.

        Args:
            patient: wait for Qdrant as long as a write does.

        Raises:
            CollectionNotFound: no such collection or version.
            IndexCorrupt: not made by BoonArt, or its metadata is damaged.
        """
        name = self.target(collection, version)
        now = time.monotonic()
        held = self._known.get(name)
        if held is not None and not fresh and now - held[0] < FRESH_SECONDS:
            return held[1]
        self._known.pop(name, None)
        call = self._qdrant.write if patient else self._qdrant.read
        try:
            info = await call(lambda client: client.get_collection(name), collection)
        except CollectionNotFound as error:
            if version is None:
                raise
            raise CollectionNotFound(f"The collection {collection!r} has no version {version}.") from error
        found = engine.described(info, name)
        self._known[name] = (now, found)
        return found

    def forget(self, collection: str, version: int | None = None) -> None:
        """Ask again for what has changed."""
        self._known.pop(self.target(collection, version), None)

    def forget_all(self) -> None:
        """Ask again for everything."""
        self._known.clear()

    async def make(self, collection: str, version: int, manifest: Manifest) -> None:
        """Make an empty physical collection with its payload indexes.

        One that is there already was left by a try whose answer got lost, or by a process that died before it
        published the name: it is taken over where it is the same and empty, and made anew otherwise.
        """
        try:
            await self._create(collection, version, manifest)
        except NameTaken:
            there = await self.describe(collection, version, fresh=True)
            if there.manifest != manifest or there.count:
                await self.delete(collection, version)
                await self._create(collection, version, manifest)
        await self._index(collection, version, FIELDS)

    async def publish(self, collection: str, version: int) -> None:
        """Point the name to a version, in one step.

        Raises:
            CollectionExists: Qdrant has a collection of that name that is not ours.
        """
        alias, physical = self.target(collection), self.target(collection, version)
        create = models.CreateAlias(collection_name=physical, alias_name=alias)
        actions: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=create)]
        if collection in await self.published():
            delete = models.DeleteAlias(alias_name=alias)
            actions.insert(0, models.DeleteAliasOperation(delete_alias=delete))
        try:
            await self._qdrant.write(lambda client: client.update_collection_aliases(actions), collection)
        except NameTaken as error:
            raise CollectionExists(
                f"Qdrant has a collection {alias!r} that BoonArt did not make.", hint="Choose another name."
            ) from error
        self.forget(collection)

    async def unpublish(self, collection: str) -> None:
        """Take the name away."""
        delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.target(collection)))
        await self._qdrant.write(lambda client: client.update_collection_aliases([delete]), collection)
        self.forget(collection)

    async def delete(self, collection: str, version: int) -> None:
        """Delete a physical version."""
        physical = self.target(collection, version)
        await self._qdrant.write(lambda client: client.delete_collection(physical), collection)
        self.forget(collection, version)

    async def add_fields(self, collection: str, version: int, found: Mapping[str, Field]) -> None:
        """Index `extra` fields and let every process know of them."""
        await self._index(collection, version, found)
        physical, addition = self.target(collection, version), engine.field_metadata(found)
        await self._qdrant.write(lambda client: client.update_collection(physical, metadata=addition), collection)
        self.forget(collection)
        self.forget(collection, version)

    async def adopt(self, collection: str, version: int) -> None:
        """Let a restored version say which one it is now, and index its fields: a snapshot holds the points' own."""
        physical = self.target(collection, version)
        await self._qdrant.write(
            lambda client: client.update_collection(physical, metadata={"version": version}), collection
        )
        restored = await self.describe(collection, version, fresh=True)
        await self._index(collection, version, restored.fields)

    async def nodes(self) -> int:
        """How many nodes Qdrant has."""
        if self._qdrant.in_memory:
            return 1
        status = await self._qdrant.read(lambda client: client.cluster_status())
        return max(1, len(getattr(status, "peers", None) or {}))

    async def _create(self, collection: str, version: int, manifest: Manifest) -> None:
        physical = self.target(collection, version)
        wanted = self._options.replicas
        replicas = min(wanted, await self.nodes()) if wanted > 1 else 1
        await self._qdrant.write(
            lambda client: client.create_collection(
                physical,
                vectors_config=engine.vectors_config(manifest, self._options),
                sparse_vectors_config=engine.sparse_config(),
                hnsw_config=engine.hnsw_config(manifest),
                shard_number=self._options.shards or None,
                replication_factor=replicas,
                write_consistency_factor=min(self._options.write_consistency, replicas),
                on_disk_payload=True,
                metadata=engine.metadata(version, manifest),
            ),
            collection,
        )

    async def _index(self, collection: str, version: int, fields: Mapping[str, Field]) -> None:
        if self._qdrant.in_memory:
            # The engine in this process keeps no payload indexes, and warns of each.
            return
        physical = self.target(collection, version)
        for field in fields.values():
            if field.indexed:
                path, kind = field.path, engine.index_kind(field)
                await self._qdrant.write(
                    lambda client, path=path, kind=kind: client.create_payload_index(  # type: ignore[misc]
                        physical, path, field_schema=kind, wait=True
                    ),
                    collection,
                )
