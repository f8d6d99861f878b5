from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from boonart.training import vitr_steps
from boonart.vitr.config import RoleConfig
from boonart.vitr.role import RoleHead

CONFIG = RoleConfig(size=8, layers=1, attention_heads=2, feed_forward=12, max_words=6)
BARE = replace(CONFIG, word_content=False, seen=False, neighbours=False)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, similarity=True), BARE], ids=["all", "similarity", "bare"])
@pytest.mark.parametrize("blocks", [1, 3, 20])
def test_pairs_in_blocks_by_length_are_judged_as_each_by_itself(monkeypatch, config, blocks):
    monkeypatch.setattr(vitr_steps, "_BLOCKS", blocks)
    head = RoleHead(8, config).eval().requires_grad_(False)
    lengths = torch.tensor([6, 2, 4, 1])
    mask = torch.arange(6) < lengths.unsqueeze(1)
    regions, words = torch.randn(3, 49, 8), torch.randn(4, 6, 8)
    region_view, word_view = head.view_regions(regions), head.view_words(words, mask)
    _, cosines = head.grounding_matrix(region_view, word_view)
    texts, pictures = torch.tensor([0, 1, 2, 3, 0, 3, 1]), torch.tensor([2, 0, 1, 1, 0, 2, 0])
    role, grounding = vitr_steps._judge(head, cosines, region_view, word_view, texts, pictures)
    for place, (text, picture) in enumerate(zip(texts.tolist(), pictures.tolist(), strict=True)):
        length = int(lengths[text])
        alone = head(regions[picture][None], words[text, :length][None], mask[text, :length][None])
        torch.testing.assert_close((role[place : place + 1], grounding[place : place + 1]), alone)


def test_gradients_do_not_hang_on_the_blocks(monkeypatch):
    head = RoleHead(8, CONFIG)
    mask = torch.arange(5) < torch.tensor([5, 3]).unsqueeze(1)
    regions, words = torch.randn(2, 49, 8), torch.randn(2, 5, 8)
    texts, pictures = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    found = []
    for blocks in (1, 2):
        monkeypatch.setattr(vitr_steps, "_BLOCKS", blocks)
        head.zero_grad()
        region_view, word_view = head.view_regions(regions), head.view_words(words, mask)
        _, cosines = head.grounding_matrix(region_view, word_view)
        role, grounding = vitr_steps._judge(head, cosines, region_view, word_view, texts, pictures)
        (role.square().sum() + grounding.sum()).backward()
        found.append([p.grad.clone() for p in head.parameters() if p.grad is not None])
    assert len(found[0]) > 10
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
