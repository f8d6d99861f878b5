"""VITR's weights under its authors' names, as their training would save them."""

import torch

from boonart.vitr.model import RelationNetwork

FILTER = {"theta": "theta.0", "phi": "phi.0", "relate": "W1.0", "norm": "W1.1", "summarise": "W2.0", "gate": "W3.0"}
AGGREGATION = {"query": "query_w.0", "key": "key_w.0", "update": "sim_w.0"}
SINGLE = {"local_similarity": "rr_w", "global_similarity": "clip_w", "fuse": "rnn", "score": "sim_w"}
Weights = dict[str, torch.Tensor]


def in_authors_layout(network: RelationNetwork) -> tuple[Weights, Weights, Weights]:
    """State dicts of image, text and similarity encoder, with what their files hold besides."""
    own = network.state_dict()
    similarity = {}
    for name, value in own.items():
        parts = name.split(".")
        if parts[0] == "filters":
            similarity[f"RelationalGraphFilter{int(parts[1]) + 1}.{FILTER[parts[2]]}.{parts[3]}"] = value
        elif name.startswith("vitr.aggregations"):
            similarity[f"GraphAggregating{int(parts[2]) + 1}.{AGGREGATION[parts[3]]}.{parts[4]}"] = value
        elif parts[0] == "vitr":
            similarity[f"{SINGLE[parts[1]]}.{parts[2]}"] = value
    for leaf in ("weight", "bias"):  # a fourth round that their forward pass does not use
        for part in AGGREGATION.values():
            similarity[f"GraphAggregating4.{part}.{leaf}"] = torch.zeros(5)
    image = {f"module.fc.{leaf}": own[f"project_regions.{leaf}"] for leaf in ("weight", "bias")}
    image["module.clip.visual.proj"] = torch.zeros(8, 8)
    text = {f"fc.{leaf}": own[f"project_words.{leaf}"] for leaf in ("weight", "bias")}
    return image, text, similarity
