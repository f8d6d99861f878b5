"""Table II of the BoonArt paper on any collection: recall on held-out pairs, zero-shot and fine-tuned.

The paper drew 500 of its 6,783 pairs for testing and 500 for choosing, at random. So does this, or a third and a
sixth of the pairs where there are fewer; a data set that has splits of its own keeps them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from boonart.encoders.pictures import decode
from boonart.errors import SourceError
from boonart.evaluation.datasets import Captioned, captions_file, works_file
from boonart.evaluation.exchanged import exchange_roles
from boonart.evaluation.protocols import ArrayFeatures, EncodedPairs, reranked
from boonart.evaluation.retrieval import CUTS, IntArray, best_ranks, recall_interval
from boonart.training.vitr_features import PairFeatures, TrainingPicture
from boonart.works import ImageEmbedding, Picture, Ranker, TextEmbedding

if TYPE_CHECKING:
    from boonart.vitr.weights import Checkpoint

TEST_PAIRS = DEV_PAIRS = 500
"""As in the paper."""
FEWEST_PAIRS = 12
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PairData:
    """Pictures with their descriptions, split.

    Attributes:
        name: of the collection.
        own_split: the data set says itself what is for testing.
    """

    name: str
    train: list[TrainingPicture]
    dev: list[TrainingPicture]
    test: list[TrainingPicture]
    own_split: bool

    def __len__(self) -> int:
        """All pairs."""
        return len(self.train) + len(self.dev) + len(self.test)

    @property
    def everything(self) -> list[TrainingPicture]:
        """The pairs of all splits."""
        return [*self.train, *self.dev, *self.test]


def read_pairs_of(file: Path, *, name: str = "", seed: int = 0) -> PairData:
    """The pairs of a works.jsonl or a captions.jsonl; of several captions of a test picture the first.

    Args:
        file: see `datasets.find_data`.
        name: of the data; that of its folder by default.
        seed: of the random split.

    Raises:
        SourceError: it has no descriptions, or too few.
    """
    name = name or (file.resolve().parent.name if file.stem in ("works", "captions") else file.stem)
    if file.name == "captions.jsonl":
        split = {part: _captioned(captions_file(file, part)) for part in ("train", "dev", "test")}
        return _own_split(name, split, seed)
    try:
        split = {part: _described(file, part) for part in ("train", "dev", "test")}
    except SourceError:
        return random_split(name, _described(file, ""), seed=seed)
    return _own_split(name, split, seed)


def random_split(name: str, pairs: Sequence[TrainingPicture], *, seed: int = 0) -> PairData:
    """500 pairs for testing and 500 for choosing, or a third and a sixth of fewer; the rest is for training.

    Raises:
        SourceError: too few pairs to split.
    """
    if len(pairs) < FEWEST_PAIRS:
        raise SourceError(
            f"{name} has {len(pairs)} works with a description; {FEWEST_PAIRS} are needed.",
            hint="Use a collection whose works have descriptions.",
        )
    order = [pairs[row] for row in np.random.default_rng(seed).permutation(len(pairs))]
    test, dev = min(TEST_PAIRS, len(pairs) // 3), min(DEV_PAIRS, len(pairs) // 6)
    return PairData(name, order[test + dev :], order[test : test + dev], [one_caption(p) for p in order[:test]], False)


def pair_of(load: Callable[[], Picture], captions: Sequence[str], identity: int) -> TrainingPicture:
    """A picture with its captions, and with what is false of it by exchange of roles."""
    false = tuple((text,) if (text := exchange_roles(caption)) is not None else () for caption in captions)
    return TrainingPicture(load, tuple(captions), false, identity=identity)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        key: "global", "zero_shot" or "fine_tuned", or one of these with "_all".
        method: what the line says.
        pairs: how many pictures and descriptions were searched.
        ranks: (Q,) rank of the right one, by direction.
    """

    key: str
    method: str
    pairs: int
    ranks: dict[str, IntArray]

    def figures(self, *, seed: int = 0) -> dict[str, float]:
        """`<key>.<direction>.R@K`, and with `.low` and `.high` its 95 % interval."""
        found = {}
        for direction, ranks in self.ranks.items():
            for cut in CUTS:
                name = f"{self.key}.{direction}.R@{cut}"
                found[name] = 100.0 * float((ranks <= cut).mean())
                found[f"{name}.low"], found[f"{name}.high"] = recall_interval(ranks, cut, seed=seed)
        return found


def measure(
    key: str,
    method: str,
    pairs: EncodedPairs,
    checkpoint: Checkpoint | None,
    *,
    candidates: int = 100,
    device: str = "cpu",
    advance: Advance = lambda done: None,
) -> Row:
    """Search every description by its picture and every picture by its description.

    Args:
        pairs: as many texts as images, in the same order.
        checkpoint: the reranker; None ranks by the global vectors alone.
        candidates: how many are reranked.
    """
    forward = pairs.similarities
    backward = np.ascontiguousarray(forward.T)
    if checkpoint is not None:
        forward, backward = _reranked(pairs, checkpoint, candidates, device, advance)
    relevant = np.eye(len(forward), dtype=np.bool_)
    ranks = {"image_to_text": best_ranks(backward, relevant), "text_to_image": best_ranks(forward, relevant)}
    return Row(key, method, len(pairs.images), ranks)


def encoded_pairs(*sets: PairFeatures) -> EncodedPairs:
    """Each picture with its first true text, as embeddings."""
    images, texts = [], []
    for features in sets:
        true = features.true_texts
        first = true[np.unique(features.owners[true], return_index=True)[1]]
        for row, text in enumerate(first.tolist()):
            # Copies: the arrays are mapped read-only.
            images.append(ImageEmbedding(features.image_globals[row], np.array(features.image_tokens[row])))
            tokens = np.array(features.text(text))
            texts.append(TextEmbedding(features.text_globals[text], tokens, ("",) * len(tokens)))
    return EncodedPairs(images, texts)


def _reranked(
    pairs: EncodedPairs, checkpoint: Checkpoint, candidates: int, device: str, advance: Advance
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both directions by the reranker that serves users."""
    from boonart.vitr.scoring import VitrReranker

    features = ArrayFeatures()
    reranker = VitrReranker(
        checkpoint.network,
        checkpoint.card,
        checkpoint.mixtures,
        features,
        bank_bytes=2 * 1024**3,
        device=torch.device(device),
    )
    asyncio.run(features.prepare(reranker, pairs))
    both = []
    for queries, cosines, collection in (
        (pairs.texts, pairs.similarities, "pictures"),
        (pairs.images, np.ascontiguousarray(pairs.similarities.T), "texts"),
    ):
        both.append(
            reranked(
                reranker,
                queries,
                cosines,
                ranker=Ranker.DEFAULT,
                candidates=candidates,
                collection=collection,
                advance=advance,
            )
        )
    asyncio.run(reranker.close())
    return both[0], both[1]


def _own_split(name: str, split: dict[str, list[TrainingPicture]], seed: int) -> PairData:
    """The data set's own splits, at most 500 pairs of the last two."""
    rng = np.random.default_rng(seed)
    chosen = {}
    for part, most in (("dev", DEV_PAIRS), ("test", TEST_PAIRS)):
        rows = np.sort(rng.permutation(len(split[part]))[:most])
        chosen[part] = [split[part][row] for row in rows]
    return PairData(name, split["train"], chosen["dev"], [one_caption(pair) for pair in chosen["test"]], True)


def one_caption(pair: TrainingPicture) -> TrainingPicture:
    """With its first caption alone."""
    return replace(pair, captions=pair.captions[:1], false_captions=())


def _captioned(pictures: Sequence[Captioned]) -> list[TrainingPicture]:
    return [pair_of(reading(item.image), item.captions, row) for row, item in enumerate(pictures)]


def _described(file: Path, split: str) -> list[TrainingPicture]:
    works = [item for item in works_file(file, split=split) if item.work.description.strip()]
    return [pair_of(reading(item.image), [item.work.description], row) for row, item in enumerate(works)]


def reading(file: Path) -> Callable[[], Picture]:
    """A function that decodes a picture file when it is called."""
    return lambda: decode(file.read_bytes())
