"""Relations: twin scenes and exchanged captions, scored as in Winoground.

Of two pictures and two texts that differ in the relation alone, the *text score* counts those where each picture
prefers its own text, the *image score* those where each text prefers its own picture, the *group score* both.
Chance is 25, 25 and 16.7 percent. Ties count as wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from boonart.errors import SourceError

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class TwinScores:
    """Scores of K quadruples: text a with picture a, a with b, b with a, b with b.

    Attributes:
        from_texts: (K, 2, 2), [text, picture], scored with the text as the query.
        from_pictures: (K, 2, 2), [text, picture], scored with the picture as the query.
        kinds: (K,) kind of relation of each.
    """

    from_texts: FloatArray
    from_pictures: FloatArray
    kinds: tuple[str, ...]


def relation_figures(twins: TwinScores, prefix: str = "") -> dict[str, float]:
    """Text, image and group score in percent over all twins, and the group score by kind of relation.

    Args:
        prefix: put before every name, such as "relations.role.".

    Returns:
        `text`, `image`, `group`, and `group.<kind>` with the kind's blanks replaced.
    """
    text, image = _text_right(twins.from_pictures), _image_right(twins.from_texts)
    group = text & image
    figures = {
        f"{prefix}text": _percent(text),
        f"{prefix}image": _percent(image),
        f"{prefix}group": _percent(group),
    }
    kinds = np.array(twins.kinds)
    for kind in sorted(set(twins.kinds)):
        figures[f"{prefix}group.{slug(kind)}"] = _percent(group[kinds == kind])
    return figures


def slug(kind: str) -> str:
    """The name of a kind of relation as part of a figure's name: "left / right" is "left-right"."""
    return "-".join(part for part in kind.replace("/", " ").split() if part)


def pair_figures(right: FloatArray, swapped: FloatArray, prefix: str = "") -> dict[str, float]:
    """Share of pictures that prefer their caption to the swapped one, in percent; ties count as wrong.

    Args:
        right, swapped: (K,) scores.
    """
    return {f"{prefix}right": _percent(np.asarray(right) > np.asarray(swapped))}


@dataclass(frozen=True, slots=True)
class SwappedPair:
    """A picture, its caption, and the caption with something exchanged."""

    image: Path
    caption: str
    swapped: str


def read_pairs(file: Path) -> list[SwappedPair]:
    """A JSON list of `{"image", "caption", "swapped"}`; pictures relative to the file's folder.

    Raises:
        SourceError: the file is not such a list.
    """
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        pairs = [
            SwappedPair(file.parent / str(item["image"]), str(item["caption"]), str(item["swapped"]))
            for item in records
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{file} is not a list of pairs: {error!r}.",
            hint='It must be a JSON list of objects with "image", "caption" and "swapped".',
        ) from error
    if not pairs:
        raise SourceError(f"{file} holds no pair.")
    return pairs


def expected_calibration_error(relevance: FloatArray, right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance between the stated and the found share of right ones, weighted by bin, 0..1.

    Args:
        relevance: (K,) stated probabilities.
        right: (K,) whether the hit was right.
    """
    places = np.minimum((np.asarray(relevance) * bins).astype(int), bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            error += inside.mean() * abs(float(relevance[inside].mean()) - float(right[inside].mean()))
    return float(error)


def top_kept(exhaustive: FloatArray, reranked: Sequence[npt.NDArray[np.intp]], cut: int = 10) -> float:
    """Share of the exhaustive scoring's best `cut` that are also among the reranked best `cut`, in percent.

    Args:
        exhaustive: (Q, N) scores of everything.
        reranked: for each query the items in the reranked order, best first.
    """
    best = np.argsort(-exhaustive, axis=1, kind="stable")[:, :cut]
    kept = [len(set(row.tolist()) & set(order[:cut].tolist())) / cut for row, order in zip(best, reranked, strict=True)]
    return 100.0 * float(np.mean(kept))


def group_score(figures: Mapping[str, float], prefix: str = "") -> tuple[float, float]:
    """Overall group score and the lowest by kind, of what `relation_figures` returned."""
    by_kind = [value for name, value in figures.items() if name.startswith(f"{prefix}group.")]
    return figures[f"{prefix}group"], min(by_kind, default=figures[f"{prefix}group"])


def _text_right(scores: FloatArray) -> npt.NDArray[np.bool_]:
    """Each picture prefers its own text."""
    first: npt.NDArray[np.bool_] = scores[:, 0, 0] > scores[:, 1, 0]
    return first & (scores[:, 1, 1] > scores[:, 0, 1])


def _image_right(scores: FloatArray) -> npt.NDArray[np.bool_]:
    """Each text prefers its own picture."""
    first: npt.NDArray[np.bool_] = scores[:, 0, 0] > scores[:, 0, 1]
    return first & (scores[:, 1, 1] > scores[:, 1, 0])


def _percent(right: npt.NDArray[np.bool_]) -> float:
    return 100.0 * float(np.mean(right)) if len(right) else float("nan")
