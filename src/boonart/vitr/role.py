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
_OUT = -1e4


class RegionView(NamedTuple):
    """What the head makes of P pictures, whatever the text.

    Attributes:
        unit: (P, R, E), each region scaled to length 1.
        seen: (P, R, S) what a word finds there, or None without that option.
        weights: (P, R) how much each region counts, summing to 1.
    """

    unit: Tensor
    seen: Tensor | None
    weights: Tensor

    def rows(self, index: Tensor, *, with_unit: bool) -> RegionView:
        """The pictures of these rows; their vectors, the bulk of it, only where they are needed."""
        return RegionView(
            self.unit[index if with_unit else slice(0)],
            None if self.seen is None else self.seen[index],
            self.weights[index],
        )


class WordView(NamedTuple):
    """What the head makes of P texts, whatever the picture.

    Attributes:
        unit: (P, T, E), each word scaled to length 1.
        content: (P, T, S) which word it is, or None without that option.
        weights: (P, T) how much each word counts, summing to 1.
        mask: (P, T) bool, True for a word.
    """

    unit: Tensor
    content: Tensor | None
    weights: Tensor
    mask: Tensor

    def rows(self, index: Tensor, *, with_unit: bool) -> WordView:
        """The texts of these rows; their vectors, the bulk of it, only where they are needed."""
        content = None if self.content is None else self.content[index]
        return WordView(self.unit[index if with_unit else slice(0)], content, self.weights[index], self.mask[index])


class BatchCosines(NamedTuple):
    """Cosines of all words of B texts with all regions of N pictures.

    Attributes:
        flat: (W, N, R) for the W words that are there.
        places: (B, T) each word's row in `flat`; any row for padding.
    """

    flat: Tensor
    places: Tensor

    def pairs(self, texts: Tensor, pictures: Tensor) -> Tensor:
        """Those of P pairs, (P, T, R); what stands at padded words means nothing."""
        return self.flat[self.places[texts], pictures.unsqueeze(1)]


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
        self.seen = nn.Linear(embed_size, size) if config.seen else None
        self.agreement = nn.Linear(size, size) if config.word_content and config.seen and config.agreement else None
        self.position = nn.Linear(_POSITION_FEATURES, size) if config.position else None
        self.word_map = nn.Linear(REGIONS, size) if config.word_map else None
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

    def view_regions(self, regions: Tensor) -> RegionView:
        """Prepare regions (P, R, E). Only their directions count: the filters' gates are not seen."""
        unit = functional.normalize(regions, dim=-1)
        scaled = unit * unit.shape[-1] ** 0.5
        weights = torch.softmax(self.region_weight(scaled).squeeze(2), dim=1)
        return RegionView(unit, self.seen(scaled) if self.seen is not None else None, weights)

    def view_words(self, words: Tensor, mask: Tensor) -> WordView:
        """Prepare words (P, T, E), padded at the end; `mask` (P, T) is True for a word."""
        unit = functional.normalize(words, dim=-1)
        scaled = unit * unit.shape[-1] ** 0.5
        logits = self.word_weight(scaled).squeeze(2).masked_fill(~mask, _OUT)
        content = self.content(scaled) if self.content is not None else None
        return WordView(unit, content, torch.softmax(logits, dim=1), mask)

    def attention(self, cosines: Tensor) -> Tensor:
        """Where each word looks, of cosines (P, T, R): sums to 1 over the regions. A user sees it as a map."""
        return torch.softmax(self.sharpness * cosines, dim=2)

    def forward(self, regions: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Role logits and grounding scores of P pairs, (P,) each.

        Args:
            regions: (P, R, E) regions, filtered or not.
            words: (P, T, E) projected words, padded at the end.
            mask: (P, T) bool, True for a word.
        """
        region_view, word_view = self.view_regions(regions), self.view_words(words, mask)
        return self.judge(inner_products(word_view.unit, region_view.unit), region_view, word_view)

    def judge(self, cosines: Tensor, regions: RegionView, words: WordView) -> tuple[Tensor, Tensor]:
        """Role logits and grounding scores of P pairs whose cosines (P, T, R) are known."""
        attention = self.attention(cosines)
        matches = (attention * cosines).sum(dim=2)  # (P, T): a soft best match
        tokens = self._tokens(cosines, attention, matches, regions, words)
        mask = words.mask.expand(tokens.shape[0], -1)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        kept = mask.unsqueeze(2)
        mean = (self.norm(tokens) * kept).sum(dim=1) / kept.sum(dim=1)  # (P, S)
        return self.score(mean).squeeze(1), self._grounding(cosines, matches, regions, words)

    def grounding_matrix(self, regions: RegionView, words: WordView) -> tuple[Tensor, BatchCosines]:
        """The grounding score of every text with every picture.

        Args:
            regions: of N pictures.
            words: of B texts.

        Returns:
            Scores (B, N) and the cosines that they come from.
        """
        texts, pictures = len(words.mask), len(regions.unit)
        owners = words.mask.nonzero()[:, 0]  # (W,) the text of each word; padding takes no part
        flat = words.unit[words.mask] @ regions.unit.flatten(0, 1).T  # (W, N * R)
        powers = torch.exp(self.sharpness * (flat - 1.0))  # in (0, 1], shared by both softmaxes
        weighted = powers * flat
        by_word = (len(flat), pictures, REGIONS)
        found = weighted.view(by_word).sum(dim=2) / powers.view(by_word).sum(dim=2)  # (W, N)
        found = found * words.weights[words.mask].unsqueeze(1)
        zeros = flat.new_zeros(texts, pictures * REGIONS)
        told = zeros.index_add(0, owners, weighted) / zeros.index_add(0, owners, powers)
        scores = flat.new_zeros(texts, pictures).index_add(0, owners, found)
        scores = scores + (told.view(texts, pictures, REGIONS) * regions.weights).sum(dim=2)
        places = torch.cumsum(words.mask.flatten(), dim=0).view_as(words.mask) - 1
        return scores, BatchCosines(flat.view(by_word), places.clamp(min=0))

    def _grounding(self, cosines: Tensor, matches: Tensor, regions: RegionView, words: WordView) -> Tensor:
        """How well the words find themselves in the picture and the regions in the text, -2..2: (P,)."""
        found = (matches * words.weights).sum(dim=1)
        logits = (self.sharpness * cosines).masked_fill(~words.mask.unsqueeze(2), _OUT)
        told = (torch.softmax(logits, dim=1) * cosines).sum(dim=1)  # (P, R)
        return found + (told * regions.weights).sum(dim=1)

    def _tokens(
        self, cosines: Tensor, attention: Tensor, matches: Tensor, regions: RegionView, words: WordView
    ) -> Tensor:
        """A token for each word, (P, T, S)."""
        places = torch.arange(cosines.shape[1], device=cosines.device).clamp(max=self.config.max_words - 1)
        tokens: Tensor = self.place(places).unsqueeze(0)
        if words.content is not None:
            tokens = tokens + words.content
        if self.position is not None:
            tokens = tokens + self.position(self._position(cosines, attention, matches))
        if self.word_map is not None:
            tokens = tokens + self.word_map(cosines * self.sharpness)
        if regions.seen is not None:
            seen = attention @ regions.seen  # (P, T, S)
            tokens = tokens + seen
            if self.agreement is not None and words.content is not None:
                tokens = tokens + self.agreement(words.content * seen)
        if self.similarity is not None:
            context = attention @ regions.unit  # (P, T, E)
            tokens = tokens + self.similarity((words.unit - context) ** 2 * context.shape[-1] ** 0.5)
        return tokens

    def _position(self, cosines: Tensor, attention: Tensor, matches: Tensor) -> Tensor:
        """Mean, spread and tilt of the attention on the grid, and how well it matches: (P, T, 8)."""
        x, y, xx, yy, xy = (attention @ self.grid).unbind(dim=2)
        scaled = self.sharpness * cosines
        return torch.stack(
            [x, y, xx - x * x, yy - y * y, xy - x * y, matches, scaled.amax(dim=2), scaled.mean(dim=2)], dim=2
        )


def inner_products(words: Tensor, regions: Tensor) -> Tensor:
    """Inner products of (P, T, E) and (P, R, E), where either P may be 1: (P, T, R)."""
    if words.shape[0] == 1 and regions.shape[0] > 1:  # one product over all pictures' regions at once
        return (regions @ words[0].T).transpose(1, 2)
    if regions.shape[0] == 1 and words.shape[0] > 1:
        return words @ regions[0].T
    return words @ regions.transpose(1, 2)


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
