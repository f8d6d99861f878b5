"""The trainings that `boonart train vitr --preset` names."""

from __future__ import annotations

from dataclasses import replace

from boonart.training.vitr import Stage, VitrTraining
from boonart.training.vitr_batches import Likeness
from boonart.training.vitr_steps import Head, Loss, StepOptions


def paper_preset() -> VitrTraining:
    """The paper's loss and schedule; meant for a GPU and the paper's sizes."""
    options = StepOptions(
        hard_negatives=0, false_texts=False, token_dropout=0.0, word_dropout=0.2, region_dropout=0.2, loss=Loss.LSEH
    )
    stage = Stage(
        Head.VITR, passes=30, batch=256, rate=4e-4, weight_decay=1e-4, decay_every=5, warmup=0.0, options=options
    )
    return VitrTraining((stage,))


def starter_preset() -> VitrTraining:
    """What the shipped weights began with: the role-aware head with the projections, then the published head on them.

    Photographs teach to find words in pictures, scenes to tell relations. In large batches the ones, in small ones
    the others, and in turn: after the other, each would unlearn what the other had taught. First the role tokens
    learn from twins alone what a relation is; then, in lists of what is alike, to put the right picture before all
    others; then, with projections that stay, to mend what global vectors and grounding together get wrong; at last
    all together once more, in batches of what the global vectors take for each other, and longer than all before.
    """
    of_twins = StepOptions(hard_negatives=1, grounding=0.5, false_texts=False, lists=0.0, centring=0.01)
    listed = replace(of_twins, hard_negatives=8, lists=1.0)
    beside_globals = replace(listed, centring=0.003, listed_scale=8.0, global_scale=23.0)
    joint = Stage(
        Head.ROLE,
        passes=18,
        batch=256,
        twin_batch=64,
        rate=1e-3,
        weight_decay=1e-2,
        averaging=0.995,
        photographs=0.34,
        twins=0.5,
        options=StepOptions(
            hard_negatives=1, lists=0.0, twins=0.0, exchanged=0.3, centring=0.01, token_dropout=0.2, region_dropout=0.0
        ),
        twin_options=of_twins,
    )
    lists = replace(
        joint,
        passes=14,
        rate=6e-4,
        photographs=0.25,
        alike=16,
        options=replace(joint.options, hard_negatives=3, lists=0.5),
        twin_options=listed,
    )
    mixed = _role_tokens_alone(
        replace(lists, passes=9, rate=5e-4, photographs=0.15, twins=0.7, twin_options=beside_globals)
    )
    mistaken = replace(
        lists,
        passes=11,
        twins=0.9,
        likeness=Likeness.MISTAKEN,
        twin_options=beside_globals,
    )
    longer = replace(
        mistaken,
        passes=21,
        photographs=0.18,
        blend=0.65,
        twin_options=replace(beside_globals, listed_scale=7.0, global_scale=30.0),
    )
    published = Stage(
        Head.VITR,
        passes=1,
        batch=48,
        rate=1e-3,
        freeze_projections=True,
        averaging=0.99,
        photographs=0.34,
        twins=0.6,
        options=StepOptions(false_texts=False),
    )
    return VitrTraining((joint, lists, mixed, mistaken, longer, published), querybank=1536, colours=5.0)


def further_preset() -> VitrTraining:
    """Goes on from trained weights with the last stage of the role-aware head, on other data or other scenes.

    At a lower rate, with more photographs, and half of its outcome blended in: what the weights know is to stay.
    """
    preset = starter_preset()
    *_, longer, published = preset.stages
    further = replace(longer, passes=18, rate=4e-4, photographs=0.22, blend=0.5)
    return replace(preset, stages=(further, replace(published, rate=5e-4, twins=0.4)))


def roles_preset() -> VitrTraining:
    """Goes on from trained weights with the role tokens alone, on what they get wrong.

    Regions and words stay as they are, and with them what collections hold of their works, the published head and the
    querybank. First most of a pass are tags and pairs with something replaced, then all scenes count about alike: what
    the tags unteach is learned again.
    """
    *_, longer, _ = starter_preset().stages
    hard = replace(
        _role_tokens_alone(longer),
        passes=8,
        rate=5e-4,
        photographs=0.15,
        twins=0.4,
        shares={"scenes-replaced": 0.8, "scenes-hard-replaced": 1.0, "scenes-tagged": 2.0},
        blend=1.0,
    )
    shares = {"scenes-replaced": 1.0, "scenes-hard-replaced": 1.0}
    return VitrTraining((hard, replace(hard, rate=3e-4, photographs=0.3, twins=0.8, shares=shares)))


def _role_tokens_alone(stage: Stage) -> Stage:
    """The stage with projections that stay, and without the loss on grounding, which lives on them."""
    of_twins = stage.twin_options or stage.options
    return replace(
        stage,
        freeze_projections=True,
        options=replace(stage.options, grounding=0.0),
        twin_options=replace(of_twins, grounding=0.0),
    )
