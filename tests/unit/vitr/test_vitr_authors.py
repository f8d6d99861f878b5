from __future__ import annotations

from dataclasses import replace

import pytest
import safetensors.torch
import torch
from vitr_fakes import TINY

from boonart.errors import ModelFileError
from boonart.vitr.authors import import_vitr
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import WEIGHTS_FILE, load_checkpoint
from boonart.works import ModelCard

CONFIG = replace(TINY, filters=4, aggregations=3, role=None)
ENCODER = ModelCard("clip", "encoder", "", {"D": 6, "Wi": 10, "Wt": 7})
FILTER = {"theta": "theta.0", "phi": "phi.0", "relate": "W1.0", "norm": "W1.1", "summarise": "W2.0", "gate": "W3.0"}
AGGREGATION = {"query": "query_w.0", "key": "key_w.0", "update": "sim_w.0"}


def in_authors_layout(network: RelationNetwork) -> tuple[dict, dict, dict]:
    """The network's weights under the authors' names, with what their files hold besides."""
    own = network.state_dict()
    similarity = {}
    for name, value in own.items():
        parts = name.split(".")
        if parts[0] == "filters":
            similarity[f"RelationalGraphFilter{int(parts[1]) + 1}.{FILTER[parts[2]]}.{parts[3]}"] = value
        elif name.startswith("vitr.aggregations"):
            similarity[f"GraphAggregating{int(parts[2]) + 1}.{AGGREGATION[parts[3]]}.{parts[4]}"] = value
        elif parts[0] == "vitr":
            single = {"local_similarity": "rr_w", "global_similarity": "clip_w", "fuse": "rnn", "score": "sim_w"}
            similarity[f"{single[parts[1]]}.{parts[2]}"] = value
    for leaf in ("weight", "bias"):  # a fourth round that their forward pass does not use
        for part in AGGREGATION.values():
            similarity[f"GraphAggregating4.{part}.{leaf}"] = torch.zeros(5)
    image = {f"module.fc.{leaf}": own[f"project_regions.{leaf}"] for leaf in ("weight", "bias")}
    image["module.clip.visual.proj"] = torch.zeros(8, 8)
    text = {f"fc.{leaf}": own[f"project_words.{leaf}"] for leaf in ("weight", "bias")}
    return image, text, similarity


def write(tmp_path, suffix: str):
    network = RelationNetwork(CONFIG)
    torch.nn.init.uniform_(network.filters[2].norm.running_var, 1.0, 2.0)
    files = []
    for name, weights in zip(("image", "text", "similarity"), in_authors_layout(network), strict=True):
        files.append(tmp_path / f"{name}{suffix}")
        if suffix == ".safetensors":
            safetensors.torch.save_file({k: v.contiguous() for k, v in weights.items()}, files[-1])
        else:
            torch.save(weights, files[-1])
    return network.eval(), files


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_imported_network_scores_the_same(tmp_path, suffix):
    network, files = write(tmp_path, suffix)
    card = import_vitr(*files, encoder_card=ENCODER, out=tmp_path / "mine")
    imported = load_checkpoint(tmp_path / "mine" / WEIGHTS_FILE).network.eval()
    assert imported.config == CONFIG
    assert card.encoder_id == "clip"
    image_tokens, text_tokens = torch.randn(2, 49, 10), torch.randn(2, 3, 7)
    vectors = torch.randn(2, 2, 6)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with torch.inference_mode():
        expected = network.vitr(network.regions(image_tokens), network.words(text_tokens), mask, *vectors)
        found = imported.vitr(imported.regions(image_tokens), imported.words(text_tokens), mask, *vectors)
    torch.testing.assert_close(found, expected)


def test_a_pickle_with_code_in_it_is_not_run(tmp_path):
    _, files = write(tmp_path, ".pth")
    torch.save({"weights": torch.zeros(1), "hook": print}, files[0])
    with pytest.raises(ModelFileError, match="cannot be read"):
        import_vitr(*files, encoder_card=ENCODER, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weights: weights.pop("rr_w.weight"),
        lambda weights: weights.pop("RelationalGraphFilter2.W3.0.bias"),
        lambda weights: weights.update({"rnn.weight_ih_l0": torch.zeros(2, 2)}),
        lambda weights: weights.update({"sim_w.weight": "text"}),
    ],
)
def test_files_that_do_not_make_up_the_network_are_refused(tmp_path, spoil):
    _, files = write(tmp_path, ".pth")
    weights = torch.load(files[2], weights_only=True)
    spoil(weights)
    torch.save(weights, files[2])
    with pytest.raises(ModelFileError):
        import_vitr(*files, encoder_card=ENCODER, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_another_encoders_sizes_are_refused(tmp_path):
    _, files = write(tmp_path, ".pth")
    with pytest.raises(ModelFileError, match="Wi = 10"):
        import_vitr(*files, encoder_card=replace(ENCODER, dimensions={"Wi": 2048}), out=tmp_path / "mine")


def test_files_in_another_order_are_refused(tmp_path):
    _, (image, text, similarity) = write(tmp_path, ".pth")
    with pytest.raises(ModelFileError, match="order"):
        import_vitr(similarity, text, image, encoder_card=ENCODER, out=tmp_path / "mine")
