from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boonart.training.features import encode_dataset
from boonart.works import ImageEmbedding, ModelCard, Picture, TextEmbedding


class Brightness:
    """Says of a picture how bright its left and right halves are, of a text how long its words are."""

    card = ModelCard("brightness", "encoder", "0" * 16, {"D": 2, "Wi": 3, "Wt": 1})

    def __init__(self) -> None:
        self.calls = 0

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self.calls += 1
        found = []
        for text in texts:
            words = tuple(text.split())
            tokens = np.array([[len(word)] for word in words], dtype=np.float16)
            found.append(TextEmbedding(np.array([1, 0], dtype=np.float32), tokens, words))
        return found

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        self.calls += 1
        found = []
        for picture in pictures:
            half = picture.width // 2
            sides = [picture.pixels[:, :half].mean(), picture.pixels[:, half:].mean()]
            tokens = np.full((49, 3), sides[0], dtype=np.float16)
            found.append(ImageEmbedding(np.array(sides, dtype=np.float32), tokens))
        return found


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = []
    for number, left in enumerate((10, 200)):
        pixels = np.zeros((8, 8, 3), dtype=np.uint8)
        pixels[:, :4] = left
        found.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(found[-1])
    return found


def test_features_are_in_order_mirrored_and_cached(files: list[Path], tmp_path: Path) -> None:
    encoder = Brightness()
    texts = ["a cow", "", "three brown cows"]
    found = encode_dataset(encoder, files, texts, tmp_path / "cache", mirror=True)
    assert found.pictures.vectors.tolist() == [[10, 0], [200, 0]]
    assert found.pictures.tokens.shape == (2, 49, 3)
    assert found.mirrored is not None
    assert found.mirrored.vectors.tolist() == [[0, 10], [0, 200]]
    assert found.texts.words == (("a", "cow"), (), ("three", "brown", "cows"))
    third = found.texts.tokens[found.texts.starts[2] : found.texts.starts[3]]
    assert third[:, 0].tolist() == [5, 5, 4]

    calls = encoder.calls
    again = encode_dataset(encoder, files, texts, tmp_path / "cache", mirror=True)
    assert encoder.calls == calls
    np.testing.assert_array_equal(again.texts.tokens, found.texts.tokens)


def test_other_texts_are_not_taken_from_the_cache(files: list[Path], tmp_path: Path) -> None:
    encoder = Brightness()
    encode_dataset(encoder, files, ["a cow"], tmp_path / "cache")
    other = encode_dataset(encoder, files, ["two goats"], tmp_path / "cache")
    assert other.texts.words == (("two", "goats"),)
    assert other.mirrored is None
