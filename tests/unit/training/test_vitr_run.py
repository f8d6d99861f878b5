"""From captioned pictures to a weight file that serves."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from vitr_toys import COLOURS, SquareEncoder

from boonart.errors import ConfigurationError, ModelFileError, ModelMismatch, SourceError
from boonart.training import vitr_run, vitr_sources
from boonart.training.vitr import VitrTraining
from boonart.training.vitr_presets import further_preset, roles_preset, starter_preset
from boonart.training.vitr_run import VitrData, train_vitr
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import Direction, untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, load_checkpoint, load_reranker
from boonart.works import ModelCard, Picture, Ranker

TINY = VitrConfig(4, 4, 6, embed_size=8, similarity_size=6, filters=1, aggregations=1, role=RoleConfig(size=8))
CARD = ModelCard("start", "reranker", "", TINY.dimensions, encoder_id="squares@1")


@pytest.fixture(autouse=True)
def tiny(monkeypatch, one_seeded_thread):
    """Small enough for a test, and pictures as they are."""
    monkeypatch.setattr(vitr_run, "small", lambda *sizes: TINY)
    monkeypatch.setattr(vitr_sources, "decode", lambda data: Picture(_pixels(data), (7, 7), "PNG"))


def _pixels(data: bytes) -> np.ndarray:
    import io

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture
def captions(tmp_path):
    folder = tmp_path / "toys"
    folder.mkdir()
    records = []
    for number, (a, b) in enumerate((a, b) for a in COLOURS for b in COLOURS if a != b):
        pixels = np.zeros((7, 7, 3), dtype=np.uint8)
        pixels[2:4, 1:3], pixels[2:4, 4:6] = COLOURS[a], COLOURS[b]
        Image.fromarray(pixels).save(folder / f"{number}.png")
        text = f"{a} left of {b}"
        for split in ("train", "dev"):
            records.append({"image": f"{number}.png", "split": split, "captions": [text, text]})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, records)))
    return folder


def short(preset: VitrTraining | None = None) -> VitrTraining:
    preset = preset or starter_preset()
    stages = tuple(replace(stage, passes=2, batch=6) for stage in preset.stages)
    return replace(preset, stages=stages, measure_every=1)


def test_the_weight_file_serves(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    card = train_vitr(short(), SquareEncoder(), data, tmp_path / "out", device="cpu", licence="CC0")
    checkpoint = load_checkpoint(tmp_path / "out" / "vitr.safetensors")
    assert checkpoint.card == card
    assert card.encoder_id == "squares@1"
    assert "dev.role.text_to_image.R@1" in card.figures
    assert set(checkpoint.mixtures.by_ranker) == {Ranker.LATE, Ranker.VITR, Ranker.ROLE}
    assert all(m.calibrated for both in checkpoint.mixtures.by_ranker.values() for m in both.values())
    load_reranker("out", encoder_card=SquareEncoder().card, index=None, models_folder=tmp_path, device="cpu")


def test_short_texts_have_mixtures_of_their_own_where_there_are_enough(captions, tmp_path, monkeypatch):
    file = captions / "captions.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records:
        record["captions"][1] += " of" * 6
    file.write_text("\n".join(map(json.dumps, records)))
    data = VitrData((captions,), tmp_path / "cache", views=1)
    found = {}
    for enough in (12, 13):
        monkeypatch.setattr("boonart.training.vitr_run._ENOUGH", enough)
        train_vitr(short(), SquareEncoder(), data, tmp_path / f"of-{enough}", device="cpu")
        found[enough] = load_checkpoint(tmp_path / f"of-{enough}" / "vitr.safetensors").mixtures.by_ranker
    assert {frozenset(directions) for directions in found[12].values()} == {frozenset(Direction)}
    assert {frozenset(directions) for directions in found[13].values()} == {
        frozenset({Direction.TEXT_TO_IMAGE, Direction.IMAGE_TO_TEXT})
    }


def test_the_same_seed_gives_the_same_weights(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    cards = [train_vitr(short(), SquareEncoder(), data, tmp_path / name, device="cpu") for name in ("a", "b")]
    assert cards[0].weights_hash == cards[1].weights_hash


def test_going_on_from_weights(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    train_vitr(short(), SquareEncoder(), data, tmp_path / "begun", device="cpu", licence="CC0")
    start = load_checkpoint(tmp_path / "begun" / "vitr.safetensors")
    still = replace(short(), stages=tuple(replace(stage, rate=0.0) for stage in short().stages[-2:]))
    card = train_vitr(still, SquareEncoder(), data, tmp_path / "still", start=start, device="cpu")
    left = load_checkpoint(tmp_path / "still" / "vitr.safetensors")
    assert all(
        torch.equal(value, left.network.state_dict()[name])
        for name, value in start.network.state_dict().items()
        if not name.startswith("querybank.") and "norm" not in name
    )
    assert card.licence == "CC0"
    assert start.card.id in card.data
    moved = replace(still, stages=tuple(replace(stage, rate=1e-2) for stage in still.stages))
    before = copy.deepcopy(start.network.state_dict())
    train_vitr(moved, SquareEncoder(), data, tmp_path / "moved", start=start, device="cpu")
    other = load_checkpoint(tmp_path / "moved" / "vitr.safetensors").network
    assert not torch.equal(other.project_words.weight, start.network.project_words.weight)
    assert all(torch.equal(value, before[name]) for name, value in start.network.state_dict().items())


def test_role_tokens_alone_go_on_and_leave_what_collections_hold(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    train_vitr(short(), SquareEncoder(), data, tmp_path / "begun", device="cpu")
    start = load_checkpoint(tmp_path / "begun" / "vitr.safetensors")
    train_vitr(short(roles_preset()), SquareEncoder(), data, tmp_path / "out", start=start, device="cpu")
    left = load_checkpoint(tmp_path / "out" / "vitr.safetensors").network.state_dict()
    before = start.network.state_dict()
    moved = {name for name, value in left.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("role.") for name in moved)


def test_a_share_is_said_of_sets_that_there_are(tmp_path):
    names = {name for name, _ in vitr_run._scene_sets(VitrData((), tmp_path))}
    said = {name for stage in roles_preset().stages for name in stage.shares}
    assert said
    assert names.issuperset(said)


def test_weights_of_another_encoder_are_not_gone_on_from(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    start = Checkpoint(RelationNetwork(TINY), untrained_mixtures(with_role=True), replace(CARD, encoder_id="others@2"))
    with pytest.raises(ModelMismatch, match=r"others@2.*squares@1"):
        train_vitr(short(), SquareEncoder(), data, tmp_path / "out", start=start, device="cpu")
    assert not (tmp_path / "cache").exists()


def test_what_a_stage_trains_must_be_there(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    published = RelationNetwork(replace(TINY, role=None))
    start = Checkpoint(published, untrained_mixtures(with_role=False), CARD)
    with pytest.raises(ConfigurationError, match="role-aware head"):
        train_vitr(further_preset(), SquareEncoder(), data, tmp_path / "out", start=start, device="cpu")
    assert not (tmp_path / "cache").exists()


def test_a_run_from_other_weights_is_not_taken_up(captions, tmp_path):
    data = VitrData((captions,), tmp_path / "cache", views=1)
    train_vitr(short(), SquareEncoder(), data, tmp_path / "out", device="cpu")
    start = load_checkpoint(tmp_path / "out" / "vitr.safetensors")
    with pytest.raises(ModelFileError, match="other settings"):
        train_vitr(short(), SquareEncoder(), data, tmp_path / "out", start=start, device="cpu")


def test_nothing_half_written_where_there_is_nothing_to_fit_on(captions, tmp_path):
    lines = [line for line in (captions / "captions.jsonl").read_text().splitlines() if '"train"' in line]
    (captions / "captions.jsonl").write_text("\n".join(lines))
    data = VitrData((captions,), tmp_path / "cache", views=1)
    with pytest.raises(SourceError, match="no dev split"):
        train_vitr(short(), SquareEncoder(), data, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out" / "vitr.safetensors").exists()
