"""Any open_clip or SigLIP model as an encoder: global vectors and local tokens from one forward pass.

The global vectors are open_clip's own `encode_image` and `encode_text`, normalised. The local tokens are read on the
way, where the towers hold them: a ViT's patch tokens before the projection, a ResNet's last map, the text
transformer's outputs; grids of any size are averaged to 7 x 7 (see "Inputs" in docs/vitr.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from boonart.encoders.open_clip_files import (
    CONFIG_FILE,
    WEIGHT_FILES,
    build,
    file_hash,
    load_weights,
    not_available,
)
from boonart.encoders.open_clip_tokens import regions, watch_image_tower, watch_text_tower, words
from boonart.errors import ConfigurationError, OutOfMemory
from boonart.works import Float32Array, ImageEmbedding, ModelCard, Picture, TextEmbedding

T = TypeVar("T")
R = TypeVar("R")

__all__ = ["CONFIG_FILE", "WEIGHT_FILES", "OpenClipEncoder", "build", "file_hash", "load_weights", "not_available"]


class OpenClipEncoder:
    """An open_clip model.

    Not thread-safe: the local tokens are caught by hooks during the forward pass.

    Args:
        model: a `CLIP`, `CustomTextCLIP` or `CoCa`.
        tokenizer: open_clip's tokenizer for it.
        name: what users call it; the id adds the weights' hash.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, *, name: str, weights_hash: str, device: str = "auto", licence: str = ""
    ) -> None:
        self._device = _device(device)
        self._model: Any = model.eval().requires_grad_(False).to(self._device)
        self._tokenizer = tokenizer
        self._preprocess = image_transform_v2(PreprocessCfg(**open_clip.model.get_model_preprocess_cfg(model)), False)
        self._caught: dict[str, Tensor] = {}
        self._to_map = watch_image_tower(self._model.visual, self._caught)
        watch_text_tower(self._model, self._caught)
        self._card = self._measure(name, weights_hash, licence)

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    @classmethod
    def load(cls, folder: Path, *, name: str, device: str = "auto") -> OpenClipEncoder:
        """Load a pulled or imported model from its folder; nothing is fetched.

        Args:
            folder: holds `open_clip_config.json`, a safetensors file and, where the model needs them, the
                tokenizer's files.

        Raises:
            ModelNotAvailable: the folder or its weights are not there.
            ModelFileError: the weights do not fit the architecture.
        """
        weights = next((folder / file for file in WEIGHT_FILES if (folder / file).is_file()), None)
        if not (folder / CONFIG_FILE).is_file() or weights is None:
            raise not_available(name)
        model = build(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")), folder)
        load_weights(model, weights)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        return cls(model, tokenizer, name=name, weights_hash=file_hash(weights), device=device)

    # --- texts ---

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Encode texts in one pass, in order; each is cut at the model's context length.

        Raises:
            OutOfMemory: not even one text fits the device.
        """
        return self._halving(self._encode_texts, list(texts))

    def _encode_texts(self, texts: list[str]) -> list[TextEmbedding]:
        ids = self._tokenizer(texts)
        with torch.inference_mode(), self._autocast():
            vectors = self._model.encode_text(ids.to(self._device), normalize=False)
        # Normalised outside of autocast: a half-precision norm is off in the third digit.
        vectors = functional.normalize(vectors.float(), dim=-1).cpu().numpy()
        outputs = self._caught.pop("text").float().cpu()
        found = []
        for vector, row, tokens in zip(vectors, ids.tolist(), outputs, strict=True):
            rows, names = words(self._tokenizer, row, tokens)
            found.append(TextEmbedding(vector, rows.numpy().astype(np.float16), names))
        return found

    # --- pictures: in stages, so that `encoders.batching` can prepare them in other threads ---

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """Encode pictures in one pass, in order.

        Raises:
            OutOfMemory: not even one picture fits the device.
        """
        if not pictures:
            return []
        return self.finish_images(*self.forward_images(self.prepare_images(pictures)))

    def prepare_images(self, pictures: Sequence[Picture]) -> Float32Array:
        """Pictures as the network takes them, (B, 3, H, W) float32, by open_clip's own transform; thread-safe."""
        return np.stack([self._preprocess(Image.fromarray(picture.pixels)).numpy() for picture in pictures])

    def forward_images(self, prepared: Float32Array) -> tuple[Tensor, Tensor]:
        """Normalised vectors (B, D) and regions (B, 49, Wi), float32 on the CPU.

        Raises:
            OutOfMemory: not even one picture fits the device.
        """
        parts = self._halving(self._forward_images, list(prepared))
        return torch.stack([vector for vector, _ in parts]), torch.stack([tokens for _, tokens in parts])

    def _forward_images(self, prepared: Sequence[Float32Array]) -> list[tuple[Tensor, Tensor]]:
        pixels = torch.from_numpy(np.stack(prepared)).to(self._device)
        with torch.inference_mode(), self._autocast():
            vectors = self._model.encode_image(pixels, normalize=False)
            vectors = functional.normalize(vectors.float(), dim=-1).cpu()
            tokens = regions(self._caught.pop("image"), self._to_map).cpu()
        return list(zip(vectors, tokens, strict=True))

    def finish_images(self, vectors: Tensor, tokens: Tensor) -> list[ImageEmbedding]:
        """What `forward_images` gave, as embeddings."""
        rows = zip(vectors.numpy(), tokens.numpy().astype(np.float16), strict=True)
        return [ImageEmbedding(vector, regions_) for vector, regions_ in rows]

    def _autocast(self) -> torch.autocast:
        """Half precision on a GPU; on a CPU the exact numbers."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")

    def _halving(self, encode: Callable[[list[T]], list[R]], items: list[T]) -> list[R]:
        """Encode, in halves where the device has no memory for all at once."""
        if not items:
            return []
        try:
            return encode(items)
        except torch.OutOfMemoryError as error:
            if len(items) == 1:
                raise OutOfMemory(f"The device {self._device} has no memory for a single input.") from error
        torch.cuda.empty_cache()
        half = len(items) // 2
        return self._halving(encode, items[:half]) + self._halving(encode, items[half:])

    def _measure(self, name: str, weights_hash: str, licence: str) -> ModelCard:
        """The card, its sizes found by encoding one word and one grey picture."""
        text = self._encode_texts(["a"])[0]
        image = self.encode_images([Picture(np.full((64, 64, 3), 128, np.uint8), (64, 64), "PNG")])[0]
        sizes = {
            "D": int(text.global_vector.shape[0]),
            "Wt": int(text.tokens.shape[1]),
            "Wi": int(image.tokens.shape[1]),
        }
        return ModelCard(
            id=f"{name}@{weights_hash[:12]}",
            kind="encoder",
            weights_hash=weights_hash,
            dimensions=sizes,
            licence=licence,
            description="An open_clip model.",
        )


def _device(name: str) -> torch.device:
    """The device of this name; "auto" takes a GPU where there is one.

    Raises:
        ConfigurationError: this machine or this build of torch has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"There is no device {name!r}: {str(error).splitlines()[0]}", hint='Use "auto" or "cpu".', field="device"
        ) from error
    return device
