"""The encoder and the reranker of another process, behind the same ports as those of this one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Generic, TypeVar

import grpc

from boonart.errors import (
    BoonArtError,
    ConfigurationError,
    InvalidRequest,
    ModelError,
    ModelMismatch,
    PictureTooLarge,
    Unavailable,
)
from boonart.ports import RerankRequest
from boonart.rpc import mapping
from boonart.rpc.addresses import parse_address
from boonart.rpc.channels import MIB, ChannelOptions, Credentials, Peer, check_contract
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc, reranker_pb2, reranker_pb2_grpc
from boonart.works import (
    REGIONS,
    Float16Array,
    ImageEmbedding,
    ModelCard,
    Picture,
    RerankScore,
    TextEmbedding,
)

logger = logging.getLogger(__name__)

ENCODE_TIMEOUT = 60.0
"""Seconds for a batch where the request has no deadline of its own, as at ingest."""
RERANK_TIMEOUT = 10.0
CONNECT_TIMEOUT = 30.0
CARD_TIMEOUT = 5.0
REACH_PAUSE = 1.0
"""Seconds between two questions to a peer that has not been reached yet."""
MAX_ITEMS = 256
"""Most inputs in one message; more are sent in several, one after the other."""
_ROOM = 64 * 1024
"""Bytes of a message kept for what is around the pictures, and of these what each one takes."""
_ROOM_EACH = 256
_RESTART = "Restart this process so that it checks its collections against the model that is served now."

Stub = TypeVar("Stub")


_CardResponse = encoder_pb2.EncoderServiceGetModelResponse | reranker_pb2.RerankerServiceGetModelResponse


class _RemoteModel(Generic[Stub]):
    """What both clients share: the peer and its card.

    The card is pinned by the first answer. A peer that comes back with another model is refused from then on:
    its numbers cannot be compared with those that are stored.
    """

    _peer: Peer[Stub]
    _card: ModelCard | None = None
    _reaching: asyncio.Task[None] | None = None

    @property
    def card(self) -> ModelCard:
        """What the model is, as it was first seen; never waits.

        Raises:
            Unavailable: the peer has not been reached yet. Inside an event loop it is then asked until it has.
        """
        if self._card is not None:
            return self._card
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            if self._reaching is None or self._reaching.done():
                # In a context of its own: the request that came first has a deadline, and this goes on after it.
                self._reaching = loop.create_task(self._reach(), context=Context())
        raise Unavailable(f"The {self._peer.name} has not been reached yet.")

    def connect(self, timeout: float = CONNECT_TIMEOUT) -> ModelCard:
        """Wait for the peer to come up and learn its card; for the start of a process, outside of an event loop.

        Raises:
            Unavailable: it did not come up within `timeout` seconds.
            ConfigurationError: it refuses our token, speaks another version, or is another service.
            ModelMismatch: it serves a model that does not fit.
        """
        return self._accept(self._fetch_blocking(timeout))

    async def refresh(self) -> ModelCard:
        """Ask the peer for its card now.

        Raises:
            Unavailable: it cannot be reached.
            ConfigurationError: it refuses our token, speaks another version, or is another service.
            ModelMismatch: it serves another model than before, or one that does not fit.
        """
        return self._accept(await self._fetch())

    async def close(self) -> None:
        """Close the connections."""
        if self._reaching is not None:
            self._reaching.cancel()
        await self._peer.close()

    async def _reach(self) -> None:
        """Ask for the card until it comes, so that a peer that starts later is used from its first second on."""
        level = logging.WARNING
        while self._card is None:
            try:
                await self.refresh()
            except Unavailable as error:
                logger.log(level, "%s", error)
                level = logging.DEBUG
                await asyncio.sleep(REACH_PAUSE)
            except BoonArtError as error:
                # The token, the version or the model does not fit, which time does not change; the next search asks.
                logger.warning("%s", error)
                return

    async def _fetch(self) -> _CardResponse:
        raise NotImplementedError

    def _fetch_blocking(self, timeout: float) -> _CardResponse:
        raise NotImplementedError

    def _accept(self, response: _CardResponse) -> ModelCard:
        check_contract(response.contract_version, response.software_version, self._peer.name)
        card = mapping.from_card(response.card)
        self._check_fit(card)
        if self._card is None:
            logger.info("connected to the %s: %s", self._peer.name, card.id)
            self._card = card
        self._check_model(card.id)
        return self._card

    def _check_fit(self, card: ModelCard) -> None:
        """Refuse a model that this client cannot use; any fits unless a subclass says otherwise."""

    def _check_model(self, model_id: str) -> None:
        assert self._card is not None, "the card is fetched before the first call"
        if model_id != self._card.id:
            raise ModelMismatch(
                f"The {self._peer.name} now serves the model {model_id}; it served {self._card.id}.", hint=_RESTART
            )

    @contextmanager
    def _reading(self, model_id: str, given: int, wanted: int) -> Iterator[None]:
        """Around the reading of an answer: from the model we know, of the right length, and readable.

        Raises:
            ModelMismatch: another model answered.
            ModelError: the answer cannot be used.
        """
        self._check_model(model_id)
        if given != wanted:
            raise ModelError(f"The {self._peer.name} gave {given} results for {wanted} inputs.")
        try:
            yield
        except InvalidRequest as error:
            raise ModelError(f"The answer of the {self._peer.name} cannot be read: {error.message}") from error

    async def _ensure_card(self) -> ModelCard:
        return self._card if self._card is not None else await self.refresh()


class RemoteEncoder(_RemoteModel["encoder_pb2_grpc.EncoderServiceAsyncStub"]):
    """An encoder in another process; see `ports.Encoder`.

    Args:
        url: "grpc://HOST:PORT" or "grpcs://HOST:PORT", several separated by commas.
        timeout: seconds for one batch, less where the request's deadline is nearer.

    Raises:
        ConfigurationError: an address that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        options: ChannelOptions | None = None,
        timeout: float = ENCODE_TIMEOUT,
    ) -> None:
        address = parse_address(url, "encoder_url")
        self._peer = Peer("encoder", address, _encoder_stub, credentials=credentials, options=options)
        self._timeout = timeout

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        """Embed texts; see `ports.Encoder`.

        Raises:
            Unavailable: down, full, or out of time.
            ModelMismatch: the peer came back with another model.
        """
        await self._ensure_card()
        results: list[TextEmbedding | BoonArtError] = []
        for start in range(0, len(texts), MAX_ITEMS):
            # A lone surrogate, as from a broken command line, has no UTF-8 form.
            part = [text.encode("utf-8", "replace").decode() for text in texts[start : start + MAX_ITEMS]]
            request = encoder_pb2.EncodeTextsRequest(texts=part)
            response = await self._peer.call(lambda stub: stub.EncodeTexts, request, self._timeout)
            with self._reading(response.model_id, len(response.results), len(part)):
                results += [_text_result(result) for result in response.results]
        return results

    async def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        """Embed pictures; see `ports.Encoder`. A picture larger than a message may be is answered by PictureTooLarge.

        Raises:
            Unavailable: down, full, or out of time.
            ModelMismatch: the peer came back with another model.
        """
        await self._ensure_card()
        limit = self._peer.max_message_bytes - _ROOM
        sizes = [picture.pixels.nbytes for picture in pictures]
        results: dict[int, ImageEmbedding | BoonArtError] = {
            place: _too_large(size, limit) for place, size in enumerate(sizes) if size > limit
        }
        for part in _parts([place for place in range(len(pictures)) if place not in results], sizes, limit):
            request = encoder_pb2.EncodeImagesRequest(images=[mapping.to_picture(pictures[place]) for place in part])
            response = await self._peer.call(lambda stub: stub.EncodeImages, request, self._timeout)
            with self._reading(response.model_id, len(response.results), len(part)):
                results.update(zip(part, map(_image_result, response.results), strict=True))
        return [results[place] for place in range(len(pictures))]

    async def _fetch(self) -> _CardResponse:
        request = encoder_pb2.EncoderServiceGetModelRequest()
        return await self._peer.call(lambda stub: stub.GetModel, request, CARD_TIMEOUT)

    def _fetch_blocking(self, timeout: float) -> _CardResponse:
        request = encoder_pb2.EncoderServiceGetModelRequest()
        return self._peer.call_blocking(
            lambda channel: encoder_pb2_grpc.EncoderServiceStub(channel).GetModel, request, timeout
        )


class RemoteReranker(_RemoteModel["reranker_pb2_grpc.RerankerServiceAsyncStub"]):
    """A reranker in another process; see `ports.Reranker`.

    Args:
        url: "grpc://HOST:PORT" or "grpcs://HOST:PORT", several separated by commas.
        encoder_id: id of the encoder in use; a reranker that belongs to another is refused. "" takes any.
        timeout: seconds for one call, less where the request's deadline is nearer.

    Raises:
        ConfigurationError: an address that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        encoder_id: str = "",
        credentials: Credentials | None = None,
        options: ChannelOptions | None = None,
        timeout: float = RERANK_TIMEOUT,
    ) -> None:
        address = parse_address(url, "reranker_url")
        self._peer = Peer("reranker", address, _reranker_stub, credentials=credentials, options=options)
        self._encoder_id = encoder_id
        self._timeout = timeout

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        """Filtered regions of pictures, (49, E) float16 each.

        Raises:
            Unavailable: down, full, or out of time.
            ModelMismatch: the embeddings are another encoder's, or the peer came back with another model.
        """
        await self._ensure_card()
        results: list[Float16Array] = []
        for start in range(0, len(images), MAX_ITEMS):
            part = [mapping.to_image_embedding(image) for image in images[start : start + MAX_ITEMS]]
            request = reranker_pb2.PrepareImagesRequest(images=part)
            response = await self._peer.call(lambda stub: stub.PrepareImages, request, self._timeout)
            with self._reading(response.model_id, len(response.regions), len(part)):
                results += [mapping.from_features(rows, "regions", rows=REGIONS) for rows in response.regions]
        return results

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        """Projected words of texts, (T, E) float16 each.

        Raises:
            Unavailable: down, full, or out of time.
            ModelMismatch: the embeddings are another encoder's, or the peer came back with another model.
        """
        await self._ensure_card()
        results: list[Float16Array] = []
        for start in range(0, len(texts), MAX_ITEMS):
            part = [mapping.to_text_embedding(text) for text in texts[start : start + MAX_ITEMS]]
            request = reranker_pb2.PrepareTextsRequest(texts=part)
            response = await self._peer.call(lambda stub: stub.PrepareTexts, request, self._timeout)
            with self._reading(response.model_id, len(response.words), len(part)):
                results += [mapping.from_features(rows, "words") for rows in response.words]
        return results

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        """Score the candidates, best first; see `ports.Reranker`.

        A model that does not fit any more is Unavailable here, so that searches go on in global order.

        Raises:
            Unavailable: down, full, out of time, or back with a model that does not fit.
        """
        try:
            await self._ensure_card()
            message = mapping.to_rerank_request(request)
            response = await self._peer.call(lambda stub: stub.Rerank, message, self._timeout)
            with self._reading(response.model_id, len(response.scores), len(request.candidates)):
                return [mapping.from_rerank_score(score, "scores") for score in response.scores]
        except (ModelError, ConfigurationError) as error:
            raise Unavailable(error.message, hint=error.hint) from error

    async def _fetch(self) -> _CardResponse:
        request = reranker_pb2.RerankerServiceGetModelRequest()
        return await self._peer.call(lambda stub: stub.GetModel, request, CARD_TIMEOUT)

    def _fetch_blocking(self, timeout: float) -> _CardResponse:
        request = reranker_pb2.RerankerServiceGetModelRequest()
        return self._peer.call_blocking(
            lambda channel: reranker_pb2_grpc.RerankerServiceStub(channel).GetModel, request, timeout
        )

    def _check_fit(self, card: ModelCard) -> None:
        if self._encoder_id and card.encoder_id != self._encoder_id:
            raise ModelMismatch(
                f"The {self._peer.name} serves {card.id}, which belongs to the encoder {card.encoder_id}; "
                f"in use is {self._encoder_id}.",
                hint="Start the encoder and the reranker with models that belong together, or set "
                "BOONART_RERANKER=none for answers in global order.",
            )


def _encoder_stub(channel: grpc.aio.Channel) -> encoder_pb2_grpc.EncoderServiceAsyncStub:
    return encoder_pb2_grpc.EncoderServiceStub(channel)


def _reranker_stub(channel: grpc.aio.Channel) -> reranker_pb2_grpc.RerankerServiceAsyncStub:
    return reranker_pb2_grpc.RerankerServiceStub(channel)


def _text_result(result: encoder_pb2.TextResult) -> TextEmbedding | BoonArtError:
    if result.WhichOneof("result") == "error":
        return mapping.from_error(result.error)
    return mapping.from_text_embedding(result.embedding, "embedding")


def _image_result(result: encoder_pb2.ImageResult) -> ImageEmbedding | BoonArtError:
    if result.WhichOneof("result") == "error":
        return mapping.from_error(result.error)
    return mapping.from_image_embedding(result.embedding, "embedding")


def _too_large(size: int, limit: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture has {size / MIB:.0f} MiB of pixels; a message to the encoder carries {limit / MIB:.0f} MiB.",
        hint="Send a smaller picture, or raise BOONART_MAX_MESSAGE_BYTES on both sides.",
    )


def _parts(places: Sequence[int], sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Cut into parts, in order, of at most `limit` bytes and `MAX_ITEMS` pictures."""
    part: list[int] = []
    filled = 0
    for place in places:
        if part and (filled + sizes[place] + _ROOM_EACH > limit or len(part) == MAX_ITEMS):
            yield part
            part, filled = [], 0
        part.append(place)
        filled += sizes[place] + _ROOM_EACH
    if part:
        yield part
