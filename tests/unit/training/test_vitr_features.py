from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vitr_toys import SquareEncoder, scene, twins

from boonart.errors import SourceError
from boonart.training import vitr_features
from boonart.training.vitr_features import encode_training_set


def test_texts_belong_to_their_pictures(tmp_path):
    features = encode_training_set(SquareEncoder(), "toys", twins([("red", "blue")]), tmp_path)
    assert features.image_tokens.shape == (2, 49, 4)
    assert features.owners.tolist() == [0, 0, 1, 1]
    assert features.contradicts.tolist() == [-1, 0, -1, 2]
    assert features.true_texts.tolist() == [0, 2]
    assert features.twins.tolist() == [0, 0]
    assert features.text(1).shape == (4, 6)
    np.testing.assert_array_equal(features.text(1), features.text(2))  # false of the one, true of its twin


def test_a_second_call_reads_what_the_first_wrote(tmp_path):
    pictures = twins([("red", "blue"), ("green", "white")])
    first = encode_training_set(SquareEncoder(), "toys", pictures, tmp_path)
    encoder = SquareEncoder()
    again = encode_training_set(encoder, "toys", pictures, tmp_path)
    assert (encoder.images, encoder.texts) == (0, 0)
    np.testing.assert_array_equal(again.image_tokens, first.image_tokens)
    np.testing.assert_array_equal(again.text_tokens, first.text_tokens)


def test_another_sentence_is_another_set(tmp_path):
    encode_training_set(SquareEncoder(), "toys", twins([("red", "blue")]), tmp_path)
    encoder = SquareEncoder()
    encode_training_set(encoder, "toys", twins([("red", "green")]), tmp_path)
    assert encoder.images == 2


def test_an_interrupted_run_goes_on_at_its_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(vitr_features, "IMAGE_BATCH", 2)
    pictures = twins([("red", "blue"), ("green", "white"), ("red", "white")])
    whole = encode_training_set(SquareEncoder(), "toys", pictures, tmp_path / "whole")

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_training_set(SquareEncoder(), "toys", pictures, tmp_path / "parts", progress=interrupt)
    encoder = SquareEncoder()
    resumed = encode_training_set(encoder, "toys", pictures, tmp_path / "parts")
    assert encoder.images == 2
    np.testing.assert_array_equal(resumed.image_tokens, whole.image_tokens)
    np.testing.assert_array_equal(resumed.image_globals, whole.image_globals)


def test_interrupted_texts_go_on_at_their_part(tmp_path, monkeypatch):
    monkeypatch.setattr(vitr_features, "TEXT_PART", 2)
    pictures = twins([("red", "blue"), ("green", "white"), ("red", "white")])
    whole = encode_training_set(SquareEncoder(), "toys", pictures, tmp_path / "whole")

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "texts" and done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_training_set(SquareEncoder(), "toys", pictures, tmp_path / "parts", progress=interrupt)
    encoder = SquareEncoder()
    resumed = encode_training_set(encoder, "toys", pictures, tmp_path / "parts")
    assert (encoder.images, encoder.texts) == (0, 4)
    np.testing.assert_array_equal(resumed.text_tokens, whole.text_tokens)
    np.testing.assert_array_equal(resumed.offsets, whole.offsets)
    assert not list((tmp_path / "parts").glob("*/texts-*"))


def test_a_subset_keeps_what_belongs_together(tmp_path):
    features = encode_training_set(SquareEncoder(), "toys", twins([("red", "blue"), ("green", "white")]), tmp_path)
    part = features.subset(np.array([2, 3]))
    assert part.owners.tolist() == [0, 0, 1, 1]
    assert part.contradicts.tolist() == [-1, 0, -1, 2]
    np.testing.assert_array_equal(part.text(2), features.text(6))
    np.testing.assert_array_equal(part.image_tokens[1], features.image_tokens[3])


@pytest.mark.parametrize("pictures", [[], [replace(scene("red", "blue", 0), captions=())]])
def test_nothing_to_train_on_is_refused(tmp_path, pictures):
    with pytest.raises(SourceError):
        encode_training_set(SquareEncoder(), "toys", pictures, tmp_path)
