"""Measuring a network on the dev splits, between epochs and for fitting its mixtures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from boonart.evaluation.relations import TwinScores, relation_figures
from boonart.training.vitr_features import PairFeatures
from boonart.training.vitr_fit import likeliest
from boonart.training.vitr_parts import (
    CandidateLists,
    Parts,
    PreparedSet,
    candidate_lists,
    mixed,
    pair_parts,
    prepare_set,
    recalls,
)
from boonart.training.vitr_steps import Head
from boonart.vitr.mixture import PARTS, Direction
from boonart.vitr.model import RelationNetwork
from boonart.works import Ranker

Rows = npt.NDArray[np.int64]
HEAD_RANKERS = {Head.ROLE: Ranker.ROLE, Head.VITR: Ranker.VITR}


@dataclass(frozen=True, slots=True)
class DevSets:
    """What a network is chosen by.

    Attributes:
        photographs: captioned pictures, or None.
        scenes: twins, or None.
        queries: how many captions and pictures are searched for between epochs.
        candidates: how many candidates of each are scored.
    """

    photographs: PairFeatures | None = None
    scenes: PairFeatures | None = None
    queries: int = 500
    candidates: int = 50


def dev_figures(network: RelationNetwork, dev: DevSets, head: Head) -> dict[str, float]:
    """Recalls on photographs and on scenes and group score on twins; `choice`, their sum, decides which epoch is best.

    Each epoch by the weights that suit it best: a head that speaks louder than another says no more.
    """
    ranker = HEAD_RANKERS[head]
    sets = {"": dev.photographs, "scenes.": dev.scenes}
    present = {
        prefix: (features, prepare_set(network, features)) for prefix, features in sets.items() if features is not None
    }
    figures: dict[str, float] = {}
    for from_text, name in ((False, "image_to_text"), (True, "text_to_image")):
        lists = {}
        for prefix, (features, prepared) in present.items():
            rows = features.true_texts if from_text else np.arange(len(features.image_globals))
            lists[prefix] = candidate_lists(
                network,
                prepared,
                features,
                spread(rows, dev.queries),
                from_text=from_text,
                candidates=dev.candidates,
                rankers=[ranker],
            )
        weights = likeliest(PARTS[ranker], list(lists.values()))
        for prefix, some in lists.items():
            for cut, value in zip((1, 5, 10), recalls(some, mixed(some.parts, weights)), strict=True):
                figures[f"{prefix}{name}.R@{cut}"] = value
    if dev.scenes is not None:
        scores = twin_scores(network, present["scenes."][1], dev.scenes, ranker, weights)
        figures |= relation_figures(scores)
    figures["choice"] = sum(value for name, value in figures.items() if "R@" in name or name == "group")
    return figures


def spread(rows: Rows, count: int) -> Rows:
    """At most `count` of these, evenly."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]


def queries_by_direction(features: PairFeatures) -> dict[Direction, Rows]:
    """The pictures of a set and its true texts, short ones apart."""
    texts = features.true_texts
    of_text = [Direction.of_text(int(length)) for length in np.diff(features.offsets)[texts]]
    pictures = np.arange(len(features.image_globals))
    return {
        direction: texts[[kind is direction for kind in of_text]] if direction.from_text else pictures
        for direction in Direction
    }


@dataclass(frozen=True, slots=True)
class TwinPairs:
    """Quadruples of twins: text a and b, each with picture a and b.

    Attributes:
        texts, pictures: (K, 2, 2) rows, [text, picture].
        kinds: (K,).
    """

    texts: Rows
    pictures: Rows
    kinds: tuple[str, ...]


def twin_pairs(features: PairFeatures) -> TwinPairs:
    """All twins of a set, once for each pair of sentences in the same place."""
    owned: dict[int, list[int]] = {}
    for text in features.own_texts:
        owned.setdefault(int(features.owners[text]), []).append(int(text))
    groups: dict[int, list[int]] = {}
    for row, twin in enumerate(features.twins):
        if twin >= 0:
            groups.setdefault(int(twin), []).append(row)
    texts, pictures, kinds = [], [], []
    for members in groups.values():
        if len(members) != 2:
            continue
        a, b = members
        for text_a, text_b in zip(owned[a], owned[b], strict=False):
            texts.append([[text_a, text_a], [text_b, text_b]])
            pictures.append([[a, b], [a, b]])
            kinds.append(features.kinds[a])
    shape = (-1, 2, 2)
    return TwinPairs(
        np.array(texts, dtype=np.int64).reshape(shape), np.array(pictures, dtype=np.int64).reshape(shape), tuple(kinds)
    )


def twin_scores(
    network: RelationNetwork, prepared: PreparedSet, features: PairFeatures, ranker: Ranker, weights: dict[str, float]
) -> TwinScores:
    """Mixed scores of all twins."""
    pairs = twin_pairs(features)
    parts = pair_parts(network, prepared, pairs.texts.ravel(), pairs.pictures.ravel(), [ranker], from_text=True)
    scores = mixed(parts, weights).reshape(-1, 2, 2)
    return TwinScores(scores, scores, pairs.kinds)


def twin_parts(
    network: RelationNetwork, prepared: PreparedSet, features: PairFeatures, ranker: Ranker, *, from_text: bool
) -> Parts:
    """Parts of (2K, 2) lists, the right one first: each text with both pictures, or each picture with both texts."""
    pairs = twin_pairs(features)
    parts = pair_parts(network, prepared, pairs.texts.ravel(), pairs.pictures.ravel(), [ranker], from_text=from_text)
    lists: Parts = {}
    for name, values in parts.items():
        square = values.reshape(-1, 2, 2)
        if not from_text:
            square = square.transpose(0, 2, 1)
        lists[name] = np.concatenate([square[:, 0, :], square[:, 1, ::-1]])
    return lists


def full_lists(
    network: RelationNetwork,
    prepared: PreparedSet,
    features: PairFeatures,
    queries: Rows,
    ranker: Ranker,
    *,
    from_text: bool,
) -> CandidateLists:
    """100 candidates of every query, of at most two for every picture, with the ranker's parts."""
    chosen = spread(queries, 2 * len(features.image_globals))
    return candidate_lists(network, prepared, features, chosen, from_text=from_text, candidates=100, rankers=[ranker])
