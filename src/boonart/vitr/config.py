"""Sizes and options of the relation network.

Letters: D size of a global vector; Wi, Wt widths of the encoder's image and text tokens; E embed size; S
similarity size; R = 49 regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from boonart.errors import ModelFileError


@dataclass(frozen=True, slots=True)
class RoleConfig:
    """The role-aware head; each option is a line of the ablation in docs/vitr.md.

    Attributes:
        size: S, width of a word's token.
        layers: transformer layers over the tokens.
        attention_heads: of each layer; divides `size`.
        feed_forward: width inside a layer.
        max_words: places in a sentence that are told apart; later words share the last one.
        temperature: of the attention over regions at the start of training; it is learned.
        word_content: the token says which word it is.
        position: the token says where the word looked: mean, spread and tilt of its attention, match.
        word_map: the token carries the whole map of the word's matches, which counts and sizes need.
        seen: the token carries what the word looked at: the mean of the regions by its attention.
        agreement: the token carries word and what it looked at multiplied, so that "red" can be checked.
        similarity: the token carries the published similarity vector.
        pooled: the grounding score also compares picture and text as a whole.
        neighbours: the token is told what the words before and after it looked at, multiplied with what it says.
        neighbour_heads: to either side.
    """

    size: int = 96
    layers: int = 2
    attention_heads: int = 4
    feed_forward: int = 192
    max_words: int = 48
    temperature: float = 0.1
    word_content: bool = True
    position: bool = True
    word_map: bool = True
    seen: bool = True
    agreement: bool = True
    similarity: bool = False
    pooled: bool = True
    neighbours: bool = True
    neighbour_heads: int = 2


@dataclass(frozen=True, slots=True)
class VitrConfig:
    """Sizes of the network.

    Attributes:
        global_size: D.
        image_token_size: Wi.
        text_token_size: Wt.
        embed_size: E.
        similarity_size: S of the published head.
        filters: relational graph filters in a row.
        aggregations: graph aggregations in a row.
        role: the role-aware head, or None for the published network alone.
        querybank: K, how many training texts and pictures tell how popular a candidate is; 0 for none.
    """

    global_size: int
    image_token_size: int
    text_token_size: int
    embed_size: int = 256
    similarity_size: int = 96
    filters: int = 4
    aggregations: int = 3
    role: RoleConfig | None = field(default_factory=RoleConfig)
    querybank: int = 0

    @property
    def dimensions(self) -> dict[str, int]:
        """Sizes for the model card."""
        return {"D": self.global_size, "E": self.embed_size, "S": self.similarity_size}

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable form, read back by `from_dict`; without a querybank as before there was such a thing."""
        values = asdict(self)
        if not self.querybank:
            del values["querybank"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VitrConfig:
        """Read what `as_dict` wrote.

        Raises:
            ModelFileError: a size is missing or a name unknown.
        """
        known = {item.name for item in fields(cls)}
        if unknown := set(values) - known:
            raise ModelFileError(f"The reranker's configuration names unknown sizes: {', '.join(sorted(unknown))}.")
        try:
            role = values.get("role")
            return cls(**{**values, "role": RoleConfig(**role) if role is not None else None})
        except TypeError as error:
            raise ModelFileError(f"The reranker's configuration cannot be read: {error}.") from error


PAPER = VitrConfig(
    global_size=768,
    image_token_size=2048,
    text_token_size=768,
    embed_size=2048,
    similarity_size=128,
    filters=4,
    aggregations=3,
    role=None,
)
"""The published network on CLIP ViT-L/14 and the 49 spatial tokens of CLIP's ResNet-50."""


def small(global_size: int, image_token_size: int, text_token_size: int) -> VitrConfig:
    """The sizes that BoonArt ships: E = 256, S = 96, both heads."""
    return VitrConfig(global_size, image_token_size, text_token_size)
