"""Settings of the encoder's training, and the state of its long stage between epochs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork
from boonart.training import encoder_losses as losses


@dataclass(frozen=True, slots=True)
class HeadTraining:
    """One of the pairs of projections that the third stage trains and merges.

    Attributes:
        tuned: it reads the tuned block, else the untuned.
        share: what its cosine counts beside the others'.
        scene_weight, word_weight, class_weight: as in `EncoderTraining`, for this pair.
    """

    tuned: bool
    share: float = 1.0
    scene_weight: float = 0.15
    word_weight: float = 0.2
    class_weight: float = 0.2


HEADS = (
    HeadTraining(tuned=True),
    HeadTraining(tuned=True),
    HeadTraining(tuned=True, word_weight=0.4, class_weight=0.4),
    HeadTraining(tuned=False, share=0.7),
    HeadTraining(tuned=False, scene_weight=0.3, word_weight=0.6, class_weight=0.6),
)
"""Pairs that lean to sentences, and some that lean to single words: those find more in paintings."""


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """All that the outcome depends on, beside the data.

    Three stages, each beginning where the one before ended: the projections alone, on pooled outputs that are all
    in memory; the last image block with them; and the projections once more, several times over on what the tuned
    and the untuned block put out, now with generated scenes beside the photographs, to be merged into one pair.

    Attributes:
        size: D.
        views: altered views of each picture to train on, the first two being the picture and its mirror image.
        projection_epochs: of the first stage.
        projection_batch, projection_rate: of the first and the third stage; the learning rate at its highest.
        image_epochs, image_batch: of the second stage.
        last_epochs: of the third stage, over the photographs, each time.
        heads: pairs of projections that the third stage trains, each from a seed of its own, and merges.
        scenes: generated scenes of the third stage, 0 for none; a last twin is not left out.
        scene_batch: scenes beside each batch of photographs.
        scene_weight: of the scenes' captions in a step, those of the photographs having 1; each of `heads` has its own.
        head_rate, image_rate: highest learning rates of projections and image block in the second stage.
        dropout: of pooled features and of readings.
        soft_share, soft_sharpness: see `encoder_losses.soft_targets`.
        word_weight: of the single-word task.
        class_weight: of the class-name task.
        averaging: decay of the averaged weights, a step of the second stage.
        first_scale: inverse temperature to begin with; it is learned.
    """

    seed: int = 0
    size: int = 512
    views: int = 5
    projection_epochs: int = 60
    projection_batch: int = 1500
    projection_rate: float = 1e-3
    image_epochs: int = 14
    image_batch: int = 384
    last_epochs: int = 75
    heads: tuple[HeadTraining, ...] = HEADS
    scenes: int = 4000
    scene_batch: int = 300
    scene_weight: float = 0.15
    head_rate: float = 5e-4
    image_rate: float = 5e-4
    weight_decay: float = 0.05
    dropout: float = 0.2
    soft_share: float = 0.2
    soft_sharpness: float = 20.0
    word_weight: float = 0.2
    class_weight: float = 0.2
    averaging: float = 0.98
    first_scale: float = 20.0


class ImageStage:
    """The stage in which the image block learns with the projections; everything else is frozen.

    Args:
        steps: of the whole stage, for the learning rate's course.
        scale: inverse temperature to begin with.
    """

    def __init__(self, config: EncoderTraining, network: StarterNetwork, steps: int, scale: Tensor) -> None:
        self.config, self.network = config, network
        self.log_scale = nn.Parameter(scale.log())
        head = [*network.image.project.parameters(), *network.text.project.parameters()]
        top = [*network.image.top.parameters()]
        self.weights = [*head, *top]
        network.requires_grad_(False)
        for weight in self.weights:
            weight.requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": head, "lr": config.head_rate},
                {"params": top, "lr": config.image_rate},
                {"params": [self.log_scale], "lr": config.head_rate, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
            weight_decay=config.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: course(step, steps))
        self.averaged = [weight.detach().clone() for weight in self.weights]
        self.done = 0

    @property
    def scale(self) -> Tensor:
        """Inverse temperature."""
        return self.log_scale.exp()

    def step(self, loss: Tensor) -> None:
        """Learn from a loss and move the average."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, 2.0)
        self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            self.log_scale.clamp_(0.0, math.log(100.0))
        self.done += 1
        decay = min(self.config.averaging, self.done / (self.done + 10))
        losses.average(self.averaged, [weight.detach() for weight in self.weights], decay)

    def finish(self) -> Tensor:
        """Give the network the averaged weights; return the scale."""
        with torch.no_grad():
            for weight, averaged in zip(self.weights, self.averaged, strict=True):
                weight.copy_(averaged)
        return self.scale.detach()

    def save(self, file: Path, epoch: int) -> None:
        """Write the state after `epoch` epochs, in one step."""
        state = {
            "config": asdict(self.config),
            "epoch": epoch,
            "done": self.done,
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "log_scale": self.log_scale.detach(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        unfinished = file.with_suffix(".partial")
        torch.save(state, unfinished)
        unfinished.replace(file)

    def resume(self, file: Path) -> int:
        """Load a state of this configuration; return how many epochs are done, 0 without one."""
        if not file.is_file():
            return 0
        state = torch.load(file, weights_only=True)
        if state["config"] != asdict(self.config):
            return 0
        self.network.load_state_dict(state["network"])
        with torch.no_grad():
            self.log_scale.copy_(state["log_scale"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.done = state["done"]
        return int(state["epoch"])


def course(step: int, steps: int) -> float:
    """Share of the highest learning rate: a twentieth of the steps rising, then a half cosine to zero."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
