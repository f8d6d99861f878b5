"""Batches of training pairs as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from boonart.training.vitr_features import PairFeatures
from boonart.works import Float32Array

Rows = npt.NDArray[np.int64]


class Likeness(StrEnum):
    """Which pictures are alike.

    SAID: those of which much the same is said. MISTAKEN: those whose global vectors are nearest to that of a text of
    another one, a different text each time: what a search for it puts first though it may be wrong.
    """

    SAID = "said"
    MISTAKEN = "mistaken"


@dataclass(frozen=True, slots=True)
class PaddedTexts:
    """B texts.

    Attributes:
        tokens: (B, T, Wt) float32, padded at the end.
        mask: (B, T) bool, True for a word.
        global_vectors: (B, D) float32.
    """

    tokens: Tensor
    mask: Tensor
    global_vectors: Tensor


@dataclass(frozen=True, slots=True)
class PairBatch:
    """B pictures, a true text of each, and F false texts.

    Attributes:
        image_tokens: (B, 49, Wi) float32.
        image_globals: (B, D) float32.
        texts: B true texts, then F false ones.
        false_owners: (F,) the picture that each false text is false of.
        same: (B, B) bool, True where text i is true of picture j or too close to tell: never held against each other.
        twins: (B,) the place of the picture's twin in the batch, or -1.
        descriptions: (B, 400) vectors of the true texts for the paper's margin, or (B, 0).
    """

    image_tokens: Tensor
    image_globals: Tensor
    texts: PaddedTexts
    false_owners: Tensor
    same: Tensor
    twins: Tensor
    descriptions: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.image_tokens)


def padded_texts(features: PairFeatures, rows: Sequence[int] | Rows) -> PaddedTexts:
    """Texts of these rows, padded to the longest of them."""
    tokens = [features.text(int(row)) for row in rows]
    longest = max(map(len, tokens))
    padded = np.zeros((len(tokens), longest, features.text_tokens.shape[1]), dtype=np.float32)
    mask = np.zeros((len(tokens), longest), dtype=np.bool_)
    for place, words in enumerate(tokens):
        padded[place, : len(words)] = words
        mask[place, : len(words)] = True
    vectors = torch.from_numpy(features.text_globals[np.asarray(rows)])
    return PaddedTexts(torch.from_numpy(padded), torch.from_numpy(mask), vectors)


def image_tensors(features: PairFeatures, rows: Rows) -> tuple[Tensor, Tensor]:
    """Tokens (B, 49, Wi) and global vectors (B, D) of these pictures, float32."""
    order = np.argsort(rows)  # a memory-mapped array is read fastest in its own order
    tokens = np.empty((len(rows), *features.image_tokens.shape[1:]), dtype=np.float32)
    tokens[order] = features.image_tokens[rows[order]]
    return torch.from_numpy(tokens), torch.from_numpy(features.image_globals[rows])


class BatchSampler:
    """Cuts a set into batches; twins stay together and speak of the same sentence.

    Args:
        features: the set.
        size: pictures a batch.
        descriptions: (M, 400) vectors of the set's texts, where the loss needs them.
        alike: pictures that are alike stand together in clumps of about so many, so that a batch holds what is easily
            taken for each other; 0 for batches at random.
        likeness: which pictures are alike.
    """

    def __init__(
        self,
        features: PairFeatures,
        size: int,
        descriptions: Tensor | None = None,
        *,
        alike: int = 0,
        likeness: Likeness = Likeness.SAID,
    ) -> None:
        self._descriptions = descriptions if descriptions is not None else torch.zeros((len(features.owners), 0))
        self._features = features
        self._size = size
        true = features.true_texts
        bounds = np.searchsorted(features.owners[true], np.arange(len(features.image_globals) + 1))
        self._true = [true[bounds[row] : bounds[row + 1]] for row in range(len(features.image_globals))]
        false: dict[int, list[int]] = {}
        for row in np.flatnonzero(features.contradicts >= 0):
            false.setdefault(int(features.contradicts[row]), []).append(int(row))
        self._false = false
        self._groups = _twin_groups(features)
        self._alike = alike
        self._likeness = likeness
        self._vectors = _group_vectors(features, self._groups, likeness) if alike else np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        """Batches an epoch; one epoch shows each picture once."""
        return max(1, len(self._features.image_globals) // self._size)

    def epoch(self, rng: np.random.Generator, *, skip: int = 0) -> Iterator[PairBatch]:
        """The batches of one epoch in random order; the first `skip` are passed over, not read."""
        order = rng.permutation(len(self._groups))
        if self._alike:
            size = max(1, round(self._alike * len(order) / len(self._true)))
            order = clumped(self._asked(rng), self._vectors, order, size, rng)
        rows = np.array([row for group in order for row in self._groups[group]])
        for number in range(len(self)):
            seed = rng.integers(2**63)
            if number >= skip:
                chosen = rows[number * self._size : (number + 1) * self._size]
                yield self._batch(chosen, np.random.default_rng(seed))

    def _asked(self, rng: np.random.Generator) -> Float32Array:
        """What is asked for in each group's name when its clump is sought, (G, D)."""
        if self._likeness is Likeness.SAID:
            return self._vectors
        texts = [rng.choice(self._true[group[0]]) for group in self._groups]
        return self._features.text_globals[texts]

    def _batch(self, rows: Rows, rng: np.random.Generator) -> PairBatch:
        features = self._features
        slots: dict[int, int] = {}
        texts, false, false_owners = [], [], []
        for place, row in enumerate(rows):
            twin = int(features.twins[row])
            slot = slots.setdefault(twin, int(rng.integers(2**31))) if twin >= 0 else int(rng.integers(2**31))
            text = int(self._true[row][slot % len(self._true[row])])
            texts.append(text)
            if counterparts := self._false.get(text):
                false.append(int(rng.choice(counterparts)))
                false_owners.append(place)
        tokens, vectors = image_tensors(features, rows)
        return PairBatch(
            tokens,
            vectors,
            padded_texts(features, texts + false),
            torch.tensor(false_owners, dtype=torch.long),
            torch.from_numpy(self._same(texts, rows)),
            torch.from_numpy(_places_of_twins(features.twins[rows])),
            self._descriptions[texts],
        )

    def _same(self, texts: Sequence[int], rows: Rows) -> npt.NDArray[np.bool_]:
        """(B, B), see `PairBatch.same`."""
        features = self._features
        identities = features.identities[rows]
        same: npt.NDArray[np.bool_] = identities[:, None] == identities[None, :]
        for place, text in enumerate(texts):
            if features.asks[text]:
                same[place] |= [features.is_true(text, int(row)) for row in rows]
        return same


def clumped(asked: Float32Array, vectors: Float32Array, order: Rows, size: int, rng: np.random.Generator) -> Rows:
    """An order in which each `size` that follow each other are alike, the clumps at random.

    Args:
        asked, vectors: (G, D) of length 1.
        order: (G,) a random order; the first left of it is joined by those whose vectors are nearest to what it asks
            for, again and again.
    """
    left, clumps = order, []
    while len(left):
        likeness = vectors[left] @ asked[left[0]]
        likeness[0] = np.inf  # who asks belongs to the clump, whatever else is nearer
        nearest = np.argsort(-likeness, kind="stable")[:size]
        clumps.append(left[nearest])
        left = np.delete(left, nearest)
    # The last clumps are of what nobody is near to: at the end they would be left out of every pass.
    return np.concatenate([clumps[place] for place in rng.permutation(len(clumps))])


def _group_vectors(features: PairFeatures, groups: Sequence[Sequence[int]], likeness: Likeness) -> Float32Array:
    """The mean of each group's pictures, or of its own texts, scaled to length 1: (G, D)."""
    sums = features.image_globals
    if likeness is Likeness.SAID:
        own = features.own_texts
        sums = np.zeros_like(features.image_globals)
        np.add.at(sums, features.owners[own], features.text_globals[own])
    means = np.stack([sums[list(group)].sum(axis=0) for group in groups])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True).clip(min=1e-6), dtype=np.float32)


def _twin_groups(features: PairFeatures) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    alone: list[list[int]] = []
    for row, twin in enumerate(features.twins):
        if twin >= 0:
            groups.setdefault(int(twin), []).append(row)
        else:
            alone.append([row])
    return [*groups.values(), *alone]


def _places_of_twins(twins: Rows) -> Rows:
    """For each picture the place of another of its twin group, or -1."""
    places = np.full(len(twins), -1, dtype=np.int64)
    seen: dict[int, int] = {}
    for place, twin in enumerate(twins):
        if twin < 0:
            continue
        if (other := seen.get(int(twin))) is not None:
            places[place], places[other] = other, place
        seen[int(twin)] = place
    return places
