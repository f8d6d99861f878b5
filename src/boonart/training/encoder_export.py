"""Trained weights of the `starter` encoder as files that can be shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from boonart.encoders.starter import CARD_FILE, WEIGHTS_FILE, dimensions, save_weights
from boonart.encoders.starter_network import EFFICIENTNET, MINILM, StarterNetwork
from boonart.training.encoder_run import EncoderTraining
from boonart.works import ModelCard

DATA = (
    "Flickr8k's train split: 6,000 photographs with 30,000 captions (Hodosh, Young, Hockenmaier 2013), for"
    " research; 4,000 scenes painted by this project's own code, with their sentences; the names of ImageNet's"
    " classes. No painting of a museum and no text about one."
)
LICENCE = (
    "Apache-2.0 for the tuned weights; EfficientNet-Lite2 and MiniLM-L6 Apache-2.0 in their packages. Trained on"
    " Flickr8k, which its authors offer for research and education."
)
DESCRIPTION = "EfficientNet-Lite2 and MiniLM-L6 in one space, tuned on captioned photographs; 288 x 288 pixels."


def export_encoder(
    network: StarterNetwork, config: EncoderTraining, folder: Path, figures: Mapping[str, float]
) -> ModelCard:
    """Write `starter.safetensors` and `card.json` into `folder`; return the card.

    Args:
        figures: measured quality by flat name, such as "flickr8k.dev.text_to_image.R@1".
    """
    digest = save_weights(network, folder / WEIGHTS_FILE)
    card = ModelCard(
        id=f"starter@{digest[:8]}",
        kind="encoder",
        weights_hash=digest,
        dimensions=dimensions(config.size),
        licence=LICENCE,
        description=DESCRIPTION,
        data=DATA,
        figures={name: round(value, 2) for name, value in figures.items()},
    )
    bases = {file.distribution: {"file": file.path, "sha256": file.sha256} for file in (EFFICIENTNET, MINILM)}
    fields = asdict(card) | {"training": asdict(config), "bases": bases, "command": "boonart train encoder"}
    (folder / CARD_FILE).write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return card
