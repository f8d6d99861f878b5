"""What the encoder's training minimises. Vectors are L2-normalised; `scale` is the inverse temperature."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft_targets(likeness: Tensor, owners: Tensor, *, share: float, sharpness: float) -> Tensor:
    """What each text should say of each picture of the batch: its own, and a little of the like ones.

    Args:
        likeness: (B, B) cosine between the pictures' captions by the untuned text model.
        owners: (M,) index of each text's picture.
        share: of the target that goes to pictures by likeness, 0..1.
        sharpness: of the softmax over the likeness.

    Returns:
        (M, B) rows that sum to 1.
    """
    own = functional.one_hot(owners, likeness.shape[0]).to(likeness.dtype)
    if share == 0:
        return own
    return (1 - share) * own + share * (likeness * sharpness).softmax(dim=1)[owners]


def twin_targets(likeness: Tensor, twins: Tensor, *, share: float, sharpness: float) -> Tensor:
    """As `soft_targets`, for one text a picture of which twins are equally right.

    Args:
        likeness: (B, B) cosine between the pictures' captions by the untuned text model.
        twins: (B,) group of each picture, -1 for one without a twin.
        share: of the target that goes to pictures by likeness, 0..1; twins share the rest evenly.
        sharpness: of the softmax over the likeness.

    Returns:
        (B, B) rows that sum to 1.
    """
    same = (twins[:, None] == twins[None, :]) & (twins[:, None] >= 0)
    same = same | torch.eye(len(twins), dtype=torch.bool)
    own = same.to(likeness.dtype) / same.sum(dim=1, keepdim=True)
    return (1 - share) * own + share * (likeness * sharpness).softmax(dim=1)


def contrastive(texts: Tensor, images: Tensor, targets: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy between texts (M, D) and images (B, D), after InfoNCE.

    Args:
        targets: (M, B) rows that sum to 1; towards the texts its columns are made to sum to 1.
    """
    logits = scale * texts @ images.T
    to_images = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    columns = targets / targets.sum(dim=0, keepdim=True).clamp_min(1e-6)
    to_texts = -(columns * logits.log_softmax(dim=0)).sum(dim=0).mean()
    return (to_images + to_texts) / 2


def find_all(words: Tensor, images: Tensor, held: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy from each word (W, D) to all pictures of the batch that hold it.

    Args:
        held: (W, B) bool, at least one picture a word.

    Returns:
        The mean over the words, 0 without any.
    """
    if not len(words):
        return scale * 0
    targets = held.to(words.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    return -(targets * (scale * words @ images.T).log_softmax(dim=1)).sum(dim=1).mean()


def name_classes(images: Tensor, names: Tensor, probabilities: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy between what a classifier says of the pictures and what the class names say.

    Args:
        images: (B, D).
        names: (C, D) vectors of the class names.
        probabilities: (B, C) of the classifier, not summing to 1 where classes are left out.
    """
    weight = probabilities.sum(dim=1)
    logits = (scale * images @ names.T).log_softmax(dim=1)
    return -(probabilities * logits).sum() / weight.sum().clamp_min(1e-6)


def average(averaged: list[Tensor], current: list[Tensor], decay: float) -> None:
    """Move the averaged weights towards the current ones, in place."""
    with torch.no_grad():
        torch._foreach_lerp_(averaged, current, 1 - decay)
