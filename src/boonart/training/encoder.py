"""Training of the `starter` encoder: `boonart train encoder`.

The projections, the last image block and (where asked for) the upper text layers learn from captioned
photographs. Beside the captions, two more tasks widen what short queries can find: single words of the captions,
and the names of ImageNet's classes, which the untuned classifier recognises in the photographs. Seeded; resumable
at every epoch; the weights kept are a running average.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.evaluation import datasets, retrieval
from boonart.training import encoder_texts
from boonart.training.encoder_features import Progress, TrunkViews, load_trunk_views, silent
from boonart.training.encoder_run import EncoderTraining, StageRun
from boonart.training.encoder_sets import TrainingSet, load_training_set
from boonart.training.encoder_steps import image_loss, joint_loss, projection_loss
from boonart.works import Float32Array

Log = Callable[[str], None]
__all__ = ["EncoderResult", "EncoderTraining", "train_encoder"]


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """What a training run came to.

    Attributes:
        network: with the averaged weights.
        figures: recall on the dev split by flat name, percent; vectors as they are shipped, of picture and
            mirror image.
        seconds: of this call.
    """

    network: StarterNetwork
    figures: dict[str, float]
    seconds: float


def train_encoder(
    config: EncoderTraining,
    data: Path,
    out: Path,
    *,
    cache: Path,
    progress: Progress = silent,
    log: Log = lambda _line: None,
) -> EncoderResult:
    """Train on Flickr8k's train split and judge on its dev split.

    Args:
        data: folder of the benchmark collections.
        out: folder for the checkpoint; a run interrupted here goes on with the next epoch.
        cache: folder for encoded pictures.
        progress: told of every batch.
        log: given a line at every epoch, with the time left, and the dev figures after every stage.

    Raises:
        SourceError: the data is not there.
        ModelNotAvailable: a weight package is not installed.
    """
    started = time.monotonic()
    torch.manual_seed(config.seed)
    network = StarterNetwork(config.size).load_packages().eval()
    train = load_training_set(network, data, cache, views=config.views, seed=config.seed, progress=progress)
    dev = datasets.flickr8k(data, "dev")
    files = [item.image for item in dev]
    views = load_trunk_views(files, cache, network.image, views=2, seed=config.seed, progress=progress)
    captions = [item.captions for item in dev]
    out.mkdir(parents=True, exist_ok=True)

    scale = _train_projections(config, network, train, progress)
    log("projections: " + _line(evaluate_captions(network, views, captions)))
    for stage, epochs in (("image", config.image_epochs), ("joint", config.joint_epochs)):
        if epochs:
            file = out / f"{stage}.checkpoint"
            scale = _train_stage(stage, epochs, config, network, train, scale, file, progress, log)
            log(f"{stage}: " + _line(evaluate_captions(network, views, captions)))
    return EncoderResult(network, evaluate_captions(network, views, captions), time.monotonic() - started)


def _train_projections(
    config: EncoderTraining, network: StarterNetwork, train: TrainingSet, progress: Progress
) -> Tensor:
    """Train the projections alone; return the scale.

    Layers below that start to learn under untrained projections unlearn what they know.
    """
    rng = np.random.default_rng(config.seed)
    log_scale = nn.Parameter(torch.tensor(math.log(config.first_scale)))
    heads = [*network.image.project.parameters(), *network.text.project.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": heads, "weight_decay": config.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}],
        lr=config.warm_rate,
    )
    count = len(train.captions)
    size = min(config.warm_batch, count)
    steps = config.warm_epochs * (count // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for step in range(steps):
        rows = rng.permutation(count)[:size]
        loss = projection_loss(network, train, rows, rng, config, log_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress("projections", step + 1, steps)
    return log_scale.detach().exp()


def _train_stage(
    stage: str,
    epochs: int,
    config: EncoderTraining,
    network: StarterNetwork,
    train: TrainingSet,
    scale: Tensor,
    checkpoint: Path,
    progress: Progress,
    log: Log,
) -> Tensor:
    """Train one of the later stages, going on from its checkpoint; return the scale."""
    per_epoch = len(train.captions) // min(config.batch, len(train.captions))
    run = StageRun(stage, config, network, per_epoch * epochs, scale)
    first = run.resume(checkpoint)
    begun = time.monotonic()
    for epoch in range(first, epochs):
        loss = _train_epoch(run, train, epoch, progress)
        run.save(checkpoint, epoch + 1)
        left = (time.monotonic() - begun) / (epoch + 1 - first) * (epochs - epoch - 1)
        log(f"{stage} {epoch + 1}/{epochs}  loss {loss:.3f}  {left:.0f} s left")
    return run.finish()


def _train_epoch(run: StageRun, train: TrainingSet, epoch: int, progress: Progress) -> float:
    """Every picture once; the mean loss."""
    config = run.config
    rng = np.random.default_rng((config.seed, epoch))
    torch.manual_seed(config.seed * 1000 + epoch)
    order = rng.permutation(len(train.captions))
    size = min(config.batch, len(order))
    steps = len(order) // size
    loss_of = image_loss if run.stage == "image" else joint_loss
    total = 0.0
    for step in range(steps):
        rows = np.sort(order[step * size : (step + 1) * size])
        loss = loss_of(run.network, train, rows, rng, config, run.scale)
        run.step(loss)
        total += float(loss.detach())
        progress(f"{run.stage}, epoch {epoch + 1}", step + 1, steps)
    return total / max(1, steps)


def image_vectors(network: StarterNetwork, views: TrunkViews) -> Float32Array:
    """Vectors (N, D) of cached pictures as they are shipped: the mean of picture and mirror image, normalised."""
    total: Tensor | float = 0.0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for view in views.views[:2]:
            vectors = []
            for start in range(0, len(view), 64):
                trunk = torch.from_numpy(view[start : start + 64].astype(np.float32)).permute(0, 3, 1, 2)
                vectors.append(normalised(network.image.pool(network.image.top(trunk))))
            total = total + torch.cat(vectors)
    assert isinstance(total, Tensor)
    found: Float32Array = normalised(total).numpy()
    return found


def evaluate_captions(
    network: StarterNetwork, views: TrunkViews, captions: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Recall both ways of pictures and their captions, by flat name."""
    network.eval()
    images = image_vectors(network, views)
    ids = encoder_texts.tokenize(encoder_texts.load_tokenizer(), [text for group in captions for text in group])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        texts = normalised(encoder_texts.text_vectors(network.text, ids)).numpy()
    owners = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    return retrieval.recall_both_ways(texts, images, owners)


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in figures.items())
