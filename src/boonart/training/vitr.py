"""Training of the relation network: `boonart train vitr`.

The encoder is frozen: what it makes of pictures and sentences is encoded once. Training goes through stages, each
for one head; the best epoch of a stage is kept. Seeded, and resumable to the step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from boonart.errors import ConfigurationError, ModelFileError, SourceError
from boonart.training.vitr_batches import BatchSampler, Likeness, PairBatch
from boonart.training.vitr_dev import DevSets, dev_figures
from boonart.training.vitr_features import PairFeatures
from boonart.training.vitr_losses import description_vectors
from boonart.training.vitr_steps import Head, Loss, StepOptions, role_loss, vitr_loss
from boonart.vitr.config import VitrConfig
from boonart.vitr.model import RelationNetwork

STATE_FILE = "training.pt"


@dataclass(frozen=True, slots=True)
class Stage:
    """One head's training.

    Attributes:
        passes: how often each picture is shown, each time with another of its captions.
        batch: pictures a step.
        twin_batch: pictures a step of a set of twins. The more steps the better: a twin is a lesson of its own, while
            photographs teach by the others in their batch.
        rate: highest learning rate.
        decay_every: passes after which the rate is divided by ten; 0 means a cosine down to nothing.
        warmup: share of the steps in which the rate rises.
        clip: largest norm of the gradient.
        averaging: decay of the averaged weights that are kept, a step; 0 keeps the weights themselves.
        freeze_projections: leave what the head shares with the other one as it is.
        global_from: pass from which the global similarity takes part (published head).
        photographs: how often a pass goes through each set without twins: a third of each of three views, say.
        twins: how often a pass goes through each set of twins.
        shares: the same for the sets of these names, whatever the two before say.
        alike: pictures of a set of twins that are alike stand together in clumps of about so many; 0 for batches at
            random.
        likeness: which of them are alike.
        blend: how much of what the stage leaves is its own outcome, the rest being what it began with: of what it
            was not shown much of, less is unlearned. After Wortsman and others, *Robust fine-tuning of zero-shot
            models*, CVPR 2022.
        options: of a step.
        twin_options: of a step over a set of twins, where they are others.
    """

    head: Head
    passes: int = 30
    batch: int = 128
    twin_batch: int = 32
    rate: float = 5e-4
    weight_decay: float = 1e-4
    decay_every: int = 0
    warmup: float = 0.05
    clip: float = 2.0
    averaging: float = 0.0
    freeze_projections: bool = False
    global_from: int = 3
    photographs: float = 1.0
    twins: float = 1.0
    shares: Mapping[str, float] = field(default_factory=dict)
    alike: int = 0
    likeness: Likeness = Likeness.SAID
    blend: float = 1.0
    options: StepOptions = field(default_factory=StepOptions)
    twin_options: StepOptions | None = None


@dataclass(frozen=True, slots=True)
class VitrTraining:
    """All that the outcome depends on, beside the data.

    Attributes:
        save_every: seconds between two saved states, from which an interrupted run goes on.
        measure_every: passes between two measurements on dev.
        half: compute in bfloat16 where the device is fast at it.
        querybank: how many training texts and pictures tell a candidate's popularity; 0 for no such part.
        colours: how many times as large as the others the weights of the starter's colours are to begin with: they
            are 64 of 1,344 image features and 2 % of their spread, and would else be found late.
        start: id of the weights that it goes on from, or "".
    """

    stages: tuple[Stage, ...]
    seed: int = 0
    save_every: float = 60.0
    measure_every: int = 2
    half: bool = True
    querybank: int = 0
    colours: float = 1.0
    start: str = ""


@dataclass(slots=True)
class Report:
    """Where a run stands, for a progress display.

    Attributes:
        seconds_left: estimate for this stage.
        figures: of the last measurement on dev.
    """

    head: Head
    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float
    figures: dict[str, float]


Progress = Callable[[Report], None]


def train_stages(
    network: RelationNetwork,
    training: VitrTraining,
    sets: Sequence[PairFeatures],
    dev: DevSets,
    out: Path,
    *,
    progress: Progress = lambda report: None,
) -> list[dict[str, float]]:
    """Train a network in place, stage by stage, and leave it with the best weights of each.

    Args:
        sets: training sets; each step takes a batch of one of them.
        dev: what the best epoch is chosen by.
        out: folder for the state from which an interrupted call goes on.
        progress: told after every step.

    Returns:
        The figures on dev of each stage's best epoch.

    Raises:
        SourceError: no training set.
        ModelFileError: the saved state belongs to another training.
    """
    if not sets:
        raise SourceError("There is nothing to train on.", hint="Give --data a folder with captioned pictures.")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(training.seed)
    saved = _read_state(out / STATE_FILE, network.config, training)
    if saved is not None:
        network.load_state_dict(saved["network"])
    figures: list[dict[str, float]] = list(saved["figures"]) if saved is not None else []
    for number in range(len(figures), len(training.stages)):
        run = _StageRun(network, training, number, sets, dev, out)
        if saved is not None:
            run.restore(saved)
            saved = None
        figures.append(run.run(figures, progress))
        run.save(figures, finished=True)
    return figures


class _StageRun:
    """One stage under way."""

    def __init__(
        self,
        network: RelationNetwork,
        training: VitrTraining,
        number: int,
        sets: Sequence[PairFeatures],
        dev: DevSets,
        out: Path,
    ) -> None:
        self.network, self.training, self.number, self.dev, self.out = network, training, number, dev, out
        self.stage = stage = training.stages[number]
        lseh = stage.head is Head.VITR and stage.options.loss is Loss.LSEH
        self.samplers = [
            BatchSampler(
                part,
                _batch_of(stage, part),
                description_vectors(part.texts) if lseh else None,
                alike=stage.alike if _has_twins(part) else 0,
                likeness=stage.likeness,
            )
            for part in sets
        ]
        shares = [_share_of(stage, part) for part in sets]
        self.counts = [max(1, round(share * len(s))) for share, s in zip(shares, self.samplers, strict=True)]
        self.steps_a_pass = sum(self.counts)
        self.steps = self.steps_a_pass * stage.passes
        self.parameters = trained_parameters(network, stage)
        self.optimiser = torch.optim.AdamW(self.parameters, lr=stage.rate, weight_decay=stage.weight_decay)
        self.averaged = copy.deepcopy(network) if stage.averaging else None
        self.begun = copy.deepcopy(network) if stage.blend < 1.0 else None
        self.best = copy.deepcopy(network.state_dict())
        self.best_figures: dict[str, float] = {"choice": -math.inf}
        self.step = 0

    def run(self, earlier: list[dict[str, float]], progress: Progress) -> dict[str, float]:
        """Go on from where the stage stands to its end; leave the best weights in the network."""
        started, first, last_saved = time.monotonic(), self.step, time.monotonic()
        figures: dict[str, float] = {}
        device = next(self.network.parameters()).device
        for batch in self._batches():
            losses = self._step(on_device(batch, device))
            self.step += 1
            if self.step % self.steps_a_pass == 0 and self._measures(self.step // self.steps_a_pass):
                figures = self._measure()
            if time.monotonic() - last_saved > self.training.save_every:
                self.save(earlier)
                last_saved = time.monotonic()
            pace = (time.monotonic() - started) / (self.step - first)
            progress(Report(self.stage.head, self.step, self.steps, losses, pace * (self.steps - self.step), figures))
        self.network.load_state_dict(self.best)
        if self.begun is not None:
            _average(self.begun, self.network, 1.0 - self.stage.blend)
            self.best = self.begun.state_dict()
            self.network.load_state_dict(self.best)
            self.best_figures |= dev_figures(self.network, self.dev, self.stage.head)
        return self.best_figures

    def save(self, earlier: list[dict[str, float]], *, finished: bool = False) -> None:
        """Write the state; the earlier one stays until this one is complete."""
        state = {
            "config": self.network.config.as_dict(),
            "training": repr(self.training),
            "step": 0 if finished else self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None and not finished else None,
            "optimiser": self.optimiser.state_dict() if not finished else None,
            "begun": self.begun.state_dict() if self.begun is not None and not finished else None,
            "best": self.best,
            "best_figures": self.best_figures,
            "figures": earlier,
            "random": torch.get_rng_state(),
        }
        unfinished = self.out / f"{STATE_FILE}.partial"
        torch.save(state, unfinished)
        unfinished.replace(self.out / STATE_FILE)

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state of this stage, whose weights the network has already."""
        if state["optimiser"] is not None:
            self.optimiser.load_state_dict(state["optimiser"])
            self.best, self.best_figures = state["best"], state["best_figures"]
            if self.begun is not None:
                self.begun.load_state_dict(state["begun"])
            if self.averaged is not None and state["averaged"] is not None:
                self.averaged.load_state_dict(state["averaged"])
            torch.set_rng_state(state["random"])
        self.step = int(state["step"])

    def _batches(self) -> Iterator[PairBatch]:
        """What is left of the stage; each pass mixes the sets in a random order of its own."""
        for number in range(self.step // self.steps_a_pass, self.stage.passes):
            rng = np.random.default_rng((self.training.seed, self.number, number))
            order = rng.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
            done = self.step % self.steps_a_pass
            supplies = [
                _endless(sampler, (self.training.seed, self.number, number, place), int((order[:done] == place).sum()))
                for place, sampler in enumerate(self.samplers)
            ]
            for place in order[done:]:
                yield next(supplies[place])

    def _step(self, batch: PairBatch) -> dict[str, float]:
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.stage, self.step, self.steps, self.steps_a_pass)
        device = next(self.network.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.training.half and is_fast_at_half(device)):
            losses = self._losses(batch)
            total = torch.stack(list(losses.values())).sum()
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, self.stage.clip)
        self.optimiser.step()
        if self.averaged is not None:
            _average(self.averaged, self.network, min(self.stage.averaging, (1 + self.step) / (10 + self.step)))
        return {name: float(value.detach()) for name, value in losses.items()}

    def _losses(self, batch: PairBatch) -> dict[str, Tensor]:
        if self.stage.head is Head.ROLE:
            own = self.stage.twin_options if bool((batch.twins >= 0).any()) else None
            return role_loss(self.network, batch, own or self.stage.options)
        with_global = self.step // self.steps_a_pass >= self.stage.global_from
        return vitr_loss(self.network, batch, self.stage.options, with_global=with_global)

    def _measures(self, passes: int) -> bool:
        return passes % self.training.measure_every == 0 or passes == self.stage.passes

    def _measure(self) -> dict[str, float]:
        candidate = self.averaged if self.averaged is not None else self.network
        figures = dev_figures(candidate, self.dev, self.stage.head)
        figures["passes"] = float(self.step // self.steps_a_pass)
        if figures["choice"] > self.best_figures["choice"]:
            self.best, self.best_figures = copy.deepcopy(candidate.state_dict()), figures
        return figures


def trained_parameters(network: RelationNetwork, stage: Stage) -> list[nn.Parameter]:
    """The parameters that a stage changes."""
    modules: list[nn.Module] = [] if stage.freeze_projections else [network.project_regions, network.project_words]
    if stage.head is Head.ROLE:
        if network.role is None:
            raise ConfigurationError(
                "The network has no role-aware head to train.", hint="Give its configuration a role, or train vitr."
            )
        modules.append(network.role)
    else:
        modules += [network.filters, network.vitr]
    return [parameter for module in modules for parameter in module.parameters()]


def learning_rate(stage: Stage, step: int, steps: int, steps_a_pass: int) -> float:
    """The rate of a step: a rise, then a cosine down to nothing or divisions by ten."""
    if stage.decay_every:
        return float(stage.rate * 0.1 ** (step // steps_a_pass // stage.decay_every))
    rise = max(1, round(stage.warmup * steps))
    if step < rise:
        return stage.rate * (step + 1) / rise
    return stage.rate * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def is_fast_at_half(device: torch.device) -> bool:
    """Whether bfloat16 pays on this device: on a GPU, and on processors that multiply whole tiles of it.

    With vector instructions alone a step of the small network takes a quarter longer than in float32.
    """
    return device.type != "cpu" or bool(torch.cpu._is_amx_tile_supported())


def on_device(batch: PairBatch, device: torch.device) -> PairBatch:
    """The batch's tensors on a device."""
    if device.type == "cpu":
        return batch
    moved = {name: getattr(batch, name).to(device) for name in batch.__slots__ if name != "texts"}
    texts = {name: getattr(batch.texts, name).to(device) for name in batch.texts.__slots__}
    return replace(batch, **moved, texts=replace(batch.texts, **texts))


def _batch_of(stage: Stage, features: PairFeatures) -> int:
    return min(stage.batch, stage.twin_batch) if _has_twins(features) else stage.batch


def _share_of(stage: Stage, features: PairFeatures) -> float:
    return stage.shares.get(features.name, stage.twins if _has_twins(features) else stage.photographs)


def _has_twins(features: PairFeatures) -> bool:
    return bool((features.twins >= 0).any())


def _endless(sampler: BatchSampler, seed: tuple[int, ...], skip: int) -> Iterator[PairBatch]:
    """Epoch after epoch of a set, the first `skip` batches passed over."""
    number = 0
    while True:
        yield from sampler.epoch(np.random.default_rng((*seed, number)), skip=skip)
        skip = max(0, skip - len(sampler))
        number += 1


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, value in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1.0 - decay)
        else:
            mean.copy_(value)


def _read_state(file: Path, config: VitrConfig, training: VitrTraining) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    if state["training"] != repr(training) or state["config"] != config.as_dict():
        raise ModelFileError(
            f"{file} is the state of a training with other settings.",
            hint="Choose another output folder, or delete the file to begin anew.",
        )
    return state
