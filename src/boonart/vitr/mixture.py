"""How a ranker's parts become one score, and what a score is worth.

A score is a weighted sum of parts: the cosine of the global vectors and what the network says. The weights are
fitted on a dev split, one set for each direction, because a cosine that fits the training pictures too well would
otherwise be trusted too much, and a global vector of few words is less to be trusted than one of many. A logistic
curve, fitted there too, turns the score into `relevance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from boonart.errors import InvalidRequest, ModelFileError
from boonart.works import ImageEmbedding, Ranker, TextEmbedding

PARTS: Mapping[Ranker, tuple[str, ...]] = {
    Ranker.LATE: ("global", "late"),
    Ranker.VITR: ("global", "vitr"),
    Ranker.ROLE: ("global", "grounding", "role"),
}
"""What each ranker mixes."""
DISTINCTNESS = "distinctness"
"""What `Ranker.ROLE` mixes besides where the weights have a querybank: how little a candidate suits any query."""
_GLOBAL = frozenset({"global", DISTINCTNESS})
SHORT = 8
"""Words of the longest query that is short; 6, 7 and 8 were tried on dev."""


class Direction(StrEnum):
    """Which side the query is on, and of what kind it is: a short one is what a person types."""

    TEXT_TO_IMAGE = "text_to_image"
    SHORT_TEXT_TO_IMAGE = "short_text_to_image"
    IMAGE_TO_TEXT = "image_to_text"

    @classmethod
    def of(cls, query: TextEmbedding | ImageEmbedding) -> Direction:
        """The direction in which a query searches."""
        return cls.of_text(len(query.words)) if isinstance(query, TextEmbedding) else cls.IMAGE_TO_TEXT

    @classmethod
    def of_text(cls, words: int) -> Direction:
        """The direction in which a query of so many words searches."""
        return cls.SHORT_TEXT_TO_IMAGE if words <= SHORT else cls.TEXT_TO_IMAGE

    @property
    def from_text(self) -> bool:
        """Whether the query is a text."""
        return self is not Direction.IMAGE_TO_TEXT


@dataclass(frozen=True, slots=True)
class Mixture:
    """Weights of the parts and the calibration of their sum.

    Attributes:
        weights: by the part's name.
        slope, offset, popularity: relevance = sigmoid(slope * score + popularity * the query's own popularity +
            offset); a slope of 0 means: not calibrated. A query near everything has high scores that mean little.
    """

    weights: Mapping[str, float]
    slope: float = 0.0
    offset: float = 0.0
    popularity: float = 0.0

    @property
    def calibrated(self) -> bool:
        """Whether `relevance` means something."""
        return self.slope != 0.0

    def score(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the parts, (C,) as they are."""
        return _sum([weight * parts[name] for name, weight in self.weights.items()])

    def relation(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The network's share of the score: all but what hangs on the global vectors alone."""
        return _sum([weight * parts[name] for name, weight in self.weights.items() if name not in _GLOBAL])

    def relevance(self, score: Tensor, popularity: Tensor | float = 0.0) -> Tensor:
        """Probability that a candidate of this score is right.

        Args:
            score: (C,).
            popularity: of the query, see `Querybank`.
        """
        return torch.sigmoid(self.slope * score + self.popularity * popularity + self.offset)


@dataclass(frozen=True, slots=True)
class Mixtures:
    """The mixtures of all rankers.

    Attributes:
        default: what `Ranker.DEFAULT` stands for.
    """

    default: Ranker
    by_ranker: Mapping[Ranker, Mapping[Direction, Mixture]] = field(default_factory=dict)

    def resolve(self, ranker: Ranker) -> Ranker:
        """The ranker that is meant.

        Raises:
            InvalidRequest: the weights do not have it.
        """
        chosen = self.default if ranker is Ranker.DEFAULT else ranker
        if chosen not in self.by_ranker:
            names = ", ".join(sorted(self.by_ranker))
            raise InvalidRequest(
                f"The reranker's weights have no ranker {chosen.value!r}.", hint=f"Use one of: {names}.", field="rerank"
            )
        return chosen

    def of(self, ranker: Ranker, direction: Direction) -> Mixture:
        """The mixture of a ranker that `resolve` returned; weights without one for short queries use the other."""
        directions = self.by_ranker[ranker]
        if direction is Direction.SHORT_TEXT_TO_IMAGE and direction not in directions:
            direction = Direction.TEXT_TO_IMAGE
        return directions[direction]

    def need(self, part: str) -> bool:
        """Whether any of the mixtures has this part."""
        return any(part in mixture.weights for both in self.by_ranker.values() for mixture in both.values())

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable form, read back by `from_dict`."""
        return {
            "default": self.default.value,
            "rankers": {
                ranker.value: {
                    direction.value: {
                        "weights": dict(mixture.weights),
                        "slope": mixture.slope,
                        "offset": mixture.offset,
                    }
                    | ({"popularity": mixture.popularity} if mixture.popularity else {})
                    for direction, mixture in directions.items()
                }
                for ranker, directions in self.by_ranker.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Mixtures:
        """Read what `as_dict` wrote.

        Raises:
            ModelFileError: something is missing or unknown.
        """
        try:
            by_ranker = {
                Ranker(ranker): {
                    Direction(direction): Mixture(
                        item["weights"], item["slope"], item["offset"], item.get("popularity", 0.0)
                    )
                    for direction, item in directions.items()
                }
                for ranker, directions in values["rankers"].items()
            }
            return cls(Ranker(values["default"]), by_ranker)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"The reranker's mixture of scores cannot be read: {error!r}.") from error


def parts_of(ranker: Ranker, *, querybank: bool) -> tuple[str, ...]:
    """What a ranker mixes, with or without a querybank in the weights."""
    return (*PARTS[ranker], DISTINCTNESS) if querybank and ranker is Ranker.ROLE else PARTS[ranker]


def untrained_mixtures(*, with_role: bool) -> Mixtures:
    """Equal parts, for networks whose mixture has not been fitted."""
    rankers = [ranker for ranker in PARTS if with_role or ranker is not Ranker.ROLE]
    by_ranker = {
        ranker: {direction: Mixture(dict.fromkeys(PARTS[ranker], 1.0)) for direction in Direction} for ranker in rankers
    }
    return Mixtures(Ranker.ROLE if with_role else Ranker.VITR, by_ranker)


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
