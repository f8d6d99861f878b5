"""Table II: the split, the pairs and the intervals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from boonart.encoders.fake import FakeEncoder
from boonart.errors import SourceError
from boonart.evaluation.datasets import find_data
from boonart.evaluation.protocols import EncodedPairs
from boonart.evaluation.retrieval import recall_interval
from boonart.evaluation.table2 import Row, encoded_pairs, measure, random_split, read_pairs_of
from boonart.training.vitr_features import TrainingPicture, encode_training_set
from boonart.works import Picture

COLOURS = {"red": (200, 40, 40), "blue": (50, 80, 190), "green": (50, 140, 60)}


def pictures(count: int) -> list[TrainingPicture]:
    return [TrainingPicture(lambda: None, (f"text {row}", "another")) for row in range(count)]


def first_captions(pairs: list[TrainingPicture]) -> set[str]:
    return {pair.captions[0] for pair in pairs}


@pytest.mark.parametrize(("count", "sizes"), [(6783, (5783, 500, 500)), (165, (83, 27, 55)), (12, (6, 2, 4))])
def test_the_papers_split_or_a_third_and_a_sixth(count, sizes):
    data = random_split("works", pictures(count))
    assert (len(data.train), len(data.dev), len(data.test)) == sizes
    parts = [first_captions(part) for part in (data.train, data.dev, data.test)]
    assert len(set.union(*parts)) == count
    assert all(len(pair.captions) == 1 for pair in data.test)


def test_the_split_follows_the_seed():
    first, again = random_split("works", pictures(60)), random_split("works", pictures(60))
    assert first_captions(first.test) == first_captions(again.test)
    assert first_captions(first.test) != first_captions(random_split("works", pictures(60), seed=1).test)


def test_too_few_works_are_told():
    with pytest.raises(SourceError, match="12 are needed"):
        random_split("works", pictures(11))


def write_works(folder, count, splits=("",)):
    Image.new("RGB", (8, 8), "red").save(folder / "a.png")
    records = [
        {
            "id": str(row),
            "image": "a.png",
            "description": f"text {row}" if row else "",
            "split": splits[row % len(splits)],
        }
        for row in range(count)
    ]
    (folder / "works.jsonl").write_text("\n".join(map(json.dumps, records)))
    return folder / "works.jsonl"


def test_works_with_a_description_are_the_pairs(tmp_path):
    data = read_pairs_of(write_works(tmp_path, 31))
    assert len(data) == 30
    assert not data.own_split
    assert data.name == tmp_path.name


def test_a_split_of_its_own_is_kept(tmp_path):
    data = read_pairs_of(write_works(tmp_path, 31, ("train", "train", "dev", "test")))
    assert data.own_split
    assert (len(data.train), len(data.dev), len(data.test)) == (15, 8, 7)
    assert first_captions(data.test) == {f"text {row}" for row in range(3, 31, 4)}


def test_of_several_captions_of_a_test_picture_the_first_counts(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    records = [
        {"image": "a.png", "split": split, "captions": ["a dog chases a boy", "a dog"]}
        for split in ("train", "dev", "test")
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, records)))
    data = read_pairs_of(tmp_path / "captions.jsonl")
    assert data.test[0].captions == ("a dog chases a boy",)
    assert data.train[0].captions == ("a dog chases a boy", "a dog")
    assert data.train[0].false_captions == (("a boy chases a dog",), ())


def test_data_is_found_by_name_folder_and_file(tmp_path):
    (tmp_path / "masters").mkdir()
    file = write_works(tmp_path / "masters", 1)
    assert find_data("masters", tmp_path) == file
    assert find_data(str(tmp_path / "masters"), tmp_path / "elsewhere") == file
    assert find_data(str(file), tmp_path / "elsewhere") == file
    assert find_data("sample", tmp_path).name == "works.jsonl"
    with pytest.raises(SourceError, match="nowhere"):
        find_data("nowhere", tmp_path)


def test_recall_of_an_encoder_that_knows_colours(tmp_path):
    pairs = [
        TrainingPicture(
            lambda colour=colour: Picture(np.full((14, 14, 3), colour, dtype=np.uint8), (14, 14), "PNG"),
            (f"all {name}", "no caption of this one is looked at"),
        )
        for name, colour in COLOURS.items()
    ]
    encoded = encoded_pairs(encode_training_set(FakeEncoder(), "colours", pairs, tmp_path))
    assert isinstance(encoded, EncodedPairs)
    assert (len(encoded.images), len(encoded.texts)) == (3, 3)
    row = measure("global", "global vectors", encoded, None)
    figures = row.figures()
    assert figures["global.text_to_image.R@1"] == figures["global.image_to_text.R@1"] == 100.0
    assert figures["global.text_to_image.R@1.low"] == 100.0


def test_the_two_directions_are_not_mixed_up():
    row = Row("x", "x", 4, {"image_to_text": np.array([1, 1, 1, 1]), "text_to_image": np.array([1, 2, 6, 11])})
    figures = row.figures()
    assert figures["x.image_to_text.R@1"] == 100.0
    assert [figures[f"x.text_to_image.R@{cut}"] for cut in (1, 5, 10)] == [25.0, 50.0, 75.0]


def test_the_interval_is_the_bootstraps():
    ranks = np.array([1] * 30 + [7] * 70)
    low, high = recall_interval(ranks, 1)
    drawn = np.random.default_rng(5).choice(ranks, (4_000, 100)) <= 1
    expected = np.quantile(100 * drawn.mean(axis=1), [0.025, 0.975])
    assert [low, high] == pytest.approx(expected, abs=1.01)
    assert recall_interval(ranks, 1) == (low, high)
    assert recall_interval(ranks, 10) == (100.0, 100.0)
