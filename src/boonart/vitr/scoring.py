"""Scores of candidates: the relation network behind `ports.Reranker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, TypeVarTuple

import numpy as np
import torch

from boonart import all_cores
from boonart.errors import InvalidQuery, ModelError, ModelMismatch, OutOfMemory
from boonart.ports import Features, RerankRequest
from boonart.vitr.bank import FeatureBank, FeatureKey, Room
from boonart.vitr.mixture import Direction, Mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.pair_scoring import DEPTH, PairScorer, ScoredBlock
from boonart.works import (
    REGIONS,
    Candidate,
    Float16Array,
    ImageEmbedding,
    ModelCard,
    Ranker,
    RerankScore,
    TextEmbedding,
)

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

PREPARE_BATCH = 64
"""Pictures or texts that pass through the network at once at ingest."""
SCORE_BLOCK, WORDS_BLOCK = 256, 50
"""Pictures and descriptions that are scored at once. Descriptions are of all lengths: they are taken in this order, so
that little is padded."""
_OUT_OF_MEMORY_HINT = "Ask for fewer candidates, or set BOONART_DEVICE=cpu."


class FeatureSource(Protocol):
    """Where features come from on a miss: `ports.WorkIndex`, or anything with this one method of it."""

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """Stored features by point id; missing ones are left out."""


class VitrReranker:
    """Scores one query against its candidates in one batched pass; see `ports.Reranker`.

    Args:
        network: with its weights, in evaluation mode or not.
        card: what the weights are; `card.encoder_id` names the encoder they belong to.
        mixtures: how each ranker weighs its parts.
        source: where features come from when the bank does not hold them.
        bank_bytes: bound of the bank.
        device: where to compute.
        depth: candidates that the role-aware head judges; None for all.
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
        depth: int | None = DEPTH,
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._card = card
        self._mixtures = mixtures
        self._source = source
        self._device = device
        self._scorer = PairScorer(self._network, device, depth=depth)
        config = network.config
        self._bank = FeatureBank(
            config.global_size,
            config.embed_size,
            max_bytes=bank_bytes,
            device=device,
            summarise=self._scorer.summarise,
            summary_size=self._scorer.summary_size,
        )
        self._room = Room()
        self._fetching: dict[FeatureKey, asyncio.Task[dict[FeatureKey, Features]]] = {}
        # A query alone has all cores; those that come meanwhile have one each, in threads of their own, which wastes
        # none on waiting for the others' threads. A GPU takes one after the other.
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
        await asyncio.get_running_loop().run_in_executor(all_cores.executor(), _nothing)  # behind what runs there
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._bank.clear()

    async def _run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        loop = asyncio.get_running_loop()
        self._running += 1
        try:
            alone = self._running == 1 and self._device.type == "cpu"
            where = all_cores.executor() if alone else self._worker
            return await loop.run_in_executor(where, self._compute, alone, function, arguments)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory("The reranker's device has no memory left.", hint=_OUT_OF_MEMORY_HINT) from error
        finally:
            self._running -= 1

    def _compute(self, alone: bool, function: Callable[[*Arguments], Result], arguments: tuple[*Arguments]) -> Result:
        """In the thread for all cores or in a worker's."""
        if self._cores > 1:
            torch.set_num_threads(self._cores if alone else 1)
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
    def _score(
        self,
        request: RerankRequest,
        ranker: Ranker,
        keys: Sequence[FeatureKey],
        hashes: Sequence[str],
        fetched: Mapping[FeatureKey, Features],
    ) -> list[RerankScore]:
        blocks = self._blocks(request, keys, fetched)
        takes_all = self._scorer.takes_all(ranker, len(keys))
        room = self._room if takes_all or len(blocks) == 1 else None
        gathered = (
            self._bank.gather([keys[row] for row in block], [hashes[row] for row in block], fetched, room=room)
            for block in blocks
        )
        mixture = self._mixtures.of(ranker, Direction.of(request.query))
        results = self._scorer.score(
            request.query, ranker, mixture, gathered, takes_all=takes_all, explain=request.explain
        )
        scored: list[RerankScore] = []
        absent: list[Candidate] = []
        for block, result in zip(blocks, results, strict=True):
            candidates = [request.candidates[row] for row in block]
            scored += _scores(candidates, result)
            held = result.found.tolist()
            absent += [candidate for candidate, found in zip(candidates, held, strict=True) if not found]
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


def _nothing() -> None:
    """Done when all before it is."""


def _scores(candidates: Sequence[Candidate], block: ScoredBlock) -> list[RerankScore]:
    """The scores of those that were found."""
    found, values, relation = (part.tolist() for part in (block.found, block.score, block.relation))
    relevance = block.relevance.tolist() if block.relevance is not None else None
    return [
        RerankScore(
            candidate.point_id,
            values[row],
            relation[row],
            relevance[row] if relevance is not None else None,
            block.maps[row] if block.maps is not None else (),
        )
        for row, candidate in enumerate(candidates)
        if found[row]
    ]


def _unscored(candidates: Sequence[Candidate], *, below: float) -> list[RerankScore]:
    """Candidates without features, in their global order, under all that were scored."""
    ordered = sorted(candidates, key=lambda candidate: -candidate.score)
    return [RerankScore(candidate.point_id, below - place - 1.0) for place, candidate in enumerate(ordered)]
