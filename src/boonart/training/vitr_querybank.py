"""Which training texts and pictures the querybank holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from boonart.training.vitr_features import PairFeatures
from boonart.vitr.model import RelationNetwork
from boonart.works import Float32Array


def with_querybank(network: RelationNetwork, sets: Sequence[PairFeatures], size: int, seed: int) -> RelationNetwork:
    """The network with a querybank of `size` texts and as many pictures of the training sets, or itself for 0.

    Two thirds are of photographs, the rest of scenes with twins, where there are both: by whichever is missing,
    its own hubs would go unseen.
    """
    if not size:
        return network
    rng = np.random.default_rng(seed)
    scenes = [features for features in sets if bool((features.twins >= 0).any())]
    photographs = [features for features in sets if bool((features.twins < 0).all())]
    kinds = [kind for kind in (photographs, scenes) if kind]
    shares = [size] if len(kinds) == 1 else [size - size // 3, size // 3]
    texts = [
        _drawn(rng, [features.text_globals[features.true_texts] for features in kind], share)
        for kind, share in zip(kinds, shares, strict=True)
    ]
    pictures = [
        _drawn(rng, [features.image_globals for features in kind], share)
        for kind, share in zip(kinds, shares, strict=True)
    ]
    given = {name: value for name, value in network.state_dict().items() if not name.startswith("querybank.")}
    device = next(network.parameters()).device
    network = RelationNetwork(replace(network.config, querybank=size)).to(device)
    network.load_state_dict(given, strict=False)
    assert network.querybank is not None
    network.querybank.fill(torch.cat(texts).to(device), torch.cat(pictures).to(device))
    return network


def _drawn(rng: np.random.Generator, arrays: Sequence[Float32Array], count: int) -> Tensor:
    """(count, D) random rows of the arrays; some twice where there are not as many."""
    rows = np.concatenate(arrays)
    return torch.from_numpy(rows[rng.choice(len(rows), size=count, replace=len(rows) < count)])
