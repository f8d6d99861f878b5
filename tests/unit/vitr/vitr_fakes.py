"""A small network, fake features and a fake source of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from boonart.ports import Features
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import Mixtures, untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.scoring import VitrReranker
from boonart.works import REGIONS, Candidate, ImageEmbedding, ModelCard, TextEmbedding, Work

TINY = VitrConfig(
    global_size=6,
    image_token_size=10,
    text_token_size=7,
    embed_size=8,
    similarity_size=5,
    filters=2,
    aggregations=2,
    role=RoleConfig(size=8, layers=2, attention_heads=2, feed_forward=12, max_words=6),
)


class FakeSource:
    """Features by (side, point id); counts what is asked for."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Features] = {}
        self.asked: list[str] = []

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        del collection
        self.asked.extend(point_ids)
        return {name: self.stored[side, name] for name in point_ids if (side, name) in self.stored}


def unit(rng: np.random.Generator, size: int) -> np.ndarray:
    vector = rng.standard_normal(size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def text(rng: np.random.Generator, words: int, config: VitrConfig = TINY) -> TextEmbedding:
    tokens = rng.standard_normal((words, config.text_token_size)).astype(np.float16)
    return TextEmbedding(unit(rng, config.global_size), tokens, tuple(f"word{place}" for place in range(words)))


def image(rng: np.random.Generator, config: VitrConfig = TINY) -> ImageEmbedding:
    tokens = rng.standard_normal((REGIONS, config.image_token_size)).astype(np.float16)
    return ImageEmbedding(unit(rng, config.global_size), tokens)


def candidate(name: str, score: float = 0.0) -> Candidate:
    return Candidate(name, Work(name), score, content_hash=f"hash-{name}")


def reranker(
    source: FakeSource,
    *,
    bank_bytes: int = 1_000_000,
    config: VitrConfig = TINY,
    network: RelationNetwork | None = None,
    mixtures: Mixtures | None = None,
    depth: int | None = None,
) -> VitrReranker:
    torch.manual_seed(1)
    card = ModelCard("tiny", "reranker", "0" * 16, {"E": config.embed_size}, encoder_id="fake-encoder")
    return VitrReranker(
        network or RelationNetwork(config),
        card,
        mixtures or untrained_mixtures(with_role=config.role is not None),
        source,
        bank_bytes=bank_bytes,
        depth=depth,
        device=torch.device("cpu"),
    )
