"""Local tokens of open_clip models: caught on the way of the one forward pass that gives the global vector.

Regions are a ViT's patch tokens before the projection, after the tower's last norm where that sees them; a ResNet's
or ConvNeXt's last map before pooling. Grids of any size are averaged to 7 x 7. Words are the text transformer's
outputs, the pieces of a word averaged, marks and padding left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional

from boonart.errors import ModelError
from boonart.works import GRID, REGIONS

WORD_END = "</w>"
_WORD_STARTS = ("▁", "Ġ")

ToMap = Callable[[Tensor], Tensor]
"""Brings what a tower's layer gives into the form (B, C, H, W)."""


def watch_image_tower(visual: Any, caught: dict[str, Tensor]) -> ToMap:
    """Catch the tower's spatial tokens as "image"; returns how to make a map of them.

    Raises:
        ModelError: a kind of tower of which no local tokens are known.
    """

    def catch(module: nn.Module, inputs: Any, output: Tensor) -> None:
        caught["image"] = output

    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        visual.layer4.register_forward_hook(catch)
        return _as_it_is
    if isinstance(visual, open_clip.transformer.VisionTransformer):
        normed = visual.attn_pool is None and not visual.final_ln_after_pool
        (visual.ln_post if normed else visual.transformer).register_forward_hook(catch)
        return _from_patches(1, visual.grid_size)
    trunk = getattr(visual, "trunk", None)
    if trunk is not None and hasattr(trunk, "patch_embed") and hasattr(trunk, "blocks") and hasattr(trunk, "norm"):
        trunk.norm.register_forward_hook(catch)
        return _from_patches(getattr(trunk, "num_prefix_tokens", 0), trunk.patch_embed.grid_size)
    if trunk is not None and hasattr(trunk, "stages"):
        trunk.stages.register_forward_hook(catch)
        return _channels_first if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else _as_it_is
    raise ModelError(
        f"No local tokens are known for an image tower of type {type(trunk or visual).__name__}.",
        hint="Choose a ViT, SigLIP, ResNet or ConvNeXt model.",
    )


def watch_text_tower(model: Any, caught: dict[str, Tensor]) -> None:
    """Catch the text transformer's outputs (B, L, Wt) as "text"."""

    def catch(module: nn.Module, inputs: Any, output: Any) -> None:
        caught["text"] = getattr(output, "last_hidden_state", output)

    tower = getattr(model, "text", model)
    # CoCa norms its added class token alone; there, and in towers of other libraries, the transformer is watched.
    normed = hasattr(tower, "ln_final") and getattr(tower, "cls_emb", None) is None
    (tower.ln_final if normed else tower.transformer).register_forward_hook(catch)


def regions(spatial: Tensor, to_map: ToMap) -> Tensor:
    """Spatial tokens of any grid to (B, 49, C) float32, row-major."""
    grid = to_map(spatial.float())
    return functional.adaptive_avg_pool2d(grid, (GRID, GRID)).flatten(2).transpose(1, 2).reshape(len(grid), REGIONS, -1)


def words(tokenizer: Any, ids: Sequence[int], outputs: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """One row a word: the mean of its pieces' outputs.

    Args:
        ids: L token ids of one text, with marks and padding.
        outputs: (L, Wt) the text transformer's outputs for them.

    Returns:
        (T, Wt) tokens, and the T words. A text without words has one row, of its first mark, and the word "".
    """
    scripted = isinstance(tokenizer, open_clip.tokenizer.SimpleTokenizer)
    found = _byte_words(tokenizer, ids) if scripted else _piece_words(tokenizer.tokenizer, ids)
    if not found:
        found = [("", [0])]
    return torch.stack([outputs[places].mean(dim=0) for _, places in found]), tuple(word for word, _ in found)


def _byte_words(tokenizer: Any, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Words of CLIP's own tokenizer, with their places; the pieces of one may be parts of a character."""
    found: list[tuple[str, list[int]]] = []
    begun, places = bytearray(), list[int]()
    for place, number in enumerate(ids):
        if number == tokenizer.sot_token_id:
            continue
        if number == tokenizer.eot_token_id:
            break
        piece = tokenizer.decoder[number]
        begun += bytes(tokenizer.byte_decoder[letter] for letter in piece.removesuffix(WORD_END))
        places.append(place)
        if piece.endswith(WORD_END):
            found.append((begun.decode("utf-8", errors="replace"), places))
            begun, places = bytearray(), []
    if places:  # a word cut at the end of the context
        found.append((begun.decode("utf-8", errors="ignore"), places))
    return found


def _piece_words(inner: Any, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Words of a Hugging Face tokenizer, with their places."""
    found: list[tuple[str, list[int]]] = []
    marks = set(inner.all_special_ids)
    pieces = inner.convert_ids_to_tokens(list(ids))
    marked = any(piece.startswith(_WORD_STARTS) for piece in inner.tokenize("a b"))
    for place, (number, piece) in enumerate(zip(ids, pieces, strict=True)):
        if number in marks:
            continue
        continues = not piece.startswith(_WORD_STARTS) if marked else piece.startswith("##")
        text = piece.lstrip("".join(_WORD_STARTS)).removeprefix("##")
        if continues and found:
            found[-1] = (found[-1][0] + text, [*found[-1][1], place])
        else:
            found.append((text, [place]))
    return found


def _as_it_is(tokens: Tensor) -> Tensor:
    return tokens


def _channels_first(tokens: Tensor) -> Tensor:
    return tokens.permute(0, 3, 1, 2)


def _from_patches(before: int, grid: tuple[int, int]) -> ToMap:
    """For (B, before + H * W, C), `before` tokens such as the class token standing first."""

    def to_map(tokens: Tensor) -> Tensor:
        patches = tokens[:, before:]
        return patches.transpose(1, 2).reshape(len(patches), -1, *grid)

    return to_map
