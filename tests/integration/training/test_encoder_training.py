import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from boonart.encoders.starter import StarterEncoder
from boonart.training.encoder import EncoderTraining, train_encoder
from boonart.training.encoder_export import export_encoder

pytestmark = pytest.mark.integration
COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (20, 40, 200), "yellow": (220, 210, 30)}
TOY = EncoderTraining(
    size=16, views=2, image_batch=4, projection_epochs=2, image_epochs=2, last_epochs=2, scenes=5, scene_batch=4
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain squares in four colours, said in words."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "flickr8k"
    folder.mkdir()
    lines = []
    for split, copies in (("train", 4), ("dev", 1)):
        for colour, values in COLOURS.items():
            for copy in range(copies):
                name = f"{split}-{colour}-{copy}.png"
                Image.fromarray(np.full((224, 224, 3), values, dtype=np.uint8)).save(folder / name)
                captions = [f"a {colour} square on the left", f"{colour} all over"]
                lines.append(json.dumps({"image": name, "split": split, "captions": captions}))
    (folder / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def epochs(lines: list[str]) -> list[str]:
    return [line.split("  ")[0] for line in lines if line.endswith("left")]


def test_a_toy_run_trains_exports_and_loads(data: Path, cache: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = train_encoder(TOY, data, tmp_path / "out", cache=cache, log=lines.append)
    assert set(result.figures) == {f"{way}.R@{cut}" for way in ("text_to_image", "image_to_text") for cut in (1, 5, 10)}
    assert result.figures["text_to_image.R@5"] == 100.0  # four pictures
    assert epochs(lines) == ["image block 1/2", "image block 2/2"]
    card = export_encoder(result.network, TOY, tmp_path / "starter", result.figures)
    written = json.loads((tmp_path / "starter" / "card.json").read_text(encoding="utf-8"))
    assert written["training"]["scenes"] == 5
    encoder = StarterEncoder.load(tmp_path / "starter", device="cpu")
    assert encoder.card == card
    assert encoder.encode_texts(["a red square"])[0].global_vector.shape == (16,)


def test_an_interrupted_run_ends_as_an_undisturbed_one(data: Path, cache: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(line: str) -> None:
        if line.startswith("image block 1/2"):
            raise Interrupted

    undisturbed = train_encoder(TOY, data, tmp_path / "a", cache=cache)
    with pytest.raises(Interrupted):
        train_encoder(TOY, data, tmp_path / "b", cache=cache, log=interrupt)
    lines: list[str] = []
    resumed = train_encoder(TOY, data, tmp_path / "b", cache=cache, log=lines.append)
    assert epochs(lines) == ["image block 2/2"]
    for name, weight in undisturbed.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], weight, atol=1e-5, rtol=1e-4)


def test_an_interrupted_encoding_of_scenes_goes_on_with_the_missing_view(
    data: Path, cache: Path, tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(stage: str, _done: int, _total: int) -> None:
        if stage == "scenes, view 3":
            raise Interrupted

    seeded = replace(TOY, seed=1, projection_epochs=0, image_epochs=1, last_epochs=0)
    with pytest.raises(Interrupted):
        train_encoder(seeded, data, tmp_path / "out", cache=cache, progress=interrupt)
    stages: list[str] = []
    train_encoder(seeded, data, tmp_path / "out", cache=cache, progress=lambda stage, *_: stages.append(stage))
    assert [stage for stage in stages if stage.startswith("scenes")] == ["scenes, view 3"]
    stages.clear()
    train_encoder(seeded, data, tmp_path / "out", cache=cache, progress=lambda stage, *_: stages.append(stage))
    assert not [stage for stage in stages if "scenes" in stage]


def test_scenes_change_the_last_projections_alone(data: Path, cache: Path, tmp_path: Path) -> None:
    without = replace(TOY, scenes=0)
    stages: list[str] = []
    alone = train_encoder(
        without, data, tmp_path / "a", cache=cache, progress=lambda stage, *_: stages.append(stage)
    ).network.state_dict()
    assert not [stage for stage in stages if "scenes" in stage]
    both = train_encoder(TOY, data, tmp_path / "b", cache=cache).network.state_dict()
    different = {name for name in alone if not torch.equal(alone[name], both[name])}
    projections = {f"{tower}.project.{leaf}" for tower in ("image", "text") for leaf in ("weight", "bias")}
    assert different == projections | {"image.project_untuned.weight"}
