"""A bounded bank of features in memory, so that a warm query fetches nothing.

All rows lie in one contiguous float16 tensor cut into pages of seven rows: a picture's 49 regions take seven
pages, a description of T words the pages that T needs. Whatever is evicted leaves whole pages, so nothing
fragments, and candidates are gathered with one indexed copy.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from boonart.ports import Features
from boonart.works import GRID

PAGE_ROWS = GRID
Summarise = Callable[[str, Tensor, Tensor], Tensor]
"""Of a side, a global vector (D,) and tokens (N, E), both float32, to a summary (X,)."""
_BYTES = 2  # of a float16
_SUMMARY_BYTES = 4  # of a float32


class FeatureKey(NamedTuple):
    """What features belong to: one side ("image" or "description") of one point."""

    collection: str
    side: str
    point_id: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """Features of C candidates, in the order asked for.

    Attributes:
        found: (C,) bool, False for a candidate without features, whose rows are zeros.
        global_vectors: (C, D) float32.
        tokens: (C, N, E) float32, padded at the end.
        mask: (C, N) bool, True for a token.
        words: of each candidate's tokens; empty for regions.
        summaries: (C, X) float32, what the network has worked out of each candidate beforehand; X may be 0.
    """

    found: Tensor
    global_vectors: Tensor
    tokens: Tensor
    mask: Tensor
    words: tuple[tuple[str, ...], ...]
    summaries: Tensor


@dataclass(frozen=True, slots=True)
class _Entry:
    content_hash: str
    slot: int
    pages: tuple[int, ...]
    length: int
    words: tuple[str, ...]


class Room(threading.local):
    """Memory that a thread gathers into time and again: to have 13 MB given anew costs more than to fill them."""

    def __init__(self) -> None:
        self._halves = torch.empty(0, dtype=torch.float16)
        self._floats = torch.empty(0)

    def halves(self, count: int, device: torch.device) -> Tensor:
        """(count,) float16 of any content, gone when they are asked for again."""
        if len(self._halves) < count or self._halves.device != device:
            self._halves = torch.empty(count, dtype=torch.float16, device=device)
        return self._halves[:count]

    def floats(self, halves: Tensor) -> Tensor:
        """The values as float32, gone when this is called again."""
        count = halves.numel()
        if len(self._floats) < count or self._floats.device != halves.device:
            self._floats = torch.empty(count, device=halves.device)
        return self._floats[:count].view(halves.shape).copy_(halves)


class FeatureBank:
    """Features by point and content hash, within a bound of bytes; the least recently used leave first.

    Safe to use from several threads.

    Args:
        global_size: D.
        embed_size: E.
        max_bytes: bound of the tensors; 0 keeps nothing.
        device: where the tensors live. Memory of a CPU is taken as it fills, of a GPU at once.
        summarise: what to work out of one side's features when they enter, (X,) float32; it hangs on them alone, so
            that it is as good as they are.
        summary_size: X.
    """

    def __init__(
        self,
        global_size: int,
        embed_size: int,
        *,
        max_bytes: int,
        device: torch.device,
        summarise: Summarise | None = None,
        summary_size: int = 0,
    ) -> None:
        page_bytes = PAGE_ROWS * embed_size * _BYTES
        slot_bytes = global_size * _BYTES + summary_size * _SUMMARY_BYTES
        # A text takes two pages or more as a rule: half as many slots as pages are enough.
        pages = max_bytes // (page_bytes + slot_bytes // 2 + 1)
        slots = pages // 2
        self.global_size, self.embed_size, self.device = global_size, embed_size, device
        self._pages = torch.empty((pages, PAGE_ROWS, embed_size), dtype=torch.float16, device=device)
        self._globals = torch.empty((slots, global_size), dtype=torch.float16, device=device)
        self._summarise, self._summary_size = summarise, summary_size
        self._summaries = torch.empty((slots, summary_size), dtype=torch.float32, device=device)
        self._free_pages = list(range(pages - 1, -1, -1))
        self._free_slots = list(range(slots - 1, -1, -1))
        self._entries: OrderedDict[FeatureKey, _Entry] = OrderedDict()  # the least recently used first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Points held."""
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bound of the tensors' memory, in bytes."""
        halves = self._pages.numel() + self._globals.numel()
        return halves * _BYTES + self._summaries.numel() * _SUMMARY_BYTES

    def missing(self, keys: Sequence[FeatureKey], content_hashes: Sequence[str]) -> list[int]:
        """Positions of the keys that are not held, or held of an older content."""
        with self._lock:
            return [
                position
                for position, (key, content_hash) in enumerate(zip(keys, content_hashes, strict=True))
                if (entry := self._entries.get(key)) is None or entry.content_hash != content_hash
            ]

    def lengths(self, keys: Sequence[FeatureKey], fetched: Mapping[FeatureKey, Features]) -> list[int]:
        """How many tokens each candidate has, 0 where it is neither held nor among the fetched."""
        with self._lock:
            return [
                len(fetched[key].tokens)
                if key in fetched
                else entry.length
                if (entry := self._entries.get(key)) is not None
                else 0
                for key in keys
            ]

    def gather(
        self,
        keys: Sequence[FeatureKey],
        content_hashes: Sequence[str],
        fetched: Mapping[FeatureKey, Features],
        *,
        room: Room | None = None,
    ) -> Gathered:
        """Copy out the features of all keys, keeping what was fetched as far as there is room.

        Args:
            keys: of the candidates; each may occur once.
            content_hashes: what the candidates say; features of another content count as absent.
            fetched: features of those that were missing; others in it are not looked at.
            room: where to put the tokens, which last until the next call with it; None takes new memory.
        """
        with self._lock:
            wanted = set(keys)
            loose = {key: features for key, features in fetched.items() if not self._hold(key, features, wanted)}
            return self._collect(keys, content_hashes, loose, room or Room())

    def keep(self, fetched: Mapping[FeatureKey, Features]) -> None:
        """Keep what was fetched, as far as there is room."""
        with self._lock:
            for key, features in fetched.items():
                self._hold(key, features, set(fetched))

    def clear(self) -> None:
        """Forget everything; the memory stays reserved."""
        with self._lock:
            for key in list(self._entries):
                self._drop(key)

    def _collect(
        self,
        keys: Sequence[FeatureKey],
        content_hashes: Sequence[str],
        loose: Mapping[FeatureKey, Features],
        room: Room,
    ) -> Gathered:
        held: list[tuple[int, _Entry]] = []
        lengths = [0] * len(keys)
        words: list[tuple[str, ...]] = [()] * len(keys)
        for position, (key, content_hash) in enumerate(zip(keys, content_hashes, strict=True)):
            entry = self._entries.get(key)
            if entry is not None and entry.content_hash == content_hash:
                self._entries.move_to_end(key)
                held.append((position, entry))
                lengths[position], words[position] = entry.length, entry.words
            elif key in loose:
                lengths[position], words[position] = len(loose[key].tokens), loose[key].words
        pages = max(1, -(-max(lengths, default=0) // PAGE_ROWS))
        tokens = self._gather_pages(held, len(keys), pages, room)
        global_vectors = torch.zeros((len(keys), self.global_size), dtype=torch.float16, device=self.device)
        summaries = torch.zeros((len(keys), self._summary_size), device=self.device)
        if held:
            rows = torch.tensor([position for position, _ in held], device=self.device)
            slots = torch.tensor([entry.slot for _, entry in held], device=self.device)
            global_vectors[rows] = self._globals[slots]
            summaries[rows] = self._summaries[slots]
        for position, key in enumerate(keys):
            if key in loose and lengths[position]:
                tokens[position, : lengths[position]] = torch.from_numpy(loose[key].tokens)
                global_vectors[position] = torch.from_numpy(loose[key].global_vector)
                summaries[position] = self._summary(key, loose[key])
        longest = max(1, max(lengths, default=0))
        counts = torch.tensor(lengths, device=self.device)
        mask = torch.arange(longest, device=self.device) < counts.unsqueeze(1)
        found = counts > 0
        return Gathered(found, global_vectors.float(), room.floats(tokens[:, :longest]), mask, tuple(words), summaries)

    def _summary(self, key: FeatureKey, features: Features) -> Tensor:
        if self._summarise is None:
            return torch.zeros(self._summary_size, device=self.device)
        vector, tokens = (
            torch.from_numpy(part).to(self.device).float() for part in (features.global_vector, features.tokens)
        )
        return self._summarise(key.side, vector, tokens)

    def _gather_pages(self, held: Sequence[tuple[int, _Entry]], count: int, pages: int, room: Room) -> Tensor:
        """(C, pages * 7, E) float16; rows past a candidate's length hold nothing of meaning but are finite."""
        shape = (count, pages * PAGE_ROWS, self.embed_size)
        if len(held) == count and all(len(entry.pages) == pages for _, entry in held):
            index = torch.tensor([page for _, entry in held for page in entry.pages], device=self.device)
            tokens = room.halves(count * pages * PAGE_ROWS * self.embed_size, self.device)
            return torch.index_select(self._pages, 0, index, out=tokens.view(-1, PAGE_ROWS, self.embed_size)).view(
                shape
            )
        tokens = room.halves(count * pages * PAGE_ROWS * self.embed_size, self.device).zero_()
        tokens = tokens.view(-1, PAGE_ROWS, self.embed_size)
        rows = [position * pages + place for position, entry in held for place in range(len(entry.pages))]
        index = torch.tensor([page for _, entry in held for page in entry.pages], dtype=torch.long, device=self.device)
        tokens[torch.tensor(rows, dtype=torch.long, device=self.device)] = self._pages.index_select(0, index)
        return tokens.view(shape)

    def _hold(self, key: FeatureKey, features: Features, spared: set[FeatureKey]) -> bool:
        """Whether the features are held now."""
        entry = self._entries.get(key)
        return (entry is not None and entry.content_hash == features.content_hash) or self._keep(
            key, features, spared=spared
        )

    def _keep(self, key: FeatureKey, features: Features, *, spared: set[FeatureKey]) -> bool:
        """Store features, evicting others than `spared`; False where there is no room."""
        self._drop(key)
        needed = -(-len(features.tokens) // PAGE_ROWS)
        if not needed:
            return False
        while len(self._free_pages) < needed or not self._free_slots:
            if not self._evict(spared):
                return False
        pages = tuple(self._free_pages.pop() for _ in range(needed))
        slot = self._free_slots.pop()
        block = torch.zeros((needed * PAGE_ROWS, self.embed_size), dtype=torch.float16)
        block[: len(features.tokens)] = torch.from_numpy(features.tokens)
        self._pages[torch.tensor(pages)] = block.view(needed, PAGE_ROWS, self.embed_size).to(self.device)
        self._globals[slot] = torch.from_numpy(features.global_vector).to(self.device)
        self._summaries[slot] = self._summary(key, features)
        self._entries[key] = _Entry(features.content_hash, slot, pages, len(features.tokens), features.words)
        return True

    def _evict(self, spared: set[FeatureKey]) -> bool:
        """Drop the least recently used entry; False where all that is held is spared."""
        oldest = next((key for key in self._entries if key not in spared), None)
        if oldest is None:
            return False
        self._drop(oldest)
        return True

    def _drop(self, key: FeatureKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._free_pages.extend(entry.pages)
            self._free_slots.append(entry.slot)
