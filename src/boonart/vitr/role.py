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
SUMMARY_SIZE = 2 * REGIONS + 1
"""Values of a picture's summary, see `RoleHead.summarise`."""
_TINY = 1e-12
"""Least length that is divided by, as `functional.normalize` has it."""
_REACH = 8
"""Words farther away than this are as far as this."""


class RegionView(NamedTuple):
    """What the head makes of P pictures, whatever the text.

    Attributes:
        unit: (P, R, E), each region scaled to length 1.
        seen: (P, R, S) what a word finds there, or None without that option.
        weights: (P, R) how much each region counts, summing to 1.
        pooled: (P, E) the whole picture: the regions by their weights, scaled to length 1.
    """

    unit: Tensor
    seen: Tensor | None
    weights: Tensor
    pooled: Tensor

    def rows(self, index: Tensor, *, with_unit: bool) -> RegionView:
        """The pictures of these rows; their vectors, the bulk of it, only where they are needed."""
        return RegionView(
            self.unit[index if with_unit else slice(0)],
            None if self.seen is None else self.seen[index],
            self.weights[index],
            self.pooled[index],
        )


class Neighbours(NamedTuple):
    """Whom each word of P texts speaks of: "left" of the word before it and the word after it.

    Attributes:
        said: (P, T, S) what the word says of them.
        looks: (P, K, T, T) K distributions over the text for each word; the first half of them lean to what comes
            before it, the others to what comes after.
    """

    said: Tensor
    looks: Tensor


class WordView(NamedTuple):
    """What the head makes of P texts, whatever the picture.

    Attributes:
        unit: (P, T, E), each word scaled to length 1.
        content: (P, T, S) which word it is, or None without that option.
        weights: (P, T) how much each word counts, summing to 1.
        mask: (P, T) bool, True for a word.
        pooled: (P, E) the whole text: the words by their weights, scaled to length 1.
        neighbours: what each word says of its neighbours, and which they are, or None without that option.
    """

    unit: Tensor
    content: Tensor | None
    weights: Tensor
    mask: Tensor
    pooled: Tensor
    neighbours: Neighbours | None

    def rows(self, index: Tensor, *, with_unit: bool) -> WordView:
        """The texts of these rows; their vectors, the bulk of it, only where they are needed."""
        return WordView(
            self.unit[index if with_unit else slice(0)],
            None if self.content is None else self.content[index],
            self.weights[index],
            self.mask[index],
            self.pooled[index],
            None if self.neighbours is None else Neighbours(*(part[index] for part in self.neighbours)),
        )


class Looked(NamedTuple):
    """Where the words of P pairs looked, and what they found.

    Attributes:
        cosines: (P, T, R) of each word with each region.
        attention: (P, T, R) where each word looked.
        seen: (P, T, S) what it found there, or None without that option.
        context: (P, T, E) the regions that it looked at, as one vector; None where the head does not ask for it.
    """

    cosines: Tensor
    attention: Tensor
    seen: Tensor | None
    context: Tensor | None


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
        unit = functional.normalize(words, dim=-1)
        scaled = unit * unit.shape[-1] ** 0.5
        logits = self.word_weight(scaled).squeeze(2).masked_fill(~mask, _OUT)
        content = self.content(scaled) if self.content is not None else None
        neighbours = self.neighbours.read(scaled, mask) if self.neighbours is not None else None
        weights = torch.softmax(logits, dim=1)
        return WordView(unit, content, weights, mask, _pooled(unit, weights), neighbours)

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
        seen = _by_attention(attention, regions.seen) if regions.seen is not None else None
        context = _by_attention(attention, regions.unit) if self.similarity is not None else None
        pooled = (words.pooled * regions.pooled).sum(dim=1) if self.config.pooled else None
        return self.conclude(Looked(cosines, attention, seen, context), regions.weights, pooled, words)

    def score_pictures(self, regions: Tensor, summaries: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Role logits and grounding scores of one text with C pictures, (C,) each: as `forward`, but faster.

        The regions are neither scaled nor projected: both are linear, so that it is done to the few products with
        the words and to what the words found instead.

        Args:
            regions: (C, R, E) regions, filtered or not.
            summaries: (C, 2R + 1), see `summarise`.
            words: (T, E) projected words, T > 0.
        """
        pictures, count, size = regions.shape
        inverse, weights, pooled_inverse = torch.split(summaries, [count, count, 1], dim=1)
        view = self.view_words(words.unsqueeze(0), torch.ones(1, len(words), dtype=torch.bool, device=words.device))
        asked = torch.cat([view.unit[0], view.pooled])  # (T + 1, E)
        products = (asked @ regions.flatten(0, 1).T).view(-1, pictures, count) * inverse
        cosines = products[:-1].transpose(0, 1).contiguous()  # (C, T, R)
        attention = self.attention(cosines)
        seen = context = None
        if self.seen is not None or self.similarity is not None:
            context = (attention * inverse.unsqueeze(1)) @ regions  # (C, T, E)
        if self.seen is not None and context is not None:
            seen = self.seen(context * size**0.5)
        pooled = (products[-1] * weights).sum(dim=1) * pooled_inverse.squeeze(1) if self.config.pooled else None
        return self.conclude(Looked(cosines, attention, seen, context), weights, pooled, view)

    def summarise(self, regions: Tensor) -> Tensor:
        """What `score_pictures` needs to know of regions (P, R, E) beside themselves: (P, 2R + 1).

        One over each region's length, how much each region counts, and one over the length of their weighted mean.
        """
        view = self.view_regions(regions)
        inverse = 1.0 / regions.norm(dim=2).clamp_min(_TINY)
        mean = (view.weights.unsqueeze(1) @ view.unit).squeeze(1)
        return torch.cat([inverse, view.weights, 1.0 / mean.norm(dim=1, keepdim=True).clamp_min(_TINY)], dim=1)

    def conclude(
        self, looked: Looked, region_weights: Tensor, pooled: Tensor | None, words: WordView
    ) -> tuple[Tensor, Tensor]:
        """Role logits and grounding scores of P pairs, of what the words found.

        Args:
            region_weights: (P, R) how much each region counts.
            pooled: (P,) cosine of picture and text as a whole, or None without that option.
        """
        matches = (looked.attention * looked.cosines).sum(dim=2)  # (P, T): a soft best match
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
        grounding = self._grounding(looked.cosines, matches, region_weights, words)
        return self.score(mean).squeeze(1), grounding if pooled is None else grounding + pooled

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
        logits = (self.sharpness * cosines).masked_fill(~words.mask.unsqueeze(2), _OUT)
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
        logits = (logits + self.reach[:, distance]).masked_fill(~mask[:, None, None, :], _OUT)
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
            logits = logits.masked_fill(~mask[:, None, None, :], _OUT)
        attended = torch.softmax(logits, dim=3) @ value
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
