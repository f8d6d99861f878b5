"""What a frozen encoder says of a whole data set, encoded once and memory-mapped.

Networks that train on top of an encoder read its features over and over; this is where they come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from boonart.encoders.pictures import decode
from boonart.ports import EncoderModel
from boonart.training.encoder_features import Progress, silent
from boonart.works import REGIONS, Float16Array, Float32Array, Picture

PICTURE_BATCH, TEXT_BATCH = 16, 256


@dataclass(frozen=True, slots=True)
class EncodedPictures:
    """N pictures.

    Attributes:
        vectors: (N, D) float32, L2-normalised.
        tokens: (N, 49, Wi) float16.
    """

    vectors: Float32Array
    tokens: Float16Array


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """M texts, their words one after the other.

    Attributes:
        vectors: (M, D) float32, L2-normalised.
        tokens: (words of all texts, Wt) float16.
        starts: (M + 1,) int64; text m has the rows starts[m] to starts[m + 1] of `tokens`.
        words: for each text its words.
    """

    vectors: Float32Array
    tokens: Float16Array
    starts: npt.NDArray[np.int64]
    words: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """Pictures, the same pictures mirrored (None where not asked for), and texts."""

    pictures: EncodedPictures
    mirrored: EncodedPictures | None
    texts: EncodedTexts


def encode_dataset(
    encoder: EncoderModel,
    pictures: Sequence[Path],
    texts: Sequence[str],
    cache: Path,
    *,
    mirror: bool = False,
    progress: Progress = silent,
) -> EncodedDataset:
    """Features of picture files and texts, from the cache or computed now.

    Args:
        cache: folder that keeps them, by encoder and by what was encoded; a part that is interrupted is begun
            anew, complete parts are kept.
        mirror: encode the mirrored pictures, too.

    Raises:
        PictureError: a file is not a picture that can be used.
    """
    plain = encode_pictures(encoder, pictures, cache, progress=progress)
    mirrored = encode_pictures(encoder, pictures, cache, mirror=True, progress=progress) if mirror else None
    return EncodedDataset(plain, mirrored, encode_texts(encoder, texts, cache, progress=progress))


def encode_pictures(
    encoder: EncoderModel,
    files: Sequence[Path],
    cache: Path,
    *,
    mirror: bool = False,
    progress: Progress = silent,
) -> EncodedPictures:
    """Features of picture files; see `encode_dataset`."""
    identity = [[file.name, file.stat().st_size] for file in files]
    folder = _folder(cache, encoder, ["pictures", mirror, identity])
    if not (folder / "vectors.npy").is_file():
        sizes = encoder.card.dimensions
        vectors = np.zeros((len(files), sizes["D"]), dtype=np.float32)
        shape = (len(files), REGIONS, sizes["Wi"])
        tokens = np.lib.format.open_memmap(folder / "tokens.npy", mode="w+", dtype=np.float16, shape=shape)
        for start in range(0, len(files), PICTURE_BATCH):
            batch = [_read(file, mirror) for file in files[start : start + PICTURE_BATCH]]
            for row, embedding in enumerate(encoder.encode_images(batch), start=start):
                vectors[row], tokens[row] = embedding.global_vector, embedding.tokens
            progress("mirrored pictures" if mirror else "pictures", start + len(batch), len(files))
        tokens.flush()
        _save_last(folder / "vectors.npy", vectors)
    return EncodedPictures(np.load(folder / "vectors.npy"), np.load(folder / "tokens.npy", mmap_mode="r"))


def encode_texts(
    encoder: EncoderModel, texts: Sequence[str], cache: Path, *, progress: Progress = silent
) -> EncodedTexts:
    """Features of texts; see `encode_dataset`."""
    folder = _folder(cache, encoder, ["texts", list(texts)])
    if not (folder / "vectors.npy").is_file():
        found = []
        for start in range(0, len(texts), TEXT_BATCH):
            found += encoder.encode_texts(texts[start : start + TEXT_BATCH])
            progress("texts", len(found), len(texts))
        width = encoder.card.dimensions["Wt"]
        tokens = [np.zeros((0, width), dtype=np.float16), *(embedding.tokens for embedding in found)]
        np.save(folder / "tokens.npy", np.concatenate([rows.reshape(-1, width) for rows in tokens]))
        (folder / "words.json").write_text(json.dumps([embedding.words for embedding in found]), encoding="utf-8")
        vectors = [embedding.global_vector for embedding in found]
        _save_last(folder / "vectors.npy", np.stack(vectors).astype(np.float32))
    words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    return EncodedTexts(
        vectors=np.load(folder / "vectors.npy"),
        tokens=np.load(folder / "tokens.npy", mmap_mode="r"),
        starts=np.cumsum([0, *(len(group) for group in words)], dtype=np.int64),
        words=tuple(tuple(group) for group in words),
    )


def _folder(cache: Path, encoder: EncoderModel, what: list[object]) -> Path:
    key = json.dumps([encoder.card.id, encoder.card.weights_hash, what])
    folder = cache / "features" / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read(file: Path, mirror: bool) -> Picture:
    picture = decode(file.read_bytes())
    if not mirror:
        return picture
    return Picture(np.ascontiguousarray(picture.pixels[:, ::-1]), picture.original_size, picture.format)


def _save_last(file: Path, array: Float32Array) -> None:
    """Save the file whose presence says that its folder is complete."""
    unfinished = file.with_suffix(".partial.npy")
    np.save(unfinished, array)
    unfinished.replace(file)
