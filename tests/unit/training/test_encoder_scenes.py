"""Scenes beside photographs, with toys instead of the networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from boonart.encoders.starter_network import MAP_CHANNELS, TEXT_READING, StarterNetwork
from boonart.training import encoder_scenes, encoder_steps
from boonart.training.encoder_features import TrunkViews
from boonart.training.encoder_run import EncoderTraining
from boonart.training.encoder_scenes import SceneSet, load_scene_set
from boonart.training.encoder_sets import TrainingSet
from boonart.training.encoder_steps import mixed_loss
from boonart.training.encoder_texts import WordList
from boonart.training.vitr_features import TrainingPicture
from boonart.works import Picture

POOLED = 2 * MAP_CHANNELS
CONFIG = EncoderTraining(size=8, dropout=0.0, scene_batch=2)


def views(*shape: int) -> TrunkViews:
    return TrunkViews(tuple(np.full((*shape,), view, dtype=np.float16) for view in range(3)))


def photographs() -> TrainingSet:
    """Three with two captions each: an owl, an owl, a dog."""
    generator = torch.Generator().manual_seed(0)
    held = np.array([[False, True], [False, True], [True, False]])
    return TrainingSet(
        views=views(3, 9, 9, 2),
        texts=(("an owl", "night"), ("owl", "bird"), ("the dog", "a dog runs")),
        counts=np.array([2, 2, 2]),
        captions=torch.randn((3, 2, TEXT_READING), generator=generator).half(),
        sentences=torch.eye(3),
        words=WordList(("dog",), held[:, :1]),
        word_readings=torch.zeros((1, 4, TEXT_READING)),
        class_readings=torch.randn((5, TEXT_READING), generator=generator),
        pooled=torch.zeros((2, 3, POOLED)),
        probabilities=torch.full((3, 5), 0.2),
    )


def scenes() -> SceneSet:
    """Two twins with an owl."""
    generator = torch.Generator().manual_seed(1)
    return SceneSet(
        views=views(2, 9, 9, 2),
        captions=torch.randn((2, 4, TEXT_READING), generator=generator).half(),
        sentences=torch.eye(2),
        twins=np.array([0, 0]),
        words=("dog", "owl"),
        held_by_photographs=np.array([[False, True], [False, True], [True, False]]),
        held=np.array([[False, True], [False, True]]),
        word_readings=torch.randn((2, 4, TEXT_READING), generator=generator),
    )


@pytest.fixture
def network() -> StarterNetwork:
    torch.manual_seed(0)
    toy = SimpleNamespace(
        image=SimpleNamespace(project=nn.Linear(POOLED, 8)), text=SimpleNamespace(project=nn.Linear(TEXT_READING, 8))
    )
    return cast(StarterNetwork, toy)


def loss_of(network: StarterNetwork, config: EncoderTraining, both: SceneSet) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    pooled = (
        torch.randn((2, 3, POOLED), generator=generator).half(),
        torch.randn((3, 2, POOLED), generator=generator).half(),
    )
    rng = np.random.default_rng(0)
    return mixed_loss(network, photographs(), both, pooled, np.array([2, 0, 1]), rng, config, torch.tensor(10.0))


def test_a_batch_holds_each_scene_once_in_some_view_and_caption() -> None:
    both = scenes()
    drawn = [both.draw(5, np.random.default_rng(seed)) for seed in range(40)]
    assert all(sorted(batch.rows) == [0, 1] for batch in drawn)  # no more than there are
    assert {int(view) for batch in drawn for view in batch.views} == {0, 1, 2}
    assert {int(place) for batch in drawn for place in batch.places} == {0, 1, 2, 3}
    assert len(both.draw(1, np.random.default_rng(0)).rows) == 1


def test_words_are_searched_for_in_photographs_and_scenes_together(
    network: StarterNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def find_all(words: Tensor, images: Tensor, held: Tensor, scale: Tensor) -> Tensor:
        assert len(words) == len(held)
        assert len(images) == 5
        seen.append(held)
        return scale * 0

    monkeypatch.setattr(encoder_steps.losses, "find_all", find_all)
    loss_of(network, CONFIG, scenes())
    dog, owl = seen[0].tolist()  # photographs 2, 0 and 1, then both scenes
    assert dog == [True, False, False, False, False]
    assert owl == [False, True, True, True, True]


def test_captions_of_scenes_count_by_their_weight(network: StarterNetwork) -> None:
    weights = (0.0, 0.15, 0.3)
    none, one, two = (loss_of(network, replace(CONFIG, scene_weight=weight), scenes()).item() for weight in weights)
    assert one > none
    assert two - none == pytest.approx(2 * (one - none), rel=1e-4)


def test_a_twin_is_as_right_as_the_scene_itself(network: StarterNetwork) -> None:
    config = replace(CONFIG, soft_share=0.0)
    twins = replace(scenes(), captions=scenes().captions[:, :1])  # one sentence each
    swapped = replace(twins, captions=twins.captions.flip(0))
    assert loss_of(network, config, twins).item() == pytest.approx(loss_of(network, config, swapped).item())
    alone, alone_swapped = (replace(both, twins=np.array([-1, -1])) for both in (twins, swapped))
    assert loss_of(network, config, alone).item() != pytest.approx(loss_of(network, config, alone_swapped).item())


def test_a_loss_teaches_both_projections(network: StarterNetwork) -> None:
    loss_of(network, CONFIG, scenes()).backward()  # type: ignore[no-untyped-call]
    for projection in (network.image.project, network.text.project):
        assert projection.weight.grad is not None
        assert bool(projection.weight.grad.any())


def test_scenes_are_seen_in_three_views_with_the_words_of_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    sentences = ("an owl", "the owl", "one owl", "owl")
    pictures = [
        TrainingPicture(lambda: Picture(pixels, (4, 4), "PNG"), sentences if row < 4 else ("night",) * 4, twin=row)
        for row in range(14)
    ]
    maps = np.arange(14 * 9 * 9 * 2, dtype=np.float16).reshape(14, 9, 9, 2)
    asked: dict[str, Any] = {}

    def encode_views(readers: Any, identities: Any, *_args: Any, **options: Any) -> Any:
        asked.update(options, sizes={reader().size for reader in readers}, identities=identities)
        return maps, maps + 1

    def grouped(_network: Any, groups: Any) -> list[Tensor]:
        return [torch.full((len(group), TEXT_READING), float(len(group[0]))) for group in groups]

    monkeypatch.setattr(encoder_scenes, "scene_pictures", lambda *_: pictures)
    monkeypatch.setattr(encoder_scenes, "encode_views", encode_views)
    monkeypatch.setattr(encoder_scenes, "grouped_readings", grouped)
    monkeypatch.setattr(
        encoder_scenes, "word_readings", lambda _network, words: torch.ones(len(words), 4, TEXT_READING)
    )
    toy = cast(StarterNetwork, SimpleNamespace(image=None))
    found = load_scene_set(toy, photographs(), tmp_path, count=14, seed=3)

    assert (asked["views"], asked["seed"], asked["sizes"]) == ((0, 2), 3, {(4, 4)})
    assert asked["identities"] == [picture.captions for picture in pictures]
    assert found.words == ("dog", "owl")  # "night" is in too many scenes
    assert found.held[:, 1].tolist() == [True] * 4 + [False] * 10
    assert not found.held[:, 0].any()
    assert found.held_by_photographs.tolist() == [[False, True], [False, True], [True, False]]
    mirrored = found.views.views[2]
    np.testing.assert_array_equal(mirrored[:, :, 0], maps[:, :, -1])
    torch.from_numpy(mirrored[:2].astype(np.float32))  # a batch of it can be read as a tensor
    assert found.captions.shape == (14, 4, TEXT_READING)
    torch.testing.assert_close(found.sentences.norm(dim=1), torch.ones(14))
    assert found.twins.tolist() == list(range(14))
