"""Scores of candidates: the relation network behind `ports.Reranker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar, TypeVarTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from boonart.errors import InvalidQuery, ModelError, ModelMismatch, OutOfMemory
from boonart.ports import Features, RerankRequest
from boonart.vitr.bank import FeatureBank, FeatureKey, Gathered, Room
from boonart.vitr.explain import word_maps
from boonart.vitr.mixture import DISTINCTNESS, Direction, Mixture, Mixtures
from boonart.vitr.model import RelationNetwork, reason
from boonart.vitr.role import SUMMARY_SIZE, inner_products
from boonart.works import (
    REGIONS,
    Candidate,
    Float16Array,
    ImageEmbedding,
    ModelCard,
    Ranker,
    RerankScore,
    TextEmbedding,
    WordMap,
)

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

PREPARE_BATCH = 64
"""Pictures or texts that pass through the network at once at ingest."""
SCORE_BLOCK, WORDS_BLOCK = 256, 25
"""Pictures and descriptions that are scored at once. Descriptions are of all lengths: they are taken in this order, so
that little is padded."""
FEWEST_WORDS = 3
"""Words that a text query must have for its role score to count: one or two relate nothing to each other, and the head
has learned from sentences alone."""
_OUT_OF_MEMORY_HINT = "Ask for fewer candidates, or set BOONART_DEVICE=cpu."


class FeatureSource(Protocol):
    """Where features come from on a miss: `ports.WorkIndex`, or anything with this one method of it."""

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """Stored features by point id; missing ones are left out."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One query against C candidates, ready for the heads; the query's side has one row.

    Attributes:
        regions: (C or 1, 49, E).
        words: (1 or C, T, E), padded at the end.
        mask: (1 or C, T) bool.
        image_global, text_global: (C or 1, D).
        popularity: (), of the query.
    """

    regions: Tensor
    words: Tensor
    mask: Tensor
    image_global: Tensor
    text_global: Tensor
    popularity: Tensor


class VitrReranker:
    """Scores one query against its candidates in one batched pass; see `ports.Reranker`.

    Args:
        network: with its weights, in evaluation mode or not.
        card: what the weights are; `card.encoder_id` names the encoder they belong to.
        mixtures: how each ranker weighs its parts.
        source: where features come from when the bank does not hold them.
        bank_bytes: bound of the bank.
        device: where to compute.
    """

    def __init__(
        self,
        network: RelationNetwork,
        card: ModelCard,
        mixtures: Mixtures,
        source: FeatureSource,
        *,
        bank_bytes: int,
        device: torch.device,
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._card = card
        self._mixtures = mixtures
        self._source = source
        self._device = device
        config = network.config
        self._bank = FeatureBank(
            config.global_size,
            config.embed_size,
            max_bytes=bank_bytes,
            device=device,
            summarise=self._summarise,
            summary_size=1 + (SUMMARY_SIZE if self._network.role is not None else 0),
        )
        self._room = Room()
        self._fetching: dict[FeatureKey, asyncio.Task[dict[FeatureKey, Features]]] = {}
        # A query alone has all cores; several share them, each with its own, which wastes none on waiting for the
        # others' threads. A GPU takes one after the other.
        self._cores = torch.get_num_threads()
        self._running = 0
        workers = 1 if device.type == "cuda" else max(1, self._cores)
        self._worker = ThreadPoolExecutor(workers, thread_name_prefix="reranker")

    @property
    def card(self) -> ModelCard:
        """What the reranker is."""
        return self._card

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        """Filtered regions of pictures, (49, E) float16 each.

        Raises:
            ModelMismatch: tokens of another encoder's size.
            ModelError: tokens that are not numbers.
        """
        return await self._run(self._prepare_images, images)

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        """Projected words of texts, (T, E) float16 each.

        Raises:
            ModelMismatch: tokens of another encoder's size.
            ModelError: tokens that are not numbers.
        """
        return await self._run(self._prepare_texts, texts)

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        """Score the candidates, best first. Candidates without features keep their global order at the end.

        Raises:
            InvalidQuery: a text without words.
            InvalidRequest: a ranker that these weights do not have.
            ModelMismatch: the query or stored features come from other models.
            ModelError: features that are not numbers.
            OutOfMemory: the device cannot hold the candidates.
        """
        ranker = self._mixtures.resolve(request.ranker)
        self._check_query(request.query)
        if not request.candidates:
            return []
        side = "image" if isinstance(request.query, TextEmbedding) else "description"
        keys = [FeatureKey(request.collection, side, candidate.point_id) for candidate in request.candidates]
        hashes = [candidate.content_hash for candidate in request.candidates]
        fetched: dict[FeatureKey, Features] = {}
        if missing := self._bank.missing(keys, hashes):
            fetched = await self._features([keys[position] for position in missing])
            for position in missing:
                if (features := fetched.get(keys[position])) is not None:
                    hashes[position] = features.content_hash
        return await self._run(self._score, request, ranker, keys, hashes, fetched)

    async def _features(self, keys: Sequence[FeatureKey]) -> dict[FeatureKey, Features]:
        """Features that the bank does not hold, of one collection and side.

        What several queries ask for is fetched once. A query that gives up does not stop it: otherwise the first
        ones after a start, who wait longest, would give up one after the other and leave the bank empty.
        """
        if new := [key for key in keys if key not in self._fetching]:
            task = asyncio.create_task(self._fetch(new))
            self._fetching.update(dict.fromkeys(new, task))
            task.add_done_callback(lambda done: self._fetched(new, done))
        tasks = {self._fetching[key] for key in keys}
        found = await asyncio.gather(*(asyncio.shield(task) for task in tasks))
        return {key: features for part in found for key, features in part.items()}

    async def _fetch(self, keys: Sequence[FeatureKey]) -> dict[FeatureKey, Features]:
        found = await self._source.features(keys[0].collection, [key.point_id for key in keys], keys[0].side)
        fetched = {key: found[key.point_id] for key in keys if key.point_id in found}
        for key, features in fetched.items():
            self._check_features(features, key)
        await self._run(self._bank.keep, fetched)
        return fetched

    def _fetched(self, keys: Sequence[FeatureKey], task: asyncio.Task[dict[FeatureKey, Features]]) -> None:
        for key in keys:
            self._fetching.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen: whoever waited was told, and nobody else has to be

    async def close(self) -> None:
        """Wait for the computation under way and release the bank."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._bank.clear()

    async def _run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        loop = asyncio.get_running_loop()
        self._running += 1
        try:
            return await loop.run_in_executor(self._worker, self._compute, function, arguments)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory("The reranker's device has no memory left.", hint=_OUT_OF_MEMORY_HINT) from error
        finally:
            self._running -= 1

    def _compute(self, function: Callable[[*Arguments], Result], arguments: tuple[*Arguments]) -> Result:
        """In a worker's thread."""
        if self._cores > 1:
            torch.set_num_threads(max(1, self._cores // max(1, self._running)))
        return function(*arguments)

    @torch.inference_mode()
    def _prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        prepared: list[Float16Array] = []
        for start in range(0, len(images), PREPARE_BATCH):
            batch = [image.tokens for image in images[start : start + PREPARE_BATCH]]
            for tokens in batch:
                self._check_tokens(tokens, self._network.config.image_token_size, rows=REGIONS)
            stacked = torch.from_numpy(np.stack(batch)).to(self._device).float()
            regions = self._network.regions(stacked).half().cpu().numpy()
            prepared.extend(np.ascontiguousarray(rows) for rows in regions)
        return prepared

    @torch.inference_mode()
    def _prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        prepared: list[Float16Array] = []
        for start in range(0, len(texts), PREPARE_BATCH):
            batch = [text.tokens for text in texts[start : start + PREPARE_BATCH]]
            for tokens in batch:
                self._check_tokens(tokens, self._network.config.text_token_size)
            joined = torch.from_numpy(np.concatenate(batch)).to(self._device).float()
            words = self._network.words(joined).half().cpu().numpy()
            bounds = np.cumsum([len(tokens) for tokens in batch])[:-1]
            prepared.extend(np.ascontiguousarray(rows) for rows in np.split(words, bounds))
        return prepared

    @torch.inference_mode()
    def _summarise(self, side: str, vector: Tensor, tokens: Tensor) -> Tensor:
        """What the bank keeps beside a candidate's features: its popularity, then the role head's summary."""
        summary = vector.new_zeros(1 + (SUMMARY_SIZE if self._network.role is not None else 0))
        summary[0] = self._popularity(side, vector)
        if side == "image" and self._network.role is not None:
            summary[1:] = self._network.role.summarise(tokens.unsqueeze(0))[0]
        return summary

    def _popularity(self, side: str, vector: Tensor) -> Tensor:
        """How near a global vector (D,) of one side lies to training queries of the other; 0 without a querybank."""
        querybank = self._network.querybank
        if querybank is None:
            return vector.new_zeros(())
        rows = vector.unsqueeze(0)
        return (querybank.of_pictures(rows) if side == "image" else querybank.of_texts(rows))[0]

    @torch.inference_mode()
    def _score(
        self,
        request: RerankRequest,
        ranker: Ranker,
        keys: Sequence[FeatureKey],
        hashes: Sequence[str],
        fetched: Mapping[FeatureKey, Features],
    ) -> list[RerankScore]:
        mixture = self._mixtures.of(ranker, Direction.of(request.query))
        scored: list[RerankScore] = []
        absent: list[Candidate] = []
        for block in self._blocks(request, keys, fetched):
            candidates = [request.candidates[row] for row in block]
            gathered = self._bank.gather(
                [keys[row] for row in block], [hashes[row] for row in block], fetched, room=self._room
            )
            held = gathered.found.tolist()
            absent += [candidate for candidate, found in zip(candidates, held, strict=True) if not found]
            if any(held):
                scored += self._score_block(request, candidates, ranker, mixture, gathered)
        place = {candidate.point_id: row for row, candidate in enumerate(request.candidates)}
        scored.sort(key=lambda item: (-item.score, place[item.point_id]))
        return scored + _unscored(absent, below=scored[-1].score if scored else 0.0)

    def _blocks(
        self, request: RerankRequest, keys: Sequence[FeatureKey], fetched: Mapping[FeatureKey, Features]
    ) -> list[list[int]]:
        """The candidates' rows, cut into what is scored at once."""
        rows, size = list(range(len(keys))), SCORE_BLOCK
        if isinstance(request.query, ImageEmbedding):
            lengths = self._bank.lengths(keys, fetched)
            rows.sort(key=lambda row: lengths[row])
            size = WORDS_BLOCK
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _score_block(
        self,
        request: RerankRequest,
        candidates: Sequence[Candidate],
        ranker: Ranker,
        mixture: Mixture,
        gathered: Gathered,
    ) -> list[RerankScore]:
        pairs = self._pairs(request.query, gathered)
        parts = self._parts(ranker, pairs, gathered)
        score = mixture.score(parts)
        relation = mixture.relation(parts).tolist()
        relevance = mixture.relevance(score, pairs.popularity).tolist() if mixture.calibrated else None
        maps = self._maps(request, ranker, pairs, gathered) if request.explain else None
        values, found = score.tolist(), gathered.found.tolist()
        return [
            RerankScore(
                candidate.point_id,
                values[row],
                relation[row],
                relevance[row] if relevance is not None else None,
                maps[row] if maps is not None else (),
            )
            for row, candidate in enumerate(candidates)
            if found[row]
        ]

    def _pairs(self, query: TextEmbedding | ImageEmbedding, gathered: Gathered) -> _Pairs:
        tokens = torch.from_numpy(query.tokens).to(self._device).float().unsqueeze(0)
        vector = torch.from_numpy(query.global_vector).to(self._device).float().unsqueeze(0)
        if isinstance(query, TextEmbedding):
            words = self._network.words(tokens)
            mask = torch.ones(words.shape[:2], dtype=torch.bool, device=self._device)
            popularity = self._popularity("description", vector[0])
            return _Pairs(gathered.tokens, words, mask, gathered.global_vectors, vector, popularity)
        # A candidate without words is scored as if it had one, so that no mean is over nothing; it is left out later.
        mask = gathered.mask.clone()
        mask[:, 0] = True
        popularity = self._popularity("image", vector[0])
        regions = self._network.regions(tokens)
        return _Pairs(regions, gathered.tokens, mask, vector, gathered.global_vectors, popularity)

    def _parts(self, ranker: Ranker, pairs: _Pairs, gathered: Gathered) -> dict[str, Tensor]:
        """The raw parts that the ranker mixes, (C,) each."""
        parts = {"global": functional.cosine_similarity(pairs.image_global, pairs.text_global, dim=1)}
        if ranker is Ranker.LATE:
            parts["late"] = late_interaction(pairs.regions, pairs.words, pairs.mask)
        elif ranker is Ranker.VITR:
            parts["vitr"] = self._network.vitr(
                pairs.regions, pairs.words, pairs.mask, pairs.image_global, pairs.text_global
            )
        else:
            assert self._network.role is not None
            head = self._network.role
            if pairs.regions is gathered.tokens:
                parts["role"], parts["grounding"] = head.score_pictures(
                    pairs.regions, gathered.summaries[:, 1:], pairs.words[0]
                )
                if pairs.words.shape[1] < FEWEST_WORDS:
                    parts["role"] = torch.zeros_like(parts["role"])
            else:
                parts["role"], parts["grounding"] = head(pairs.regions, pairs.words, pairs.mask)
            parts[DISTINCTNESS] = -gathered.summaries[:, 0]
        return parts

    def _maps(
        self, request: RerankRequest, ranker: Ranker, pairs: _Pairs, gathered: Gathered
    ) -> list[tuple[WordMap, ...]]:
        """Each candidate's maps: the query's words, or the description's words where the query is a picture."""
        if ranker is Ranker.VITR or self._network.role is None:
            _, attention = reason(pairs.regions, pairs.words, pairs.mask)
        else:
            head = self._network.role
            words, regions = functional.normalize(pairs.words, dim=-1), functional.normalize(pairs.regions, dim=-1)
            attention = head.attention(inner_products(words, regions))
        rows = attention.cpu().numpy()
        if isinstance(request.query, TextEmbedding):
            return [word_maps(request.query.words, row) for row in rows]
        return [word_maps(words, row[: len(words)]) for words, row in zip(gathered.words, rows, strict=True)]

    def _check_query(self, query: TextEmbedding | ImageEmbedding) -> None:
        config = self._network.config
        if isinstance(query, TextEmbedding):
            if not len(query.tokens):
                raise InvalidQuery("The query holds no word to compare.", hint="Give at least one word.")
            self._check_tokens(query.tokens, config.text_token_size)
        else:
            self._check_tokens(query.tokens, config.image_token_size, rows=REGIONS)
        if query.global_vector.shape != (config.global_size,):
            raise self._mismatch(f"a global vector of shape {query.global_vector.shape}")
        if not np.isfinite(query.global_vector).all():
            raise ModelError("The encoder's global vector holds values that are not numbers.")

    def _check_tokens(self, tokens: Float16Array, width: int, *, rows: int | None = None) -> None:
        if tokens.ndim != 2 or tokens.shape[1] != width or (rows is not None and len(tokens) != rows):
            raise self._mismatch(f"tokens of shape {tokens.shape}")
        if not np.isfinite(tokens).all():
            raise ModelError("The encoder's tokens hold values that are not numbers.")

    def _check_features(self, features: Features, key: FeatureKey) -> None:
        config = self._network.config
        rows, width = features.tokens.shape if features.tokens.ndim == 2 else (0, 0)
        wrong_rows = key.side == "image" and rows != REGIONS
        if width != config.embed_size or wrong_rows or features.global_vector.shape != (config.global_size,):
            raise ModelMismatch(
                f"The collection {key.collection} holds features of shape {features.tokens.shape} and "
                f"{features.global_vector.shape}; the reranker {self._card.id} takes E = {config.embed_size}, "
                f"D = {config.global_size}.",
                hint=f"Run: boonart reindex {key.collection}",
            )
        if not (np.isfinite(features.tokens).all() and np.isfinite(features.global_vector).all()):
            raise ModelError(
                f"The stored {key.side} features of point {key.point_id} hold values that are not numbers.",
                hint=f"Run: boonart reindex {key.collection}",
            )

    def _mismatch(self, what: str) -> ModelMismatch:
        config = self._network.config
        return ModelMismatch(
            f"The reranker {self._card.id} belongs to the encoder {self._card.encoder_id} (image tokens of "
            f"{config.image_token_size}, text tokens of {config.text_token_size}, global vectors of "
            f"{config.global_size}) and was given {what}.",
            hint="Use that encoder, or train a reranker for yours: boonart train vitr --encoder NAME",
        )


def late_interaction(regions: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """MaxSim: the mean over the words of each word's best cosine with a region, (P,).

    Args:
        regions: (P, R, E), or (1, R, E).
        words: (P, T, E), or (1, T, E).
        mask: (P, T) bool, True for a word.
    """
    cosines = inner_products(functional.normalize(words, dim=-1), functional.normalize(regions, dim=-1))
    kept = mask.to(cosines.dtype)
    return (cosines.amax(dim=2) * kept).sum(dim=1) / kept.sum(dim=1)


def _unscored(candidates: Sequence[Candidate], *, below: float) -> list[RerankScore]:
    """Candidates without features, in their global order, under all that were scored."""
    ordered = sorted(candidates, key=lambda candidate: -candidate.score)
    return [RerankScore(candidate.point_id, below - place - 1.0) for place, candidate in enumerate(ordered)]
