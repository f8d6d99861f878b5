from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from authors_layout import in_authors_layout
from vitr_fakes import TINY

from boonart.errors import ModelFileError
from boonart.vitr import authors
from boonart.vitr.authors import import_vitr
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import WEIGHTS_FILE, load_checkpoint
from boonart.works import ModelCard

CONFIG = replace(TINY, filters=4, aggregations=3, role=None)
ENCODER = ModelCard("clip", "encoder", "", {"D": 6, "Wi": 10, "Wt": 7})


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
    card = import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    imported = load_checkpoint(tmp_path / "mine" / WEIGHTS_FILE).network.eval()
    assert imported.config == CONFIG
    assert card.encoder_id == "clip"
    assert card.id == f"mine@{card.weights_hash}"
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
    with pytest.raises(ModelFileError, match="was not run"):
        import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
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
        import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_another_encoders_sizes_are_refused(tmp_path):
    _, files = write(tmp_path, ".pth")
    with pytest.raises(ModelFileError, match="Wi = 10"):
        import_vitr(files, name="mine", encoder_card=replace(ENCODER, dimensions={"Wi": 2048}), out=tmp_path / "mine")


def test_files_in_another_order_are_refused(tmp_path):
    _, (image, text, similarity) = write(tmp_path, ".pth")
    with pytest.raises(ModelFileError, match="order"):
        import_vitr([similarity, text, image], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")


def test_the_files_of_a_folder_are_told_apart_by_their_names(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    network, files = write(folder, ".pth")
    for file, name in zip(files, ("img_enc", "txt_enc", "sim_enc"), strict=True):
        file.rename(folder / f"{name}.pth")
    import_vitr([folder], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    imported = load_checkpoint(tmp_path / "mine" / WEIGHTS_FILE).network
    for name, value in network.state_dict().items():
        torch.testing.assert_close(imported.state_dict()[name], value, msg=name)


@pytest.mark.parametrize("wrap", [lambda parts: parts, lambda parts: {"model": parts, "epoch": 3}])
def test_one_checkpoint_may_hold_all_three(tmp_path, wrap):
    network = RelationNetwork(CONFIG)
    torch.save(wrap(list(in_authors_layout(network))), tmp_path / "best.pth.tar")
    card = import_vitr([tmp_path / "best.pth.tar"], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    assert card.dimensions["E"] == CONFIG.embed_size


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read|is damaged"),
        (b"not a weight file", "is damaged|cannot be read"),
        (b"PK\x03\x04 cut off", "cannot be read|is damaged"),
    ],
)
def test_what_is_no_weight_file_is_refused(tmp_path, content, words):
    _, files = write(tmp_path, ".pth")
    files[1].write_bytes(content)
    with pytest.raises(ModelFileError, match=words):
        import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_truncated_file_is_refused(tmp_path):
    _, files = write(tmp_path, ".safetensors")
    files[2].write_bytes(files[2].read_bytes()[:200])
    with pytest.raises(ModelFileError, match="cannot be read"):
        import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    _, files = write(tmp_path, ".pth")
    weights = torch.load(files[2], weights_only=True)
    weights["rr_w.bias"][0] = float("nan")
    torch.save(weights, files[2])
    with pytest.raises(ModelFileError, match=r"not numbers, in vitr\.local_similarity\.bias"):
        import_vitr(files, name="mine", encoder_card=ENCODER, out=tmp_path / "mine")


def test_two_files_or_a_folder_of_strangers_are_refused(tmp_path):
    _, files = write(tmp_path, ".pth")
    with pytest.raises(ModelFileError, match="three state dicts"):
        import_vitr(files[:2], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    files[0].rename(tmp_path / "epoch7.pth")
    with pytest.raises(ModelFileError, match="0 weight files of the image encoder"):
        import_vitr([tmp_path], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")
    with pytest.raises(ModelFileError, match="no list of three"):
        import_vitr([files[1]], name="mine", encoder_card=ENCODER, out=tmp_path / "mine")


def test_the_documentation_names_every_part_of_the_authors_layout():
    page = (Path(__file__).parents[3] / "docs" / "vitr.md").read_text(encoding="utf-8")
    for part in (*authors._FILTER, *authors._AGGREGATION, *authors._SINGLE):
        assert part in page, part
    assert all(layer in page for layer in [*authors._FILTER.values(), *authors._AGGREGATION.values()])
