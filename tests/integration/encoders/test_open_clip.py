"""The open_clip encoder against open_clip itself, on small randomly initialised models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from boonart.encoders.catalogue import import_model, list_models, load_encoder, pull_model
from boonart.encoders.open_clip import CONFIG_FILE, WEIGHT_FILES, OpenClipEncoder, build
from boonart.errors import ConfigurationError, ModelFileError, ModelNotAvailable
from boonart.works import Picture

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
            "timm_pool": "",
            "timm_proj": "none",
        },
        "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"},
    },
    "resnet": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
        "text_cfg": TEXT,
    },
}
TEXTS = ["a cow in the room", "unquestionably a still life", "", "two trains in a station at night, in the rain"]


def pictures() -> list[Picture]:
    random = np.random.default_rng(3)
    sizes = [(48, 90), (120, 64), (64, 64)]
    return [Picture(random.integers(0, 256, (*size, 3), dtype=np.uint8), size[::-1], "PNG") for size in sizes]


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def encoder(request: pytest.FixtureRequest) -> OpenClipEncoder:
    torch.manual_seed(7)
    model = build({"model_cfg": CONFIGS[request.param]})
    return OpenClipEncoder(
        model, open_clip.SimpleTokenizer(context_length=24), name=request.param, weights_hash="0" * 16, device="cpu"
    )


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
    plain = np.full((64, 64, 3), 90, np.uint8)
    bright = plain.copy()
    bright[:10, :10] = 255
    before, after = encoder.encode_images([Picture(pixels, (64, 64), "PNG") for pixels in (plain, bright)])
    change = np.abs(after.tokens.astype(np.float32) - before.tokens.astype(np.float32)).sum(axis=1)
    assert change[0] > change[48]


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


def saved(folder: Path, name: str = "vit") -> tuple[Path, Path]:
    """A weight file and its architecture file."""
    torch.manual_seed(1)
    model = build({"model_cfg": CONFIGS[name]})
    weights, architecture = folder / "weights.safetensors", folder / "small.json"
    safetensors.torch.save_model(model, str(weights))
    architecture.write_text(json.dumps(CONFIGS[name]))
    return weights, architecture


def test_an_imported_file_is_listed_and_loads(tmp_path: Path) -> None:
    weights, architecture = saved(tmp_path)
    models = tmp_path / "models"
    imported = import_model(weights, models_folder=models, architecture=str(architecture), name="mine")
    assert [model.name for model in list_models(models) if model.where == "imported"] == ["mine"]
    encoder = load_encoder(imported.name, models_folder=models, device="cpu")
    direct = load_encoder(f"open_clip:{weights}?architecture={architecture}", models_folder=models, device="cpu")
    one, other = encoder.encode_texts(["a cow"])[0], direct.encode_texts(["a cow"])[0]
    np.testing.assert_allclose(one.global_vector, other.global_vector, atol=1e-6)


def test_a_plain_checkpoint_loads_weights_only(tmp_path: Path) -> None:
    _, architecture = saved(tmp_path)
    torch.manual_seed(1)
    checkpoint = tmp_path / "epoch.pt"
    torch.save({"state_dict": build({"model_cfg": CONFIGS["vit"]}).state_dict(), "epoch": 3}, checkpoint)
    encoder = load_encoder(f"open_clip:{checkpoint}?architecture={architecture}", models_folder=tmp_path, device="cpu")
    assert encoder.card.dimensions["D"] == 32


class Malice:
    """Runs a command when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.witness,))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    _, architecture = saved(tmp_path)
    witness, checkpoint = tmp_path / "ran", tmp_path / "bad.pt"
    torch.save({"state_dict": {"x": Malice(witness)}}, checkpoint)
    with pytest.raises(ModelFileError, match=r"bad\.pt"):
        import_model(checkpoint, models_folder=tmp_path / "models", architecture=str(architecture))
    assert not witness.exists()
    assert not list((tmp_path / "models").glob("*"))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    weights, _ = saved(tmp_path)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(CONFIGS["resnet"]))
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        import_model(weights, models_folder=tmp_path / "models", architecture=str(other))


def test_missing_weights_name_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match="models pull") as error:
        load_encoder("open_clip:ViT-L-14/openai", models_folder=tmp_path)
    assert "models import" in error.value.hint


def test_an_unknown_encoder_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no encoder 'nonsense'"):
        load_encoder("nonsense", models_folder=tmp_path)


def test_pull_fills_a_folder_that_loads_and_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    asked = []

    def hub(repository: str, folder: Path) -> None:
        asked.append(repository)
        torch.manual_seed(1)
        model = build({"model_cfg": CONFIGS["vit"]})
        (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": CONFIGS["vit"]}))
        safetensors.torch.save_model(model, str(folder / WEIGHT_FILES[0]))

    def broken(repository: str, folder: Path) -> None:
        (folder / "half").write_text("")
        raise ConnectionError("no route")

    name = "open_clip:ViT-B-32/openai"
    with pytest.raises(ModelNotAvailable, match="could not be fetched"):
        pull_model(name, models_folder=tmp_path, download=broken)
    assert list(tmp_path.iterdir()) == []
    pull_model(name, models_folder=tmp_path, download=hub)
    assert load_encoder(name, models_folder=tmp_path, device="cpu").card.dimensions["D"] == 32
    pull_model(name, models_folder=tmp_path, download=broken)
    assert len(asked) == 1


def test_pull_of_an_unknown_tag_lists_the_tags(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="laion2b"):
        pull_model("open_clip:ViT-B-32/nonsense", models_folder=tmp_path)
