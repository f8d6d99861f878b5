"""Losses of the relation network."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LSEH_MARGIN, LSEH_GROWTH = 0.185, 0.025
"""The paper's margin between a true and a false pair, and how much it grows with the likeness of the texts."""
LSEH_VECTOR = 400
"""Size of the vectors by which the paper compares descriptions."""
_OUT = -1e4


def contrastive(
    logits: Tensor, same: Tensor, extra: Tensor | None = None, extra_owners: Tensor | None = None
) -> Tensor:
    """InfoNCE both ways over a batch.

    Args:
        logits: (B, B) of text i with picture j; the diagonal is true.
        same: (B, B) bool, pairs that count neither as true nor as false; the diagonal among them.
        extra: (F, B) logits of false texts, each held against its own picture alone.
        extra_owners: (F,) those pictures.
    """
    size = len(logits)
    target = torch.arange(size, device=logits.device)
    spared = same & ~torch.eye(size, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(spared, _OUT)
    columns = logits.T
    if extra is not None and extra_owners is not None and len(extra_owners):
        own = functional.one_hot(extra_owners, size).bool()
        columns = torch.cat([columns, extra.masked_fill(~own, _OUT).T], dim=1)
    return 0.5 * (functional.cross_entropy(logits, target) + functional.cross_entropy(columns, target))


def listwise(logits: Tensor, valid: Tensor) -> Tensor:
    """Cross entropy of lists whose first entry is the true one.

    Args:
        logits: (B, C).
        valid: (B, C) bool; the first column is always valid.
    """
    logits = logits.masked_fill(~valid, _OUT)
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def lseh(scores: Tensor, likeness: Tensor, same: Tensor, *, hardest: bool = False) -> Tensor:
    """The paper's hinge loss, with a margin that grows with the likeness of the two descriptions.

    Args:
        scores: (B, B) of text i with picture j, 0..1.
        likeness: (B, B) of the descriptions, scaled by its row maximum.
        same: (B, B) bool, pairs of one picture, the diagonal among them: they do not count.
        hardest: only the worst violation of each row and column, not their sum.
    """
    margin = LSEH_MARGIN + LSEH_GROWTH * likeness
    true = scores.diagonal()
    by_text = (margin + scores - true.unsqueeze(1)).clamp(min=0).masked_fill(same, 0)
    by_picture = (margin + scores - true.unsqueeze(0)).clamp(min=0).masked_fill(same, 0)
    if hardest:
        return by_text.amax(dim=1).sum() + by_picture.amax(dim=0).sum()
    return by_text.sum() + by_picture.sum()


def scaled_likeness(vectors: Tensor) -> Tensor:
    """Cosines between descriptions, each row scaled by its largest value off the diagonal: (B, B), 0..1."""
    vectors = functional.normalize(vectors, dim=1)
    cosines = (vectors @ vectors.T).clamp(min=0)
    off = cosines - torch.diag(cosines.diagonal())
    return cosines / off.amax(dim=1, keepdim=True).clamp(min=1e-6)


def description_vectors(texts: Sequence[str], size: int = LSEH_VECTOR) -> Tensor:
    """Vectors of descriptions by a truncated SVD of their word counts (TF-IDF): (M, size)."""
    counted = [re.findall(r"[a-z]+", text.lower()) for text in texts]
    vocabulary = {word: place for place, word in enumerate(sorted({word for words in counted for word in words}))}
    rows = [row for row, words in enumerate(counted) for _ in words]
    columns = [vocabulary[word] for words in counted for word in words]
    shape = (len(texts), max(1, len(vocabulary)))
    places = torch.tensor([rows, columns]).view(2, -1)
    counts = torch.sparse_coo_tensor(places, torch.ones(len(rows)), shape, check_invariants=True).coalesce()
    held = torch.zeros(shape[1]).index_add_(0, counts.indices()[1], torch.ones(counts.values().numel()))
    rarity = (shape[0] / held.clamp(min=1)).log() + 1.0
    values = counts.values() * rarity[counts.indices()[1]]
    weighted = torch.sparse_coo_tensor(counts.indices(), values, shape, check_invariants=True)
    rank = min(size, *shape)
    left, strength, _ = torch.svd_lowrank(weighted.coalesce(), q=rank, niter=4)
    return left * strength
