"""The benchmark protocols: Flickr8k, Tate by subject, and any works by their descriptions.

Each encodes its pictures and texts once, ranks by the global vectors, and, where a ranker is asked for, lets the
very reranker that serves users put the best candidates of each query in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from boonart.encoders.catalogue import load_encoder
from boonart.encoders.pictures import decode
from boonart.errors import SourceError
from boonart.evaluation.relations import expected_calibration_error
from boonart.evaluation.retrieval import (
    BoolArray,
    best_ranks,
    mean_average_precision,
    precision_at,
    recall,
)
from boonart.ports import EncoderModel, Features, Reranker, RerankRequest
from boonart.vitr.weights import load_reranker
from boonart.works import Candidate, Float32Array, ImageEmbedding, Ranker, RerankScore, TextEmbedding, Work

if TYPE_CHECKING:
    from boonart.evaluation.datasets import Captioned, CollectionWork
    from boonart.settings import Settings

BATCH = 32
Advance = Callable[[int], None]
Judge = Callable[[int, Sequence[RerankScore]], None]
FIRST_PAGE = 10
"""Hits of a query whose relevance is held against the truth: the first that a user reads. All candidates together
would nearly all be wrong and rightly said to be."""


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pictures, texts, and which text belongs to which picture.

    Attributes:
        owners: (M,) index of each text's picture.
    """

    name: str
    images: tuple[Path, ...]
    texts: tuple[str, ...]
    owners: npt.NDArray[np.intp]

    def __len__(self) -> int:
        """Things to encode."""
        return len(self.images) + len(self.texts)

    @property
    def relevant(self) -> BoolArray:
        """(M, N) bool, True where picture n is text m's."""
        return np.asarray(self.owners[:, None] == np.arange(len(self.images)), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """A `PairSet` as embeddings, in the same order."""

    images: list[ImageEmbedding]
    texts: list[TextEmbedding]

    @property
    def similarities(self) -> Float32Array:
        """(M, N) cosines of each text with each picture."""
        texts = np.stack([text.global_vector for text in self.texts])
        images = np.stack([image.global_vector for image in self.images])
        return np.asarray(texts @ images.T, dtype=np.float32)


def captioned_pairs(name: str, photographs: Sequence[Captioned]) -> PairSet:
    """Photographs with several captions each."""
    owners = [index for index, item in enumerate(photographs) for _ in item.captions]
    return PairSet(
        name,
        tuple(item.image for item in photographs),
        tuple(caption for item in photographs for caption in item.captions),
        np.array(owners, dtype=np.intp),
    )


def described_pairs(name: str, works: Sequence[CollectionWork]) -> PairSet:
    """Works with one description each; those without are left out.

    Raises:
        SourceError: no work has a description.
    """
    described = [item for item in works if item.work.description.strip()]
    if not described:
        raise SourceError(
            f"No work of {name} has a description, so recall cannot be measured.",
            hint="`boonart evaluate tate` measures by subject instead.",
        )
    return PairSet(
        name,
        tuple(item.image for item in described),
        tuple(item.work.description for item in described),
        np.arange(len(described), dtype=np.intp),
    )


def encode_images(
    model: EncoderModel, files: Sequence[Path], advance: Advance = lambda done: None
) -> list[ImageEmbedding]:
    """Embed picture files in order."""
    found: list[ImageEmbedding] = []
    for start in range(0, len(files), BATCH):
        pictures = [decode(file.read_bytes()) for file in files[start : start + BATCH]]
        found += model.encode_images(pictures)
        advance(len(pictures))
    return found


def encode_texts(
    model: EncoderModel, texts: Sequence[str], advance: Advance = lambda done: None
) -> list[TextEmbedding]:
    """Embed texts in order."""
    found: list[TextEmbedding] = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        found += model.encode_texts(batch)
        advance(len(batch))
    return found


def encode_pairs(model: EncoderModel, pairs: PairSet, advance: Advance = lambda done: None) -> EncodedPairs:
    """Embed all pictures and texts of a set."""
    return EncodedPairs(encode_images(model, pairs.images, advance), encode_texts(model, pairs.texts, advance))


class ArrayFeatures:
    """Features held in memory, in the place of an index: the point id is the position as text."""

    def __init__(self) -> None:
        self._sides: dict[str, dict[str, Features]] = {"image": {}, "description": {}}

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """See `ports.WorkIndex.features`."""
        del collection
        stored = self._sides[side]
        return {point_id: stored[point_id] for point_id in point_ids if point_id in stored}

    def put(self, side: str, key: str, features: Features) -> None:
        """Keep features as those of "image" or "description" number `key`."""
        self._sides[side][key] = replace(features, content_hash=key)

    async def prepare(self, reranker: Reranker, encoded: EncodedPairs) -> None:
        """Compute what does not depend on a query, as an ingest does."""
        for start in range(0, len(encoded.images), BATCH):
            images = encoded.images[start : start + BATCH]
            for offset, tokens in enumerate(await reranker.prepare_images(images)):
                key = str(start + offset)
                vector = images[offset].global_vector.astype(np.float16)
                self._sides["image"][key] = Features(key, vector, tokens)
        for start in range(0, len(encoded.texts), BATCH):
            texts = encoded.texts[start : start + BATCH]
            for offset, tokens in enumerate(await reranker.prepare_texts(texts)):
                key, text = str(start + offset), texts[offset]
                vector = text.global_vector.astype(np.float16)
                self._sides["description"][key] = Features(key, vector, tokens, text.words)


def reranked(
    reranker: Reranker,
    queries: Sequence[TextEmbedding | ImageEmbedding],
    similarities: Float32Array,
    *,
    ranker: Ranker,
    candidates: int,
    collection: str,
    advance: Advance = lambda done: None,
    judge: Judge = lambda row, hits: None,
) -> Float32Array:
    """(Q, N) scores in the order that a user would see: reranked candidates first, then the global order.

    Args:
        similarities: (Q, N) cosines of each query with each item.
        collection: keeps the features of the two directions apart in the reranker's bank.
        judge: told of each query's row and its reranked candidates, best first.
    """

    async def run() -> Float32Array:
        ordered = similarities.copy()
        for row, query in enumerate(queries):
            best = np.argsort(-similarities[row], kind="stable")[:candidates]
            proposed = [
                Candidate(str(index), Work(str(index)), float(similarities[row, index]), str(index)) for index in best
            ]
            scores = await reranker.rerank(RerankRequest(collection, query, proposed, ranker))
            ranked = sorted(scores, key=lambda score: -score.score)
            judge(row, ranked)
            for position, score in enumerate(ranked):
                # Above every cosine, and in the reranker's order.
                ordered[row, int(score.point_id)] = 2.0 + len(ranked) - position
            advance(1)
        return ordered

    return asyncio.run(run())


class Calibration:
    """Collects how relevant the first hits were said to be, and whether they were right."""

    def __init__(self) -> None:
        self._stated: list[float] = []
        self._right: list[bool] = []

    def judge(self, relevant: BoolArray) -> Judge:
        """What `reranked` tells of its hits.

        Args:
            relevant: (Q, N), True where item n is right for query q.
        """

        def judge(row: int, hits: Sequence[RerankScore]) -> None:
            for hit in hits[:FIRST_PAGE]:
                if hit.relevance is not None:
                    self._stated.append(hit.relevance)
                    self._right.append(bool(relevant[row, int(hit.point_id)]))

        return judge

    def figures(self) -> dict[str, float]:
        """`calibration.error`, 0 to 1, and the mean stated and found shares; nothing where nothing was stated."""
        if not self._stated:
            return {}
        stated, right = np.array(self._stated), np.array(self._right)
        return {
            "calibration.error": expected_calibration_error(stated, right),
            "calibration.stated": float(stated.mean()),
            "calibration.right": float(right.mean()),
        }


def recall_figures(forward: Float32Array, backward: Float32Array, pairs: PairSet) -> dict[str, float]:
    """Recall both ways.

    Args:
        forward: (M, N) scores of pictures for each text.
        backward: (N, M) scores of texts for each picture.
    """
    relevant = pairs.relevant
    figures = {f"text_to_image.{name}": value for name, value in recall(best_ranks(forward, relevant)).items()}
    figures |= {f"image_to_text.{name}": value for name, value in recall(best_ranks(backward, relevant.T)).items()}
    figures["sum_of_recalls"] = sum(figures.values())
    return figures


def subject_figures(scores: Float32Array, relevant: BoolArray) -> dict[str, float]:
    """Mean average precision and precision at 10 of queries by subject."""
    return {"mAP": mean_average_precision(scores, relevant), "P@10": precision_at(scores, relevant, 10)}


def subject_pairs(name: str, works: Sequence[CollectionWork], queries: Sequence[str]) -> PairSet:
    """Works and queries by subject; no text belongs to one picture alone."""
    owners = np.full(len(queries), -1, dtype=np.intp)
    return PairSet(name, tuple(item.image for item in works), tuple(queries), owners)


def run_protocol(
    settings: Settings,
    pairs: PairSet,
    relevant: BoolArray | None,
    *,
    ranker: Ranker,
    candidates: int,
    extend: Advance = lambda more: None,
    advance: Advance = lambda done: None,
) -> tuple[dict[str, float], dict[str, str]]:
    """Encode, rank, rerank where asked, and score.

    Args:
        relevant: (M, N) for queries by subject; None for pairs, which are measured both ways.
        extend: called with the number of further steps when reranking makes the run longer.

    Returns:
        The figures, with `calibration.error` where the ranker states a relevance, and the ids of the models by kind.

    Raises:
        ModelNotAvailable: the encoder or the reranker asked for is not on this machine.
    """
    model = load_encoder(settings.encoder, models_folder=settings.models_folder, device=settings.device)
    encoded = encode_pairs(model, pairs, advance)
    forward = encoded.similarities
    backward = np.ascontiguousarray(forward.T)
    models = {"encoder": model.card.id}
    calibration = Calibration()
    if ranker is not Ranker.NONE:
        features = ArrayFeatures()
        reranker = load_reranker(
            "auto",
            encoder_card=model.card,
            index=features,
            models_folder=settings.models_folder,
            device=settings.device,
            bank_bytes=settings.bank_bytes,
        )
        models["reranker"] = reranker.card.id
        asyncio.run(features.prepare(reranker, encoded))
        order = partial(reranked, reranker, ranker=ranker, candidates=candidates, advance=advance)
        extend(len(encoded.texts) + (len(encoded.images) if relevant is None else 0))
        right = relevant if relevant is not None else pairs.relevant
        forward = order(encoded.texts, forward, collection="pictures", judge=calibration.judge(right))
        if relevant is None:
            backward = order(encoded.images, backward, collection="texts", judge=calibration.judge(right.T))
        asyncio.run(reranker.close())
    figures = subject_figures(forward, relevant) if relevant is not None else recall_figures(forward, backward, pairs)
    return figures | calibration.figures(), models
