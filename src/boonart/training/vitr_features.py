"""Training pictures and sentences as the encoder sees them, encoded once and memory-mapped.

A set is a folder of arrays. Each is written under another name and takes its own only when complete; an
interrupted run is taken up at the batch where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from boonart.errors import SourceError
from boonart.ports import EncoderModel
from boonart.works import REGIONS, Float16Array, Float32Array, Picture

FORMAT = 1
"""Raised when what is stored changes, so that an old folder is not taken for a new one."""
IMAGE_BATCH, TEXT_BATCH, TEXT_PART = 32, 256, 4096

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and what there is to do."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class TrainingPicture:
    """A picture and what is true and what is false of it.

    Attributes:
        load: decodes the picture when it is needed.
        captions: true sentences, at least one.
        false_captions: for each caption its counterparts that say something else (roles, colours, sides
            exchanged); may be empty.
        identity: pictures of one identity (views of one photograph) are never held against each other.
        twin: pictures of one twin group differ in the relation alone; -1 where there is no twin.
        kind: kind of relation, or "".
        asks: for each caption the facts that it asks for, where it is true of every picture that shows them; empty
            for a caption of this picture alone. May be empty as a whole.
        facts: what the picture shows of that.
    """

    load: Callable[[], Picture]
    captions: tuple[str, ...]
    false_captions: tuple[tuple[str, ...], ...] = ()
    identity: int = -1
    twin: int = -1
    kind: str = ""
    asks: tuple[frozenset[str], ...] = ()
    facts: frozenset[str] = frozenset()

    @property
    def own_captions(self) -> tuple[str, ...]:
        """The captions that are of this picture alone."""
        return tuple(caption for place, caption in enumerate(self.captions) if not self.asks or not self.asks[place])


@dataclass(frozen=True, slots=True)
class PairFeatures:
    """N pictures and M texts, encoded.

    Attributes:
        image_globals: (N, D) float32.
        image_tokens: (N, 49, Wi) float16, memory-mapped.
        text_globals: (M, D) float32.
        text_tokens: (sum of T, Wt) float16, memory-mapped; text m has rows offsets[m] to offsets[m + 1].
        owners: (M,) the picture of each text.
        contradicts: (M,) the true text that a false one is made from, or -1 for a true text.
        identities, twins: (N,), see `TrainingPicture`.
        kinds: (N,).
        texts: the M texts.
        asks, facts: (M,) and (N,), see `TrainingPicture`.
        name: of the set, or "".
    """

    image_globals: Float32Array
    image_tokens: Float16Array
    text_globals: Float32Array
    text_tokens: Float16Array
    offsets: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]
    contradicts: npt.NDArray[np.int64]
    identities: npt.NDArray[np.int64]
    twins: npt.NDArray[np.int64]
    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    asks: tuple[frozenset[str], ...]
    facts: tuple[frozenset[str], ...]
    name: str = ""

    @property
    def true_texts(self) -> npt.NDArray[np.int64]:
        """Rows of the true texts, in the pictures' order."""
        return np.flatnonzero(self.contradicts < 0)

    @property
    def own_texts(self) -> npt.NDArray[np.int64]:
        """Rows of the true texts that are of their own picture alone, in the pictures' order."""
        return np.array([row for row in self.true_texts if not self.asks[row]], dtype=np.int64)

    def is_true(self, text: int, picture: int) -> bool:
        """Whether a true text is true of this picture, its own or another that shows what it asks for."""
        asks = self.asks[text]
        return bool(self.owners[text] == picture) or (bool(asks) and asks <= self.facts[picture])

    def text(self, row: int) -> Float16Array:
        """Tokens of one text, (T, Wt)."""
        return self.text_tokens[self.offsets[row] : self.offsets[row + 1]]

    def subset(self, pictures: npt.NDArray[np.int64]) -> PairFeatures:
        """These pictures with their texts, copied into memory."""
        place = np.full(len(self.image_globals), -1, dtype=np.int64)
        place[pictures] = np.arange(len(pictures))
        texts = np.flatnonzero(place[self.owners] >= 0)
        text_place = np.full(len(self.owners), -1, dtype=np.int64)
        text_place[texts] = np.arange(len(texts))
        contradicts = np.where(self.contradicts[texts] >= 0, text_place[self.contradicts[texts]], -1)
        tokens = [self.text(int(row)) for row in texts]
        return PairFeatures(
            self.image_globals[pictures],
            self.image_tokens[pictures],
            self.text_globals[texts],
            np.concatenate(tokens) if tokens else self.text_tokens[:0],
            np.cumsum([0, *map(len, tokens)]),
            place[self.owners[texts]],
            contradicts,
            self.identities[pictures],
            self.twins[pictures],
            tuple(self.kinds[row] for row in pictures),
            tuple(self.texts[row] for row in texts),
            tuple(self.asks[row] for row in texts),
            tuple(self.facts[row] for row in pictures),
            self.name,
        )


def encode_training_set(
    encoder: EncoderModel,
    name: str,
    pictures: Sequence[TrainingPicture],
    cache: Path,
    *,
    progress: Progress = silent,
) -> PairFeatures:
    """Encode pictures and texts, or read what an earlier call encoded.

    Args:
        name: of the data, with everything the pictures depend on (split, seed, view).
        pictures: in a fixed order.
        cache: folder to keep the arrays in; one subfolder for each encoder and set.

    Raises:
        SourceError: there is no picture, or one without a caption.
    """
    if not pictures or any(not picture.captions for picture in pictures):
        raise SourceError(f"The training set {name} is empty, or a picture of it has no caption.")
    key = json.dumps([FORMAT, encoder.card.id, name, [[p.captions, p.false_captions] for p in pictures]])
    folder = cache / f"{name.replace('/', '-')}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    sizes = encoder.card.dimensions
    texts, owners, contradicts, asks = _texts(pictures)
    if not (folder / "image_tokens.npy").is_file():
        _write_images(encoder, pictures, folder, sizes["D"], sizes["Wi"], progress)
    if not (folder / "text_tokens.npy").is_file():
        _write_texts(encoder, texts, folder, progress)
    return PairFeatures(
        np.load(folder / "image_globals.npy"),
        np.load(folder / "image_tokens.npy", mmap_mode="r"),
        np.load(folder / "text_globals.npy"),
        np.load(folder / "text_tokens.npy", mmap_mode="r"),
        np.load(folder / "offsets.npy"),
        owners,
        contradicts,
        np.array([p.identity if p.identity >= 0 else -2 - row for row, p in enumerate(pictures)]),
        np.array([picture.twin for picture in pictures]),
        tuple(picture.kind for picture in pictures),
        tuple(texts),
        asks,
        tuple(picture.facts for picture in pictures),
    )


def _texts(
    pictures: Sequence[TrainingPicture],
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[frozenset[str], ...]]:
    """All texts, the picture of each, the true text that a false one contradicts, and what each asks for."""
    texts: list[str] = []
    owners: list[int] = []
    contradicts: list[int] = []
    asks: list[frozenset[str]] = []
    for row, picture in enumerate(pictures):
        first = len(texts)
        texts.extend(picture.captions)
        owners.extend([row] * len(picture.captions))
        contradicts.extend([-1] * len(picture.captions))
        asks.extend(picture.asks or [frozenset()] * len(picture.captions))
        for place, counterparts in enumerate(picture.false_captions):
            texts.extend(counterparts)
            owners.extend([row] * len(counterparts))
            contradicts.extend([first + place] * len(counterparts))
            asks.extend([frozenset()] * len(counterparts))
    return texts, np.array(owners), np.array(contradicts), tuple(asks)


def _write_images(
    encoder: EncoderModel,
    pictures: Sequence[TrainingPicture],
    folder: Path,
    global_size: int,
    width: int,
    progress: Progress,
) -> None:
    """Write `image_globals.npy` and `image_tokens.npy`, going on where an earlier call stopped."""
    count = len(pictures)
    tokens = _open(folder / "image_tokens.partial.npy", (count, REGIONS, width), np.float16)
    vectors = _open(folder / "image_globals.partial.npy", (count, global_size), np.float32)
    done_file = folder / "images.done"
    done = int(done_file.read_text()) if done_file.is_file() else 0
    for rows in _batches(done, count, IMAGE_BATCH):
        embeddings = encoder.encode_images([pictures[row].load() for row in rows])
        tokens[rows.start : rows.stop] = np.stack([embedding.tokens for embedding in embeddings])
        vectors[rows.start : rows.stop] = np.stack([embedding.global_vector for embedding in embeddings])
        done_file.write_text(str(rows.stop))
        progress("pictures", rows.stop, count)
    tokens.flush()
    vectors.flush()
    (folder / "image_globals.partial.npy").replace(folder / "image_globals.npy")
    (folder / "image_tokens.partial.npy").replace(folder / "image_tokens.npy")


def _write_texts(encoder: EncoderModel, texts: Sequence[str], folder: Path, progress: Progress) -> None:
    """Write `offsets.npy`, `text_globals.npy` and `text_tokens.npy`, going on where an earlier call stopped."""
    parts: list[Path] = []
    for rows in _batches(0, len(texts), TEXT_PART):
        part = folder / f"texts-{rows.start:08d}.npz"
        if not part.is_file():
            _write_text_part(encoder, texts[rows.start : rows.stop], part)
        parts.append(part)
        progress("texts", rows.stop, len(texts))
    arrays = []
    for part in parts:
        with np.load(part) as opened:
            arrays.append({name: opened[name] for name in ("lengths", "globals", "tokens")})
    lengths = np.concatenate([array["lengths"] for array in arrays])
    np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]))
    np.save(folder / "text_globals.npy", np.concatenate([array["globals"] for array in arrays]))
    unfinished = folder / "text_tokens.partial.npy"
    np.save(unfinished, np.concatenate([array["tokens"] for array in arrays]))
    unfinished.replace(folder / "text_tokens.npy")
    for part in parts:
        part.unlink()


def _write_text_part(encoder: EncoderModel, texts: Sequence[str], file: Path) -> None:
    embeddings = [
        embedding
        for rows in _batches(0, len(texts), TEXT_BATCH)
        for embedding in encoder.encode_texts(texts[rows.start : rows.stop])
    ]
    unfinished = file.with_name(f"partial-{file.name}")
    np.savez(
        unfinished,
        lengths=np.array([len(embedding.tokens) for embedding in embeddings], dtype=np.int64),
        globals=np.stack([embedding.global_vector for embedding in embeddings]),
        tokens=np.concatenate([embedding.tokens for embedding in embeddings]),
    )
    unfinished.replace(file)


def _open(file: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.memmap:
    """An array on disk, kept if it is there in this shape."""
    if file.is_file():
        existing = np.lib.format.open_memmap(file, mode="r+")
        if existing.shape == shape:
            return existing
    return np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)


def _batches(start: int, count: int, size: int) -> Iterator[range]:
    for first in range(start, count, size):
        yield range(first, min(first + size, count))
