"""Training texts: captions, their mirror images, the words in them and the names of ImageNet's classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from timm.data.imagenet_info import ImageNetInfo
from tokenizers import Tokenizer
from torch import Tensor

from boonart.encoders.starter_network import MAX_TOKENS, MINILM_TOKENIZER, TEXT_WIDTH, TextTower

CHUNK = 128
"""Texts of like length that go through the network together, so that little is spent on padding."""

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the and or of in on at to with by for from as is are was be being been it its his her their him she"
        " he they them this that these those there which who while into onto over up down out off through near"
        " next behind between around front top side two three four one some several other another each very has"
        " have having wearing looking holds looks wears standing stands",
    )
)


@dataclass(frozen=True, slots=True)
class WordList:
    """Words to search for, and which pictures hold them.

    Attributes:
        words: W words.
        held: (N, W) bool.
    """

    words: tuple[str, ...]
    held: npt.NDArray[np.bool_]


def load_tokenizer() -> Tokenizer:
    """MiniLM's tokenizer, cutting at 128 word pieces and not padding."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.locate()))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Word piece ids with the two marks."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def exchange_sides(text: str) -> str:
    """The text for the mirrored picture: left and right exchanged."""
    sides = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b(?:left|right)\b", lambda match: sides[match[0]], text, flags=re.IGNORECASE)


def words_of(captions: Sequence[Sequence[str]], *, fewest: int, largest_share: float) -> WordList:
    """The words that between `fewest` and `largest_share` of the pictures hold in any caption."""
    texts = [
        {word for caption in group for word in re.findall(r"[a-z]{3,}", caption.lower())} - _COMMON
        for group in captions
    ]
    counts: dict[str, int] = {}
    for words in texts:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    kept = sorted(word for word, count in counts.items() if fewest <= count <= largest_share * len(texts))
    places = {word: place for place, word in enumerate(kept)}
    held = np.zeros((len(texts), len(kept)), dtype=np.bool_)
    for row, words in enumerate(texts):
        held[row, [places[word] for word in words if word in places]] = True
    return WordList(tuple(kept), held)


def class_names() -> list[tuple[str, ...]]:
    """The names of ImageNet's 1,000 classes, each with its synonyms, in the classifier's order."""
    info = ImageNetInfo("imagenet-1k")
    descriptions = [info.index_to_description(index) for index in range(1000)]
    return [tuple(name.strip() for name in description.split(",")) for description in descriptions]


def in_chunks(ids: Sequence[Sequence[int]], size: int = CHUNK) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Texts sorted by length and padded in chunks.

    Returns:
        For each chunk the rows (C,) it holds, the word pieces (C, T) and the padding (C, T).
    """
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    chunks = []
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        longest = len(ids[rows[-1]])
        pieces = torch.zeros((len(rows), longest), dtype=torch.long)
        padding = torch.ones((len(rows), longest), dtype=torch.bool)
        for place, row in enumerate(rows):
            pieces[place, : len(ids[row])] = torch.tensor(ids[row])
            padding[place, : len(ids[row])] = False
        chunks.append((torch.tensor(rows), pieces, padding))
    return chunks


def text_vectors(tower: TextTower, ids: Sequence[Sequence[int]], *, untuned: bool = False) -> Tensor:
    """Pooled vectors (M, D) of texts, or MiniLM's own (M, 384) with `untuned`; not normalised."""
    if not ids:
        return torch.zeros((0, TEXT_WIDTH if untuned else tower.project.out_features))
    rows, vectors = [], []
    for places, pieces, padding in in_chunks(ids):
        tokens = tower.transform(tower.embed(pieces), padding)
        vectors.append(tower.mean(tokens, padding) if untuned else tower.pool(tokens, padding))
        rows.append(places)
    back = torch.argsort(torch.cat(rows))
    return torch.cat(vectors)[back]
