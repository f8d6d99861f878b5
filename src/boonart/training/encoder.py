"""Training of the `starter` encoder: `boonart train encoder`.

The upper image blocks, the text layers and both projections learn together from captioned photographs. Beside
the captions, two more tasks widen what short queries can find: single words of the captions, and the names of
ImageNet's classes, which the untuned classifier recognises in the photographs. Seeded; resumable at every
epoch; the weights kept are a running average.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.encoders.starter_network import StarterNetwork, normalised
from boonart.evaluation import datasets, retrieval
from boonart.training import encoder_losses as losses
from boonart.training import encoder_texts
from boonart.training.encoder_features import Progress, TrunkViews, load_trunk_views, silent
from boonart.training.encoder_sets import TrainingSet, load_training_set


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """All that the outcome depends on, beside the data.

    Three stages, each beginning where the one before ended: the projections alone, on pooled outputs that are all
    in memory; with them the last image block, against all captions as the untuned text model reads them; with
    these the upper text layers, a caption a picture.

    Attributes:
        size: D.
        views: altered views of each picture to train on, the first two being the picture and its mirror image.
        batch: pictures a step.
        dropout: of pooled features.
        head_rate, image_rate, text_rate: highest learning rates of projections, image block and text layers.
        frozen_text_layers: text layers, counted from the first, that stay as they are.
        word_dropout: share of the word pieces that are masked.
        soft_share, soft_sharpness: see `encoder_losses.soft_targets`.
        word_weight, words: of the single-word task, and words a step.
        class_weight, classes: of the class-name task, and class names a step.
        averaging: decay of the averaged weights, a step.
    """

    seed: int = 0
    size: int = 512
    views: int = 4
    batch: int = 384
    warm_epochs: int = 30
    warm_rate: float = 1e-3
    image_epochs: int = 16
    joint_epochs: int = 8
    dropout: float = 0.2
    head_rate: float = 5e-4
    image_rate: float = 5e-4
    text_rate: float = 5e-5
    weight_decay: float = 0.05
    frozen_text_layers: int = 3
    word_dropout: float = 0.1
    soft_share: float = 0.2
    soft_sharpness: float = 20.0
    word_weight: float = 0.2
    words: int = 48
    class_weight: float = 0.2
    classes: int = 48
    averaging: float = 0.98
    first_scale: float = 20.0


@dataclass(frozen=True, slots=True)
class EncoderResult:
    """What a training run came to.

    Attributes:
        network: with the averaged weights.
        figures: recall on the dev split by flat name.
        seconds: of this call.
    """

    network: StarterNetwork
    figures: dict[str, float]
    seconds: float


class _Run:
    """The state of a run between epochs."""

    def __init__(
        self, config: EncoderTraining, network: StarterNetwork, steps: int, *, joint: bool, scale: Tensor
    ) -> None:
        self.config, self.network, self.steps, self.joint = config, network, steps, joint
        self.log_scale = nn.Parameter(scale.log())
        groups = _parameter_groups(config, network, self.log_scale, joint=joint)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.weights = [weight for group in groups for weight in group["params"] if weight is not self.log_scale]
        self.averaged = [weight.detach().clone() for weight in self.weights]
        self.done = 0

    def _rate(self, step: int) -> float:
        warm = max(1, self.steps // 20)
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

    def step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 2.0)
        self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            self.log_scale.clamp_(0.0, math.log(100.0))
        self.done += 1
        decay = min(self.config.averaging, self.done / (self.done + 10))
        losses.average(self.averaged, [weight.detach() for weight in self.weights], decay)

    def restart_average(self) -> None:
        """Begin the averaged weights from the current ones."""
        self.averaged = [weight.detach().clone() for weight in self.weights]

    def swap(self) -> None:
        """Exchange the current weights with the averaged ones."""
        with torch.no_grad():
            for weight, averaged in zip(self.weights, self.averaged, strict=True):
                kept = weight.detach().clone()
                weight.copy_(averaged)
                averaged.copy_(kept)

    def save(self, file: Path, epoch: int) -> None:
        state = {
            "config": asdict(self.config),
            "epoch": epoch,
            "done": self.done,
            "weights": [weight.detach() for weight in self.weights],
            "averaged": self.averaged,
            "log_scale": self.log_scale.detach(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        unfinished = file.with_suffix(".partial")
        torch.save(state, unfinished)
        unfinished.replace(file)

    def resume(self, file: Path) -> int:
        """Load the state if it is of the same configuration; return the first epoch to do."""
        if not file.is_file():
            return 0
        state = torch.load(file, weights_only=True)
        if state["config"] != asdict(self.config):
            return 0
        with torch.no_grad():
            for weight, stored in zip(self.weights, state["weights"], strict=True):
                weight.copy_(stored)
            self.log_scale.copy_(state["log_scale"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.done = state["done"]
        return int(state["epoch"])


def _parameter_groups(
    config: EncoderTraining, network: StarterNetwork, log_scale: nn.Parameter, *, joint: bool
) -> list[dict[str, object]]:
    """What learns, at which rate; everything else is frozen."""
    network.requires_grad_(False)
    top = list(network.image.top.parameters())
    layers = network.text.layers[config.frozen_text_layers :] if joint else []
    text = [weight for layer in layers for weight in layer.parameters()]
    head = [*network.image.project.parameters(), *network.text.project.parameters()]
    for weight in [*top, *text, *head]:
        weight.requires_grad_(True)
    return [
        {"params": head, "lr": config.head_rate, "weight_decay": config.weight_decay},
        {"params": top, "lr": config.image_rate, "weight_decay": config.weight_decay},
        {"params": text, "lr": config.text_rate, "weight_decay": config.weight_decay},
        {"params": [log_scale], "lr": config.head_rate, "weight_decay": 0.0},
    ]


def train_encoder(
    config: EncoderTraining,
    data: Path,
    out: Path,
    *,
    cache: Path,
    progress: Progress = silent,
    log: Callable[[str], None] = lambda _line: None,
) -> EncoderResult:
    """Train on Flickr8k's train split and judge on its dev split.

    Args:
        data: folder of the benchmark collections.
        out: folder for the checkpoint; a run interrupted here goes on with the next epoch.
        cache: folder for encoded pictures.
        progress: told of every batch.
        log: given a line at every epoch, with the time left.

    Raises:
        SourceError: the data is not there.
        ModelNotAvailable: a weight package is not installed.
    """
    started = time.monotonic()
    torch.manual_seed(config.seed)
    network = StarterNetwork(config.size).load_packages()
    train = load_training_set(network, data, cache, views=config.views, seed=0, progress=progress)
    dev = datasets.flickr8k(data, "dev")
    dev_views = load_trunk_views([item.image for item in dev], cache, network.image, views=1, seed=0)
    out.mkdir(parents=True, exist_ok=True)
    scale = warm_heads(network, train, config, progress)
    log("projections: " + _line(_judge(network, dev_views, dev)))
    for stage, epochs in (("image", config.image_epochs), ("joint", config.joint_epochs)):
        scale = _stage(stage, epochs, config, network, train, scale, out, progress, log)
        log(f"{stage}: " + _line(_judge(network, dev_views, dev)))
    figures = _judge(network, dev_views, dev)
    return EncoderResult(network, figures, time.monotonic() - started)


def _judge(network, views, items):
    return evaluate_captions(network, views, [item.captions for item in items])


def _line(figures):
    return " ".join(f"{figures[name]:.1f}" for name in figures)


def _stage(stage, epochs, config, network, train, scale, out, progress, log):
    per_epoch = len(train.captions) // min(config.batch, len(train.captions))
    run = _Run(config, network, per_epoch * epochs, joint=stage == "joint", scale=scale)
    begun = time.monotonic()
    for epoch in range(epochs):
        loss = _train_epoch(run, train, epoch, progress)
        left = (time.monotonic() - begun) / (epoch + 1) * (epochs - epoch - 1)
        log(f"{stage} {epoch + 1}/{epochs}  loss {loss:.3f}  scale {float(run.log_scale.exp()):.1f} {left:.0f} s left")
    run.swap()
    return run.log_scale.detach().exp()


def warm_heads(network: StarterNetwork, train: TrainingSet, config: EncoderTraining, progress: Progress) -> Tensor:
    """Train the projections alone on the untuned models' outputs, which are all in memory; return the scale.

    Layers below that start to learn under untrained projections unlearn what they know.
    """
    rng = np.random.default_rng(config.seed)
    log_scale = nn.Parameter(torch.tensor(math.log(config.first_scale)))
    heads = [*network.image.project.parameters(), *network.text.project.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": heads, "weight_decay": config.weight_decay}, {"params": [log_scale], "weight_decay": 0.0}],
        lr=config.warm_rate,
    )
    pooled, sentences = train.untuned["pooled"], train.untuned["captions"]
    count = len(train.captions)
    size = min(500, count)
    steps = config.warm_epochs * (count // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for step in range(steps):
        rows = rng.permutation(count)[:size]
        places = np.array([rng.integers(len(train.captions[row])) for row in rows])
        views = rng.integers(len(pooled), size=size)
        features = functional.dropout(pooled[views, rows].float(), config.dropout)
        hidden = functional.dropout(sentences[rows, places].float(), config.dropout)
        images, texts = network.image.project(features), network.text.project(hidden)
        likeness = train.sentences[rows] @ train.sentences[rows].T
        targets = losses.soft_targets(
            likeness, torch.arange(size), share=config.soft_share, sharpness=config.soft_sharpness
        )
        loss = losses.contrastive(normalised(texts), normalised(images), targets, log_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        progress("projections", step + 1, steps)
    return log_scale.detach().exp()


def _train_epoch(run: _Run, train: TrainingSet, epoch: int, progress: Progress) -> float:
    """One caption and one view of every picture; the mean loss."""
    config = run.config
    rng = np.random.default_rng((config.seed, epoch))
    torch.manual_seed(config.seed * 1000 + epoch)
    run.network.eval()
    order = rng.permutation(len(train.captions))
    size = min(config.batch, len(order))
    total, steps = 0.0, len(order) // size
    for step in range(steps):
        rows = np.sort(order[step * size : (step + 1) * size])
        loss = (_loss if run.joint else _image_loss)(run, train, rows, rng)
        run.step(loss)
        total += float(loss.detach())
        progress(f"epoch {epoch + 1}", step + 1, steps)
    return total / max(1, steps)


def _loss(run: _Run, train: TrainingSet, rows: np.ndarray, rng: np.random.Generator) -> Tensor:  # type: ignore[type-arg]
    config, network = run.config, run.network
    batch = train.batch(rows, rng, config)
    with torch.autocast("cpu", torch.bfloat16):
        features = network.image.top(batch.trunk)
        pooled = functional.dropout(network.image.gather(features), config.dropout)
        images = network.image.project(pooled)
        texts = _tuned_vectors(network, batch.texts, config)
    images, texts = normalised(images), normalised(texts)
    scale = run.log_scale.exp()
    captions, words, names = texts.split([len(rows), batch.held.shape[0], batch.probabilities.shape[1]])
    targets = losses.soft_targets(
        batch.likeness, torch.arange(len(rows)), share=config.soft_share, sharpness=config.soft_sharpness
    )
    loss = losses.contrastive(captions, images, targets, scale)
    if len(words):
        loss = loss + config.word_weight * losses.find_all(words, images, batch.held, scale)
    if len(names):
        loss = loss + config.class_weight * losses.name_classes(images, names, batch.probabilities, scale)
    return loss


def _image_loss(run: _Run, train: TrainingSet, rows: np.ndarray, rng: np.random.Generator) -> Tensor:  # type: ignore[type-arg]
    """All captions of each picture, all words of the batch and all classes, by the untuned text model."""
    config, network = run.config, run.network
    trunk, _ = train.pictures(rows, rng)
    with torch.autocast("cpu", torch.bfloat16):
        features = network.image.top(trunk)
    pooled = functional.dropout(network.image.gather(features).float(), config.dropout)
    images = normalised(network.image.project(pooled))
    sentences = train.untuned["captions"][rows].float().flatten(0, 1)
    owners = torch.arange(len(rows)).repeat_interleave(train.untuned["captions"].shape[1])
    there = torch.from_numpy(np.flatnonzero(train.words.held[rows].any(axis=0)))
    wordings = torch.from_numpy(rng.integers(train.word_vectors.shape[1], size=len(there)))
    read = torch.cat([sentences, train.word_vectors[there, wordings], train.class_vectors])
    texts = normalised(network.text.project(functional.dropout(read, config.dropout)))
    captions, words, names = texts.split([len(sentences), len(there), len(train.class_vectors)])
    likeness = train.sentences[rows] @ train.sentences[rows].T
    targets = losses.soft_targets(likeness, owners, share=config.soft_share, sharpness=config.soft_sharpness)
    scale = run.log_scale.exp()
    loss = losses.contrastive(captions, images, targets, scale)
    held = torch.from_numpy(train.words.held[np.ix_(rows, there.numpy())].T.copy())
    loss = loss + config.word_weight * losses.find_all(words, images, held, scale)
    return loss + config.class_weight * losses.name_classes(images, names, train.probabilities[rows], scale)


def _tuned_vectors(network: StarterNetwork, ids: Sequence[Sequence[int]], config: EncoderTraining) -> Tensor:
    """Text vectors (M, D) with gradients in the tuned layers alone."""
    tower, rows, vectors = network.text, [], []
    for places, pieces, padding in encoder_texts.in_chunks(ids):
        with torch.no_grad():
            hidden = tower.embed(pieces)
            for layer in tower.layers[: config.frozen_text_layers]:
                hidden = layer(hidden, src_key_padding_mask=padding)
        tokens = tower.transform(hidden, padding, first=config.frozen_text_layers)
        vectors.append(tower.pool(tokens, padding))
        rows.append(places)
    return torch.cat(vectors)[torch.argsort(torch.cat(rows))]


def image_vectors(network: StarterNetwork, views: TrunkViews, *, view: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Normalised vectors (N, D) float32 of cached pictures."""
    vectors = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(views.views[view]), 64):
            trunk = torch.from_numpy(views.views[view][start : start + 64].astype(np.float32)).permute(0, 3, 1, 2)
            vectors.append(normalised(network.image.pool(network.image.top(trunk))))
    return torch.cat(vectors).numpy()


def evaluate_captions(
    network: StarterNetwork, views: TrunkViews, captions: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Recall both ways of pictures and their captions."""
    network.eval()
    images = image_vectors(network, views)
    ids = encoder_texts.tokenize(encoder_texts.load_tokenizer(), [text for group in captions for text in group])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        texts = normalised(encoder_texts.text_vectors(network.text, ids)).numpy()
    owners = np.repeat(np.arange(len(captions)), [len(group) for group in captions])
    return retrieval.recall_both_ways(texts, images, owners)
