"""The state of one stage of the encoder's training: what learns, how fast, its running average, its checkpoint."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork
from boonart.training import encoder_losses as losses


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """All that the outcome depends on, beside the data.

    Three stages, each beginning where the one before ended: the projections alone, on pooled outputs that are all
    in memory; with them the last image block, against all captions as the untuned text model reads them; with
    these the upper text layers, one caption a picture.

    Attributes:
        size: D.
        views: altered views of each picture to train on, the first two being the picture and its mirror image.
        warm_epochs, warm_batch, warm_rate: of the first stage; learning rate at its highest.
        image_epochs, joint_epochs: of the second and the third stage.
        batch: pictures a step in these two.
        dropout: of pooled features.
        head_rate, image_rate, text_rate: highest learning rates of projections, image block and text layers.
        frozen_text_layers: text layers, counted from the first, that stay as they are.
        word_dropout: share of the word pieces that are masked in the third stage.
        soft_share, soft_sharpness: see `encoder_losses.soft_targets`.
        word_weight, words: of the single-word task, and words a step of the third stage.
        class_weight, classes: of the class-name task, and class names a step of the third stage.
        averaging: decay of the averaged weights, a step.
        first_scale: inverse temperature to begin with; it is learned.
    """

    seed: int = 0
    size: int = 512
    views: int = 8
    warm_epochs: int = 60
    warm_batch: int = 1500
    warm_rate: float = 1e-3
    image_epochs: int = 14
    joint_epochs: int = 0
    batch: int = 384
    dropout: float = 0.2
    head_rate: float = 5e-4
    image_rate: float = 5e-4
    text_rate: float = 3e-5
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


class StageRun:
    """One stage between its epochs.

    Args:
        stage: "image" or "joint".
        steps: of the whole stage, for the learning rate's course.
        scale: inverse temperature to begin with.
    """

    def __init__(self, stage: str, config: EncoderTraining, network: StarterNetwork, steps: int, scale: Tensor) -> None:
        self.stage, self.config, self.network, self.steps = stage, config, network, steps
        self.log_scale = nn.Parameter(scale.log())
        head, top, text = _learners(stage, config, network)
        self.weights = [*head, *top, *text]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": head, "lr": config.head_rate},
                {"params": top, "lr": config.image_rate},
                {"params": text, "lr": config.text_rate},
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
            "stage": self.stage,
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
        """Load a state of this stage and configuration; return how many epochs are done, 0 without one."""
        if not file.is_file():
            return 0
        state = torch.load(file, weights_only=True)
        if state["config"] != asdict(self.config) or state["stage"] != self.stage:
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


def _learners(
    stage: str, config: EncoderTraining, network: StarterNetwork
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """The projections, image weights and text weights that learn in a stage; everything else is frozen."""
    network.requires_grad_(False)
    head = [*network.image.project.parameters(), *network.text.project.parameters()]
    top = [*network.image.top.parameters()]
    layers = [*network.text.layers][config.frozen_text_layers :] if stage == "joint" else []
    text = [weight for layer in layers for weight in layer.parameters()]
    for weight in [*head, *top, *text]:
        weight.requires_grad_(True)
    return head, top, text
