"""Several pairs of projections become one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import StarterNetwork
from boonart.training.encoder_merge import Head, merge_heads

PICTURES, TEXTS = 12, 10


def toy(size: int) -> StarterNetwork:
    torch.manual_seed(0)
    image = SimpleNamespace(project=nn.Linear(PICTURES, size), project_untuned=nn.Linear(PICTURES, size, bias=False))
    return cast(StarterNetwork, SimpleNamespace(image=image, text=SimpleNamespace(project=nn.Linear(TEXTS, size))))


def head(seed: int, *, tuned: bool, share: float = 1.0, size: int = 4) -> Head:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return Head((draw(size, PICTURES), draw(size)), (draw(size, TEXTS), draw(size)), tuned, share)


@pytest.fixture
def inputs() -> tuple[tuple[Tensor, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(9)
    photographs = torch.randn((2, 40, PICTURES), generator=generator)
    return (photographs[0], photographs[1]), torch.randn((40, TEXTS), generator=generator)


def products(network: StarterNetwork, pooled: tuple[Tensor, Tensor], readings: Tensor) -> Tensor:
    images = network.image.project(pooled[0]) + network.image.project_untuned(pooled[1])
    found: Tensor = images @ network.text.project(readings).T
    return found.detach()


def product(one: Head, pooled: tuple[Tensor, Tensor], readings: Tensor) -> Tensor:
    """What a head says alone, its vectors' mean length being 1."""
    images = pooled[0 if one.tuned else 1] @ one.image[0].T + one.image[1]
    texts = readings @ one.text[0].T + one.text[1]
    return one.share * (images / images.norm(dim=1).mean()) @ (texts / texts.norm(dim=1).mean()).T


def test_the_merged_pair_adds_what_the_heads_say(inputs: tuple[tuple[Tensor, Tensor], Tensor]) -> None:
    heads = [head(1, tuned=True), head(2, tuned=True, share=0.5), head(3, tuned=False, share=2.0)]
    network = toy(12)  # as many dimensions as the heads have together: nothing is lost
    merge_heads(network, heads, *inputs)
    expected = torch.stack([product(one, *inputs) for one in heads]).sum(dim=0)
    torch.testing.assert_close(products(network, *inputs), expected, atol=1e-4, rtol=1e-4)


def test_in_fewer_dimensions_the_main_axes_are_kept(inputs: tuple[tuple[Tensor, Tensor], Tensor]) -> None:
    heads = [head(1, tuned=True), head(1, tuned=True), head(3, tuned=False, share=0.01)]
    network = toy(4)  # two heads say the same, the third next to nothing
    merge_heads(network, heads, *inputs)
    expected = torch.stack([product(one, *inputs) for one in heads]).sum(dim=0)
    difference = (products(network, *inputs) - expected).abs().mean() / expected.abs().mean()
    assert float(difference) < 0.1


def test_heads_over_one_block_leave_the_other_alone(inputs: tuple[tuple[Tensor, Tensor], Tensor]) -> None:
    network = toy(4)
    merge_heads(network, [head(1, tuned=True)], *inputs)
    assert not bool(network.image.project_untuned.weight.any())
