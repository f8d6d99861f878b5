"""Any open_clip or SigLIP model as an encoder: global vectors and local tokens from one forward pass.

The global vectors are open_clip's own `encode_image` and `encode_text`, normalised. The local tokens are read on the
way, where the towers hold them: a ViT's patch tokens before the projection, a ResNet's last map, the text
transformer's outputs; grids of any size are averaged to 7 x 7 (see "Inputs" in docs/vitr.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from boonart.errors import ModelError, ModelFileError, ModelNotAvailable, OutOfMemory
from boonart.works import GRID, REGIONS, ImageEmbedding, ModelCard, Picture, TextEmbedding

CONFIG_FILE = "open_clip_config.json"
"""open_clip's own description of a model in a folder."""
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
WORD_END = "</w>"


class OpenClipEncoder:
    """An open_clip model.

    Not thread-safe: the local tokens are caught by hooks during the forward pass.

    Args:
        model: a `CLIP` or `CustomTextCLIP`.
        tokenizer: open_clip's tokenizer for it.
        name: what users call it; the id adds the weights' hash.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, *, name: str, weights_hash: str, device: str = "auto", licence: str = ""
    ) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        self._model: Any = model.eval().requires_grad_(False).to(self._device)
        self._tokenizer = tokenizer
        self._preprocess = image_transform_v2(PreprocessCfg(**open_clip.model.get_model_preprocess_cfg(model)), False)
        self._caught: dict[str, Tensor] = {}
        self._grid = _watch_image_tower(self._model.visual, self._caught)
        _watch_text_tower(self._model, self._caught)
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
        model = build(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
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
            vectors = self._model.encode_text(ids.to(self._device), normalize=True).float().cpu().numpy()
        outputs = self._caught.pop("text").float().cpu()
        return [
            TextEmbedding(vector, *_words(self._tokenizer, row, tokens))
            for vector, row, tokens in zip(vectors, ids.tolist(), outputs, strict=True)
        ]

    # --- pictures ---

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        """Encode pictures in one pass, in order.

        Raises:
            OutOfMemory: not even one picture fits the device.
        """
        return self._halving(self._encode_images, list(pictures))

    def _encode_images(self, pictures: list[Picture]) -> list[ImageEmbedding]:
        pixels = torch.stack([self._preprocess(Image.fromarray(picture.pixels)) for picture in pictures])
        with torch.inference_mode(), self._autocast():
            vectors = self._model.encode_image(pixels.to(self._device), normalize=True).float().cpu().numpy()
        regions = _regions(self._caught.pop("image"), self._grid).cpu().numpy().astype(np.float16)
        return [ImageEmbedding(vector, tokens) for vector, tokens in zip(vectors, regions, strict=True)]

    def _autocast(self) -> torch.autocast:
        """Half precision on a GPU; on a CPU the exact numbers."""
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda")

    def _halving(self, encode: Callable[[list[Any]], list[Any]], items: list[Any]) -> list[Any]:
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
        image = self._encode_images([Picture(np.full((64, 64, 3), 128, np.uint8), (64, 64), "PNG")])[0]
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


# --- local tokens ----------------------------------------------------------------------------------------


def _watch_image_tower(visual: Any, caught: dict[str, Tensor]) -> str:
    """Catch the tower's spatial tokens as "image"; returns their layout, "map" (B, C, H, W) or "tokens:P".

    `tokens:P` is (B, P + H * W, C), P tokens such as the class token standing before the patches.
    """

    def catch(module: nn.Module, inputs: Any, output: Tensor) -> None:
        caught["image"] = output

    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        visual.layer4.register_forward_hook(catch)
        return "map"
    if isinstance(visual, open_clip.transformer.VisionTransformer):
        visual.transformer.register_forward_hook(catch)
        return "tokens:1"
    trunk = getattr(visual, "trunk", None)
    if trunk is not None and hasattr(trunk, "patch_embed") and hasattr(trunk, "norm"):
        trunk.norm.register_forward_hook(catch)
        return f"tokens:{getattr(trunk, 'num_prefix_tokens', 0)}"
    if trunk is not None and hasattr(trunk, "stages"):
        trunk.stages.register_forward_hook(catch)
        return "map"
    raise ModelError(
        f"No local tokens are known for an image tower of type {type(visual).__name__}.",
        hint="Choose a ViT, SigLIP, ResNet or ConvNeXt model.",
    )


def _watch_text_tower(model: Any, caught: dict[str, Tensor]) -> None:
    """Catch the text transformer's outputs (B, L, Wt) as "text"."""

    def catch(module: nn.Module, inputs: Any, output: Any) -> None:
        caught["text"] = getattr(output, "last_hidden_state", output)

    tower = getattr(model, "text", model)
    if isinstance(tower, open_clip.transformer.TextTransformer) and tower.cls_emb is not None:
        tower.transformer.register_forward_hook(catch)
    elif hasattr(tower, "ln_final"):
        tower.ln_final.register_forward_hook(catch)
    else:
        tower.transformer.register_forward_hook(catch)


def _regions(tokens: Tensor, layout: str) -> Tensor:
    """Spatial tokens of any grid to (B, 49, C) float32, row-major."""
    tokens = tokens.float()
    if layout != "map":
        patches = tokens[:, int(layout.removeprefix("tokens:")) :]
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise ModelError(f"The image tower has {patches.shape[1]} patches, which make no square grid.")
        tokens = patches.transpose(1, 2).reshape(len(patches), -1, side, side)  # (B, C, H, W)
    pooled = functional.adaptive_avg_pool2d(tokens, (GRID, GRID))
    return pooled.flatten(2).transpose(1, 2).reshape(tokens.shape[0], REGIONS, -1)


def _words(tokenizer: Any, ids: Sequence[int], outputs: Tensor) -> tuple[Any, tuple[str, ...]]:
    """One row a word: the mean of its pieces' outputs, marks and padding left out.

    Returns:
        (T, Wt) float16 tokens, and the T words.
    """
    words: list[str] = []
    places: list[list[int]] = []
    for place, (text, begins) in _pieces(tokenizer, ids):
        if begins or not words:
            words.append(text)
            places.append([place])
        else:
            words[-1] += text
            places[-1].append(place)
    if not words:
        # A text without a single known piece still has its marks.
        words, places = [""], [[0]]
    rows = [outputs[where].mean(dim=0) for where in places]
    return torch.stack(rows).numpy().astype(np.float16), tuple(words)


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[tuple[int, tuple[str, bool]]]:
    """Each piece's place, its text, and whether it begins a word."""
    found: list[tuple[int, tuple[str, bool]]] = []
    if isinstance(tokenizer, open_clip.tokenizer.SimpleTokenizer):
        begins = True
        for place, number in enumerate(ids):
            if number == tokenizer.sot_token_id:
                continue
            if number == tokenizer.eot_token_id:
                break
            piece = tokenizer.decoder[number]
            text = bytearray(tokenizer.byte_decoder[c] for c in piece.removesuffix(WORD_END))
            found.append((place, (text.decode("utf-8", errors="replace"), begins)))
            begins = piece.endswith(WORD_END)
        return found
    inner = tokenizer.tokenizer
    marks = set(inner.all_special_ids)
    for place, (number, piece) in enumerate(zip(ids, inner.convert_ids_to_tokens(list(ids)), strict=True)):
        if number in marks:
            continue
        continues = piece.startswith("##") or (_uses_word_starts(inner) and not piece.startswith(("▁", "Ġ")))
        found.append((place, (piece.lstrip("▁Ġ").removeprefix("##"), not continues)))
    return found


def _uses_word_starts(inner: Any) -> bool:
    """Whether the tokenizer marks the beginning of a word, as SentencePiece and byte-level BPE do."""
    probe = inner.tokenize("a b")
    return any(piece.startswith(("▁", "Ġ")) for piece in probe)


# --- files -----------------------------------------------------------------------------------------------


def build(config: dict[str, Any]) -> nn.Module:
    """A randomly initialised model from open_clip's configuration; nothing is fetched.

    Args:
        config: {"model_cfg": ..., "preprocess_cfg": ...}, as in `open_clip_config.json`.
    """
    model_config = json.loads(json.dumps(config["model_cfg"]))
    custom = model_config.pop("custom_text", False)
    model_config["vision_cfg"]["timm_model_pretrained"] = False
    if "hf_model_name" in model_config["text_cfg"]:
        model_config["text_cfg"]["hf_model_pretrained"] = False
        custom = True
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    try:
        model: Any = kind(**model_config)
    except (TypeError, KeyError, RuntimeError) as error:
        raise ModelFileError(f"open_clip cannot build this architecture: {error}") from error
    preprocess = {"size": model.visual.image_size, **config.get("preprocess_cfg", {})}
    open_clip.model.set_model_preprocess_cfg(
        model, open_clip.transform.merge_preprocess_dict(PreprocessCfg(), preprocess)
    )
    return model


def load_weights(model: nn.Module, file: Path) -> None:
    """Load safetensors or an original checkpoint; pickles only with weights-only loading.

    Raises:
        ModelFileError: the file is damaged, unsafe or made for another architecture.
    """
    try:
        open_clip.factory.load_checkpoint(model, str(file), strict=True, weights_only=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelFileError(
            f"{file.name} cannot be loaded into this architecture: {reason}",
            hint="Check --architecture. Files that hold code instead of plain weights are never loaded: "
            "convert them to safetensors on a machine where they are trusted.",
        ) from error


def file_hash(file: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def not_available(name: str) -> ModelNotAvailable:
    """The one error for weights that are not here, naming the two ways out."""
    return ModelNotAvailable(
        f"The weights of {name} are not on this machine, and nothing is fetched unasked.",
        hint=f"Fetch them once with `boonart models pull {name}`, or take a file you have with "
        "`boonart models import FILE --architecture ARCHITECTURE`.",
    )
