"""The encoder's process: `python -m boonart_services.encoder`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial

import grpc
import numpy as np

from boonart.bootstrap import build_encoder
from boonart.encoders.batching import BatchingEncoder, BatchingFigures
from boonart.encoders.pictures import decode
from boonart.errors import BoonArtError, ConfigurationError
from boonart.observability import Metrics
from boonart.ports import Encoder
from boonart.rpc.process import run_process
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc
from boonart.settings import read_settings_as
from boonart.works import Picture
from boonart_services.encoder.servicer import EncoderServicer
from boonart_services.encoder.settings import EncoderSettings

_FIGURES = {
    "waiting": ("queue_depth", "Texts and pictures that wait for a forward pass."),
    "passes": ("forward_passes", "Forward passes so far."),
    "items": ("encoded_items", "Texts and pictures encoded so far."),
    "dropped": ("dropped_items", "Items whose caller had gone before they were computed."),
    "refused": ("refused_items", "Items turned away because the queue was full."),
    "largest_batch": ("largest_batch", "Most items that shared a forward pass."),
}


class EncoderService:
    """The encoder as `rpc.process` runs it.

    Args:
        build: makes the encoder; takes seconds and runs in a thread.
    """

    name = "encoder"
    full_name = encoder_pb2.DESCRIPTOR.services_by_name["EncoderService"].full_name

    def __init__(self, settings: EncoderSettings, build: Callable[[EncoderSettings], Encoder]) -> None:
        self._settings = settings
        self._build = build
        self._servicer: EncoderServicer | None = None
        self._encoder: Encoder | None = None

    def register(self, server: grpc.aio.Server, fail: Callable[[BoonArtError], None]) -> None:
        """Add the servicer; see `rpc.process.Service`."""
        self._servicer = EncoderServicer(decode=decode, max_items=self._settings.max_items, fail=fail)
        encoder_pb2_grpc.add_EncoderServiceServicer_to_server(self._servicer, server)

    async def load(self, metrics: Metrics) -> None:
        """Load the model; see `rpc.process.Service`."""
        self._encoder = await asyncio.to_thread(self._build, self._settings)
        if isinstance(self._encoder, BatchingEncoder):
            for attribute, (name, meaning) in _FIGURES.items():
                metrics.watch(name, meaning, partial(_read_figure, self._encoder.figures, attribute))
        assert self._servicer is not None, "registered before it is loaded"
        self._servicer.encoder = self._encoder

    async def probe(self) -> None:
        """Encode a text and a picture."""
        assert self._encoder is not None, "loaded before it is probed"
        grey = Picture(np.full((64, 64, 3), 128, dtype=np.uint8), (64, 64), "PNG")
        results = [*await self._encoder.encode_texts(["a painting"]), *await self._encoder.encode_images([grey])]
        for result in results:
            if isinstance(result, BoonArtError):
                raise result

    async def close(self) -> None:
        """Release the model."""
        if self._encoder is not None:
            await self._encoder.close()


def _read_figure(figures: BatchingFigures, attribute: str) -> float:
    return float(getattr(figures, attribute))


def build(settings: EncoderSettings) -> Encoder:
    """The encoder of the settings, in this process.

    Raises:
        ConfigurationError: the settings point to another encoder.
        ModelNotAvailable: its weights are not on this machine.
    """
    if settings.encoder_url:
        raise ConfigurationError(
            f"BOONART_ENCODER_URL is {settings.encoder_url}, but this process is an encoder itself.",
            hint="Leave it unset here; it is for the gateway, the reranker and ingest.",
            field="encoder_url",
        )
    return build_encoder(settings)


def main() -> int:
    """Run until SIGTERM; the exit status."""
    try:
        settings = read_settings_as(EncoderSettings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run_process(EncoderService(settings, build), settings)
