"""Representations that were computed elsewhere: the paper's four files, memory-mapped and checked.

`…imGloRp.npy` holds the global vectors of pictures (N, D), `…imLocRp.npy` their spatial tokens (N, 49, Wi),
`…deGloRp.npy` the global vectors of descriptions (N, D), `…deLocRp.npy` their token outputs (N, L, Wt), padded to one
length. Row i of each belongs to row i of the table of works. Nothing is read with pickle.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from boonart.errors import SourceError
from boonart.works import GRID, REGIONS, Float16Array, Float32Array

ENDINGS = {
    "image_globals": "imGloRp.npy",
    "image_locals": "imLocRp.npy",
    "text_globals": "deGloRp.npy",
    "text_locals": "deLocRp.npy",
}
CLIP_LENGTH = 77
"""Length to which CLIP pads its texts: rows after a text's end are not zero there, so its tokens are counted."""
CHECK_BYTES = 64 * 1024**2
"""How much of a file is looked at between two reports."""

Array = npt.NDArray[Any]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is to do."""


@dataclass(frozen=True, slots=True)
class Representations:
    """The four files, memory-mapped, their shapes checked.

    Attributes:
        image_globals, text_globals: (N, D), any floating-point type.
        image_locals: (N, 49, Wi), or None where there is no such file.
        text_locals: (N, L, Wt), or None where there is no such file.
    """

    image_globals: Array
    text_globals: Array
    image_locals: Array | None
    text_locals: Array | None

    def __len__(self) -> int:
        """N."""
        return len(self.image_globals)

    @property
    def global_size(self) -> int:
        """D."""
        return int(self.image_globals.shape[1])

    def image_vector(self, row: int) -> Float32Array:
        """A picture's global vector, (D,), L2-normalised."""
        return _unit(self.image_globals[row])

    def text_vector(self, row: int) -> Float32Array:
        """A description's global vector, (D,), L2-normalised."""
        return _unit(self.text_globals[row])

    def image_tokens(self, row: int) -> Float16Array:
        """A picture's spatial tokens, (49, Wi)."""
        assert self.image_locals is not None
        return np.asarray(self.image_locals[row], dtype=np.float16)

    def text_tokens(self, row: int) -> Float16Array:
        """A description's token outputs with their padding, (L, Wt)."""
        assert self.text_locals is not None
        return np.asarray(self.text_locals[row], dtype=np.float16)


def open_representations(folder: Path) -> Representations:
    """Find and map the files of a folder; their contents are looked at by `check_numbers`.

    Raises:
        SourceError: a file is missing, there twice, broken, of another type or shape, or has other rows.
    """
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.", hint="Give the folder that holds the four .npy files.")
    images, texts = _find(folder, "image_globals", needed=True), _find(folder, "text_globals", needed=True)
    assert images is not None
    assert texts is not None
    found = {"image_globals": _map(images, (2,)), "text_globals": _map(texts, (2,))}
    if found["image_globals"].shape[1] != found["text_globals"].shape[1]:
        raise SourceError(
            f"{images.name} holds vectors of {found['image_globals'].shape[1]}, {texts.name} of "
            f"{found['text_globals'].shape[1]}; they must be of one space."
        )
    if (file := _find(folder, "image_locals")) is not None:
        found["image_locals"] = _regions(_map(file, (3, 4)), file)
    if (file := _find(folder, "text_locals")) is not None:
        found["text_locals"] = _map(file, (3,))
    rows = {ENDINGS[name]: len(array) for name, array in found.items()}
    if len(set(rows.values())) != 1:
        listed = ", ".join(f"{count:,} in …{name}" for name, count in rows.items())
        raise SourceError(f"The files have different numbers of rows: {listed}.")
    if not len(found["image_globals"]) or not found["image_globals"].shape[1]:
        raise SourceError(f"The files in {folder} are empty.")
    return Representations(
        found["image_globals"], found["text_globals"], found.get("image_locals"), found.get("text_locals")
    )


def check_numbers(representations: Representations, progress: Progress = lambda what, done, total: None) -> None:
    """Read everything once.

    Raises:
        SourceError: a value that is not a number or too large, or a global vector of length 0; with file and row.
    """
    arrays = {name: array for name in ENDINGS if (array := getattr(representations, name)) is not None}
    total, done = len(representations) * len(arrays), 0
    for name, array in arrays.items():
        step = max(1, CHECK_BYTES // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            block = np.asarray(array[start : start + step], dtype=np.float32).reshape(
                len(array[start : start + step]), -1
            )
            # Tokens are stored in half precision; beyond it they would be infinite.
            largest = np.finfo(np.float16).max if name.endswith("locals") else np.finfo(np.float32).max
            good = (np.abs(block) <= largest).all(axis=1)
            if name.endswith("globals"):
                good &= np.abs(block).max(axis=1) > 0
            if not good.all():
                row = start + int(np.argmin(good))
                raise SourceError(
                    f"Row {row} of …{ENDINGS[name]} holds {_what_is_wrong(block[row - start])}.",
                    hint="Rows are counted from 0. Compute it anew, or leave the work out of all files.",
                )
            done += len(block)
            progress("checking", done, total)


def described_tokens(tokens: Float16Array, description: str) -> tuple[Float16Array, tuple[str, ...]]:
    """The token outputs of one description without padding, and the words that they stand for.

    Outputs padded as CLIP pads them are made into one row a word, as the encoder gives them. Others end where only
    zeros follow; their words are those of the description if there are as many, else numbers.

    Args:
        tokens: (L, Wt).
    """
    if len(tokens) == CLIP_LENGTH:
        return _clip_words(tokens, description)
    filled = np.flatnonzero(tokens.any(axis=1))
    rows = tokens[: int(filled[-1]) + 1 if len(filled) else 1]
    words = tuple(re.findall(r"\w+|[^\w\s]", description))
    return rows, words if len(words) == len(rows) else tuple(f"token {place}" for place in range(1, len(rows) + 1))


def _clip_words(tokens: Float16Array, description: str) -> tuple[Float16Array, tuple[str, ...]]:
    import open_clip
    import torch

    from boonart.encoders.open_clip_tokens import words

    tokenizer = open_clip.SimpleTokenizer(context_length=CLIP_LENGTH)
    rows, found = words(tokenizer, tokenizer([description])[0].tolist(), torch.from_numpy(tokens).float())
    return rows.numpy().astype(np.float16), found


# --- files ---


def _find(folder: Path, name: str, *, needed: bool = False) -> Path | None:
    files = sorted(folder.glob(f"*{ENDINGS[name]}"))
    if len(files) > 1:
        raise SourceError(f"{folder} holds {len(files)} files that end in {ENDINGS[name]}; one is needed.")
    if not files and needed:
        raise SourceError(
            f"{folder} holds no file that ends in {ENDINGS[name]}.",
            hint=f"The files end in {', '.join(ENDINGS.values())}, such as ArtUKimGloRp.npy.",
        )
    return files[0] if files else None


def _map(file: Path, dimensions: tuple[int, ...]) -> Array:
    """Memory-map a file of numbers."""
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "it holds Python objects" if "bject" in str(error) else f"{error}"
        raise SourceError(
            f"{file} cannot be read as an array of numbers: {reason}.",
            hint="Save it with numpy.save, as float16 or float32.",
        ) from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        kind = getattr(array, "dtype", "several arrays")
        raise SourceError(f"{file} holds {kind}; floating-point numbers are needed.")
    if array.ndim not in dimensions:
        wanted = " or ".join(str(count) for count in dimensions)
        raise SourceError(f"{file} has the shape {array.shape}; {wanted} dimensions are needed.")
    return array


def _regions(array: Array, file: Path) -> Array:
    """(N, 49, Wi) of (N, 7, 7, Wi), or of (N, 50, Wi) with the pooled token in front."""
    if array.ndim == 4 and array.shape[1:3] == (GRID, GRID):
        return array.reshape(len(array), REGIONS, array.shape[3])
    if array.ndim == 3 and array.shape[1] in (REGIONS, REGIONS + 1):
        return array[:, array.shape[1] - REGIONS :]
    raise SourceError(
        f"{file} has the shape {array.shape}; a picture must have {REGIONS} regions, a grid of {GRID} × {GRID}."
    )


def _what_is_wrong(row: Float32Array) -> str:
    if np.isnan(row).any():
        return "a value that is not a number"
    return "a value that is infinite or too large" if row.any() else "only zeros"


def _unit(vector: Array) -> Float32Array:
    values = np.asarray(vector, dtype=np.float32)
    return np.asarray(values / np.linalg.norm(values), dtype=np.float32)
