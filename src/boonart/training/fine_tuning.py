"""Fine-tuning of a reranker on the train split of one collection."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from boonart.ports import EncoderModel
from boonart.training.vitr import Progress, Stage, VitrTraining, train_stages
from boonart.training.vitr_dev import DevSets
from boonart.training.vitr_features import PairFeatures
from boonart.training.vitr_querybank import with_querybank
from boonart.training.vitr_run import config_for, fit_mixtures
from boonart.training.vitr_steps import Head
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint
from boonart.works import ModelCard, Ranker

ENOUGH_TO_FIT = 100
"""Pairs for choosing from which on the mixture of scores is fitted anew; on fewer it would fit chance."""
_STEPS = 120
"""Steps of a stage on a small collection; a large one is shown `_FEWEST_PASSES` times."""
_FEWEST_PASSES, _MOST_PASSES = 8, 30


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings of a fine-tuning.

    Attributes:
        seed: of everything random.
        passes: how often each picture is shown; 0 chooses by the size of the collection.
        batch: pictures a step; 0 chooses by the size of the collection.
        rate: highest learning rate when starting from trained weights.
        rate_anew: the same when starting from none.
    """

    seed: int = 0
    passes: int = 0
    batch: int = 0
    rate: float = 2e-4
    rate_anew: float = 5e-4


def fine_tune(
    start: Checkpoint | None,
    encoder: EncoderModel,
    sets: Sequence[PairFeatures],
    dev: PairFeatures,
    out: Path,
    *,
    name: str,
    tuning: Tuning,
    device: str = "cpu",
    progress: Progress = lambda report: None,
) -> Checkpoint:
    """Go on training a reranker on a collection's own pairs; the best pass by the dev split is kept.

    First the head that is the weights' default with the projections, then, where there are two, the other one on
    the projections as they are now. Interrupted, the same call goes on where it stopped.

    Args:
        start: weights to start from; it is not changed. None begins anew, with the small sizes.
        sets: the train split, in one or more views.
        dev: pairs to choose the best pass by.
        out: folder for the state of the run.
        name: of the new weights.

    Raises:
        ModelFileError: `out` holds the state of another training.
    """
    torch.manual_seed(tuning.seed)
    network = copy.deepcopy(start.network) if start is not None else RelationNetwork(config_for(encoder))
    network.requires_grad_(True).to(device)
    default = start.mixtures.default if start is not None else Ranker.ROLE
    training = VitrTraining(stages_for(network, default, sets, tuning, anew=start is None), seed=tuning.seed)
    sources = DevSets(dev)
    train_stages(network, training, sets, sources, out, progress=progress)
    if network.querybank is not None:
        network = with_querybank(network, sets, network.config.querybank, tuning.seed)
    enough = start is None or len(dev.image_globals) >= ENOUGH_TO_FIT
    mixtures = fit_mixtures(network, sources) if start is None or enough else start.mixtures
    card = ModelCard(
        id=name,
        kind="reranker",
        weights_hash="",
        dimensions=network.config.dimensions,
        licence=start.card.licence if start is not None else "",
        description=f"{start.card.id if start is not None else 'New weights'}, fine-tuned.",
        data=f"{len(sets[0].image_globals)} pictures of the fine-tuned collection",
        encoder_id=encoder.card.id,
    )
    return Checkpoint(network.cpu().eval(), mixtures, card)


def stages_for(
    network: RelationNetwork, default: Ranker, sets: Sequence[PairFeatures], tuning: Tuning, *, anew: bool
) -> tuple[Stage, ...]:
    """The stages that a collection of this size calls for."""
    size = len(sets[0].image_globals)
    heads = [Head.ROLE, Head.VITR] if network.role is not None else [Head.VITR]
    if default is Ranker.VITR:
        heads.reverse()
    stages = []
    for place, head in enumerate(heads):
        batch = tuning.batch or min(size, 32 if size < 500 else 64)
        if head is Head.VITR and not tuning.batch:
            batch = max(2, batch // 2)  # it scores every text with every picture of the batch, word by word
        steps = sum(max(1, len(features.image_globals) // batch) for features in sets)
        passes = tuning.passes or max(_FEWEST_PASSES, min(_MOST_PASSES, math.ceil(_STEPS / steps)))
        stages.append(
            Stage(
                head,
                passes=passes,
                batch=batch,
                rate=tuning.rate_anew if anew else tuning.rate,
                averaging=0.99,
                global_from=1 if anew else 0,
                freeze_projections=place > 0,
            )
        )
    return tuple(stages)
