"""The one composition root: settings in, wired parts out.

Heavy libraries are imported here and only when the part that needs them runs in this process, so that a
gateway whose encoder is remote never imports torch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boonart.all_cores import with_all_cores
from boonart.errors import ModelNotAvailable, Unavailable
from boonart.index.picture_store import FilePictureStore
from boonart.ports import Encoder, PictureStore, Reranker, WorkIndex
from boonart.search import Search
from boonart.settings import Settings

if TYPE_CHECKING:
    from boonart.index.server_options import ServerOptions
    from boonart.rpc.channels import ChannelOptions, Credentials
    from boonart.vitr.scoring import FeatureSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The wired parts of a process. Close with `await parts.close()`."""

    settings: Settings
    encoder: Encoder
    index: WorkIndex
    reranker: Reranker | None
    pictures: PictureStore
    search: Search

    async def close(self) -> None:
        """Release everything, the last part first."""
        if self.reranker is not None:
            await self.reranker.close()
        await self.encoder.close()
        await self.index.close()


def build(settings: Settings, *, server_url: str = "") -> Parts:
    """Wire the parts that the settings ask for.

    Args:
        server_url: address under which this process serves; written into the lock of each opened collection,
            so that other commands find the server.

    Raises:
        ConfigurationError: settings that cannot work together.
        ModelNotAvailable: weights that are not on this machine.
    """
    encoder = build_encoder(settings)
    index = build_index(settings, server_url=server_url)
    reranker = build_reranker(settings, encoder, index)
    pictures = FilePictureStore(settings.pictures_folder)
    wanted = reranker is None and settings.reranker != "none"
    no_reranker = f"there are no reranker weights for the encoder {encoder.card.id}" if wanted else ""
    search = Search(
        encoder,
        index,
        reranker,
        rerank_deadline=settings.rerank_deadline,
        encode_deadline=settings.encode_deadline,
        no_reranker=no_reranker,
    )
    return Parts(settings, encoder, index, reranker, pictures, search)


def build_encoder(settings: Settings) -> Encoder:
    """The encoder, in this process or remote."""
    if settings.encoder_url:
        from boonart.rpc.clients import RemoteEncoder

        credentials, options = _channel(settings)
        encoder = RemoteEncoder(settings.encoder_url, credentials=credentials, options=options)
        encoder.connect()
        return encoder
    from boonart.encoders.batching import BatchingEncoder, BatchingLimits
    from boonart.encoders.catalogue import load_encoder

    model = with_all_cores(load_encoder, settings.encoder, models_folder=settings.models_folder, device=settings.device)
    # Callers bring deadlines of their own; an ingest has none, and a slow machine must not fail it.
    return BatchingEncoder(model, BatchingLimits(longest_wait_s=600.0))


def build_index(settings: Settings, *, server_url: str = "") -> WorkIndex:
    """The index, in this process or remote."""
    if settings.qdrant_url:
        from boonart.index.server import QdrantServerIndex

        return QdrantServerIndex(settings.qdrant_url, _server_options(settings))
    from boonart.index.edge import EdgeIndex

    return EdgeIndex(settings.collections_folder, server_url=server_url)


def build_reranker(settings: Settings, encoder: Encoder, index: FeatureSource) -> Reranker | None:
    """The reranker that fits the encoder, or None where there is none or none is wanted.

    Args:
        index: where it finds the features of candidates.
    """
    if settings.reranker == "none":
        return None
    if settings.reranker_url:
        return _remote_reranker(settings, encoder)
    from boonart.vitr.weights import load_reranker

    try:
        return with_all_cores(
            load_reranker,
            settings.reranker,
            encoder_card=encoder.card,
            index=index,
            models_folder=settings.models_folder,
            device=settings.device,
            bank_bytes=settings.bank_bytes,
        )
    except ModelNotAvailable:
        if settings.reranker != "auto":
            raise
        logger.info("no reranker weights for %s: answers are in global order", encoder.card.id)
        return None


def _remote_reranker(settings: Settings, encoder: Encoder) -> Reranker:
    """The reranker service; one that is away now is used as soon as it is back.

    Raises:
        ModelMismatch: it belongs to another encoder.
    """
    from boonart.rpc.clients import RemoteReranker

    credentials, options = _channel(settings)
    reranker = RemoteReranker(
        settings.reranker_url, encoder_id=encoder.card.id, credentials=credentials, options=options
    )
    try:
        reranker.connect(timeout=5)
    except Unavailable as error:
        logger.warning("starting without the reranker: %s", error)
    return reranker


def _server_options(settings: Settings) -> ServerOptions:
    """How to talk to Qdrant."""
    from boonart.index.server_options import ServerOptions
    from boonart.rpc.channels import read_token

    return ServerOptions(
        api_key=settings.qdrant_api_key.get_secret_value() or read_token(settings.qdrant_api_key_file),
        prefer_grpc=settings.qdrant_grpc,
        grpc_port=settings.qdrant_grpc_port,
        tls_ca=settings.qdrant_tls_ca,
        timeout=settings.qdrant_timeout,
        write_timeout=settings.qdrant_write_timeout,
        prefix=settings.qdrant_prefix,
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.qdrant_write_consistency,
        quantise=settings.qdrant_quantise,
        vectors_on_disk=settings.qdrant_vectors_on_disk,
    )


def _channel(settings: Settings) -> tuple[Credentials, ChannelOptions]:
    """How to talk to remote parts."""
    from boonart.rpc.channels import ChannelOptions, Credentials

    credentials = Credentials.read(
        token_file=settings.token_file,
        authority=settings.tls_ca,
        certificate=settings.tls_client_certificate,
        key=settings.tls_client_key,
    )
    return credentials, ChannelOptions(max_message_bytes=settings.max_message_bytes)
