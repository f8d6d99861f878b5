"""Running the relation probes with the very reranker that serves users.

Each function takes a loaded encoder and a function that loads a reranker over given features, so that the command
line and the tests meet in the same code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boonart.errors import SourceError
from boonart.evaluation.datasets import Captioned
from boonart.evaluation.exchanged import exchange_roles
from boonart.evaluation.protocols import ArrayFeatures, EncodedPairs, PairSet, encode_images, encode_pairs, encode_texts
from boonart.evaluation.relations import SwappedPair, TwinScores, pair_figures, relation_figures
from boonart.ports import EncoderModel, Reranker, RerankRequest
from boonart.works import Candidate, Float32Array, ImageEmbedding, Ranker, TextEmbedding, Work

LoadReranker = Callable[[ArrayFeatures], Reranker]
RANKERS = {"global": Ranker.NONE, "late": Ranker.LATE, "vitr": Ranker.VITR, "role": Ranker.ROLE}
"""The four rankers by the names they have in figures; "default" is the shipped one."""
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class TwinCase:
    """Two pictures that differ in the relation alone, with their sentences in the same order."""

    images: tuple[Path, Path]
    captions: tuple[tuple[str, ...], tuple[str, ...]]
    kind: str


def gallery_twins(records: Path, split: str = "test") -> list[TwinCase]:
    """The twins of a generated gallery.

    Args:
        records: its works.jsonl.
        split: "train", "dev" or "test".

    Raises:
        SourceError: the gallery has no twins in this split.
    """
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines() if line.strip()]
    by_id = {record["id"]: record for record in lines}
    cases = []
    for record in lines:
        for twin_id in record.get("twins", ()):
            if record.get("split") == split and record["id"] < twin_id:
                both = (record, by_id[twin_id])
                images = tuple(records.parent / item["image"] for item in both)
                captions = tuple((item["description"], *item.get("wordings", ())) for item in both)
                cases.append(TwinCase(images, captions, record["relation_kind"]))  # type: ignore[arg-type]
    if not cases:
        raise SourceError(f"{records} has no twins in the split {split!r}.")
    return cases


def evaluate_relations(
    model: EncoderModel,
    load: LoadReranker,
    cases: Sequence[TwinCase],
    rankers: Sequence[str] = ("global", "late", "vitr", "role"),
    advance: Advance = lambda done: None,
) -> dict[str, float]:
    """`relations.<ranker>.text|image|group`, and `.group.<kind>`, in percent."""
    images = [image for case in cases for image in case.images]
    texts = [text for case in cases for captions in case.captions for text in captions]
    owners = [2 * n + side for n, case in enumerate(cases) for side in (0, 1) for _ in case.captions[side]]
    encoded = encode_pairs(model, PairSet("twins", tuple(images), tuple(texts), np.array(owners)), advance)
    rows = {owner: [row for row, other in enumerate(owners) if other == owner] for owner in set(owners)}
    quadruples = [
        (a, b, 2 * n, 2 * n + 1, case.kind)
        for n, case in enumerate(cases)
        for a, b in zip(rows[2 * n], rows[2 * n + 1], strict=False)
    ]
    kinds = tuple(item[4] for item in quadruples)
    figures: dict[str, float] = {}
    with closing(PairScorer(load, encoded)) as scorer:
        for name in rankers:
            by_text = [[scorer.text(text, (a, b), name) for text in (x, y)] for x, y, a, b, _ in quadruples]
            by_picture = [[scorer.picture(p, (x, y), name) for p in (a, b)] for x, y, a, b, _ in quadruples]
            twins = TwinScores(np.array(by_text), np.array(by_picture).transpose(0, 2, 1), kinds)
            figures |= relation_figures(twins, f"relations.{name}.")
    return figures


def exchanged_pairs(photographs: Sequence[Captioned]) -> list[SwappedPair]:
    """Every caption whose roles can be exchanged by rule, with its photograph."""
    return [
        SwappedPair(item.image, caption, swapped)
        for item in photographs
        for caption in item.captions
        if (swapped := exchange_roles(caption)) is not None
    ]


def evaluate_pairs(
    model: EncoderModel,
    load: LoadReranker,
    pairs: Sequence[SwappedPair],
    rankers: Sequence[str] = ("global", "late", "vitr", "role"),
    advance: Advance = lambda done: None,
) -> dict[str, float]:
    """`pairs.<ranker>.right`: how often a picture prefers its caption to the swapped one, in percent."""
    files = sorted({pair.image for pair in pairs})
    place = {file: row for row, file in enumerate(files)}
    texts = [text for pair in pairs for text in (pair.caption, pair.swapped)]
    encoded = EncodedPairs(encode_images(model, files, advance), encode_texts(model, texts, advance))
    figures: dict[str, float] = {"pairs.count": float(len(pairs))}
    with closing(PairScorer(load, encoded)) as scorer:
        for name in rankers:
            scores = np.array(
                [scorer.picture(place[pair.image], (2 * n, 2 * n + 1), name) for n, pair in enumerate(pairs)]
            )
            figures |= pair_figures(scores[:, 0], scores[:, 1], f"pairs.{name}.")
    return figures


class PairScorer:
    """Scores of single pairs of an encoded set, by the name of the ranker.

    Args:
        load: makes a reranker over features.
        encoded: pictures and texts.
    """

    def __init__(self, load: LoadReranker, encoded: EncodedPairs) -> None:
        features = ArrayFeatures()
        self._encoded = encoded
        self._reranker = load(features)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(features.prepare(self._reranker, encoded))

    def text(self, row: int, pictures: Sequence[int], name: str) -> list[float]:
        """Scores of pictures for a text."""
        query = self._encoded.texts[row]
        return self._scores(query, pictures, [self._encoded.images[p].global_vector for p in pictures], name)

    def picture(self, row: int, texts: Sequence[int], name: str) -> list[float]:
        """Scores of texts for a picture."""
        query = self._encoded.images[row]
        return self._scores(query, texts, [self._encoded.texts[t].global_vector for t in texts], name)

    def close(self) -> None:
        """Release the reranker."""
        self._loop.run_until_complete(self._reranker.close())
        self._loop.close()

    def _scores(
        self, query: TextEmbedding | ImageEmbedding, rows: Sequence[int], vectors: Sequence[Float32Array], name: str
    ) -> list[float]:
        cosines = [float(query.global_vector @ vector) for vector in vectors]
        if name == "global":
            return cosines
        ranker = Ranker.DEFAULT if name == "default" else RANKERS[name]
        collection = "pictures" if isinstance(query, TextEmbedding) else "texts"
        proposed = [
            Candidate(str(row), Work(str(row)), score, str(row)) for row, score in zip(rows, cosines, strict=True)
        ]
        request = RerankRequest(collection, query, proposed, ranker)
        found = {s.point_id: s.score for s in self._loop.run_until_complete(self._reranker.rerank(request))}
        return [found[str(row)] for row in rows]
