"""From data to a weight file: read, encode, train, fit the mixtures, save."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from boonart.encoders.colours import COLOURS
from boonart.errors import ModelMismatch, SourceError
from boonart.ports import EncoderModel
from boonart.training import vitr_features
from boonart.training.vitr import Progress, VitrTraining, train_stages, trained_parameters
from boonart.training.vitr_dev import DevSets, Rows, full_lists, queries_by_direction, twin_parts
from boonart.training.vitr_features import PairFeatures, TrainingPicture, encode_training_set
from boonart.training.vitr_fit import fit_mixture
from boonart.training.vitr_parts import prepare_set
from boonart.training.vitr_querybank import with_querybank
from boonart.training.vitr_sources import (
    Source,
    altered_view,
    hard_replaced_scene_pictures,
    hard_scene_pictures,
    rare_scene_pictures,
    read_source,
    replaced_scene_pictures,
    scene_pictures,
    tagged_scene_pictures,
)
from boonart.vitr.config import PAPER, VitrConfig, small
from boonart.vitr.mixture import PARTS, Direction, Mixture, Mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, save_checkpoint
from boonart.works import ImageEmbedding, ModelCard, Picture, Ranker, TextEmbedding

_ENOUGH = 100
"""Texts of a kind on which a mixture can be fitted."""


@dataclass(frozen=True, slots=True)
class VitrData:
    """What a training reads.

    Attributes:
        paths: of captioned pictures, see `vitr_sources.read_source`.
        scenes: how many generated scenes to train on beside them.
        hard_scenes: how many more to look through for the kinds of relation that are hard.
        companions: how many scenes of two of a kind and of coloured cloths to train on beside them.
        rare_scenes: how many further scenes to look through for things that are seldom drawn.
        replaced_scenes: how many in pairs that differ in one kind of thing or in its colour.
        hard_replaced_scenes: how many more of these to look through for hard ones.
        tagged_scenes: how many in pairs of what is as it is and what is painted, with short queries alone.
        dev_scenes: how many to choose by; where there are companions, three eighths as many of these more.
        seed: of views and generated scenes.
        views: of each picture to train on: the picture, its mirror image, then random crops.
        cache: folder for encoded features; kept between runs.
    """

    paths: tuple[Path, ...]
    cache: Path
    scenes: int = 0
    hard_scenes: int = 0
    companions: int = 0
    rare_scenes: int = 0
    replaced_scenes: int = 0
    hard_replaced_scenes: int = 0
    tagged_scenes: int = 0
    dev_scenes: int = 0
    seed: int = 0
    views: int = 2


def train_vitr(
    training: VitrTraining,
    encoder: EncoderModel,
    data: VitrData,
    out: Path,
    *,
    start: Checkpoint | None = None,
    paper_sizes: bool = False,
    device: str = "auto",
    licence: str = "",
    encoding: vitr_features.Progress = vitr_features.silent,
    progress: Progress = lambda report: None,
) -> ModelCard:
    """Train a reranker for an encoder and write its weight file.

    Interrupted, the same call goes on where it stopped.

    Args:
        training: stages, schedule, seed.
        encoder: whose features are compared; it is not changed.
        data: what to train on.
        out: folder for the weight file, its card and the state of the run.
        start: weights to go on from, with their sizes; it is not changed.
        paper_sizes: the paper's E and S, without the role-aware head; the small ones otherwise.
        device: "auto" takes a GPU where there is one; or "cpu", "cuda", "cuda:N".
        licence: for the card.
        encoding: told while pictures and texts are encoded.
        progress: told after every step.

    Raises:
        ModelMismatch: `start` belongs to another encoder.
        ConfigurationError: a stage trains a head that `start` has not.
        SourceError: data that cannot be read, or none.
        ModelFileError: `out` holds the state of another training.
    """
    if start is not None:
        training = replace(training, start=start.card.id)
        _check_start(start, encoder, training)
    sources = [read_source(path) for path in data.paths]
    train, dev = training_sets(encoder, sources, data, encoding), dev_sets(encoder, sources, data, encoding)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(training.seed)
    if start is None:
        network = _new_network(encoder, training, paper_sizes=paper_sizes)
    else:
        network = copy.deepcopy(start.network).requires_grad_(True)
    network = network.to(device)
    figures = train_stages(network, training, train, dev, out, progress=progress)
    network = with_querybank(network, train, training.querybank, training.seed)
    mixtures = fit_mixtures(network, dev)
    painted = sum(bool(kind) for part in train for kind in part.kinds)
    earlier = [f"{start.card.id} ({start.card.data})"] if start is not None else []
    card = ModelCard(
        id=out.name,
        kind="reranker",
        weights_hash="",
        dimensions=network.config.dimensions,
        licence=licence or (start.card.licence if start is not None else ""),
        description="Regions of a picture against words of a text, by VITR's head and by a role-aware one.",
        data="; ".join([*earlier, *(f"{source.name}: {len(source.train)} pictures" for source in sources)])
        + (f"; {painted} generated scenes, seed {data.seed}" if painted else ""),
        encoder_id=encoder.card.id,
        figures={
            f"dev.{stage.head.value}.{name}": round(value, 2)
            for stage, found in zip(training.stages, figures, strict=True)
            for name, value in found.items()
            if name not in {"choice", "passes"}
        },
    )
    (out / "training.json").write_text(json.dumps(asdict(training), indent=2) + "\n", encoding="utf-8")
    return save_checkpoint(Checkpoint(network, mixtures, card), out)


def _check_start(start: Checkpoint, encoder: EncoderModel, training: VitrTraining) -> None:
    """Refuse weights that this training cannot go on from, before anything is encoded."""
    if start.card.encoder_id != encoder.card.id:
        raise ModelMismatch(
            f"The weights {start.card.id} belong to the encoder {start.card.encoder_id}, not to {encoder.card.id}.",
            hint="Train with the encoder that they belong to, or begin anew without --start.",
        )
    for stage in training.stages:
        trained_parameters(start.network, stage)


def _new_network(encoder: EncoderModel, training: VitrTraining, *, paper_sizes: bool) -> RelationNetwork:
    network = RelationNetwork(config_for(encoder, paper_sizes=paper_sizes))
    if encoder.card.id.startswith("starter@"):
        with torch.no_grad():
            network.project_regions.weight[:, -COLOURS:] *= training.colours
    return network


def config_for(encoder: EncoderModel, *, paper_sizes: bool = False) -> VitrConfig:
    """The network's sizes for an encoder."""
    sizes = encoder.card.dimensions
    if not paper_sizes:
        return small(sizes["D"], sizes["Wi"], sizes["Wt"])
    return replace(PAPER, global_size=sizes["D"], image_token_size=sizes["Wi"], text_token_size=sizes["Wt"])


def training_sets(
    encoder: EncoderModel, sources: Sequence[Source], data: VitrData, progress: vitr_features.Progress
) -> list[PairFeatures]:
    """All training sets, encoded: each source in all its views, and the generated scenes."""
    encode = _encoding(Remembering(encoder), data.cache, progress)
    sets: list[PairFeatures] = []
    for source in sources:
        if not source.train:
            raise SourceError(f"{source.name} has no train split.")
        sets.append(encode(f"{source.name}-train", source.train))
        for view in range(1, data.views):
            pictures = altered_view(source.train, view, data.seed)
            sets.append(encode(f"{source.name}-train-view-{view}", pictures))
    for name, pictures in _scene_sets(data):
        if pictures:
            sets.append(replace(encode(f"{name}-{data.seed}", pictures), name=name))
    return sets


def _scene_sets(data: VitrData) -> Iterator[tuple[str, list[TrainingPicture]]]:
    """The sets of generated scenes, by name; a set that is not wanted is empty."""
    scenes, hard, companions = data.scenes, data.hard_scenes, data.companions
    yield "scenes-train", scene_pictures(data.seed, scenes, "train")
    yield "scenes-hard", hard_scene_pictures(data.seed, scenes, hard)
    yield "companions-train", scene_pictures(data.seed, 0, "train", companions=companions)
    yield "scenes-rare", rare_scene_pictures(data.seed, scenes, hard, companions, data.rare_scenes)
    yield "scenes-replaced", replaced_scene_pictures(data.seed, data.replaced_scenes)
    yield "scenes-hard-replaced", hard_replaced_scene_pictures(data.seed, data.hard_replaced_scenes)
    yield "scenes-tagged", tagged_scene_pictures(data.seed, data.tagged_scenes)


def dev_sets(
    encoder: EncoderModel, sources: Sequence[Source], data: VitrData, progress: vitr_features.Progress
) -> DevSets:
    """What epochs are chosen and mixtures fitted by: the first source with a dev split, and generated scenes."""
    encode = _encoding(encoder, data.cache, progress)
    photographs = next((encode(f"{s.name}-dev", s.dev) for s in sources if s.dev), None)
    scenes = None
    if data.dev_scenes:
        companions = data.dev_scenes * 3 // 8 if data.companions else 0
        painted = scene_pictures(data.seed, data.dev_scenes, "dev", companions=companions)
        scenes = encode(f"scenes-dev-{data.seed}", painted)
    return DevSets(photographs, scenes)


def fit_mixtures(network: RelationNetwork, dev: DevSets) -> Mixtures:
    """Fit every ranker's mixtures and take the role-aware head as the default where there is one.

    Short texts get mixtures of their own where photographs have enough of them, and of others.

    Raises:
        SourceError: there is no dev split of photographs.
    """
    if dev.photographs is None:
        raise SourceError("There is no dev split to fit the mixture of scores on.")
    photographs, scenes = dev.photographs, dev.scenes
    prepared = prepare_set(network, photographs)
    apart = _has_enough_of_both(photographs)
    asked = _fitted_on(photographs, short_apart=apart)
    painted = None if scenes is None else prepare_set(network, scenes)
    painted_asked = {} if scenes is None else _fitted_on(scenes, short_apart=apart)
    rankers = [ranker for ranker in PARTS if ranker is not Ranker.ROLE or network.role is not None]
    by_ranker: dict[Ranker, dict[Direction, Mixture]] = {}
    for ranker in rankers:
        by_ranker[ranker] = {}
        twins = {}
        if scenes is not None and painted is not None:
            twins = {side: twin_parts(network, painted, scenes, ranker, from_text=side) for side in (True, False)}
        for direction, queries in asked.items():
            side = direction.from_text
            lists = full_lists(network, prepared, photographs, queries, ranker, from_text=side)
            painted_lists = None
            if scenes is not None and painted is not None and len(painted_asked[direction]):
                others = painted_asked[direction]
                painted_lists = full_lists(network, painted, scenes, others, ranker, from_text=side)
            by_ranker[ranker][direction] = fit_mixture(ranker, lists, twins.get(side), painted_lists)
    return Mixtures(Ranker.ROLE if Ranker.ROLE in by_ranker else Ranker.VITR, by_ranker)


def _has_enough_of_both(features: PairFeatures) -> bool:
    """Whether there are short texts and others enough for a mixture each."""
    queries = queries_by_direction(features)
    return min(len(rows) for direction, rows in queries.items() if direction.from_text) >= _ENOUGH


def _fitted_on(features: PairFeatures, *, short_apart: bool) -> dict[Direction, Rows]:
    """The queries that each mixture is fitted on; without one for short texts, all texts alike."""
    queries = queries_by_direction(features)
    if not short_apart:
        del queries[Direction.SHORT_TEXT_TO_IMAGE]
        queries[Direction.TEXT_TO_IMAGE] = features.true_texts
    return queries


class Remembering:
    """An encoder that encodes no sentence twice: a picture's views share most of theirs.

    Args:
        encoder: what does the work.
    """

    def __init__(self, encoder: EncoderModel) -> None:
        self._encoder = encoder
        self._texts: dict[str, TextEmbedding] = {}

    @property
    def card(self) -> ModelCard:
        """The encoder's."""
        return self._encoder.card

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """As the encoder does."""
        return self._encoder.encode_images(pictures)

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """As the encoder does, or as it did."""
        new = sorted({text for text in texts if text not in self._texts})
        if new:
            self._texts.update(zip(new, self._encoder.encode_texts(new), strict=True))
        return [self._texts[text] for text in texts]


def _encoding(
    encoder: EncoderModel, cache: Path, progress: vitr_features.Progress
) -> Callable[[str, Sequence[TrainingPicture]], PairFeatures]:
    return lambda name, pictures: encode_training_set(encoder, name, pictures, cache, progress=progress)
