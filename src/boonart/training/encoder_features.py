"""Training pictures as the frozen trunk sees them, encoded once and memory-mapped.

The lower network stays as the package has it, so its output for a picture never changes. What it makes of
each training picture and of several altered views of it is written once, 34 KB a view, and fine-tuning
what lies above costs little.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from boonart.encoders.starter import folded
from boonart.encoders.starter_network import (
    EFFICIENTNET,
    PICTURE_MEAN,
    PICTURE_SIZE,
    PICTURE_STD,
    TRUNK_CHANNELS,
    TRUNK_GRID,
    ImageTower,
)

FORMAT = 3
"""Raised when the views or their storage change, so that an old cache is not taken for a new one."""
BATCH = 16

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and what there is to do."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class TrunkViews:
    """Trunk outputs of N pictures in V views.

    Attributes:
        views: V memory-mapped arrays (N, 9, 9, 208) float16. View 0 is the picture as it is, 1 its mirror
            image, the others are random.
    """

    views: tuple[npt.NDArray[np.float16], ...]


Reader = Callable[[], Image.Image]
"""Opens or paints one picture, RGB."""


def load_trunk_views(
    files: Sequence[Path],
    cache: Path,
    tower: ImageTower,
    *,
    views: int,
    seed: int,
    progress: Progress = silent,
) -> TrunkViews:
    """The trunk's output for every picture file and its first `views` views, from the cache or computed now.

    Args:
        files: the pictures.
        cache: folder to keep the arrays in.
        tower: with the package's weights.
        views: how many, at least one.
        progress: told after every batch.
    """
    readers = [partial(_open, file) for file in files]
    identities = [_identity(file) for file in files]
    arrays = encode_views(
        readers, identities, cache, tower, views=range(views), seed=seed, stage="pictures", progress=progress
    )
    return TrunkViews(arrays)


def encode_views(
    readers: Sequence[Reader],
    identities: Sequence[object],
    cache: Path,
    tower: ImageTower,
    *,
    views: Iterable[int],
    seed: int,
    stage: str,
    progress: Progress = silent,
) -> tuple[npt.NDArray[np.float16], ...]:
    """The trunk's output for pictures in some of their views, from the cache or computed now.

    A view is stored in one file that appears only when it is complete; interrupted, the next call goes on with
    the first missing one.

    Args:
        readers: one a picture; called only for views that are not in the cache.
        identities: what each picture is known by, as JSON can hold it; another one is another picture.
        views: numbers of the views, see `altered`.
        stage: name for the progress.

    Returns:
        For each view a memory-mapped array (N, 9, 9, 208) float16.
    """
    key = json.dumps([FORMAT, EFFICIENTNET.sha256, seed, list(identities)])
    folder = cache / "trunk" / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    arrays = []
    for view in views:
        path = folder / f"view-{view:02d}.npy"
        if not path.is_file():
            _write_view(path, readers, tower, view=view, seed=seed, stage=stage, progress=progress)
        arrays.append(np.load(path, mmap_mode="r"))
    return tuple(arrays)


def altered(picture: Image.Image, view: int, row: int, seed: int) -> Image.Image:
    """The picture in one of its views, 288 x 288.

    Views from 2 on are crops of 50 to 100 % of the area with changed light and colour; every third of them
    (4, 7, ...) also looks like a drawing, an old print or a painting: grey, sepia, few colours, smeared.
    """
    if view == 0:
        return squashed(picture)
    if view == 1:
        return ImageOps.mirror(squashed(picture))
    rng = np.random.default_rng((seed, view, row))
    mirror = rng.random() < 0.5
    picture = _crop(picture, rng)
    if mirror:
        picture = ImageOps.mirror(picture)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(0.65, 1.35))
    if view % 3 == 1:
        picture = _in_style(picture, rng)
    return picture


def squashed(picture: Image.Image) -> Image.Image:
    """The whole picture in 288 x 288, its proportions given up."""
    if picture.size == (PICTURE_SIZE, PICTURE_SIZE):
        return picture
    return picture.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BICUBIC, reducing_gap=3.0)


def pixels_to_tensor(pictures: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures (288, 288, 3) uint8 to a normalised batch (B, 3, 288, 288) float32, channels last in memory."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return batch.float().div_(255.0).sub_(PICTURE_MEAN).div_(PICTURE_STD)


def _crop(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    area, ratio = rng.uniform(0.5, 1.0), np.exp(rng.uniform(-0.25, 0.25))
    share_x, share_y = min(1.0, np.sqrt(area * ratio)), min(1.0, np.sqrt(area / ratio))
    left, top = rng.random() * (1 - share_x) * width, rng.random() * (1 - share_y) * height
    box = (left, top, left + share_x * width, top + share_y * height)
    return picture.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BICUBIC, box=box)


def _in_style(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    style = int(rng.integers(6))
    if style == 0:
        return ImageOps.grayscale(picture).convert("RGB")
    if style == 1:
        return ImageOps.colorize(ImageOps.grayscale(picture), (45, 28, 12), (245, 226, 190))
    if style == 2:
        return ImageOps.posterize(picture.filter(ImageFilter.GaussianBlur(1.0)), 3)
    if style == 3:
        return picture.filter(ImageFilter.MedianFilter(5))
    if style == 4:
        return picture.quantize(12, dither=Image.Dither.NONE).convert("RGB")
    grey = ImageOps.autocontrast(ImageOps.grayscale(picture), cutoff=5)
    return ImageEnhance.Contrast(grey).enhance(1.6).convert("RGB")


def _identity(file: Path) -> tuple[str, int]:
    return file.name, file.stat().st_size


def _open(file: Path) -> Image.Image:
    with Image.open(file) as opened:
        return opened.convert("RGB")


def _write_view(
    path: Path, readers: Sequence[Reader], tower: ImageTower, *, view: int, seed: int, stage: str, progress: Progress
) -> None:
    trunk = folded(tower.eval()).trunk
    unfinished = path.with_suffix(".partial")
    shape = (len(readers), TRUNK_GRID, TRUNK_GRID, TRUNK_CHANNELS)
    out = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
    batches = [range(start, min(start + BATCH, len(readers))) for start in range(0, len(readers), BATCH)]

    def read(rows: range) -> torch.Tensor:
        return pixels_to_tensor([np.asarray(altered(readers[row](), view, row, seed)) for row in rows])

    with ThreadPoolExecutor(1) as reader, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        ahead = reader.submit(read, batches[0]) if batches else None
        for number, rows in enumerate(batches):
            assert ahead is not None
            pixels = ahead.result()
            if number + 1 < len(batches):
                ahead = reader.submit(read, batches[number + 1])
            features = trunk(pixels).float().permute(0, 2, 3, 1)
            out[rows.start : rows.stop] = features.numpy().astype(np.float16)
            progress(f"{stage}, view {view + 1}", rows.stop, len(readers))
    out.flush()
    del out
    unfinished.replace(path)
