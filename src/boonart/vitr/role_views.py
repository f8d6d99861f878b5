"""What the role-aware head makes of pictures, of texts, and of both together.

Shapes as in model.py: P pairs, R = 49 regions, T words, E embed size, S token size; B texts, N pictures.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

Rows = Tensor | slice
"""Which of several pairs, texts or pictures; a slice copies nothing."""


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
            None if self.seen is None else _chosen(self.seen, index),
            _chosen(self.weights, index),
            _chosen(self.pooled, index),
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
        content: (P, T, S) which word it is; None without that option, or before the text is read.
        weights: (P, T) how much each word counts, summing to 1.
        mask: (P, T) bool, True for a word.
        pooled: (P, E) the whole text: the words by their weights, scaled to length 1.
        neighbours: what each word says of its neighbours, and which they are; None without that option, or before
            the text is read.
    """

    unit: Tensor
    content: Tensor | None
    weights: Tensor
    mask: Tensor
    pooled: Tensor
    neighbours: Neighbours | None

    def rows(self, index: Rows, *, with_unit: bool) -> WordView:
        """The texts of these rows; their vectors, the bulk of it, only where they are needed."""
        return WordView(
            self.unit[index if with_unit else slice(0)],
            None if self.content is None else _chosen(self.content, index),
            _chosen(self.weights, index),
            _chosen(self.mask, index),
            _chosen(self.pooled, index),
            None if self.neighbours is None else Neighbours(*(_chosen(part, index) for part in self.neighbours)),
        )

    def first(self, count: int) -> WordView:
        """The texts without what follows their first `count` words, which must be padding."""
        near = self.neighbours
        return WordView(
            self.unit[:, :count],
            None if self.content is None else self.content[:, :count],
            self.weights[:, :count],
            self.mask[:, :count],
            self.pooled,
            None if near is None else Neighbours(near.said[:, :count], near.looks[:, :, :count, :count]),
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


class Grounded(NamedTuple):
    """What words and regions of P pairs find in each other, before anyone reads the words as a sentence.

    Attributes:
        cosines, attention: as in `Looked`.
        matches: (P, T) how well each word matches where it looked.
        scores: (P,) the grounding scores, -3..3.
    """

    cosines: Tensor
    attention: Tensor
    matches: Tensor
    scores: Tensor

    def rows(self, index: Rows) -> Grounded:
        """The pairs of these rows."""
        return Grounded(*(part[index] for part in self))


class GroundedPictures(NamedTuple):
    """One text against C pictures; see `RoleHead.ground_pictures`.

    Attributes:
        found: of the C pairs.
        inverse: (C, R) one over each region's length.
        words: the text, one row, not yet read.
    """

    found: Grounded
    inverse: Tensor
    words: WordView


class GroundedTexts(NamedTuple):
    """One picture against C texts; see `RoleHead.ground_texts`.

    Attributes:
        found: of the C pairs.
        regions: the picture, one row.
        words: the C texts, not yet read.
    """

    found: Grounded
    regions: RegionView
    words: WordView


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
        words, count, regions = self.flat.shape
        rows = self.places[texts] * count + pictures.unsqueeze(1)  # (P, T)
        return _chosen(self.flat.view(words * count, regions), rows.flatten()).view(*rows.shape, regions)

    def first(self, count: int) -> BatchCosines:
        """Those of each text's first `count` words."""
        return BatchCosines(self.flat, self.places[:, :count])


def _chosen(values: Tensor, rows: Rows) -> Tensor:
    """Rows of a tensor: by `index_select`, whose gradient takes a fraction of the time of that of brackets."""
    return values[rows] if isinstance(rows, slice) else values.index_select(0, rows)
