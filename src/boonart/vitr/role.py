"""The role-aware head: who does what to whom, and where.

The published similarity vector keeps (word - context)² alone: after it nobody knows which word it was or where it
looked, so "left of" and "right of" are one. Here every word becomes a token that says which word it is, where in
the picture it looked and what it found there; a small transformer reads the tokens as a sentence.

Shapes as in model.py: P pairs, R = 49 regions, T words, E embed size, S token size; B texts, N pictures.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.vitr.config import RoleConfig
from boonart.works import GRID, REGIONS

_POSITION_FEATURES = 8
_WHOLE_PICTURE = -1e4


class Grounding(NamedTuple):
    """Where the words of P pairs look.

    Attributes:
        cosines: (P, T, R) between each word and each region.
        attention: (P, T, R), sums to 1 over the regions: the explanation that a user sees.
        matches: (P, T), the cosine under the attention: a soft best match.
    """

    cosines: Tensor
    attention: Tensor
    matches: Tensor


class RoleHead(nn.Module):
    """Scores pairs by grounding and by role.

    Args:
        embed_size: E.
        config: options.
    """

    grid: Tensor

    def __init__(self, embed_size: int, config: RoleConfig) -> None:
        super().__init__()
        size = config.size
        self.config = config
        self.log_sharpness = nn.Parameter(torch.tensor(1.0 / config.temperature).log())
        self.word_weight = nn.Linear(embed_size, 1)
        self.region_weight = nn.Linear(embed_size, 1)
        self.content = nn.Linear(embed_size, size) if config.word_content else None
        self.position = nn.Linear(_POSITION_FEATURES, size) if config.position else None
        self.word_map = nn.Linear(REGIONS, size) if config.word_map else None
        self.seen = nn.Linear(embed_size, size) if config.seen else None
        self.similarity = nn.Linear(embed_size, size) if config.similarity else None
        self.place = nn.Embedding(config.max_words, size)
        nn.init.normal_(self.place.weight, std=0.02)
        self.layers = nn.ModuleList(
            TokenLayer(size, config.attention_heads, config.feed_forward) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(size)
        self.score = nn.Linear(size, 1)
        self.register_buffer("grid", _grid(), persistent=False)

    @property
    def sharpness(self) -> Tensor:
        """What the cosines are multiplied with before the softmax over the regions."""
        return self.log_sharpness.exp().clamp(max=100.0)

    def ground(self, regions: Tensor, words: Tensor) -> Grounding:
        """Let the words (P, T, E) look at the regions (P, R, E); either P may be 1.

        The filters scale a region and leave its direction, so the cosine does not see them.
        """
        regions, words = functional.normalize(regions, dim=-1), functional.normalize(words, dim=-1)
        if words.shape[0] == 1 and regions.shape[0] > 1:  # one product over all pictures' regions at once
            cosines = (regions @ words[0].T).transpose(1, 2)
        elif regions.shape[0] == 1 and words.shape[0] > 1:
            cosines = words @ regions[0].T
        else:
            cosines = words @ regions.transpose(1, 2)
        attention = torch.softmax(self.sharpness * cosines, dim=2)
        return Grounding(cosines, attention, (attention * cosines).sum(dim=2))

    def grounding_score(self, grounding: Grounding, regions: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """How well the words find themselves in the picture and the regions in the text, -1..1: (P,).

        Each word and each region counts by a learned weight: "dog" more than "the".
        """
        word_weights = self._word_weights(words, mask)
        region_weights = self._region_weights(regions)
        found = (grounding.matches * word_weights).sum(dim=1)
        attention = torch.softmax(
            (self.sharpness * grounding.cosines).masked_fill(~mask.unsqueeze(2), _WHOLE_PICTURE), dim=1
        )
        told = (attention * grounding.cosines).sum(dim=1)  # (P, R)
        return found + (told * region_weights).sum(dim=1)

    def grounding_matrix(self, regions: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """`grounding_score` of every text with every picture.

        Args:
            regions: (N, R, E).
            words: (B, T, E).
            mask: (B, T) bool.

        Returns:
            (B, N).
        """
        texts, length, _ = words.shape
        pictures = len(regions)
        word_weights, region_weights = self._word_weights(words, mask), self._region_weights(regions)
        flat_words = functional.normalize(words, dim=-1).flatten(0, 1)
        flat_regions = functional.normalize(regions, dim=-1).flatten(0, 1)
        cosines = (flat_words @ flat_regions.T).view(texts, length, pictures, REGIONS)
        powers = torch.exp(self.sharpness * (cosines - 1.0))  # in (0, 1], shared by both softmaxes
        weighted = powers * cosines
        found = weighted.sum(dim=3) / powers.sum(dim=3)  # (B, T, N)
        kept = mask.to(powers.dtype)
        told = torch.einsum("btnr,bt->bnr", weighted, kept) / torch.einsum("btnr,bt->bnr", powers, kept)
        return torch.einsum("btn,bt->bn", found, word_weights) + torch.einsum("bnr,nr->bn", told, region_weights)

    def forward(self, regions: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Role logits and grounding scores of P pairs, (P,) each.

        Args:
            regions: (P, R, E) regions, filtered or not.
            words: (P, T, E) projected words, padded at the end.
            mask: (P, T) bool, True for a word.
        """
        grounding = self.ground(regions, words)
        tokens = self._tokens(grounding, regions, words)
        mask = mask.expand(tokens.shape[0], -1)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        kept = mask.unsqueeze(2)
        mean = (self.norm(tokens) * kept).sum(dim=1) / kept.sum(dim=1)  # (P, S)
        return self.score(mean).squeeze(1), self.grounding_score(grounding, regions, words, mask)

    def _tokens(self, grounding: Grounding, regions: Tensor, words: Tensor) -> Tensor:
        """A token for each word, (P, T, S)."""
        length = words.shape[1]
        places = torch.arange(length, device=words.device).clamp(max=self.config.max_words - 1)
        tokens: Tensor = self.place(places).unsqueeze(0)
        unit_words = functional.normalize(words, dim=-1)
        if self.content is not None:
            tokens = tokens + self.content(unit_words * unit_words.shape[-1] ** 0.5)
        if self.position is not None:
            tokens = tokens + self.position(self._position(grounding))
        if self.word_map is not None:
            tokens = tokens + self.word_map(grounding.cosines * self.sharpness)
        if self.seen is not None or self.similarity is not None:
            unit_regions = functional.normalize(regions, dim=-1)
            seen = grounding.attention @ unit_regions  # (P, T, E)
            if self.seen is not None:
                tokens = tokens + self.seen(seen * seen.shape[-1] ** 0.5)
            if self.similarity is not None:
                tokens = tokens + self.similarity((unit_words - seen) ** 2 * seen.shape[-1] ** 0.5)
        return tokens

    def _position(self, grounding: Grounding) -> Tensor:
        """Mean, spread and tilt of the attention on the grid, and how well it matches: (P, T, 8)."""
        moments = grounding.attention @ self.grid  # (P, T, 5): x, y, x², y², xy
        x, y, xx, yy, xy = moments.unbind(dim=2)
        scaled = self.sharpness * grounding.cosines
        return torch.stack(
            [x, y, xx - x * x, yy - y * y, xy - x * y, grounding.matches, scaled.amax(dim=2), scaled.mean(dim=2)], dim=2
        )

    def _word_weights(self, words: Tensor, mask: Tensor) -> Tensor:
        """How much each word counts, (P, T), sums to 1 over the words."""
        logits: Tensor = self.word_weight(functional.normalize(words, dim=-1) * words.shape[-1] ** 0.5).squeeze(2)
        return torch.softmax(logits.masked_fill(~mask, _WHOLE_PICTURE), dim=1)

    def _region_weights(self, regions: Tensor) -> Tensor:
        """How much each region counts, (P, R), sums to 1 over the regions."""
        logits: Tensor = self.region_weight(functional.normalize(regions, dim=-1) * regions.shape[-1] ** 0.5).squeeze(2)
        return torch.softmax(logits, dim=1)


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

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Update tokens (P, T, S); `mask` (P, T) is True for words."""
        pairs, length, size = tokens.shape
        mixed = self.attend(self.first_norm(tokens)).view(pairs, length, 3, self.heads, size // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (P, heads, T, S / heads) each
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        tokens = tokens + self.join(attended.transpose(1, 2).reshape(pairs, length, size))
        widened = functional.gelu(self.widen(self.second_norm(tokens)))
        updated: Tensor = tokens + self.narrow(widened)
        return updated


def _grid() -> Tensor:
    """x, y, x², y², xy of each region's middle, -1..1 from left to right and top to bottom: (R, 5)."""
    line = torch.linspace(-1.0, 1.0, GRID)
    y, x = torch.meshgrid(line, line, indexing="ij")
    x, y = x.flatten(), y.flatten()
    return torch.stack([x, y, x * x, y * y, x * y], dim=1)
