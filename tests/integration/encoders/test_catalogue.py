"""Pulling, importing and loading encoders, with small models in the weights' place."""

import json
import pickle
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import safetensors.torch
import tokenizers
import torch

from boonart.encoders.catalogue import (
    architecture_config,
    import_model,
    list_models,
    load_encoder,
    pull_model,
)
from boonart.encoders.open_clip import CONFIG_FILE, WEIGHT_FILES, build
from boonart.encoders.open_clip_files import TEXT_TOWER_FOLDER
from boonart.encoders.torchscript import read_torchscript
from boonart.errors import BoonArtError, ConfigurationError, ModelFileError, ModelNotAvailable

pytestmark = pytest.mark.integration

TEXT = {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
VISION = {"image_size": 64, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
PLAIN: dict[str, Any] = {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": TEXT}
OTHER: dict[str, Any] = {**PLAIN, "vision_cfg": {**VISION, "width": 96}}
WITH_TOKENIZER: dict[str, Any] = {
    **PLAIN,
    "custom_text": True,
    "text_cfg": {
        **TEXT,
        "vocab_size": 64,
        "hf_tokenizer_name": "owner/tokenizer",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "pool_type": "last",
    },
}
WITH_TEXT_TOWER: dict[str, Any] = {
    **PLAIN,
    "text_cfg": {
        "context_length": 24,
        "hf_model_name": "owner/tower",
        "hf_tokenizer_name": "owner/tower",
        "hf_proj_type": "linear",
        "hf_pooler_type": "mean_pooler",
    },
}
VOCABULARY = ["</s>", "<unk>", "▁a", "▁cow", "▁mea", "dow", "▁in", "▁the", "▁red"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def saved(folder: Path, config: dict[str, Any] = PLAIN) -> tuple[Path, Path]:
    """A weight file and its architecture file."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model = build({"model_cfg": config}, folder)
    weights, architecture = folder / "weights.safetensors", folder / "small.json"
    safetensors.torch.save_model(model, str(weights))
    architecture.write_text(json.dumps(config))
    return weights, architecture


def write_tokenizer(folder: Path) -> None:
    """A tokenizer in the form that SigLIP's has."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = tokenizers.Tokenizer(tokenizers.models.Unigram([(piece, -1.0) for piece in VOCABULARY], unk_id=1))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    pieces.post_processor = tokenizers.processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    pieces.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "</s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "unk_token": "<unk>"}))


def write_text_tower(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    settings = {"model_type": "bert", "vocab_size": 64, "max_position_embeddings": 32, "pad_token_id": 0}
    (folder / "config.json").write_text(json.dumps({**sizes, **settings}))


# --- importing -------------------------------------------------------------------------------------------


def test_an_imported_file_is_listed_and_loads(tmp_path: Path) -> None:
    weights, architecture = saved(tmp_path)
    models = tmp_path / "models"
    imported = import_model(weights, models_folder=models, architecture=str(architecture), name="mine")
    (listed,) = [model for model in list_models(models) if model.where == "imported"]
    assert listed == imported
    assert listed.name == "mine"
    assert listed.size_bytes > 100_000
    encoder = load_encoder(imported.name, models_folder=models, device="cpu")
    direct = load_encoder(f"open_clip:{weights}?architecture={architecture}", models_folder=models, device="cpu")
    one, other = encoder.encode_texts(["a cow"])[0], direct.encode_texts(["a cow"])[0]
    np.testing.assert_allclose(one.global_vector, other.global_vector, atol=1e-6)
    assert encoder.card.dimensions == {"D": 32, "Wt": 64, "Wi": 64}


def test_other_weights_have_another_id(tmp_path: Path) -> None:
    weights, architecture = saved(tmp_path)
    name = f"open_clip:{weights}?architecture={architecture}"
    before = load_encoder(name, models_folder=tmp_path, device="cpu").card
    torch.manual_seed(2)
    safetensors.torch.save_model(build({"model_cfg": PLAIN}), str(weights))
    after = load_encoder(name, models_folder=tmp_path, device="cpu").card
    assert before.id != after.id
    assert before.weights_hash != after.weights_hash


def test_a_plain_checkpoint_loads_weights_only(tmp_path: Path) -> None:
    _, architecture = saved(tmp_path)
    torch.manual_seed(1)
    checkpoint = tmp_path / "epoch.pt"
    torch.save({"state_dict": build({"model_cfg": PLAIN}).state_dict(), "epoch": 3}, checkpoint)
    encoder = load_encoder(f"open_clip:{checkpoint}?architecture={architecture}", models_folder=tmp_path, device="cpu")
    assert encoder.card.dimensions["D"] == 32


class Malice:
    """Touches a file when it is unpickled."""

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


SCRIPTING = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning", "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning"
)


def archived(model: torch.nn.Module, file: Path) -> Path:
    """A TorchScript archive such as OpenAI published CLIP in."""
    inputs = {"encode_image": torch.zeros(1, 3, 64, 64), "encode_text": torch.zeros(1, 24, dtype=torch.long)}
    torch.jit.save(torch.jit.trace_module(model.eval(), inputs, check_trace=False), str(file))
    return file


@SCRIPTING
def test_openais_own_archives_give_their_weights_without_being_run(tmp_path: Path) -> None:
    config = {**PLAIN, "quick_gelu": True}
    torch.manual_seed(4)
    model = build({"model_cfg": config})
    archive = archived(model, tmp_path / "ViT-tiny.pt")
    (tmp_path / "small.json").write_text(json.dumps(config))
    models = tmp_path / "models"
    import_model(archive, models_folder=models, architecture=str(tmp_path / "small.json"), name="mine")
    found = load_encoder("mine", models_folder=models, device="cpu").encode_texts(["a red cow"])[0]
    with torch.no_grad():
        own: Any = model
        ids = open_clip.SimpleTokenizer(context_length=24)(["a red cow"])
        expected = own.encode_text(ids, normalize=True).numpy()[0]
    np.testing.assert_allclose(found.global_vector, expected, atol=1e-6)


@SCRIPTING
def test_openais_own_archives_need_their_own_activation(tmp_path: Path) -> None:
    """Without QuickGELU the weights would load, and all vectors be a little wrong."""
    _, architecture = saved(tmp_path)
    archive = archived(build({"model_cfg": PLAIN}), tmp_path / "ViT-tiny.pt")
    with pytest.raises(ModelFileError, match="QuickGELU") as error:
        import_model(archive, models_folder=tmp_path / "models", architecture=str(architecture))
    assert "ViT-L-14/openai" in error.value.hint


def test_an_archive_that_names_anything_else_is_refused_and_not_run(tmp_path: Path) -> None:
    witness, archive = tmp_path / "ran", tmp_path / "bad.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("bad/constants.pkl", b"")
        file.writestr("bad/data.pkl", pickle.dumps(Malice(witness)))
    with pytest.raises(ModelFileError, match=r"it names .*touch|it names pathlib|it names builtins\.getattr"):
        read_torchscript(archive)
    assert not witness.exists()


def test_an_archive_whose_tensors_go_beyond_their_data_is_refused(tmp_path: Path) -> None:
    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", 4) if isinstance(obj, Storage) else None

    class Beyond:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, (100,), (1,), False, None)

    stream = BytesIO()
    Pickler(stream).dump(Beyond())
    archive = tmp_path / "bad.pt"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("bad/constants.pkl", b"")
        file.writestr("bad/data.pkl", stream.getvalue())
        file.writestr("bad/data/0", bytes(16))
    with pytest.raises(ModelFileError, match="beyond its data"):
        read_torchscript(archive)


@pytest.mark.parametrize("content", [b"", b"no weights at all", bytes(2000)])
@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pt"])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    _, architecture = saved(tmp_path)
    broken = tmp_path / name
    broken.write_bytes(content)
    with pytest.raises(ModelFileError, match="broken"):
        import_model(broken, models_folder=tmp_path / "models", architecture=str(architecture))
    assert not list((tmp_path / "models").glob("*"))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    weights, _ = saved(tmp_path)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(OTHER))
    with pytest.raises(ModelFileError, match="cannot be loaded") as error:
        import_model(weights, models_folder=tmp_path / "models", architecture=str(other))
    assert "--architecture" in error.value.hint
    assert not list((tmp_path / "models").glob("*"))


@pytest.mark.parametrize("name", ["starter", "fake", "mine", "open_clip:x"])
def test_a_taken_name_is_refused(tmp_path: Path, name: str) -> None:
    weights, architecture = saved(tmp_path)
    models = tmp_path / "models"
    import_model(weights, models_folder=models, architecture=str(architecture), name="mine")
    with pytest.raises(ConfigurationError, match="taken"):
        import_model(weights, models_folder=models, architecture=str(architecture), name=name)


@pytest.mark.parametrize("name", ["../outside", "/etc/model", "..", "a/b"])
def test_a_name_never_leaves_the_models_folder(tmp_path: Path, name: str) -> None:
    weights, architecture = saved(tmp_path / "weights")
    models = tmp_path / "home" / "models"
    import_model(weights, models_folder=models, architecture=str(architecture), name=name)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["models"]
    assert load_encoder(name, models_folder=models, device="cpu").card.dimensions["D"] == 32


def test_a_folder_in_open_clips_form_is_imported_with_its_licence(tmp_path: Path) -> None:
    weights, _ = saved(tmp_path / "download")
    folder = weights.parent
    weights.rename(folder / WEIGHT_FILES[0])
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": PLAIN, "preprocess_cfg": {"resize_mode": "squash"}}))
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [clip]\n---\n# A model\n")
    imported = import_model(folder, models_folder=tmp_path / "models", architecture="", name="mine")
    assert imported.licence == "mit"
    assert load_encoder("mine", models_folder=tmp_path / "models", device="cpu").card.dimensions["D"] == 32


def test_a_tokenizer_beside_the_weights_comes_along(tmp_path: Path) -> None:
    weights, architecture = saved(tmp_path / "files", WITH_TOKENIZER)
    models = tmp_path / "models"
    with pytest.raises(ConfigurationError, match=r"tokenizer \(owner/tokenizer\)"):
        import_model(weights, models_folder=models, architecture=str(architecture), name="mine")
    write_tokenizer(tmp_path / "files")
    import_model(weights, models_folder=models, architecture=str(architecture), name="mine")
    shutil.rmtree(tmp_path / "files")
    text = load_encoder("mine", models_folder=models, device="cpu").encode_texts(["A cow, in the meadow!"])[0]
    assert text.words == ("a", "cow", "in", "the", "meadow")
    assert text.tokens.shape == (5, 64)


# --- names -----------------------------------------------------------------------------------------------


def test_missing_weights_name_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable) as error:
        load_encoder("open_clip:ViT-L-14/openai", models_folder=tmp_path)
    assert "models pull open_clip:ViT-L-14/openai" in error.value.hint
    assert "models import FILE --architecture" in error.value.hint


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nonsense", ConfigurationError, "no encoder 'nonsense'"),
        ("open_clip:weights.pt?arch=ViT-B-32", ConfigurationError, "names no architecture"),
        (
            "open_clip:/nowhere/weights.pt?architecture=ViT-B-32",
            ModelNotAvailable,
            "no weight file /nowhere/weights.pt",
        ),
    ],
)
def test_a_name_that_leads_nowhere_says_so(tmp_path: Path, name: str, error: type[BoonArtError], message: str) -> None:
    with pytest.raises(error, match=message):
        load_encoder(name, models_folder=tmp_path)


def test_published_weights_bring_their_own_preparation_of_pictures() -> None:
    siglip = architecture_config("ViT-B-16-SigLIP")
    assert siglip["preprocess_cfg"]["resize_mode"] == "squash"
    assert siglip["preprocess_cfg"]["mean"] == (0.5, 0.5, 0.5)
    openai = architecture_config("ViT-L-14/openai")
    assert openai["model_cfg"]["quick_gelu"] is True
    assert openai["preprocess_cfg"]["resize_mode"] == "shortest"
    # Its published weights do not agree with one another, so nothing is taken from them.
    assert architecture_config("ViT-L-14")["preprocess_cfg"] == {}
    with pytest.raises(ConfigurationError, match="no weights 'nonsense'"):
        architecture_config("ViT-L-14/nonsense")
    with pytest.raises(ConfigurationError, match="no architecture 'nonsense'"):
        architecture_config("nonsense")


# --- pulling ---------------------------------------------------------------------------------------------


class Hub:
    """A hub in a folder: repositories by name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []

    def __call__(self, source: str, folder: Path, patterns: Sequence[str]) -> None:
        self.asked.append(source)
        if not (self.root / source).is_dir():
            (folder / "half").write_text("")
            raise ConnectionError("no route")
        folder.mkdir(exist_ok=True)
        for pattern in patterns:
            for file in (self.root / source).glob(pattern):
                shutil.copy(file, folder)


OPENAI = "timm/vit_base_patch32_clip_224.openai"


def publish(folder: Path, config: dict[str, Any], *, pickled: bool = False) -> None:
    weights, architecture = saved(folder, config)
    architecture.unlink()
    if pickled:
        torch.save(safetensors.torch.load_file(str(weights)), folder / "open_clip_pytorch_model.bin")
        weights.unlink()
    else:
        weights.rename(folder / "open_clip_model.safetensors")
    (folder / CONFIG_FILE).write_text(json.dumps({"model_cfg": config}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")


@pytest.mark.parametrize("pickled", [False, True])
def test_pull_fills_a_folder_that_loads_without_the_hub(tmp_path: Path, pickled: bool) -> None:
    hub, models = Hub(tmp_path / "hub"), tmp_path / "models"
    publish(tmp_path / "hub" / OPENAI, PLAIN, pickled=pickled)
    folder = pull_model("open_clip:ViT-B-32/openai", models_folder=models, download=hub)
    assert set(hub.asked) == {OPENAI}
    shutil.rmtree(tmp_path / "hub")
    encoder = load_encoder("open_clip:ViT-B-32/openai", models_folder=models, device="cpu")
    assert encoder.card.dimensions["D"] == 32
    assert [file.suffix for file in folder.iterdir() if file.stat().st_size > 10_000] == [".safetensors"]
    (listed,) = [model for model in list_models(models) if model.where == "pulled"]
    assert (listed.name, listed.licence) == ("open_clip:ViT-B-32/openai", "apache-2.0")
    assert pull_model("open_clip:ViT-B-32/openai", models_folder=models, download=hub) == folder


def test_a_pull_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match="no route") as error:
        pull_model("open_clip:ViT-B-32/openai", models_folder=tmp_path, download=Hub(tmp_path / "hub"))
    assert "models import" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_pull_of_weights_that_do_not_load_leaves_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "hub" / OPENAI, PLAIN)
    (tmp_path / "hub" / OPENAI / CONFIG_FILE).write_text(json.dumps({"model_cfg": OTHER}))
    with pytest.raises(ModelFileError, match="does not load"):
        pull_model("open_clip:ViT-B-32/openai", models_folder=tmp_path / "models", download=Hub(tmp_path / "hub"))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_pull_fetches_the_tokenizer_where_it_lies_elsewhere(tmp_path: Path) -> None:
    hub, models = Hub(tmp_path / "hub"), tmp_path / "models"
    publish(tmp_path / "hub" / OPENAI, WITH_TOKENIZER)
    write_tokenizer(tmp_path / "hub" / "owner" / "tokenizer")
    pull_model("open_clip:ViT-B-32/openai", models_folder=models, download=hub)
    assert hub.asked == [OPENAI, "owner/tokenizer"]
    shutil.rmtree(tmp_path / "hub")
    encoder = load_encoder("open_clip:ViT-B-32/openai", models_folder=models, device="cpu")
    assert encoder.encode_texts(["the red cow"])[0].words == ("the", "red", "cow")


def test_the_tokenizers_numbers_are_the_models(tmp_path: Path) -> None:
    """The global vector is open_clip's own for what open_clip's own tokenizer makes of the folder."""
    hub, models = Hub(tmp_path / "hub"), tmp_path / "models"
    publish(tmp_path / "hub" / OPENAI, WITH_TOKENIZER)
    write_tokenizer(tmp_path / "hub" / "owner" / "tokenizer")
    folder = pull_model("open_clip:ViT-B-32/openai", models_folder=models, download=hub)
    found = load_encoder("open_clip:ViT-B-32/openai", models_folder=models, device="cpu").encode_texts(["A red cow."])
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        own = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(["A red cow."]), normalize=True).numpy()
    np.testing.assert_allclose(found[0].global_vector, own[0], atol=1e-6)


def test_a_text_tower_of_the_transformers_library_loads_without_the_hub(tmp_path: Path) -> None:
    hub, models = Hub(tmp_path / "hub"), tmp_path / "models"
    published = tmp_path / "hub" / OPENAI
    write_text_tower(published / TEXT_TOWER_FOLDER)
    publish(published, WITH_TEXT_TOWER)
    shutil.rmtree(published / TEXT_TOWER_FOLDER)
    write_tokenizer(published)
    write_text_tower(tmp_path / "hub" / "owner" / "tower")
    pull_model("open_clip:ViT-B-32/openai", models_folder=models, download=hub)
    assert hub.asked == [OPENAI, "owner/tower"]
    shutil.rmtree(tmp_path / "hub")
    encoder = load_encoder("open_clip:ViT-B-32/openai", models_folder=models, device="cpu")
    text = encoder.encode_texts(["a red cow"])[0]
    assert text.words == ("a", "red", "cow")
    assert encoder.card.dimensions == {"D": 32, "Wt": 32, "Wi": 64}


def test_a_text_tower_whose_configuration_is_missing_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable, match="owner/tower"):
        build({"model_cfg": WITH_TEXT_TOWER}, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("open_clip:ViT-B-32/nonsense", "laion2b"),
        ("open_clip:ViT-B-32", "no hub model"),
        ("ViT-B-32/openai", "no hub model"),
        ("open_clip:nonsense/openai", "it has: none"),
    ],
)
def test_a_pull_of_what_does_not_exist_says_what_does(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pull_model(name, models_folder=tmp_path, download=Hub(tmp_path))
