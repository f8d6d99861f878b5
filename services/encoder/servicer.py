"""The encoder behind gRPC: messages in, the encoder port's calls, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from boonart.errors import BoonArtError, InvalidRequest, OutOfMemory, Unavailable
from boonart.ports import Encoder
from boonart.rpc import mapping
from boonart.rpc.channels import CONTRACT_VERSION, software_version
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc
from boonart.works import ImageEmbedding, Picture, TextEmbedding

Context = grpc.aio.ServicerContext[Any, Any]


class EncoderServicer(encoder_pb2_grpc.EncoderServiceServicer):
    """Answers Unavailable until it is given its encoder.

    Args:
        decode: a picture from the bytes of a file; runs in a thread.
        max_items: most texts or pictures in one call.
        fail: told when the device has no memory left even for one item.
    """

    def __init__(
        self,
        *,
        decode: Callable[[bytes], Picture],
        max_items: int,
        fail: Callable[[BoonArtError], None],
    ) -> None:
        self.encoder: Encoder | None = None
        self._decode = decode
        self._max_items = max_items
        self._fail = fail

    async def EncodeTexts(
        self, request: encoder_pb2.EncodeTextsRequest, context: Context
    ) -> encoder_pb2.EncodeTextsResponse:
        """Embed texts."""
        encoder = self._loaded()
        self._check_count(len(request.texts), "texts")
        embeddings = await encoder.encode_texts(request.texts) if request.texts else []
        self._watch_memory(embeddings)
        return encoder_pb2.EncodeTextsResponse(
            results=[_text_result(embedding) for embedding in embeddings], model_id=encoder.card.id
        )

    async def EncodeImages(
        self, request: encoder_pb2.EncodeImagesRequest, context: Context
    ) -> encoder_pb2.EncodeImagesResponse:
        """Embed pictures."""
        encoder = self._loaded()
        self._check_count(len(request.images), "images")
        pictures = await asyncio.to_thread(self._read_pictures, request)
        good = [picture for picture in pictures if isinstance(picture, Picture)]
        embeddings = await encoder.encode_images(good) if good else []
        self._watch_memory(embeddings)
        encoded = iter(embeddings)
        results = [next(encoded) if isinstance(picture, Picture) else picture for picture in pictures]
        return encoder_pb2.EncodeImagesResponse(
            results=[_image_result(result) for result in results], model_id=encoder.card.id
        )

    async def GetModel(
        self, request: encoder_pb2.EncoderServiceGetModelRequest, context: Context
    ) -> encoder_pb2.EncoderServiceGetModelResponse:
        """What the encoder is."""
        return encoder_pb2.EncoderServiceGetModelResponse(
            card=mapping.to_card(self._loaded().card),
            contract_version=CONTRACT_VERSION,
            software_version=software_version(),
        )

    def _loaded(self) -> Encoder:
        if self.encoder is None:
            raise Unavailable("The encoder is loading its model.", retry_after=5.0)
        return self.encoder

    def _check_count(self, count: int, field: str) -> None:
        if count > self._max_items:
            raise InvalidRequest(
                f"The call has {count:,} {field}; at most {self._max_items:,} are taken.",
                hint="Send them in several calls.",
                field=field,
            )

    def _read_pictures(self, request: encoder_pb2.EncodeImagesRequest) -> list[Picture | BoonArtError]:
        """The pictures of a request, each bad one as its error. Takes time: not for the event loop's thread."""
        pictures: list[Picture | BoonArtError] = []
        for place, image in enumerate(request.images):
            try:
                pictures.append(self._read_picture(image, f"images[{place}]"))
            except BoonArtError as error:
                pictures.append(_without_frames(error))
        return pictures

    def _read_picture(self, image: encoder_pb2.ImageInput, field: str) -> Picture:
        match image.WhichOneof("source"):
            case "decoded":
                return mapping.from_picture(image.decoded, f"{field}.decoded")
            case "file":
                return self._decode(image.file)
        raise InvalidRequest(
            f"{field} has no picture.", hint="Set file (the bytes of an image file) or decoded.", field=field
        )

    def _watch_memory(self, results: Sequence[TextEmbedding | ImageEmbedding | BoonArtError]) -> None:
        for result in results:
            if isinstance(result, OutOfMemory):
                self._fail(result)


def _without_frames(error: BoonArtError) -> BoonArtError:
    """The error without the stack that it was raised in, which would keep the picture's bytes in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


def _text_result(embedding: TextEmbedding | BoonArtError) -> encoder_pb2.TextResult:
    if isinstance(embedding, BoonArtError):
        return encoder_pb2.TextResult(error=mapping.to_error(embedding))
    return encoder_pb2.TextResult(embedding=mapping.to_text_embedding(embedding))


def _image_result(embedding: ImageEmbedding | BoonArtError) -> encoder_pb2.ImageResult:
    if isinstance(embedding, BoonArtError):
        return encoder_pb2.ImageResult(error=mapping.to_error(embedding))
    return encoder_pb2.ImageResult(embedding=mapping.to_image_embedding(embedding))
