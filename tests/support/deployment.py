"""The three services and the double of Qdrant as processes on loopback, over a small collection of colours."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from gateway_support import painting

from boonart.bootstrap import Parts, build
from boonart.encoders.fake import COLOURS, FakeEncoder
from boonart.settings import Settings, read_settings
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, save_checkpoint
from boonart.works import ModelCard
from tests.support.qdrant_process import QdrantProcess
from tests.support.service_process import ENCODER, GATEWAY, RERANKER, ServiceProcess

COLLECTION = "colours"
RERANKER_NAME = "random"
WORKS = 48


def write_gallery(folder: Path) -> Path:
    """A source of `WORKS` two-coloured paintings with descriptions; every seventh work has none."""
    folder.mkdir()
    records = []
    pairs = itertools.product(COLOURS, COLOURS)
    for number, (left, right) in enumerate(itertools.islice(pairs, WORKS)):
        name = f"{number}.png"
        (folder / name).write_bytes(painting(mean(left, right), (64 + number, 48)))
        record = {
            "id": f"w{number:02}",
            "title": f"{left.title()} and {right}",
            "artist": ("Ada Grey", "Ben Ochre")[number % 2],
            "image": name,
        }
        if number % 7:
            record["description"] = f"A {left} house beside a {right} tree"
        records.append(record)
    (folder / "works.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def mean(left: str, right: str) -> tuple[int, int, int]:
    """Three parts of the first colour and one of the second."""
    red, green, blue = (round(value) for value in np.average([COLOURS[left], COLOURS[right]], axis=0, weights=[3, 1]))
    return red, green, blue


def write_reranker(models: Path) -> None:
    """Weights for the fake encoder that nobody has trained: all heads, always the same numbers."""
    sizes = FakeEncoder().card.dimensions
    config = VitrConfig(
        sizes["D"],
        sizes["Wi"],
        sizes["Wt"],
        embed_size=16,
        similarity_size=8,
        filters=2,
        aggregations=2,
        role=RoleConfig(size=16, layers=1, attention_heads=2, feed_forward=16),
    )
    torch.manual_seed(7)
    card = ModelCard(RERANKER_NAME, "reranker", "", {"E": 16}, encoder_id=FakeEncoder().card.id)
    save_checkpoint(Checkpoint(RelationNetwork(config), untrained_mixtures(with_role=True), card), models / "random")


@dataclass
class Deployment:
    """Qdrant, encoder, reranker and gateway.

    Args:
        folder: for their data and logs.
        otlp: address of a collector of traces, or "".
    """

    folder: Path
    otlp: str = ""
    qdrant: QdrantProcess = field(init=False)
    encoder: ServiceProcess = field(init=False)
    reranker: ServiceProcess = field(init=False)
    gateway: ServiceProcess = field(init=False)
    others: list[ServiceProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        write_reranker(self.home / "models")
        self.qdrant = QdrantProcess(self.folder / "qdrant")
        common = {"HOME": str(self.home), "OTLP_ENDPOINT": self.otlp, "BANK_BYTES": "50000000", "DEVICE": "cpu"}
        self.encoder = ServiceProcess(ENCODER, {**common, "ENCODER": "fake"}, self.folder)
        self.common = {
            **common,
            "ENCODER_URL": self.encoder.url,
            "QDRANT_URL": self.qdrant.url,
            "QDRANT_GRPC_PORT": str(self.qdrant.grpc_port),
        }
        self.reranker = ServiceProcess(RERANKER, self.common, self.folder)
        # Generous, because a busy machine must not fail a test: an answer that is late is no 200.
        patient = {
            "REQUEST_DEADLINE": "60",
            "ENCODE_DEADLINE": "15",
            "RERANK_DEADLINE": "15",
            "QDRANT_TIMEOUT": "25",
            "PROBE_INTERVAL": "1",
        }
        self.common = {**self.common, "RERANKER_URL": self.reranker.url, **patient}
        self.gateway = ServiceProcess(GATEWAY, self.common, self.folder)

    @property
    def home(self) -> Path:
        """The services' `BOONART_HOME`."""
        return self.folder / "home"

    def start(self) -> Deployment:
        """Start all, load the collection, wait until the gateway serves."""
        self.qdrant.start()
        self.encoder.start().ready()
        self.reranker.start().ready()
        self.ingest(write_gallery(self.folder / "gallery"), self.settings())
        self.gateway.start().ready()
        return self

    def another_gateway(self, **settings: str) -> ServiceProcess:
        """A further gateway with other settings, not started."""
        self.others.append(ServiceProcess(GATEWAY, {**self.common, **settings}, self.folder))
        return self.others[-1]

    def settings(self) -> Settings:
        """How a process of the distributed shape reads them."""
        return read_settings(
            home=self.home,
            encoder_url=self.encoder.url,
            reranker_url=self.reranker.url,
            qdrant_url=self.qdrant.url,
            qdrant_grpc_port=self.qdrant.grpc_port,
        )

    def ingest(self, source: Path, settings: Settings) -> None:
        """`python -m boonart_ingest.main`, as the compose profile runs it."""
        environment = {
            f"BOONART_{name.upper()}": str(value)
            for name, value in settings.model_dump(include=settings.model_fields_set).items()
        }
        command = [sys.executable, "-m", "boonart_ingest.main", str(source), "--collection", COLLECTION]
        ran = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr

    def embedded(self) -> Parts:
        """The same collection and the same models in this process, in a home of its own; close it."""
        settings = read_settings(home=self.folder / "embedded", encoder="fake", device="cpu", bank_bytes=50_000_000)
        write_reranker(settings.models_folder)
        self.ingest(self.folder / "gallery", settings)
        return build(settings)

    def end(self) -> None:
        """End all processes."""
        for process in (*self.others, self.gateway, self.reranker, self.encoder):
            process.kill()
        self.qdrant.kill()
