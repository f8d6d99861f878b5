"""A toy world is learned in seconds, the same way every time, interrupted or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from vitr_toys import CONFIG

from boonart.errors import ConfigurationError, ModelFileError, SourceError
from boonart.training.vitr import Report, Stage, VitrTraining, train_stages
from boonart.training.vitr_batches import Likeness
from boonart.training.vitr_dev import DevSets, dev_figures
from boonart.training.vitr_presets import paper_preset, starter_preset
from boonart.training.vitr_steps import Head, Loss, StepOptions
from boonart.vitr.config import VitrConfig
from boonart.vitr.model import RelationNetwork

PLAIN = StepOptions(hard_negatives=2, token_dropout=0.0, word_dropout=0.0, region_dropout=0.0)
ROLE = Stage(Head.ROLE, passes=150, batch=12, rate=1e-2, warmup=0.1, options=PLAIN)


def network(config: VitrConfig = CONFIG) -> RelationNetwork:
    torch.manual_seed(4)
    return RelationNetwork(config)


def weights(trained: RelationNetwork) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in trained.state_dict().values()])


def test_the_role_head_learns_which_side_a_thing_is_on(toys, tmp_path):
    figures = train_stages(network(), VitrTraining((ROLE,), measure_every=50), [toys], DevSets(scenes=toys), tmp_path)
    assert figures[0]["group"] == 100.0


def test_the_published_head_cannot_tell_the_sides(toys, tmp_path):
    stage = Stage(Head.VITR, passes=40, batch=12, rate=1e-2, global_from=5, options=PLAIN)
    figures = train_stages(network(), VitrTraining((stage,), measure_every=40), [toys], DevSets(scenes=toys), tmp_path)
    assert figures[0]["group"] < 50.0


def test_the_papers_loss_trains(toys, tmp_path):
    options = replace(PLAIN, loss=Loss.LSEH, false_texts=False)
    stage = Stage(Head.VITR, passes=12, batch=12, rate=1e-2, decay_every=5, global_from=3, options=options)
    losses: list[float] = []
    trained = network()
    train_stages(
        trained,
        VitrTraining((stage,), measure_every=12),
        [toys],
        DevSets(scenes=toys),
        tmp_path,
        progress=lambda report: losses.append(report.losses["lseh"]),
    )
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_an_interrupted_run_ends_like_an_undisturbed_one(toys, tmp_path, averaging):
    stage = replace(ROLE, passes=4, batch=4, averaging=averaging, options=replace(PLAIN, word_dropout=0.2))
    training = VitrTraining((stage, replace(stage, head=Head.VITR)), save_every=0.0, measure_every=1, half=False)
    whole = network()
    figures = train_stages(whole, training, [toys, toys], DevSets(scenes=toys), tmp_path / "whole")
    stops = [3, 10, 17, 20]
    seen = 0

    def interrupt(_report) -> None:
        nonlocal seen
        seen += 1
        if seen in stops:
            raise KeyboardInterrupt

    resumed = network()
    while True:
        resumed = network()
        try:
            again = train_stages(
                resumed, training, [toys, toys], DevSets(scenes=toys), tmp_path / "parts", progress=interrupt
            )
            break
        except KeyboardInterrupt:
            continue
    assert seen > max(stops)
    assert again == figures
    torch.testing.assert_close(weights(resumed), weights(whole))


def test_the_state_of_another_training_is_not_taken_up(toys, tmp_path):
    stage = replace(ROLE, passes=1)
    train_stages(network(), VitrTraining((stage,)), [toys], DevSets(scenes=toys), tmp_path)
    with pytest.raises(ModelFileError, match="other settings"):
        train_stages(network(), VitrTraining((stage,), seed=1), [toys], DevSets(scenes=toys), tmp_path)


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(SourceError):
        train_stages(network(), VitrTraining((ROLE,)), [], DevSets(), tmp_path)


def test_a_role_stage_needs_a_role_head(toys, tmp_path):
    with pytest.raises(ConfigurationError):
        train_stages(network(replace(CONFIG, role=None)), VitrTraining((ROLE,)), [toys], DevSets(), tmp_path)


def test_frozen_projections_stay_as_they_are(toys, tmp_path):
    trained = network()
    before = trained.project_regions.weight.detach().clone()
    stage = Stage(Head.VITR, passes=2, batch=12, rate=1e-2, freeze_projections=True, options=PLAIN)
    train_stages(trained, VitrTraining((stage,), measure_every=2), [toys], DevSets(scenes=toys), tmp_path)
    torch.testing.assert_close(trained.project_regions.weight, before)
    assert not np.allclose(trained.vitr.score.weight.detach(), network().vitr.score.weight.detach())


def test_the_presets_are_what_they_say():
    paper = paper_preset().stages[0]
    assert (paper.rate, paper.weight_decay, paper.batch, paper.passes) == (4e-4, 1e-4, 256, 30)
    assert (paper.decay_every, paper.clip, paper.global_from) == (5, 2.0, 3)
    assert paper.options.loss is Loss.LSEH
    stages = starter_preset().stages
    assert [stage.head for stage in stages] == [*[Head.ROLE] * 5, Head.VITR]
    twins = [stage.twin_options or stage.options for stage in stages[:-1]]
    assert [(bool(options.lists), bool(options.global_scale)) for options in twins] == [
        (False, False),
        (True, False),
        *[(True, True)] * 3,
    ]
    assert [stage.freeze_projections for stage in stages] == [False, False, True, False, False, True]
    assert [stage.likeness for stage in stages if stage.alike] == [*[Likeness.SAID] * 2, *[Likeness.MISTAKEN] * 2]


def test_sets_of_twins_are_trained_by_options_of_their_own(toys, tmp_path):
    alone = StepOptions(hard_negatives=0, lists=0.0)
    stage = Stage(Head.ROLE, passes=1, batch=4, options=alone, twin_options=replace(alone, grounding=0.0))
    seen = []
    train_stages(
        network(), VitrTraining((stage,)), [toys], DevSets(scenes=toys), tmp_path, progress=lambda r: seen.append(r)
    )
    assert {name for report in seen for name in report.losses} == {"twins"}


def test_a_blended_stage_leaves_a_part_of_what_it_began_with(toys, tmp_path):
    stage = replace(ROLE, passes=3)
    begun = weights(network())
    left = []
    for share in (1.0, 0.25):
        trained, training = network(), VitrTraining((replace(stage, blend=share),), measure_every=3)
        figures = train_stages(trained, training, [toys], DevSets(scenes=toys), tmp_path / str(share))
        left.append(weights(trained))
        assert figures[0]["group"] == dev_figures(trained, DevSets(scenes=toys), Head.ROLE)["group"]
    assert not torch.allclose(left[0], begun)
    torch.testing.assert_close(left[1], torch.lerp(begun, left[0], 0.25))


def test_a_blended_stage_that_was_interrupted_blends_with_what_it_began_with(toys, tmp_path):
    stages = tuple(replace(ROLE, passes=2, blend=share) for share in (1.0, 0.5))
    training, dev = VitrTraining(stages, measure_every=2, save_every=0.0), DevSets(scenes=toys)
    whole, resumed = network(), network()
    train_stages(whole, training, [toys], dev, tmp_path / "whole")

    def stop(report: Report) -> None:
        seen.append(report)
        if len(seen) == 3:
            raise KeyboardInterrupt

    seen: list[Report] = []
    with pytest.raises(KeyboardInterrupt):
        train_stages(resumed, training, [toys], dev, tmp_path / "resumed", progress=stop)
    again = RelationNetwork(CONFIG)
    train_stages(again, training, [toys], dev, tmp_path / "resumed")
    torch.testing.assert_close(weights(again), weights(whole))


def test_a_set_of_a_named_share_is_gone_through_as_often_as_that(toys, tmp_path):
    stage = replace(ROLE, passes=1, batch=4, twins=1.0, shares={"tags": 3.0})
    sets = [toys, replace(toys, name="tags"), replace(toys, name="others")]
    seen: list[Report] = []
    train_stages(network(), VitrTraining((stage,)), sets, DevSets(scenes=toys), tmp_path, progress=seen.append)
    once = len(toys.image_globals) // stage.batch
    assert [report.steps for report in seen] == [5 * once] * (5 * once)
