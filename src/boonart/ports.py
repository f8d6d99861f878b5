"""The seams of the system: what search and ingest need from the outside, as Protocols.

The ports are asynchronous because in the distributed shape each call waits on the network. In the embedded
shape the adapters run the same computation in a worker thread. Nothing here knows torch, grpc or Qdrant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from boonart.errors import BoonArtError
from boonart.works import (
    Candidate,
    Filter,
    Float16Array,
    Float32Array,
    ImageEmbedding,
    IndexedWork,
    Manifest,
    ModelCard,
    Picture,
    Ranker,
    RerankScore,
    TextEmbedding,
)


class EncoderModel(Protocol):
    """An encoder as a plain synchronous model: what `encoders.batching` wraps into an `Encoder`.

    Not thread-safe unless a class says so: one forward pass at a time.
    """

    @property
    def card(self) -> ModelCard:
        """What the model is."""

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Encode texts in one batch, in order. Longer texts are cut at what the model takes."""

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """Encode pictures in one batch, in order."""


@runtime_checkable
class Encoder(Protocol):
    """Global vectors and local tokens of texts and pictures."""

    @property
    def card(self) -> ModelCard:
        """What the encoder is."""

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        """Embed texts, in order; a bad one is answered by its own error, not by failing the rest.

        Raises:
            Unavailable: the encoder is down, full or out of time.
        """

    async def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        """Embed pictures, in order; a bad one is answered by its own error, not by failing the rest.

        Raises:
            Unavailable: the encoder is down, full or out of time.
        """

    async def close(self) -> None:
        """Release threads, memory or connections."""


@dataclass(frozen=True, slots=True)
class Features:
    """The query-independent features of one point that the reranker scores with.

    Attributes:
        global_vector: (D,) float16, of the image or of the description.
        tokens: (N, E) float16: 49 filtered regions, or T projected words.
        words: the words of `tokens`, empty for regions.
    """

    content_hash: str
    global_vector: Float16Array
    tokens: Float16Array
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as the index describes it.

    Attributes:
        version: number of the physical collection that the name points to.
        size_bytes: what it takes on disk, 0 where unknown.
    """

    name: str
    version: int
    count: int
    manifest: Manifest
    size_bytes: int = 0


@runtime_checkable
class WorkIndex(Protocol):
    """Collections of works with vectors and payload; one point a work.

    A collection's name points to a numbered physical version; `create_version` starts the next one beside it
    and `publish` switches the name in one step, so that searches go on meanwhile. Methods that take `version`
    address an unpublished version with it; None means the published one.
    """

    async def collections(self) -> list[CollectionInfo]:
        """All published collections, by name."""

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        """One collection.

        Raises:
            CollectionNotFound: no such collection.
            IndexLocked: another process owns it.
            IndexCorrupt: its folder cannot be opened.
        """

    async def create(self, collection: str, manifest: Manifest) -> None:
        """Make and publish an empty collection, version 1.

        Raises:
            CollectionExists: the name is taken.
        """

    async def create_version(self, collection: str, manifest: Manifest) -> int:
        """Start the next physical version beside the published one and return its number."""

    async def publish(self, collection: str, version: int) -> None:
        """Point the name to this version, atomically, and remove the older ones."""

    async def drop(self, collection: str) -> None:
        """Delete the collection with all its versions."""

    async def upsert(self, collection: str, works: Sequence[IndexedWork], *, version: int | None = None) -> None:
        """Insert or replace points. When it returns, they survive `kill -9`."""

    async def delete(self, collection: str, work_ids: Sequence[str]) -> int:
        """Delete works and return how many there were."""

    async def count(self, collection: str, where: Filter | None = None) -> int:
        """How many works hold under the filter, exactly."""

    async def content_hashes(self, collection: str, *, version: int | None = None) -> dict[str, str]:
        """Content hash by work id, for the whole collection."""

    async def get(self, collection: str, work_ids: Sequence[str]) -> list[Candidate]:
        """The stored works of these ids, in order, with score 0; unknown ones are left out."""

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        """The stored vector "image" or "description" of a work, (D,).

        Raises:
            WorkNotFound: no such work, or it has no such vector.
        """

    async def vectors(self, collection: str, work_ids: Sequence[str], name: str) -> Mapping[str, Float32Array]:
        """The stored vectors "image" or "description" of these works, (D,) each, by work id; missing ones left out."""

    async def fields(self, collection: str) -> Mapping[str, str]:
        """What can be filtered on: "keyword", "text", "integer", "float" or "boolean", by the field's name."""

    async def facet(
        self, collection: str, field: str, *, limit: int, where: Filter | None = None
    ) -> list[tuple[str | int | bool, int]]:
        """The commonest values of a field among the works under the filter, with their exact counts, most first.

        Raises:
            InvalidFilter: no such field, or one whose values are not counted.
        """

    async def search(
        self,
        collection: str,
        vector: Float32Array,
        *,
        name: str,
        limit: int,
        where: Filter | None = None,
        exact: bool = False,
    ) -> list[Candidate]:
        """The `limit` nearest works by cosine against the named vector ("image" or "description").

        Args:
            exact: compare with every vector even where an approximate index exists.
        """

    async def search_keywords(
        self, collection: str, text: str, *, limit: int, where: Filter | None = None
    ) -> list[Candidate]:
        """The `limit` works whose title, artist, description and subjects fit the text's words best, by BM25.

        Works that share no word with it are left out. The scores are above 0 and have no upper bound.
        """

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """Stored features by point id, `side` "image" or "description"; missing ones are left out."""

    def scroll(
        self, collection: str, *, batch: int = 256, version: int | None = None
    ) -> AsyncIterator[list[Candidate]]:
        """All works in batches, in a stable order, with payload and without vectors."""

    async def close(self) -> None:
        """Release locks, files and connections."""


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """One query against its candidates.

    Attributes:
        query: a text's embedding (candidates are pictures) or a picture's (candidates are descriptions).
        ranker: NONE is never sent here.
    """

    collection: str
    query: TextEmbedding | ImageEmbedding
    candidates: Sequence[Candidate]
    ranker: Ranker = Ranker.DEFAULT
    explain: bool = False


@runtime_checkable
class Reranker(Protocol):
    """Relation-aware scores of candidates, and the features they need."""

    @property
    def card(self) -> ModelCard:
        """What the reranker is; its `encoder_id` names the encoder it belongs to."""

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        """Filtered regions of pictures, (49, E) each."""

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        """Projected words of texts, (T, E) each."""

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        """Score the candidates, best first. Candidates without features keep their global order at the end.

        Raises:
            Unavailable: the reranker is down, full or out of time.
        """

    async def close(self) -> None:
        """Release memory or connections."""


THUMBNAIL_HEIGHTS = (160, 320, 640)
"""Heights in pixels in which a thumbnail can be had beside the stored one; no others, so that they are few."""


@dataclass(frozen=True, slots=True)
class Renditions:
    """A picture's stored forms: for the page (`display`) and for lists (`thumbnail`)."""

    display: bytes
    display_media_type: str
    thumbnail: bytes
    thumbnail_media_type: str


class PictureStore(Protocol):
    """Keeps the renditions of pictures, by key."""

    def put(self, collection: str, key: str, renditions: Renditions) -> None:
        """Store durably; the same key again is a no-op."""

    def add(self, collection: str, key: str, rendition: str, data: bytes, media_type: str) -> None:
        """Store a further form, "thumbnail-HEIGHT", of a picture that is there; a no-op where it is not."""

    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        """Bytes and media type of "display", "thumbnail" or "thumbnail-HEIGHT".

        Raises:
            WorkNotFound: nothing under this key, or not in this form.
        """

    def drop(self, collection: str) -> None:
        """Delete all pictures of a collection; a no-op where it has none."""
