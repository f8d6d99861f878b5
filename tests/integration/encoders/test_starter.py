from pathlib import Path

import numpy as np
import pytest
import torch

from boonart.encoders import starter
from boonart.encoders.colours import COLOURS
from boonart.encoders.starter import StarterEncoder, other_wordings
from boonart.encoders.starter_network import EFFICIENTNET, MINILM, StarterNetwork
from boonart.errors import ModelFileError, ModelNotAvailable
from boonart.works import Picture

pytestmark = pytest.mark.integration
SHIPPED = Path(__file__).parents[3] / "models" / "starter"


@pytest.fixture(scope="module")
def encoder() -> StarterEncoder:
    return StarterEncoder.load(SHIPPED, device="cpu")


@pytest.fixture(scope="module")
def untuned() -> StarterNetwork:
    return StarterNetwork().load_packages().eval()


def picture(seed: int, height: int = 300, width: int = 200) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(pixels, (width, height), "PNG")


def test_the_mapped_image_weights_give_the_package_network_s_map(untuned: StarterNetwork) -> None:
    timm = pytest.importorskip("timm")
    reference = timm.create_model("tf_efficientnet_lite2", pretrained=False).eval()
    stored = torch.load(EFFICIENTNET.locate(), weights_only=True)
    # Both list their weights in the order of the layers.
    reference.load_state_dict(dict(zip(reference.state_dict(), stored.values(), strict=True)))
    pixels = torch.rand(2, 3, 224, 224) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(untuned.image(pixels)[1], reference.forward_features(pixels))


def test_the_untuned_text_vector_is_minilm_s_own(untuned: StarterNetwork) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.BertModel.from_pretrained(str(MINILM.locate().parent)).eval()
    pieces = torch.tensor([[101, 1037, 3899, 3216, 102, 0, 0], [101, 1037, 2304, 4937, 2006, 1037, 102]])
    padding = pieces == 0
    with torch.inference_mode():
        reading = untuned.text.read(pieces, padding)[0]
        expected = reference(pieces, attention_mask=(~padding).long()).last_hidden_state
    kept = (~padding).unsqueeze(2)
    mean = (expected * kept).sum(1) / kept.sum(1)
    torch.testing.assert_close(reading[:, -384:], mean, atol=1e-5, rtol=1e-5)


def test_shapes_types_and_lengths(encoder: StarterEncoder) -> None:
    (text,) = encoder.encode_texts(["A cow in the room"])
    (image,) = encoder.encode_images([picture(0)])
    size = encoder.card.dimensions["D"]
    for vector in (text.global_vector, image.global_vector):
        assert (vector.shape, vector.dtype) == ((size,), np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert (text.tokens.shape, text.tokens.dtype) == ((5, 768), np.float16)
    assert (image.tokens.shape, image.tokens.dtype) == ((49, 1280 + COLOURS), np.float16)


def test_words_are_whole_and_as_written(encoder: StarterEncoder) -> None:
    (text,) = encoder.encode_texts(["Two saxophonists, unperturbedly."])
    assert text.words == ("Two", "saxophonists", ",", "unperturbedly", ".")
    assert len(text.tokens) == len(text.words)


def test_a_long_text_is_cut(encoder: StarterEncoder) -> None:
    (text,) = encoder.encode_texts(["cow " * 10_000])
    assert text.words == ("cow",) * 126


def test_the_batch_changes_nothing(encoder: StarterEncoder) -> None:
    texts = ["a cow", "a man sitting with his dog under an old tree", "boats", "a cow"]
    together, alone = encoder.encode_texts(texts), [encoder.encode_texts([text])[0] for text in texts]
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_allclose(left.global_vector, right.global_vector, atol=2e-6)
        assert left.words == right.words
    pictures = [picture(seed) for seed in range(3)]
    together_images = encoder.encode_images(pictures)
    for one, image in zip(pictures, together_images, strict=True):
        np.testing.assert_allclose(encoder.encode_images([one])[0].global_vector, image.global_vector, atol=2e-6)


def test_the_shipped_vectors_are_those_of_the_plain_network(encoder: StarterEncoder) -> None:
    network = StarterNetwork(encoder.card.dimensions["D"]).load_packages().eval()
    starter.apply_weights(network, SHIPPED / starter.WEIGHTS_FILE)
    pixels = encoder.prepare_images([picture(1), picture(2)])
    values = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        sides = [torch.nn.functional.normalize(network.image(side)[0], dim=1) for side in (values, values.flip(3))]
        expected = torch.nn.functional.normalize(sides[0] + sides[1], dim=1)
    cosine = (encoder.forward_images(pixels)[0] * expected).sum(dim=1)
    assert float(cosine.min()) > 0.9999


def test_the_regions_are_row_major(encoder: StarterEncoder) -> None:
    pixels = np.full((224, 224, 3), 128, dtype=np.uint8)
    changed = pixels.copy()
    changed[:20, -20:] = 255  # the top right corner; column by column it would be region 42
    plain, spotted = encoder.encode_images([Picture(pixels, (224, 224), "PNG"), Picture(changed, (224, 224), "PNG")])
    difference = np.abs(plain.tokens.astype(np.float32) - spotted.tokens.astype(np.float32)).sum(axis=1)
    assert int(difference.argmax()) in {4, 5, 6}


def test_weights_survive_being_written(tmp_path: Path, untuned: StarterNetwork) -> None:
    digest = starter.save_weights(untuned, tmp_path / "w.safetensors")
    other = StarterNetwork().load_packages()
    starter.apply_weights(other, tmp_path / "w.safetensors")
    assert digest == starter.weights_hash(tmp_path / "w.safetensors")
    torch.testing.assert_close(other.image.project.weight, untuned.image.project.weight, atol=1e-4, rtol=1e-3)


def test_the_card_names_the_weights_that_are_shipped(encoder: StarterEncoder) -> None:
    assert encoder.card.weights_hash == starter.weights_hash(SHIPPED / starter.WEIGHTS_FILE)


def test_absent_and_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match="boonart train encoder"):
        StarterEncoder.load(tmp_path)
    (tmp_path / "card.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelFileError, match="card"):
        StarterEncoder.load(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelFileError, match="damaged"):
        starter.apply_weights(StarterNetwork(), tmp_path / "w.safetensors")


def test_a_short_query_is_read_in_several_wordings(encoder: StarterEncoder) -> None:
    (short,) = encoder.encode_texts(["Cow"])
    wordings = encoder.encode_texts(["a picture of a Cow", "a painting of a Cow", "the cow by the river"])
    assert short.words == ("Cow",)
    assert len(short.tokens) == 1
    assert np.linalg.norm(short.global_vector) == pytest.approx(1, abs=1e-5)
    plain = encoder.finish_texts(prepared := encoder.prepare_texts(["Cow", "a Cow"]), *encoder.forward_texts(prepared))
    mean = sum(text.global_vector for text in [*plain, *wordings[:2]])
    np.testing.assert_allclose(short.global_vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert other_wordings("the cow") == other_wordings("cows by a river") == other_wordings(" ") == []
