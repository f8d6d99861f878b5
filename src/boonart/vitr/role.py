"""The role-aware head: who does what to whom, and where.

The published similarity vector keeps (word - context)² alone: after it nobody knows which word it was or where it
looked, so "left of" and "right of" are one. Here every word becomes a token that says which word it is, where in
the picture it looked and what it found there; a small transformer reads the tokens as a sentence.

Shapes as in model.py: P pairs, R = 49 regions, T words, E embed size, S token size; B texts, N pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.vitr.config import RoleConfig
from boonart.vitr.role_layers import OUT, NeighbourReader, TokenLayer
from boonart.vitr.role_views import (
    BatchCosines,
    Grounded,
    GroundedPictures,
    GroundedTexts,
    Looked,
    RegionView,
    Rows,
    WordView,
)
from boonart.works import GRID, REGIONS

_POSITION_FEATURES = 8
SUMMARY_SIZE = 2 * REGIONS + 1
"""Values of a picture's summary, see `RoleHead.summarise`."""
_TINY = 1e-12
"""Least length that is divided by, as `functional.normalize` has it."""


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
        self.neighbours = NeighbourReader(embed_size, config) if config.neighbours else None
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
        seen = self.seen(scaled) if self.seen is not None else None
        return RegionView(unit, seen, weights, _pooled(unit, weights))

    def view_words(self, words: Tensor, mask: Tensor) -> WordView:
        """Prepare words (P, T, E), padded at the end; `mask` (P, T) is True for a word."""
        return self.read_words(self.weigh_words(words, mask))

    def weigh_words(self, words: Tensor, mask: Tensor) -> WordView:
        """What grounding needs of words (P, T, E), padded at the end; `mask` (P, T) is True for a word."""
        unit = functional.normalize(words, dim=-1)
        logits = self.word_weight(unit * unit.shape[-1] ** 0.5).squeeze(2).masked_fill(~mask, OUT)
        weights = torch.softmax(logits, dim=1)
        return WordView(unit, None, weights, mask, _pooled(unit, weights), None)

    def read_words(self, words: WordView) -> WordView:
        """The texts with what the role score needs besides: what each word says, and of whom."""
        scaled = words.unit * words.unit.shape[-1] ** 0.5
        content = self.content(scaled) if self.content is not None else None
        neighbours = self.neighbours.read(scaled, words.mask) if self.neighbours is not None else None
        return words._replace(content=content, neighbours=neighbours)

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
        pooled = (words.pooled * regions.pooled).sum(dim=1) if self.config.pooled else None
        found = self._ground(cosines, regions.weights, pooled, words)
        return self._role(found, regions, words), found.scores

    def ground_pictures(self, regions: Tensor, summaries: Tensor, words: Tensor) -> GroundedPictures:
        """One text with C pictures: as the first half of `forward`, but faster.

        The regions are neither scaled nor projected: both are linear, so that it is done to the few products with
        the words instead.

        Args:
            regions: (C, R, E) regions, filtered or not.
            summaries: (C, 2R + 1), see `summarise`.
            words: (T, E) projected words, T > 0.
        """
        pictures, count = regions.shape[:2]
        inverse, weights, pooled_inverse = torch.split(summaries, [count, count, 1], dim=1)
        view = self.weigh_words(words.unsqueeze(0), torch.ones(1, len(words), dtype=torch.bool, device=words.device))
        asked = torch.cat([view.unit[0], view.pooled])  # (T + 1, E)
        products = (asked @ regions.flatten(0, 1).T).view(-1, pictures, count) * inverse
        cosines = products[:-1].transpose(0, 1).contiguous()  # (C, T, R)
        pooled = (products[-1] * weights).sum(dim=1) * pooled_inverse.squeeze(1) if self.config.pooled else None
        return GroundedPictures(self._ground(cosines, weights, pooled, view), inverse, view)

    def judge_pictures(self, grounded: GroundedPictures, regions: Tensor, rows: Rows) -> Tensor:
        """Role logits of the chosen ones among C pictures, one each.

        Args:
            grounded: what `ground_pictures` found.
            regions: (C, R, E), as it was given.
            rows: of the chosen pictures.
        """
        found, words = grounded.found.rows(rows), self.read_words(grounded.words)
        seen = context = None
        if self.seen is not None or self.similarity is not None:
            context = (found.attention * grounded.inverse[rows].unsqueeze(1)) @ regions[rows]  # (C, T, E)
        if self.seen is not None and context is not None:
            seen = self.seen(context * context.shape[-1] ** 0.5)
        return self.conclude(Looked(found.cosines, found.attention, seen, context), found.matches, words)

    def ground_texts(self, regions: Tensor, words: Tensor, mask: Tensor) -> GroundedTexts:
        """One picture with C texts: the first half of `forward`.

        Args:
            regions: (R, E) regions, filtered or not.
            words: (C, T, E) projected words, padded at the end.
            mask: (C, T) bool, True for a word.
        """
        picture, texts = self.view_regions(regions.unsqueeze(0)), self.weigh_words(words, mask)
        pooled = (texts.pooled * picture.pooled).sum(dim=1) if self.config.pooled else None
        cosines = inner_products(texts.unit, picture.unit)
        return GroundedTexts(self._ground(cosines, picture.weights, pooled, texts), picture, texts)

    def judge_texts(self, grounded: GroundedTexts, rows: Rows) -> Tensor:
        """Role logits of the chosen ones among C texts, one each."""
        words = self.read_words(grounded.words.rows(rows, with_unit=True))
        return self._role(grounded.found.rows(rows), grounded.regions, words)

    def summarise(self, regions: Tensor) -> Tensor:
        """What `ground_pictures` needs to know of regions (P, R, E) beside themselves: (P, 2R + 1).

        One over each region's length, how much each region counts, and one over the length of their weighted mean.
        """
        view = self.view_regions(regions)
        inverse = 1.0 / regions.norm(dim=2).clamp_min(_TINY)
        mean = (view.weights.unsqueeze(1) @ view.unit).squeeze(1)
        return torch.cat([inverse, view.weights, 1.0 / mean.norm(dim=1, keepdim=True).clamp_min(_TINY)], dim=1)

    def conclude(self, looked: Looked, matches: Tensor, words: WordView) -> Tensor:
        """Role logits of P pairs, (P,), of what the words found and how well it matches (P, T)."""
        tokens = self._tokens(looked, matches, words)
        mask = None if len(words.mask) == 1 and bool(words.mask.all()) else words.mask.expand(tokens.shape[0], -1)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        normed = self.norm(tokens)
        if mask is None:
            mean = normed.mean(dim=1)  # (P, S)
        else:
            kept = mask.unsqueeze(2)
            mean = (normed * kept).sum(dim=1) / kept.sum(dim=1)
        logits: Tensor = self.score(mean).squeeze(1)
        return logits

    def _role(self, found: Grounded, regions: RegionView, words: WordView) -> Tensor:
        """Role logits of P pairs, (P,)."""
        seen = _by_attention(found.attention, regions.seen) if regions.seen is not None else None
        context = _by_attention(found.attention, regions.unit) if self.similarity is not None else None
        return self.conclude(Looked(found.cosines, found.attention, seen, context), found.matches, words)

    def _ground(self, cosines: Tensor, region_weights: Tensor, pooled: Tensor | None, words: WordView) -> Grounded:
        """What P pairs find in each other.

        Args:
            region_weights: (P, R) how much each region counts.
            pooled: (P,) cosine of picture and text as a whole, or None without that option.
        """
        attention = self.attention(cosines)
        matches = (attention * cosines).sum(dim=2)  # (P, T): a soft best match
        scores = self._grounding(cosines, matches, region_weights, words)
        return Grounded(cosines, attention, matches, scores if pooled is None else scores + pooled)

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
        if self.config.pooled:
            scores = scores + words.pooled @ regions.pooled.T
        places = torch.cumsum(words.mask.flatten(), dim=0).view_as(words.mask) - 1
        return scores, BatchCosines(flat.view(by_word), places.clamp(min=0))

    def _grounding(self, cosines: Tensor, matches: Tensor, region_weights: Tensor, words: WordView) -> Tensor:
        """How well the words find themselves in the picture and the regions in the text, -2..2: (P,)."""
        found = (matches * words.weights).sum(dim=1)
        logits = (self.sharpness * cosines).masked_fill(~words.mask.unsqueeze(2), OUT)
        told = (torch.softmax(logits, dim=1) * cosines).sum(dim=1)  # (P, R)
        return found + (told * region_weights).sum(dim=1)

    def _tokens(self, found: Looked, matches: Tensor, words: WordView) -> Tensor:
        """A token for each word, (P, T, S)."""
        cosines, seen = found.cosines, found.seen
        places = torch.arange(cosines.shape[1], device=cosines.device).clamp(max=self.config.max_words - 1)
        tokens: Tensor = self.place(places).unsqueeze(0)
        if words.content is not None:
            tokens = tokens + words.content
        looked = torch.zeros((), device=cosines.device)  # what the picture says, whatever the word is
        if self.position is not None:
            looked = looked + self.position(self._position(cosines, found.attention, matches))
        if self.word_map is not None:
            looked = looked + self.word_map(cosines * self.sharpness)
        if seen is not None:
            looked = looked + seen
            if self.agreement is not None and words.content is not None:
                tokens = tokens + self.agreement(words.content * seen)
        if self.similarity is not None and found.context is not None:
            context = found.context
            looked = looked + self.similarity((words.unit - context) ** 2 * context.shape[-1] ** 0.5)
        if self.neighbours is not None and words.neighbours is not None and looked.dim():
            tokens = tokens + self.neighbours(words.neighbours, looked)
        return tokens + looked

    def _position(self, cosines: Tensor, attention: Tensor, matches: Tensor) -> Tensor:
        """Mean, spread and tilt of the attention on the grid, and how well it matches: (P, T, 8)."""
        x, y, xx, yy, xy = (attention @ self.grid).unbind(dim=2)
        scaled = self.sharpness * cosines
        return torch.stack(
            [x, y, xx - x * x, yy - y * y, xy - x * y, matches, scaled.amax(dim=2), scaled.mean(dim=2)], dim=2
        )


def _pooled(unit: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of (P, N, E) by (P, N), scaled to length 1: (P, E)."""
    return functional.normalize((weights.unsqueeze(1) @ unit).squeeze(1), dim=-1)


def _by_attention(attention: Tensor, regions: Tensor) -> Tensor:
    """The means of (P or 1, R, N) by attention (P, T, R): (P, T, N)."""
    return attention @ (regions[0] if len(regions) == 1 else regions)


def inner_products(words: Tensor, regions: Tensor) -> Tensor:
    """Inner products of (P, T, E) and (P, R, E), where either P may be 1: (P, T, R)."""
    if words.shape[0] == 1 and regions.shape[0] > 1:  # one product over all pictures' regions at once
        return (regions @ words[0].T).transpose(1, 2)
    if regions.shape[0] == 1 and words.shape[0] > 1:
        return words @ regions[0].T
    return words @ regions.transpose(1, 2)


def _grid() -> Tensor:
    """x, y, x², y², xy of each region's middle, -1..1 from left to right and top to bottom: (R, 5)."""
    line = torch.linspace(-1.0, 1.0, GRID)
    y, x = torch.meshgrid(line, line, indexing="ij")
    x, y = x.flatten(), y.flatten()
    return torch.stack([x, y, x * x, y * y, x * y], dim=1)
