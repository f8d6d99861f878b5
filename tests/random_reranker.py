"""A small reranker with random weights for the fake encoder."""

from __future__ import annotations

from pathlib import Path

from boonart.encoders.fake import FakeEncoder
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import WEIGHTS_FILE, Checkpoint, load_checkpoint, save_checkpoint
from boonart.works import ModelCard

SIZES = VitrConfig(
    32, 16, 16, embed_size=8, similarity_size=6, filters=2, aggregations=3, role=RoleConfig(size=8, feed_forward=8)
)


def save_random_reranker(folder: Path) -> Checkpoint:
    """Write its weight file and read it again."""
    card = ModelCard("random", "reranker", "", {"D": 32, "E": 8, "S": 6}, encoder_id=FakeEncoder().card.id)
    save_checkpoint(Checkpoint(RelationNetwork(SIZES), untrained_mixtures(with_role=True), card), folder)
    return load_checkpoint(folder / WEIGHTS_FILE)
