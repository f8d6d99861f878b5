"""A querybank: which candidates suit any query.

In a space of many dimensions some pictures lie near everything that is asked, and some texts near every picture: hubs.
They push the right candidates down. How near a candidate lies to a fixed sample of training queries says how much of a
hub it is, and that is held against it.

Source: Bogolin, Croitoru, Jin, Liu, Albanie, "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022. There
a candidate's score is divided by its sum over the querybank; here the sum's logarithm is a part of the mixture, so
that a dev split says how much it counts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

TEMPERATURE = 0.05
"""Of the soft maximum over the queries, in cosines: a few near queries make a hub, not one and not the mean of all."""


class Querybank(nn.Module):
    """Global vectors of training texts and pictures.

    Args:
        size: K, how many of each.
        global_size: D.
    """

    texts: Tensor
    pictures: Tensor

    def __init__(self, size: int, global_size: int) -> None:
        super().__init__()
        self.register_buffer("texts", torch.zeros(size, global_size))
        self.register_buffer("pictures", torch.zeros(size, global_size))

    def fill(self, texts: Tensor, pictures: Tensor) -> None:
        """Take these vectors, (K, D) each, as exactly as a weight file holds them."""
        self.texts.copy_(texts.half())
        self.pictures.copy_(pictures.half())

    def of_pictures(self, vectors: Tensor) -> Tensor:
        """Popularity of pictures' global vectors (N, D) with texts, in cosines: (N,)."""
        return _soft_maximum(vectors @ self.texts.T)

    def of_texts(self, vectors: Tensor) -> Tensor:
        """Popularity of texts' global vectors (N, D) with pictures, in cosines: (N,)."""
        return _soft_maximum(vectors @ self.pictures.T)


def _soft_maximum(cosines: Tensor) -> Tensor:
    """Between the mean and the maximum of each row of (N, K): (N,)."""
    shift = math.log(cosines.shape[1])
    return TEMPERATURE * (torch.logsumexp(cosines / TEMPERATURE, dim=1) - shift)
