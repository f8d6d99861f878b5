"""From vectors to places on a plane: what looks alike lies close together. A process of its own:

    python -m boonart.map_layout VECTORS.npy PLACES.npy

It takes a processor for seconds to minutes and holds the interpreter's lock meanwhile, so that in the process of a
server it would slow every search down.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from boonart.works import Float32Array

LANDMARKS = 4_000
"""Works that are laid out against each other; further ones are put beside those that they look like. The time grows
faster than this number, and a map of thousands is as clear as one of a hundred thousand."""
PERPLEXITY = 30.0
COMPONENTS = 50
"""Main directions in which the works are compared: what lies beyond is noise, and costs time."""
NEAREST = 4
"""Landmarks beside which a further work is put."""
FEWEST = 12
"""Below so many works their two main directions say all."""
SEED = 0


def lay_out(vectors: Float32Array, *, landmarks: int = LANDMARKS, seed: int = SEED) -> Float32Array:
    """Places of works: (N, 2) float32 in 0..1, in the same proportions both ways; the same vectors give the same map.

    Args:
        vectors: (N, D) float32, L2-normalised.
        landmarks: most works that are compared pairwise.
    """
    count = len(vectors)
    if count == 0:
        return np.zeros((0, 2), dtype=np.float32)
    chosen = np.arange(count)
    if count > landmarks:
        chosen = np.sort(np.random.default_rng(seed).permutation(count)[:landmarks])
    places = np.empty((count, 2), dtype=np.float32)
    places[chosen] = _embedded(vectors[chosen], seed)
    rest = np.setdiff1d(np.arange(count), chosen)
    for start in range(0, len(rest), 1024):
        block = rest[start : start + 1024]
        places[block] = _beside(vectors[block], vectors[chosen], places[chosen])
    return _scaled(places)


def _embedded(vectors: Float32Array, seed: int) -> Float32Array:
    """The landmarks' places: t-SNE of their main directions, begun from the first two (Kobak and Berens 2019)."""
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    reduced = centred @ directions[:COMPONENTS].T
    if len(vectors) < FEWEST:
        flat = np.zeros((len(vectors), 2), dtype=np.float32)
        flat[:, : min(2, reduced.shape[1])] = reduced[:, :2]
        return flat
    # Heavy, and wanted here alone.
    from sklearn.manifold import TSNE

    start = 1e-4 * reduced[:, :2] / max(float(reduced[:, 0].std()), 1e-9)
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        init=np.ascontiguousarray(start, dtype=np.float32),
        random_state=seed,
        learning_rate="auto",
        n_jobs=1,
    )
    return np.asarray(tsne.fit_transform(np.ascontiguousarray(reduced, dtype=np.float32)), dtype=np.float32)


def _beside(vectors: Float32Array, landmarks: Float32Array, places: Float32Array) -> Float32Array:
    """Means of the places of the nearest landmarks, the nearer ones counting more."""
    likeness = vectors @ landmarks.T
    nearest = np.argpartition(-likeness, min(NEAREST, len(landmarks)) - 1, axis=1)[:, :NEAREST]
    weights = np.take_along_axis(likeness, nearest, axis=1)
    weights = np.exp(20 * (weights - weights.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((places[nearest] * weights[..., None]).sum(axis=1), dtype=np.float32)


def _scaled(places: Float32Array) -> Float32Array:
    """The places within 0..1, centred."""
    low, high = places.min(axis=0), places.max(axis=0)
    size = max(float((high - low).max()), 1e-9)
    return np.asarray((places - (low + high) / 2) / size + 0.5, dtype=np.float32).clip(0, 1)


def main(arguments: list[str]) -> None:
    """Read vectors from the first file, write places to the second."""
    os.nice(5)
    source, target = (Path(argument) for argument in arguments)
    np.save(target, lay_out(np.load(source, allow_pickle=False)))


if __name__ == "__main__":
    main(sys.argv[1:])
