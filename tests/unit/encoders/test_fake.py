"""The encoder without weights."""

import numpy as np
import pytest

from boonart.encoders.fake import COLOURS, FakeEncoder
from boonart.works import Picture


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_colour_word_is_nearest_to_a_picture_of_it(colour: str) -> None:
    encoder = FakeEncoder()
    pictures = [Picture(np.full((30, 40, 3), rgb, np.uint8), (40, 30), "PNG") for rgb in COLOURS.values()]
    text = encoder.encode_texts([f"something {colour}"])[0].global_vector
    scores = [float(image.global_vector @ text) for image in encoder.encode_images(pictures)]
    assert list(COLOURS)[int(np.argmax(scores))] == colour


def test_the_same_input_gives_the_same_vectors_alone_and_in_a_batch() -> None:
    one, other = FakeEncoder(), FakeEncoder()
    together = one.encode_texts(["a red cow", "a blue horse"])
    alone = other.encode_texts(["a blue horse"])[0]
    np.testing.assert_array_equal(together[1].global_vector, alone.global_vector)
    np.testing.assert_array_equal(together[1].tokens, alone.tokens)
    assert one.card == other.card


def test_shapes_are_those_of_the_card() -> None:
    encoder = FakeEncoder(size=24, width=12)
    sizes = encoder.card.dimensions
    text = encoder.encode_texts(["a red cow"])[0]
    image = encoder.encode_images([Picture(np.zeros((5, 90, 3), np.uint8), (90, 5), "PNG")])[0]
    assert text.words == ("a", "red", "cow")
    assert text.tokens.shape == (3, sizes["Wt"])
    assert image.tokens.shape == (49, sizes["Wi"])
    for vector in (text.global_vector, image.global_vector):
        assert vector.shape == (sizes["D"],)
        assert vector.dtype == np.float32
        assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-6)
    assert text.tokens.dtype == image.tokens.dtype == np.float16
