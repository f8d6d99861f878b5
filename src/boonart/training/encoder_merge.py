"""Several pairs of projections, merged into one.

Pairs that begin differently, or read another image block, err differently, and the mean of their cosines is better
than the best of them. All are linear, so that the mean is, but for each pair's own normalisation, one inner product
in the space of all their dimensions; its main axes over photographs and captions are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork


@dataclass(frozen=True, slots=True)
class Head:
    """A trained pair of projections.

    Attributes:
        image, text: weight (D, W) and bias (D,) of each.
        tuned: whether the image's reads the tuned block.
        share: what its cosine counts beside the others'.
    """

    image: tuple[Tensor, Tensor]
    text: tuple[Tensor, Tensor]
    tuned: bool
    share: float


def head_of(network: StarterNetwork, *, tuned: bool, share: float) -> Head:
    """A copy of the network's projections as they are."""
    image, text = network.image.project, network.text.project
    return Head(_copied(image), _copied(text), tuned, share)


@torch.no_grad()
def merge_heads(
    network: StarterNetwork, heads: Sequence[Head], pooled: tuple[Tensor, Tensor], readings: Tensor
) -> None:
    """Put what stands for all heads together into the network's projections.

    Args:
        heads: one at least.
        pooled: (N, 2560) of photographs by the tuned and by the untuned block, to find scales and axes with.
        readings: (M, 1152) of captions, likewise.
    """
    images = [_scaled(head.image, pooled[0 if head.tuned else 1], head.share) for head in heads]
    texts = [_scaled(head.text, readings, head.share) for head in heads]
    seen = torch.cat([pooled[0 if h.tuned else 1] @ w.T + b for h, (w, b) in zip(heads, images, strict=True)], dim=1)
    read = torch.cat([readings @ weight.T + bias for weight, bias in texts], dim=1)
    axes = _main_axes(seen, read, network.image.project.out_features)
    parts = torch.split(axes, [len(bias) for _, bias in images], dim=1)  # what each head gives to the axes
    tower = network.image
    tower.project.weight.copy_(
        _sum([p @ w for p, (w, _), h in zip(parts, images, heads, strict=True) if h.tuned], tower.project.weight)
    )
    tower.project_untuned.weight.copy_(
        _sum([p @ w for p, (w, _), h in zip(parts, images, heads, strict=True) if not h.tuned], tower.project.weight)
    )
    tower.project.bias.copy_(axes @ torch.cat([bias for _, bias in images]))
    network.text.project.weight.copy_(axes @ torch.cat([weight for weight, _ in texts]))
    network.text.project.bias.copy_(axes @ torch.cat([bias for _, bias in texts]))


def _copied(projection: nn.Linear) -> tuple[Tensor, Tensor]:
    return projection.weight.detach().clone(), projection.bias.detach().clone()


def _scaled(projection: tuple[Tensor, Tensor], inputs: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The projection with outputs of length 1 in the mean, times the root of its share."""
    weight, bias = projection
    scale = share**0.5 / (inputs @ weight.T + bias).norm(dim=1).mean()
    return weight * scale, bias * scale


def _main_axes(seen: Tensor, read: Tensor, size: int) -> Tensor:
    """(size, K): the orthonormal axes along which vectors of pictures and texts (·, K) are longest."""
    moments = [(vectors.T @ vectors).double() for vectors in (seen, read)]
    _, axes = torch.linalg.eigh(moments[0] / moments[0].trace() + moments[1] / moments[1].trace())
    kept: Tensor = axes[:, -size:].T.float()
    return kept


def _sum(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    return torch.stack(list(parts)).sum(dim=0) if parts else torch.zeros_like(like)
