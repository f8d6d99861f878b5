"""Training texts: captions, the words in them and the names of ImageNet's classes."""

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

from boonart.encoders.starter_network import MAX_TOKENS, MINILM_TOKENIZER, TEXT_READING, TextTower

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


def words_of(captions: Sequence[Sequence[str]], *, fewest: int, largest_share: float) -> WordList:
    """The words that between `fewest` and `largest_share` of the pictures hold in any caption."""
    texts = [_words(group) for group in captions]
    counts: dict[str, int] = {}
    for words in texts:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    kept = sorted(word for word, count in counts.items() if fewest <= count <= largest_share * len(texts))
    return WordList(tuple(kept), _held(texts, kept))


def held_words(captions: Sequence[Sequence[str]], words: Sequence[str]) -> WordList:
    """These words, and which pictures hold them in any caption."""
    return WordList(tuple(words), _held([_words(group) for group in captions], words))


def _words(group: Sequence[str]) -> set[str]:
    return {word for caption in group for word in re.findall(r"[a-z]{3,}", caption.lower())} - _COMMON


def _held(texts: Sequence[set[str]], words: Sequence[str]) -> npt.NDArray[np.bool_]:
    places = {word: place for place, word in enumerate(words)}
    held = np.zeros((len(texts), len(words)), dtype=np.bool_)
    for row, text in enumerate(texts):
        held[row, [places[word] for word in text if word in places]] = True
    return held


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


def readings(tower: TextTower, texts: Sequence[str]) -> Tensor:
    """What the projection reads of each text, (M, 1152) float32."""
    if not texts:
        return torch.zeros((0, TEXT_READING))
    ids = [encoding.ids for encoding in load_tokenizer().encode_batch(list(texts))]
    rows, found = [], []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for places, pieces, padding in in_chunks(ids):
            found.append(tower.read(pieces, padding)[0].float())
            rows.append(places)
    return torch.cat(found)[torch.argsort(torch.cat(rows))]
