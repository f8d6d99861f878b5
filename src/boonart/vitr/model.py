"""VITR, the relation-aware network, in one file: read it top to bottom.

After Gong, Cosma and Finke, "VITR: Augmenting Vision Transformers with Relation-Focused Learning for Cross-Modal
Information Retrieval" (ACM TKDD 18(9), 2024). The encoder's features are frozen; the network is

    image tokens -> project_regions -> filters ---> regions (49, E)   of the picture alone, computed at ingest
    text tokens  -> project_words ----------------> words   (T, E)    of the text alone
    regions, words, both global vectors -> head --> one score a pair

with two heads over the same regions and words: `PublishedHead` is the paper's, `role.RoleHead` ours.

Letters in shapes: B pictures, P pairs, R = 49 regions, T words, E embed size, S similarity size, D size of a
global vector. Where a head takes pairs, either side may have one row for all of them: one query against P
candidates needs no copies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.vitr.config import VitrConfig
from boonart.vitr.querybank import Querybank
from boonart.vitr.role import RoleHead, inner_products
from boonart.works import REGIONS

SMOOTHING = 12.0
"""Sharpness of the reasoner's attention over the regions."""
LEAK = 0.1
"""Slope of the reasoner's leaky ReLU."""
_EPSILON = 1e-8


class RelationalGraphFilter(nn.Module):
    """Keeps of each region what its relations to all others call for: one gate a region.

    Args:
        embed_size: E.
    """

    def __init__(self, embed_size: int) -> None:
        super().__init__()
        self.theta = nn.Linear(embed_size, embed_size)
        self.phi = nn.Linear(embed_size, embed_size)
        self.relate = nn.Conv1d(2 * REGIONS, REGIONS, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm1d(REGIONS)
        self.summarise = nn.Linear(embed_size, 1)
        self.gate = nn.Linear(REGIONS + 1, 1)
        for linear in (self.theta, self.phi, self.summarise, self.gate):
            nn.init.kaiming_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, regions: Tensor) -> Tensor:
        """Gate the regions (B, R, E)."""
        theta, phi = torch.tanh(self.theta(regions)), torch.tanh(self.phi(regions))
        affinity = theta @ phi.transpose(1, 2)  # (B, R, R): how each region relates to each other one
        both_ways = torch.cat([affinity.transpose(1, 2), affinity], dim=1)  # (B, 2R, R)
        relations = torch.tanh(self.norm(self.relate(both_ways)))  # (B, R, R)
        summary = torch.tanh(self.summarise(regions))  # (B, R, 1)
        gate = torch.sigmoid(torch.tanh(self.gate(torch.cat([summary, relations], dim=2))))  # (B, R, 1)
        return gate * regions


def reason(regions: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The text-image reasoner: each word attends to the regions. It has no weights of its own.

    Args:
        regions: (P, R, E), or (1, R, E) for one picture.
        words: (P, T, E), or (1, T, E) for one text.
        mask: (P, T) bool, True for a word; padded words take no part.

    Returns:
        Contexts (P, T, E), each word's weighted sum of the regions, and the weights (P, T, R).
    """
    affinity = inner_products(words, regions)  # (P, T, R)
    affinity = functional.leaky_relu(affinity, LEAK) * mask.unsqueeze(2)
    affinity = affinity / (affinity.norm(dim=1, keepdim=True) + _EPSILON)  # each region's row over the words
    weights = torch.softmax(SMOOTHING * affinity, dim=2)
    return weights @ regions, weights


def l1_normalise(vectors: Tensor) -> Tensor:
    """Scale the last axis to an absolute sum of 1."""
    return vectors / (vectors.abs().sum(dim=-1, keepdim=True) + _EPSILON)


class GraphAggregation(nn.Module):
    """One round of messages between the similarity vectors of a pair.

    Args:
        size: S.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.update = nn.Linear(size, size)
        for linear in (self.query, self.key, self.update):
            _xavier(linear)

    def forward(self, nodes: Tensor, mask: Tensor) -> Tensor:
        """Update the nodes (P, N, S); `mask` (P, N) is True for those that are there."""
        edges = torch.sigmoid(self.query(nodes) @ self.key(nodes).transpose(1, 2))  # (P, N, N), no scaling
        edges = edges * mask.unsqueeze(1)
        return torch.tanh(self.update(edges @ nodes)) + nodes


class PublishedHead(nn.Module):
    """The paper's fusion module: similarity vectors, graph aggregation, GRU, score.

    Args:
        config: sizes.
    """

    def __init__(self, config: VitrConfig) -> None:
        super().__init__()
        size = config.similarity_size
        self.local_similarity = nn.Linear(config.embed_size, size)
        self.global_similarity = nn.Linear(config.global_size, size)
        self.aggregations = nn.ModuleList(GraphAggregation(size) for _ in range(config.aggregations))
        self.fuse = nn.GRU(size, size, batch_first=True)
        self.score = nn.Linear(size, 1)
        for linear in (self.local_similarity, self.global_similarity, self.score):
            _xavier(linear)

    def forward(
        self,
        regions: Tensor,
        words: Tensor,
        mask: Tensor,
        image_global: Tensor,
        text_global: Tensor,
        *,
        with_global: bool = True,
    ) -> Tensor:
        """Logits of P pairs, (P,); the paper's score is their sigmoid.

        Args:
            regions: (P, R, E) filtered regions.
            words: (P, T, E) projected words, padded at the end.
            mask: (P, T) bool, True for a word.
            image_global: (P, D), L2-normalised.
            text_global: (P, D), L2-normalised.
            with_global: False leaves the global similarity out, as in the first epochs of training.
        """
        contexts, _ = reason(regions, words, mask)
        nodes = l1_normalise(self.local_similarity((words - contexts) ** 2))  # (P, T, S)
        mask = mask.expand(nodes.shape[0], -1)
        if with_global:
            overall = l1_normalise(self.global_similarity((text_global - image_global) ** 2))  # (P, S)
            nodes = torch.cat([overall.unsqueeze(1), nodes], dim=1)  # (P, 1 + T, S)
            mask = functional.pad(mask, (1, 0), value=True)
        for aggregation in self.aggregations:
            nodes = aggregation(nodes, mask)
        states, _ = self.fuse(nodes)  # padding comes last, so the last real state has not seen it
        last = mask.sum(dim=1) - 1
        final = states[torch.arange(len(states), device=states.device), last]  # (P, S)
        logits: Tensor = self.score(final).squeeze(1)
        return logits


class RelationNetwork(nn.Module):
    """Projections, filters and heads.

    Args:
        config: sizes and options.
    """

    def __init__(self, config: VitrConfig) -> None:
        super().__init__()
        self.config = config
        self.project_regions = nn.Linear(config.image_token_size, config.embed_size)
        self.project_words = nn.Linear(config.text_token_size, config.embed_size)
        self.filters = nn.ModuleList(RelationalGraphFilter(config.embed_size) for _ in range(config.filters))
        self.vitr = PublishedHead(config)
        self.role = RoleHead(config.embed_size, config.role) if config.role is not None else None
        self.querybank = Querybank(config.querybank, config.global_size) if config.querybank else None
        _xavier(self.project_regions)
        _xavier(self.project_words)

    def regions(self, image_tokens: Tensor) -> Tensor:
        """Filtered regions (B, R, E) of the encoder's image tokens (B, R, Wi)."""
        regions: Tensor = self.project_regions(image_tokens)
        for relational_filter in self.filters:
            regions = relational_filter(regions)
        return regions

    def words(self, text_tokens: Tensor) -> Tensor:
        """Projected words (..., E) of the encoder's text tokens (..., Wt)."""
        words: Tensor = self.project_words(text_tokens)
        return words


def _xavier(linear: nn.Linear) -> None:
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
