"""The role-aware head's own layers; shapes as in role.py."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.vitr.config import RoleConfig
from boonart.vitr.role_views import Neighbours

OUT = -1e4
"""A logit that leaves nothing of what it belongs to."""
_REACH = 8
"""Words farther away than this are as far as this."""


class NeighbourReader(nn.Module):
    """Multiplies what a word says with what its neighbours found: "left" with where the two things stand.

    A sum of the two would leave the product, which alone tells "a cow left of a tree" from its twin, to the
    layers above; they learn it slowly. Which words are the neighbours hangs on the text alone.

    Args:
        embed_size: E.
        config: options.
    """

    def __init__(self, embed_size: int, config: RoleConfig) -> None:
        super().__init__()
        self.count, self.width = 2 * config.neighbour_heads, 32
        self.ask = nn.Linear(embed_size, self.count * self.width)
        self.offer = nn.Linear(embed_size, self.count * self.width)
        self.said = nn.Linear(embed_size, config.size)
        self.hear = nn.Linear(self.count * config.size, config.size)
        self.tell = nn.Linear(config.size, config.size)
        self.reach = nn.Parameter(_reach(config.neighbour_heads))

    def read(self, scaled: Tensor, mask: Tensor) -> Neighbours:
        """What words (P, T, E) say, and of whom."""
        texts, length = mask.shape
        shape = (texts, length, self.count, self.width)
        asked, offered = (layer(scaled).view(shape).transpose(1, 2) for layer in (self.ask, self.offer))
        logits = asked @ offered.transpose(2, 3) * self.width**-0.5  # (P, K, T, T)
        steps = torch.arange(length, device=mask.device)
        distance = (steps.unsqueeze(0) - steps.unsqueeze(1)).clamp(-_REACH, _REACH) + _REACH
        logits = (logits + self.reach[:, distance]).masked_fill(~mask[:, None, None, :], OUT)
        return Neighbours(self.said(scaled), torch.softmax(logits, dim=3))

    def forward(self, neighbours: Neighbours, looked: Tensor) -> Tensor:
        """What each word adds to its token, (P, T, S), when the words found `looked` (P, T, S)."""
        pairs, length, size = looked.shape
        # Each distribution's part of `hear` first: then one product sums over words and distributions alike.
        by_look = self.hear.weight.view(size, self.count, size).transpose(0, 1).reshape(-1, size)
        offered = functional.linear(looked, by_look).view(pairs, length * self.count, size)
        looks = neighbours.looks.permute(0, 2, 3, 1).flatten(2)  # (P, T, T * K)
        heard = looks @ offered + self.hear.bias
        told: Tensor = self.tell(neighbours.said * heard)
        return told


def _reach(heads: int) -> Tensor:
    """How far each distribution looks at first, by distance -8..8: half before the word, half after it; (2H, 17)."""
    distance = torch.arange(-_REACH, _REACH + 1).float()
    before = torch.where(distance < 0, 0.3 * distance, torch.tensor(-4.0))
    return torch.stack([*[before] * heads, *[before.flip(0)] * heads])


class TokenLayer(nn.Module):
    """A transformer layer, normalised first.

    Args:
        size: S.
        heads: attention heads.
        feed_forward: inner width.
    """

    def __init__(self, size: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm = nn.LayerNorm(size)
        self.attend = nn.Linear(size, 3 * size)
        self.join = nn.Linear(size, size)
        self.second_norm = nn.LayerNorm(size)
        self.widen = nn.Linear(size, feed_forward)
        self.narrow = nn.Linear(feed_forward, size)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Update tokens (P, T, S); `mask` (P, T) is True for words, None where all are."""
        pairs, length, size = tokens.shape
        mixed = self.attend(self.first_norm(tokens)).view(pairs, length, 3, self.heads, size // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (P, heads, T, S / heads) each
        # Sentences are short: plain products are faster here than the fused kernel, backwards most of all.
        logits = (query @ key.transpose(2, 3)) * query.shape[3] ** -0.5
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], OUT)
        attended = torch.softmax(logits, dim=3) @ value
        tokens = tokens + self.join(attended.transpose(1, 2).reshape(pairs, length, size))
        widened = functional.gelu(self.widen(self.second_norm(tokens)))
        updated: Tensor = tokens + self.narrow(widened)
        return updated
