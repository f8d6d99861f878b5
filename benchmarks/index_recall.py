"""Recall and time of the graph search against the exact one: `python benchmarks/index_recall.py --json FILE`.

Vectors are clustered, as embeddings of a collection are: a few hundred centres with noise around them. Queries
are noisy copies of stored vectors. The figures have the project's one form for measurements.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from boonart.index.edge import EdgeIndex
from boonart.works import IndexedWork, Manifest, Work

BATCH = 500


def made(count: int, size: int, queries: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stored vectors (count, size) and queries (queries, size), float32."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count // 100, size))
    vectors = centres[random.integers(0, len(centres), count)] + 0.8 * random.normal(size=(count, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = vectors[random.choice(count, queries, replace=False)]
    noise = random.normal(size=chosen.shape) * 0.5 / np.sqrt(size)
    return vectors.astype(np.float32), (chosen + noise).astype(np.float32)


async def timed(index: EdgeIndex, queries: np.ndarray, limit: int, exact: bool) -> tuple[list[list[str]], float]:
    """The ids found for each query, and the median milliseconds of a query."""
    found, times = [], []
    for query in queries:
        start = time.perf_counter()
        hits = await index.search("bench", query, name="image", limit=limit, exact=exact)
        times.append(1000 * (time.perf_counter() - start))
        found.append([hit.work.id for hit in hits])
    return found, float(np.median(times))


def recall(found: list[list[str]], truth: list[list[str]], k: int) -> float:
    """Share in percent of the true k nearest that were found among the first k."""
    return 100 * float(np.mean([len(set(a[:k]) & set(b[:k])) / k for a, b in zip(found, truth, strict=True)]))


async def measure(count: int, size: int, queries: int, seed: int, folder: Path) -> dict[str, float]:
    vectors, asked = made(count, size, queries, seed)
    index = EdgeIndex(folder, exact_below=10**9)
    await index.create("bench", Manifest("bench", size))
    start = time.perf_counter()
    for first in range(0, count, BATCH):
        rows = range(first, min(first + BATCH, count))
        await index.upsert("bench", [IndexedWork(Work(str(row)), str(row), vectors[row]) for row in rows])
    figures = {"upsert.works_per_second": count / (time.perf_counter() - start)}
    _, figures["exact.before.top100.median_ms"] = await timed(index, asked, 100, False)
    start = time.perf_counter()
    await index.optimise("bench")
    figures["build.seconds"] = time.perf_counter() - start
    truth, figures["exact.top100.median_ms"] = await timed(index, asked, 100, True)
    found, figures["graph.top100.median_ms"] = await timed(index, asked, 100, False)
    ten, figures["graph.top10.median_ms"] = await timed(index, asked, 10, False)
    figures["recall@10"] = recall(ten, truth, 10)
    figures["recall@100"] = recall(found, truth, 100)
    await index.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--works", type=int, default=30_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(given.works, given.size, given.queries, given.seed, Path(folder)))
    result = {
        "name": "index_recall",
        "figures": {name: round(value, 3) for name, value in figures.items()},
        "settings": {
            "works": given.works,
            "size": given.size,
            "queries": given.queries,
            "seed": given.seed,
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "seconds": round(time.perf_counter() - start, 1),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
