"""The open_clip encoder against open_clip itself, on small randomly initialised models."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from boonart.encoders.batching import BatchingEncoder, StagedPictures
from boonart.encoders.open_clip import OpenClipEncoder, build
from boonart.errors import ConfigurationError, OutOfMemory
from boonart.works import ImageEmbedding, Picture

pytestmark = pytest.mark.integration

TEXT = {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "vit": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": TEXT,
    },
    "siglip": {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 224,
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    },
    "resnet": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
        "text_cfg": TEXT,
    },
    "convnext": {
        "embed_dim": 32,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 96,
            "timm_model_name": "convnext_atto",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
        },
        "text_cfg": TEXT,
    },
    "coca": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 64,
            "layers": 2,
            "width": 64,
            "head_width": 32,
            "patch_size": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 4,
            "output_tokens": True,
        },
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    },
    "average": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": [48, 80],
            "layers": 1,
            "width": 64,
            "head_width": 32,
            "patch_size": 8,
            "pool_type": "avg",
            "final_ln_after_pool": True,
        },
        "text_cfg": TEXT,
    },
}
TEXTS = ["a cow in the room", "unquestionably a still life", "", "two trains in a station at night, in the rain"]


def pictures() -> list[Picture]:
    random = np.random.default_rng(3)
    sizes = [(48, 90), (120, 64), (64, 64)]
    return [Picture(random.integers(0, 256, (*size, 3), dtype=np.uint8), size[::-1], "PNG") for size in sizes]


def made(name: str) -> OpenClipEncoder:
    torch.manual_seed(7)
    # Nothing of a picture is cropped away, so that all regions of every model can be looked at.
    model = build({"model_cfg": CONFIGS[name], "preprocess_cfg": {"resize_mode": "squash"}})
    with torch.no_grad():
        # A ResNet's last norms begin as zeros, which would make its blocks do nothing.
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    tokenizer = open_clip.SimpleTokenizer(context_length=24)
    return OpenClipEncoder(model, tokenizer, name=name, weights_hash="0" * 16, device="cpu")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def encoder(request: pytest.FixtureRequest) -> OpenClipEncoder:
    return made(request.param)


@pytest.fixture(scope="module")
def vit() -> OpenClipEncoder:
    return made("vit")


def test_texts_equal_open_clips_own_vectors(encoder: OpenClipEncoder) -> None:
    own = encoder._model.encode_text(encoder._tokenizer(TEXTS), normalize=True).numpy()
    found = np.stack([text.global_vector for text in encoder.encode_texts(TEXTS)])
    np.testing.assert_allclose(found, own, atol=1e-6)


def test_pictures_equal_open_clips_own_vectors(encoder: OpenClipEncoder) -> None:
    config = PreprocessCfg(**open_clip.model.get_model_preprocess_cfg(encoder._model))
    transform = image_transform_v2(config, is_train=False)
    pixels = torch.stack([transform(Image.fromarray(picture.pixels)) for picture in pictures()])
    own = encoder._model.encode_image(pixels, normalize=True).numpy()
    found = np.stack([image.global_vector for image in encoder.encode_images(pictures())])
    np.testing.assert_allclose(found, own, atol=1e-6)


def test_regions_are_a_seven_by_seven_grid(encoder: OpenClipEncoder) -> None:
    for image in encoder.encode_images(pictures()):
        assert image.tokens.shape == (49, encoder.card.dimensions["Wi"])
        assert image.tokens.dtype == np.float16
        assert np.isfinite(image.tokens).all()


def test_regions_keep_their_places(encoder: OpenClipEncoder) -> None:
    """A bright corner changes the tokens of its own region more than those of the far corner."""
    plain = np.full((112, 112, 3), 90, np.uint8)
    for corner, rows, columns in ((0, slice(0, 12), slice(0, 12)), (6, slice(0, 12), slice(100, 112))):
        bright = plain.copy()
        bright[rows, columns] = 255
        before, after = encoder.encode_images([Picture(pixels, (112, 112), "PNG") for pixels in (plain, bright)])
        change = np.abs(after.tokens.astype(np.float32) - before.tokens.astype(np.float32)).sum(axis=1)
        assert change[corner] > change[48]
        assert change[corner] > change[6 - corner]


def test_words_are_whole_and_in_order(encoder: OpenClipEncoder) -> None:
    text = encoder.encode_texts(["unquestionably a still life"])[0]
    assert text.words == ("unquestionably", "a", "still", "life")
    assert text.tokens.shape == (4, 64)


def test_a_batch_gives_what_single_inputs_give(encoder: OpenClipEncoder) -> None:
    together = encoder.encode_texts(TEXTS)
    alone = [encoder.encode_texts([text])[0] for text in TEXTS]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.global_vector, other.global_vector, atol=1e-5)
        assert one.words == other.words


def test_regions_are_the_towers_own_tokens_pooled(vit: OpenClipEncoder) -> None:
    """The 8 x 8 patch tokens that open_clip itself gives out, averaged to 7 x 7 by plain loops."""
    visual = vit._model.visual
    visual.output_tokens = True
    try:
        _, tokens = visual(torch.from_numpy(vit.prepare_images(pictures()[:1])))
    finally:
        visual.output_tokens = False
    grid = tokens.detach().numpy()[0].reshape(8, 8, -1)
    expected = []
    for row in range(7):
        for column in range(7):
            rows = slice(row * 8 // 7, -(-(row + 1) * 8 // 7))
            columns = slice(column * 8 // 7, -(-(column + 1) * 8 // 7))
            expected.append(grid[rows, columns].mean(axis=(0, 1)))
    np.testing.assert_allclose(vit.encode_images(pictures()[:1])[0].tokens, np.array(expected), atol=2e-3)


def test_word_tokens_are_the_transformers_outputs_for_its_pieces(vit: OpenClipEncoder) -> None:
    text = "unquestionably a cow"
    model, tokenizer = vit._model, vit._tokenizer
    ids = tokenizer([text])
    pieces = len(tokenizer.encode("unquestionably"))
    assert pieces > 1
    states = model.token_embedding(ids) + model.positional_embedding
    states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask))[0].detach().numpy()
    found = vit.encode_texts([text])[0].tokens
    np.testing.assert_allclose(found[0], states[1 : 1 + pieces].mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(found[1:], states[1 + pieces : 3 + pieces], atol=2e-3)


def test_words_of_other_scripts_are_whole(vit: OpenClipEncoder) -> None:
    """CLIP's pieces cut characters apart; the words shown must not be."""
    assert vit.encode_texts(["une prairie dorée"])[0].words == ("une", "prairie", "dorée")
    assert vit.encode_texts(["牛 Ölgemälde"])[0].words == ("牛", "ölgemälde")


def test_a_long_text_is_cut(vit: OpenClipEncoder) -> None:
    text = vit.encode_texts(["cow " * 500])[0]
    assert text.words == ("cow",) * 22
    assert text.tokens.shape == (22, 64)


def test_a_text_without_words_still_has_a_row(encoder: OpenClipEncoder) -> None:
    text = encoder.encode_texts([""])[0]
    assert text.words == ("",)
    assert text.tokens.shape == (1, encoder.card.dimensions["Wt"])


def test_one_pass_gives_vector_and_tokens(vit: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[str] = []
    handles = [
        vit._model.visual.conv1.register_forward_hook(lambda *_: passes.append("picture")),
        vit._model.transformer.register_forward_hook(lambda *_: passes.append("text")),
    ]
    vit.encode_images(pictures())
    vit.encode_texts(TEXTS)
    for handle in handles:
        handle.remove()
    assert passes == ["picture", "text"]


def test_nothing_gives_nothing(vit: OpenClipEncoder) -> None:
    assert vit.encode_texts([]) == []
    assert vit.encode_images([]) == []


def test_where_memory_runs_out_the_batch_is_halved(vit: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = vit.encode_images(pictures())
    own, sizes = vit._model.encode_image, []

    def small(pixels: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        sizes.append(len(pixels))
        if len(pixels) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        result: torch.Tensor = own(pixels, normalize=normalize)
        return result

    monkeypatch.setattr(vit._model, "encode_image", small)
    found = vit.encode_images(pictures())
    assert sizes == [3, 1, 2, 1, 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.global_vector, other.global_vector, atol=1e-5)


def test_where_not_even_one_fits_it_says_so(vit: OpenClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(ids: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(vit._model, "encode_text", none)
    with pytest.raises(OutOfMemory, match="single input"):
        vit.encode_texts(["a cow"])


async def test_its_stages_run_under_batching(vit: OpenClipEncoder) -> None:
    assert isinstance(vit, StagedPictures)
    encoder = BatchingEncoder(vit)
    results: Sequence[Any] = await encoder.encode_images(pictures() * 4)
    for result, own in zip(results, vit.encode_images(pictures() * 4), strict=True):
        assert isinstance(result, ImageEmbedding)
        np.testing.assert_allclose(result.global_vector, own.global_vector, atol=1e-6)
        np.testing.assert_allclose(result.tokens, own.tokens, atol=2e-3)
    await encoder.close()


def test_a_device_that_is_not_there_is_named() -> None:
    model = build({"model_cfg": CONFIGS["vit"]})
    with pytest.raises(ConfigurationError, match="nonsense"):
        OpenClipEncoder(model, open_clip.SimpleTokenizer(), name="x", weights_hash="0" * 16, device="nonsense")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gives_nearly_the_same_vectors(encoder: OpenClipEncoder) -> None:
    other = OpenClipEncoder(
        build({"model_cfg": CONFIGS[encoder.card.id.split("@")[0]]}),
        encoder._tokenizer,
        name="gpu",
        weights_hash="0" * 16,
        device="cuda",
    )
    other._model.load_state_dict(encoder._model.state_dict())
    for one, same in zip(encoder.encode_images(pictures()), other.encode_images(pictures()), strict=True):
        assert float(one.global_vector @ same.global_vector) > 0.999
        assert float(np.linalg.norm(same.global_vector)) == pytest.approx(1.0, abs=1e-5)
    for one_text, same_text in zip(encoder.encode_texts(TEXTS), other.encode_texts(TEXTS), strict=True):
        assert float(one_text.global_vector @ same_text.global_vector) > 0.999
