"""From gathered features to scores: one query against its candidates, block by block.

A cascade: grounding and the global vectors judge all candidates, cheaply; the role-aware head reads the sentence only
against those that they put first. Who is far behind after the first would not be first after the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from boonart.vitr.bank import Gathered
from boonart.vitr.explain import word_maps
from boonart.vitr.mixture import DISTINCTNESS, Mixture
from boonart.vitr.model import RelationNetwork, reason
from boonart.vitr.role import SUMMARY_SIZE, RoleHead, inner_products
from boonart.vitr.role_views import Rows
from boonart.works import ImageEmbedding, Ranker, TextEmbedding, WordMap

DEPTH = 50
"""Candidates that the role-aware head judges."""
_HAIR = 1e-4
"""Of a score, between the last that was judged and the first that was not."""
Query = TextEmbedding | ImageEmbedding


@dataclass(slots=True)
class ScoredBlock:
    """C candidates and what they are worth; those that were not found have no meaning.

    Attributes:
        found: (C,) bool, False for a candidate without features.
        score: (C,).
        relation: (C,) the network's share of the score.
        relevance: (C,), or None without a calibration.
        maps: of each candidate's words, where they were asked for.
    """

    found: Tensor
    score: Tensor
    relation: Tensor
    relevance: Tensor | None
    maps: Sequence[tuple[WordMap, ...]] | None


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One query against C candidates, ready for the heads; the query's side has one row.

    Attributes:
        regions: (C or 1, 49, E).
        words: (1 or C, T, E), padded at the end.
        mask: (1 or C, T) bool.
        image_global, text_global: (C or 1, D).
    """

    regions: Tensor
    words: Tensor
    mask: Tensor
    image_global: Tensor
    text_global: Tensor


@dataclass(slots=True)
class _Block:
    """C candidates on the way to their scores.

    Attributes:
        parts: (C,) each; role is 0 as long as nobody was judged.
        judge: role logits of chosen rows, or None where there is nothing to judge.
        behind: (C,) bool, True for who was not judged though others were.
    """

    found: Tensor
    parts: dict[str, Tensor]
    judge: Callable[[Rows], Tensor] | None
    behind: Tensor
    maps: Sequence[tuple[WordMap, ...]] | None


class PairScorer:
    """Scores of one query with its candidates.

    Args:
        network: with its weights, in evaluation mode.
        device: where to compute.
        depth: candidates that the role-aware head judges; None for all.
    """

    def __init__(self, network: RelationNetwork, device: torch.device, *, depth: int | None = DEPTH) -> None:
        self._network, self._device, self._depth = network, device, depth

    @property
    def summary_size(self) -> int:
        """X, see `summarise`."""
        return 1 + (SUMMARY_SIZE if self._network.role is not None else 0)

    @torch.inference_mode()
    def summarise(self, side: str, vector: Tensor, tokens: Tensor) -> Tensor:
        """What is worth keeping beside a candidate's features, (X,): its popularity, then the role head's summary.

        Args:
            side: "image" or "description".
            vector: (D,) float32.
            tokens: (N, E) float32.
        """
        summary = vector.new_zeros(self.summary_size)
        summary[0] = self._popularity(side, vector)
        if side == "image" and self._network.role is not None:
            summary[1:] = self._network.role.summarise(tokens.unsqueeze(0))[0]
        return summary

    def takes_all(self, ranker: Ranker, count: int) -> bool:
        """Whether so many candidates are done block by block, none chosen among all."""
        return ranker is not Ranker.ROLE or self._depth is None or count <= self._depth

    @torch.inference_mode()
    def score(
        self,
        query: Query,
        ranker: Ranker,
        mixture: Mixture,
        blocks: Iterable[Gathered],
        *,
        takes_all: bool,
        explain: bool,
    ) -> list[ScoredBlock]:
        """Score the blocks' candidates.

        Args:
            ranker: not the default.
            mixture: how it weighs its parts.
            blocks: taken one after the other; where `takes_all`, each may lie in the memory of the one before.
            takes_all: what the method of this name said of the candidates.
            explain: whether to make maps.
        """
        begun = []
        for gathered in blocks:
            block = self._begin(query, ranker, mixture, gathered, explain=explain)
            if takes_all and block.judge is not None:
                block.parts["role"] = block.judge(slice(None))
            begun.append(block)
        if not takes_all:
            self._judge_best(begun, mixture)
        return self._finish(query, begun, mixture)

    def _begin(self, query: Query, ranker: Ranker, mixture: Mixture, gathered: Gathered, *, explain: bool) -> _Block:
        nobody = torch.zeros_like(gathered.found)
        if not bool(gathered.found.any()):
            return _Block(gathered.found, {name: nobody.float() for name in mixture.weights}, None, nobody, None)
        pairs = self._pairs(query, gathered)
        parts = {"global": functional.cosine_similarity(pairs.image_global, pairs.text_global, dim=1)}
        judge = None
        if ranker is Ranker.LATE:
            parts["late"] = late_interaction(pairs.regions, pairs.words, pairs.mask)
        elif ranker is Ranker.VITR:
            parts["vitr"] = self._network.vitr(
                pairs.regions, pairs.words, pairs.mask, pairs.image_global, pairs.text_global
            )
        else:
            assert self._network.role is not None
            parts["grounding"], judge = self._ground(self._network.role, query, pairs, gathered)
            parts["role"] = torch.zeros_like(parts["grounding"])
            parts[DISTINCTNESS] = -gathered.summaries[:, 0]
        maps = self._maps(query, ranker, pairs, gathered) if explain else None
        return _Block(gathered.found, parts, judge, nobody, maps)

    def _ground(
        self, head: RoleHead, query: Query, pairs: _Pairs, gathered: Gathered
    ) -> tuple[Tensor, Callable[[Rows], Tensor]]:
        """Grounding scores, and how to come by role logits."""
        if isinstance(query, TextEmbedding):
            pictures = head.ground_pictures(pairs.regions, gathered.summaries[:, 1:], pairs.words[0])
            return pictures.found.scores, partial(head.judge_pictures, pictures, pairs.regions)
        texts = head.ground_texts(pairs.regions[0], pairs.words, pairs.mask)
        return texts.found.scores, partial(head.judge_texts, texts)

    def _judge_best(self, blocks: Sequence[_Block], mixture: Mixture) -> None:
        """Let the role-aware head judge those that all else puts first."""
        depth = self._depth or 0
        firsts = torch.cat([mixture.score(block.parts).masked_fill(~block.found, -torch.inf) for block in blocks])
        chosen = torch.zeros(len(firsts), dtype=torch.bool, device=self._device)
        chosen[firsts.topk(min(depth, len(firsts))).indices] = True
        for block, mine in zip(blocks, torch.split(chosen, [len(block.found) for block in blocks]), strict=True):
            rows = mine.nonzero()[:, 0]
            if len(rows) and block.judge is not None:
                block.parts["role"][rows] = block.judge(rows)
            block.behind = ~mine

    def _finish(self, query: Query, blocks: Sequence[_Block], mixture: Mixture) -> list[ScoredBlock]:
        scores = _in_order([mixture.score(block.parts) for block in blocks], blocks)
        side = "description" if isinstance(query, TextEmbedding) else "image"
        popularity = self._popularity(side, torch.from_numpy(query.global_vector).to(self._device).float())
        return [
            ScoredBlock(
                block.found,
                score,
                mixture.relation(block.parts),
                mixture.relevance(score, popularity) if mixture.calibrated else None,
                block.maps,
            )
            for block, score in zip(blocks, scores, strict=True)
        ]

    def _popularity(self, side: str, vector: Tensor) -> Tensor:
        """How near a global vector (D,) of one side lies to training queries of the other; 0 without a querybank."""
        querybank = self._network.querybank
        if querybank is None:
            return vector.new_zeros(())
        rows = vector.unsqueeze(0)
        return (querybank.of_pictures(rows) if side == "image" else querybank.of_texts(rows))[0]

    def _pairs(self, query: Query, gathered: Gathered) -> _Pairs:
        tokens = torch.from_numpy(query.tokens).to(self._device).float().unsqueeze(0)
        vector = torch.from_numpy(query.global_vector).to(self._device).float().unsqueeze(0)
        if isinstance(query, TextEmbedding):
            words = self._network.words(tokens)
            mask = torch.ones(words.shape[:2], dtype=torch.bool, device=self._device)
            return _Pairs(gathered.tokens, words, mask, gathered.global_vectors, vector)
        # A candidate without words is scored as if it had one, so that no mean is over nothing; it is left out later.
        mask = gathered.mask.clone()
        mask[:, 0] = True
        return _Pairs(self._network.regions(tokens), gathered.tokens, mask, vector, gathered.global_vectors)

    def _maps(self, query: Query, ranker: Ranker, pairs: _Pairs, gathered: Gathered) -> list[tuple[WordMap, ...]]:
        """Each candidate's maps: the query's words, or the description's words where the query is a picture."""
        if ranker is Ranker.VITR or self._network.role is None:
            _, attention = reason(pairs.regions, pairs.words, pairs.mask)
        else:
            head = self._network.role
            words, regions = functional.normalize(pairs.words, dim=-1), functional.normalize(pairs.regions, dim=-1)
            attention = head.attention(inner_products(words, regions))
        rows = attention.cpu().numpy()
        if isinstance(query, TextEmbedding):
            return [word_maps(query.words, row) for row in rows]
        return [word_maps(words, row[: len(words)]) for words, row in zip(gathered.words, rows, strict=True)]


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


def _in_order(scores: Sequence[Tensor], blocks: Sequence[_Block]) -> list[Tensor]:
    """The scores, those who were not judged lowered together until none stands above one who was."""
    behind = torch.cat([score[block.behind & block.found] for score, block in zip(scores, blocks, strict=True)])
    judged = torch.cat([score[~block.behind & block.found] for score, block in zip(scores, blocks, strict=True)])
    if not len(behind) or not len(judged):
        return list(scores)
    lowered = (judged.min() - behind.max() - _HAIR).clamp(max=0.0)
    return [torch.where(block.behind, score + lowered, score) for score, block in zip(scores, blocks, strict=True)]
