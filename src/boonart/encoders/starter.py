"""The `starter` encoder: runs everywhere at once, with nothing to download beyond Python packages.

Inference is split into prepare (no network), forward (the network alone) and finish (plain arrays), so that
batching and timing live outside.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from PIL import Image
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from boonart.encoders.colours import COLOURS, region_colours
from boonart.encoders.starter_network import (
    MAP_CHANNELS,
    MAX_TOKENS,
    MINILM_TOKENIZER,
    PICTURE_MEAN,
    PICTURE_SIZE,
    PICTURE_STD,
    TOKEN_WIDTH,
    StarterNetwork,
    normalised,
)
from boonart.errors import ModelFileError, ModelNotAvailable
from boonart.works import (
    GRID,
    Float16Array,
    Float32Array,
    ImageEmbedding,
    ModelCard,
    Picture,
    TextEmbedding,
    UInt8Array,
)

WORDINGS = ("a {}", "a picture of a {}", "a painting of a {}")
"""Other ways in which a short query is read, since the network learned from sentences: half a point of mAP."""
SHORT = 3
"""Words up to which a text is short."""
Network = TypeVar("Network", bound=nn.Module)

WEIGHTS_FILE, CARD_FILE = "starter.safetensors", "card.json"
CPU_IMAGE_BATCH, GPU_IMAGE_BATCH, TEXT_BATCH = 2, 32, 64
"""Pictures and texts that go through the network together; on two cores more pictures at once are slower, since
their maps no longer fit the cache."""


@dataclass(frozen=True, slots=True)
class PreparedTexts:
    """Texts as the network takes them.

    Attributes:
        pieces: (B, T) int64 word piece ids.
        padding: (B, T) bool, True where there is no word piece; None where all texts are equally long.
        encodings: what each word piece stands for.
        texts: as given.
    """

    pieces: Tensor
    padding: Tensor | None
    encodings: tuple[Encoding, ...]
    texts: tuple[str, ...]


class StarterEncoder:
    """EfficientNet-Lite2 and MiniLM-L6, brought into one space of D dimensions.

    Not thread-safe: one forward pass at a time.

    Local tokens of a picture are its 49 regions, (49, 1344), row-major: the network's last map, 1280 channels, with the
    last block untuned, and the shares of 64 colours. (The tuned block knows its training pictures by heart, and a
    reranker trained on its regions would lean on that.) Local tokens of a text are its words, (T, 768): each the mean
    of its pieces, bare and after the network's last layer, the two marks left out; `words` are cut from the text as it
    was written.
    """

    def __init__(self, network: StarterNetwork, tokenizer: Tokenizer, card: ModelCard, device: str) -> None:
        self._device = torch.device(device)
        network = network.eval().requires_grad_(False)
        self._text = network.text.to(self._device)
        self._image = turned(folded(network.image)).to(self._device)
        self._tokenizer = tokenizer
        self._card = card

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> StarterEncoder:
        """Load the two packages' weights and, over them, those of `folder`.

        Args:
            folder: holds `starter.safetensors` and `card.json`.
            device: "auto" takes a GPU where there is one; or "cpu", "cuda", "cuda:N".

        Raises:
            ModelNotAvailable: a package or the folder's files are not there.
            ModelFileError: a file is damaged or another one than the card says.
        """
        card = read_card(folder)
        network = StarterNetwork(card.dimensions["D"]).load_packages()
        apply_weights(network, folder / WEIGHTS_FILE)
        tokenizer: Tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER.locate()))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(network, tokenizer, card, device)

    # --- texts ---

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Encode texts, in order; each is cut at 128 word pieces.

        A text of up to three words has the mean vector of several wordings; its tokens are its own words' alone.
        """
        wordings = [(row, wording) for row, text in enumerate(texts) for wording in other_wordings(text)]
        everything = [*texts, *(wording for _, wording in wordings)]
        order = sorted(range(len(everything)), key=lambda row: len(everything[row]))
        found: dict[int, TextEmbedding] = {}
        for start in range(0, len(order), TEXT_BATCH):
            rows = order[start : start + TEXT_BATCH]
            prepared = self.prepare_texts([everything[row] for row in rows])
            found |= zip(rows, self.finish_texts(prepared, *self.forward_texts(prepared)), strict=True)
        others: dict[int, list[Float32Array]] = {}
        for place, (row, _) in enumerate(wordings, start=len(texts)):
            others.setdefault(row, []).append(found[place].global_vector)
        return [_reworded(found[row], others.get(row, [])) for row in range(len(texts))]

    def prepare_texts(self, texts: Sequence[str]) -> PreparedTexts:
        """Split texts into word pieces and pad them to the longest."""
        encodings = tuple(self._tokenizer.encode_batch(list(texts)))
        lengths = [len(encoding.ids) for encoding in encodings]
        pieces = torch.zeros((len(texts), max(lengths)), dtype=torch.long)
        for row, encoding in enumerate(encodings):
            pieces[row, : lengths[row]] = torch.tensor(encoding.ids)
        padding = torch.arange(max(lengths))[None, :] >= torch.tensor(lengths)[:, None]
        return PreparedTexts(pieces, padding if bool(padding.any()) else None, encodings, tuple(texts))

    def forward_texts(self, prepared: PreparedTexts) -> tuple[Tensor, Tensor]:
        """Normalised vectors (B, D) and word piece outputs (B, T, 768), float32 on the CPU."""
        padding = None if prepared.padding is None else prepared.padding.to(self._device)
        with torch.inference_mode():
            vectors, tokens = self._text(prepared.pieces.to(self._device), padding)
            return normalised(vectors).cpu(), tokens.float().cpu()

    def finish_texts(self, prepared: PreparedTexts, vectors: Tensor, tokens: Tensor) -> list[TextEmbedding]:
        """Merge word pieces to words."""
        rows = zip(prepared.texts, prepared.encodings, vectors.numpy(), tokens.numpy(), strict=True)
        return [_text_embedding(text, encoding, vector, outputs) for text, encoding, vector, outputs in rows]

    # --- pictures ---

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """Encode pictures, in order."""
        found: list[ImageEmbedding] = []
        size = CPU_IMAGE_BATCH if self._device.type == "cpu" else GPU_IMAGE_BATCH
        for start in range(0, len(pictures), size):
            prepared = self.prepare_images(pictures[start : start + size])
            found += self.finish_images(*self.forward_images(prepared))
        return found

    def prepare_images(self, pictures: Sequence[Picture]) -> UInt8Array:
        """Pictures in the network's size, their proportions given up: (B, 288, 288, 3) uint8."""
        return np.stack([_squashed(picture.pixels) for picture in pictures])

    def forward_images(self, pixels: UInt8Array) -> tuple[Tensor, Tensor, Float16Array]:
        """Normalised vectors (B, D) and regions (B, 1280, 7, 7), float32 on the CPU; colours (B, 49, 64) float16.

        The vector is the mean of the picture's own and its mirror image's: twice the work, about one point of
        recall@1. The regions are of the picture as it is, averaged from the network's 9 x 9 map.
        """
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            values = batch.float().div_(255.0).sub_(PICTURE_MEAN).div_(PICTURE_STD)
            trunk = self._image.trunk(torch.cat([values.flip(2, 3), values.flip(2)]))
            untuned = self._image.untuned(trunk)
            plain, mirrored = normalised(self._image.pool(self._image.top(trunk), untuned)).chunk(2)
            regions = functional.adaptive_avg_pool2d(untuned[: len(values)].flip(2, 3).float(), GRID)
            return normalised(plain + mirrored).cpu(), regions.cpu(), region_colours(pixels)

    def finish_images(self, vectors: Tensor, regions: Tensor, colours: Float16Array) -> list[ImageEmbedding]:
        """Each picture's 49 regions in a row, its colours behind what the network says."""
        maps = regions.flatten(2).transpose(1, 2).numpy().astype(np.float16)  # (B, 49, 1280)
        rows = np.concatenate([maps, colours], axis=2)
        return [ImageEmbedding(vector, tokens) for vector, tokens in zip(vectors.numpy(), rows, strict=True)]


def folded(network: Network) -> Network:
    """A copy of a network for inference, each norm folded into the convolution before it."""
    network = copy.deepcopy(network)
    for parent in [*network.modules()]:
        convolution: tuple[str, nn.Conv2d] | None = None
        for name, child in [*parent.named_children()]:
            if isinstance(child, nn.Conv2d):
                convolution = (name, child)
            elif isinstance(child, BatchNormAct2d) and convolution is not None:
                fused = fuse_conv_bn_eval(convolution[1], child)
                setattr(parent, convolution[0], fused)
                setattr(parent, name, child.act)
                convolution = None
    return network.to(memory_format=torch.channels_last)


def turned(network: Network) -> Network:
    """The network for pictures that stand on their heads; its maps come out so. It is changed in place.

    Where the stride is two, TensorFlow pads even sides below and on the right alone, for which a map is copied as a
    whole. After half a turn that is above and on the left, where a convolution pads by itself: the same numbers, in
    eight percent less time.
    """
    for parent in [*network.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, nn.Conv2d):
                if isinstance(child, Conv2dSame):
                    assert child.stride == (2, 2), "with another stride the sides differ"
                    child = _padding_itself(child)
                    setattr(parent, name, child)
                child.weight = nn.Parameter(child.weight.flip(2, 3), requires_grad=False)
    return network.to(memory_format=torch.channels_last)


def _padding_itself(convolution: Conv2dSame) -> nn.Conv2d:
    """The same weights in a convolution that pads by half of its kernel on each side."""
    kernel = convolution.kernel_size[0]
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        kernel,
        stride=2,
        padding=kernel // 2,
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    plain.load_state_dict(convolution.state_dict())
    return plain.eval().requires_grad_(False)


def other_wordings(text: str) -> list[str]:
    """The wordings in which a short text is read beside its own; none for a longer one or one with an article."""
    words = text.lower().split()
    if not 1 <= len(words) <= SHORT or words[0] in ("a", "an", "the"):
        return []
    return [wording.format(text.strip()) for wording in WORDINGS]


def _reworded(embedding: TextEmbedding, others: list[Float32Array]) -> TextEmbedding:
    if not others:
        return embedding
    vector = np.mean([embedding.global_vector, *others], axis=0)
    return replace(embedding, global_vector=vector / np.linalg.norm(vector))


def _squashed(pixels: UInt8Array) -> UInt8Array:
    if pixels.shape[:2] == (PICTURE_SIZE, PICTURE_SIZE):
        return pixels
    picture = Image.fromarray(pixels)
    picture = picture.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(picture)


def _text_embedding(
    text: str, encoding: Encoding, vector: Float32Array, outputs: npt.NDArray[np.float32]
) -> TextEmbedding:
    """Average the outputs of each word's pieces; `outputs` (T, 768) may be padded."""
    pieces: dict[int, list[int]] = {}
    for place, word in enumerate(encoding.word_ids):
        if word is not None:
            pieces.setdefault(word, []).append(place)
    tokens = np.zeros((len(pieces), TOKEN_WIDTH), dtype=np.float16)
    words = []
    for row, places in enumerate(pieces.values()):
        tokens[row] = outputs[places].mean(axis=0)
        words.append(text[encoding.offsets[places[0]][0] : encoding.offsets[places[-1]][1]])
    return TextEmbedding(vector, tokens, tuple(words))


# --- files ---


def read_card(folder: Path) -> ModelCard:
    """The card of the weights in `folder`.

    Raises:
        ModelNotAvailable: there is none.
        ModelFileError: it cannot be read.
    """
    file = folder / CARD_FILE
    if not file.is_file():
        raise ModelNotAvailable(
            f"The weights of the starter encoder are not in {folder}.",
            hint="They come with the project, in models/starter; or run: boonart train encoder.",
        )
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        return ModelCard(**{name: fields[name] for name in ModelCard.__slots__ if name in fields})
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(f"The model card {file} cannot be read: {error}.") from error


def weights_hash(file: Path) -> str:
    """First 16 hex digits of the SHA-256 of a weight file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def apply_weights(network: StarterNetwork, file: Path) -> None:
    """Put tuned weights over those of the packages.

    Raises:
        ModelNotAvailable: the file is not there.
        ModelFileError: it is damaged or does not fit the network.
    """
    if not file.is_file():
        raise ModelNotAvailable(
            f"The weight file {file} is not there.", hint="Restore models/starter, or run: boonart train encoder."
        )
    try:
        tuned = {name: weight.float() for name, weight in safetensors.torch.load_file(file).items()}
        unknown = network.load_state_dict(tuned, strict=False).unexpected_keys
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise ModelFileError(f"The weight file {file} is damaged or made for another network.") from error
    needed = {"image.project.weight", "image.project.bias", "text.project.weight", "text.project.bias"}
    if unknown or needed - tuned.keys():
        raise ModelFileError(f"The weight file {file} is made for another network than the starter encoder.")


def save_weights(network: StarterNetwork, file: Path) -> str:
    """Write, in float16, the weights that differ from the packages'; return the file's hash."""
    original = StarterNetwork(network.image.project.out_features).load_packages().state_dict()
    tuned = {
        name: weight.detach().half().contiguous()
        for name, weight in network.state_dict().items()
        if ".project" in name or not torch.equal(weight, original[name])
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tuned, file)
    return weights_hash(file)


def dimensions(size: int) -> dict[str, int]:
    """Sizes for the card."""
    return {"D": size, "Wt": TOKEN_WIDTH, "Wi": MAP_CHANNELS + COLOURS}
