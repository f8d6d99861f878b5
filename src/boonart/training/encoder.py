"""Training of the `starter` encoder: `boonart train encoder`.

The last image block and both projections learn from captioned photographs, the projections in the end, several times
over, from generated scenes too. Beside the captions, two more tasks widen what short queries can find: single words of
the captions, and the names of ImageNet's classes, which the untuned classifier recognises in the photographs. Seeded;
the long stage is resumable at every epoch, and its weights are a running average.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.evaluation import datasets, retrieval
from boonart.training import encoder_texts
from boonart.training.encoder_features import Progress, TrunkViews, load_trunk_views, silent
from boonart.training.encoder_merge import head_of, merge_heads
from boonart.training.encoder_run import EncoderTraining, ImageStage
from boonart.training.encoder_scenes import SceneSet, load_scene_set
from boonart.training.encoder_sets import TrainingSet, load_training_set, pooled_views
from boonart.training.encoder_steps import image_loss, mixed_loss, projection_loss
from boonart.works import Float32Array

Log = Callable[[str], None]
LossOf = Callable[..., Tensor]
"""The loss of some photographs, given the generator for the rest of the batch and the inverse temperature."""
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
    scenes = None
    if config.scenes and config.image_epochs:
        scenes = load_scene_set(network, train, cache, count=config.scenes, seed=config.seed, progress=progress)
    dev = datasets.flickr8k(data, "dev")
    files = [item.image for item in dev]
    views = load_trunk_views(files, cache, network.image, views=2, seed=config.seed, progress=progress)
    captions = [item.captions for item in dev]
    out.mkdir(parents=True, exist_ok=True)
    untuned_loss = partial(projection_loss, network, train, train.pooled, config=config)

    scale = _train_projections(config, network, len(train), config.projection_epochs, untuned_loss, progress)
    log("projections: " + _line(evaluate_captions(network, views, captions)))
    if config.image_epochs:
        _train_image(config, network, train, scale, out / "image.checkpoint", progress, log)
        log("image block: " + _line(evaluate_captions(network, views, captions)))
        _train_heads(config, network, train, scenes, progress)
    figures = evaluate_captions(network, views, captions)
    log("final: " + _line(figures))
    return EncoderResult(network, figures, time.monotonic() - started)


def _train_heads(
    config: EncoderTraining, network: StarterNetwork, train: TrainingSet, scenes: SceneSet | None, progress: Progress
) -> None:
    """The third stage: pairs of projections over both blocks as they now are, merged into one pair."""
    photographs = {True: pooled_views(network, train.views, tuned=True), False: train.pooled}
    painted = {tuned: pooled_views(network, scenes.views, tuned=tuned) for tuned in (True, False)} if scenes else None
    heads = []
    for number, head in enumerate(config.heads):
        settings = replace(
            config,
            seed=config.seed + number,
            scene_weight=head.scene_weight,
            word_weight=head.word_weight,
            class_weight=head.class_weight,
        )
        pooled = photographs[head.tuned]
        if scenes is None or painted is None:
            loss_of = partial(projection_loss, network, train, pooled, config=settings)
        else:
            both = (pooled, painted[head.tuned])
            loss_of = partial(mixed_loss, network, train, scenes, both, config=settings)
        _train_projections(settings, network, len(train), config.last_epochs, loss_of, progress)
        heads.append(head_of(network, tuned=head.tuned, share=head.share))
    captions = train.captions[:, 0].float()
    merge_heads(network, heads, (photographs[True][0].float(), photographs[False][0].float()), captions)


def _train_projections(
    config: EncoderTraining, network: StarterNetwork, count: int, epochs: int, loss_of: LossOf, progress: Progress
) -> Tensor:
    """Train the projections alone, from new, on batches of `count` photographs; return the scale.

    Before the image block learns, because layers below untrained projections unlearn what they know; after it,
    because far more and larger batches go through the projections alone than with the block.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network.requires_grad_(False)
    for projection in (network.image.project, network.text.project):
        projection.reset_parameters()
        projection.requires_grad_(True)
    heads = [*network.image.project.parameters(), *network.text.project.parameters()]
    log_scale = nn.Parameter(torch.tensor(math.log(config.first_scale)))
    optimizer = torch.optim.AdamW(
        [{"params": heads, "weight_decay": config.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}],
        lr=config.projection_rate,
    )
    size = min(config.projection_batch, count)
    steps = epochs * (count // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for step in range(steps):
        rows = rng.permutation(count)[:size]
        loss = loss_of(rows, rng, scale=log_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress("projections", step + 1, steps)
    return log_scale.detach().exp()


def _train_image(
    config: EncoderTraining,
    network: StarterNetwork,
    train: TrainingSet,
    scale: Tensor,
    checkpoint: Path,
    progress: Progress,
    log: Log,
) -> None:
    """Train the image block with the projections, going on from the checkpoint."""
    per_epoch = len(train) // min(config.image_batch, len(train))
    run = ImageStage(config, network, per_epoch * config.image_epochs, scale)
    first = run.resume(checkpoint)
    begun = time.monotonic()
    for epoch in range(first, config.image_epochs):
        loss = _train_epoch(run, train, epoch, progress)
        run.save(checkpoint, epoch + 1)
        left = (time.monotonic() - begun) / (epoch + 1 - first) * (config.image_epochs - epoch - 1)
        log(f"image block {epoch + 1}/{config.image_epochs}  loss {loss:.3f}  {left:.0f} s left")
    run.finish()


def _train_epoch(run: ImageStage, train: TrainingSet, epoch: int, progress: Progress) -> float:
    """Every picture once; the mean loss."""
    config = run.config
    rng = np.random.default_rng((config.seed, epoch))
    torch.manual_seed(config.seed * 1000 + epoch)
    order = rng.permutation(len(train))
    size = min(config.image_batch, len(order))
    steps = len(order) // size
    total = 0.0
    for step in range(steps):
        rows = np.sort(order[step * size : (step + 1) * size])
        loss = image_loss(run.network, train, rows, rng, config, run.scale)
        run.step(loss)
        total += float(loss.detach())
        progress(f"image block, epoch {epoch + 1}", step + 1, steps)
    return total / max(1, steps)


def image_vectors(network: StarterNetwork, views: TrunkViews) -> Float32Array:
    """Vectors (N, D) of cached pictures as they are shipped: the mean of picture and mirror image, normalised."""
    total: Tensor | float = 0.0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for view in views.views[:2]:
            vectors = []
            for start in range(0, len(view), 64):
                trunk = torch.from_numpy(view[start : start + 64].astype(np.float32)).permute(0, 3, 1, 2)
                vectors.append(normalised(network.image.pool(network.image.top(trunk), network.image.untuned(trunk))))
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
    readings = encoder_texts.readings(network.text, [text for group in captions for text in group])
    with torch.inference_mode():
        texts = normalised(network.text.project(readings)).numpy()
    owners = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    return retrieval.recall_both_ways(texts, images, owners)


def _line(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in figures.items())
