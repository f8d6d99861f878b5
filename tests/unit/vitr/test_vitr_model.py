"""Each published layer against a slow and plain re-computation from the published description."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from vitr_fakes import TINY

from boonart.vitr.config import PAPER, VitrConfig
from boonart.vitr.model import GraphAggregation, PublishedHead, RelationalGraphFilter, RelationNetwork, reason

Weights = dict[str, np.ndarray]


def weights_of(module: torch.nn.Module) -> Weights:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def linear(weights: Weights, name: str, rows: np.ndarray) -> np.ndarray:
    return np.stack([weights[f"{name}.weight"] @ row + weights[f"{name}.bias"] for row in rows])


def sigmoid(value):
    return 1.0 / (1.0 + np.exp(-value))


def plain_filter(weights: Weights, regions: np.ndarray) -> np.ndarray:
    """One picture's regions (R, E), batch norm by its running statistics."""
    theta = np.tanh(linear(weights, "theta", regions))
    phi = np.tanh(linear(weights, "phi", regions))
    count = len(regions)
    affinity = np.array([[theta[i] @ phi[j] for j in range(count)] for i in range(count)])
    both = np.vstack([affinity.T, affinity])
    convolved = weights["relate.weight"][:, :, 0] @ both
    centred = (convolved - weights["norm.running_mean"][:, None]) / np.sqrt(weights["norm.running_var"][:, None] + 1e-5)
    relations = np.tanh(weights["norm.weight"][:, None] * centred + weights["norm.bias"][:, None])
    summary = np.tanh(linear(weights, "summarise", regions))
    gates = [
        sigmoid(np.tanh(linear(weights, "gate", np.concatenate([summary[row], relations[row]])[None])[0, 0]))
        for row in range(count)
    ]
    return np.stack([gate * region for gate, region in zip(gates, regions, strict=True)])


def plain_contexts(regions: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    affinity = np.array([[region @ word for word in words] for region in regions])  # (R, T)
    affinity = np.where(affinity > 0, affinity, 0.1 * affinity)
    rows = np.stack([row / (math.sqrt((row**2).sum()) + 1e-8) for row in affinity])
    attention = []
    for place in range(len(words)):
        powers = np.exp(12.0 * rows[:, place])
        attention.append(powers / powers.sum())
    contexts = [sum(a * region for a, region in zip(row, regions, strict=True)) for row in attention]
    return np.stack(contexts), np.stack(attention)


def plain_aggregation(weights: Weights, nodes: np.ndarray) -> np.ndarray:
    query, key = linear(weights, "query", nodes), linear(weights, "key", nodes)
    edges = np.array([[sigmoid(q @ k) for k in key] for q in query])
    return np.tanh(linear(weights, "update", edges @ nodes)) + nodes


def plain_gru(weights: Weights, sequence: np.ndarray) -> np.ndarray:
    size = sequence.shape[1]
    state = np.zeros(size)
    for value in sequence:
        given = weights["fuse.weight_ih_l0"] @ value + weights["fuse.bias_ih_l0"]
        kept = weights["fuse.weight_hh_l0"] @ state + weights["fuse.bias_hh_l0"]
        reset = sigmoid(given[:size] + kept[:size])
        update = sigmoid(given[size : 2 * size] + kept[size : 2 * size])
        new = np.tanh(given[2 * size :] + reset * kept[2 * size :])
        state = (1.0 - update) * new + update * state
    return state


def plain_head(head: PublishedHead, regions, words, image_global, text_global, *, with_global: bool) -> float:
    weights = weights_of(head)
    contexts, _ = plain_contexts(regions, words)
    nodes = linear(weights, "local_similarity", (words - contexts) ** 2)
    if with_global:
        overall = linear(weights, "global_similarity", ((text_global - image_global) ** 2)[None])
        nodes = np.vstack([overall, nodes])
    nodes = nodes / (np.abs(nodes).sum(axis=1, keepdims=True) + 1e-8)
    for aggregation in head.aggregations:
        nodes = plain_aggregation(weights_of(aggregation), nodes)
    return float(linear(weights, "score", plain_gru(weights, nodes)[None])[0, 0])


def stirred(network: torch.nn.Module) -> torch.nn.Module:
    """Biases and batch statistics away from their neutral values, so that a forgotten one shows."""
    for name, value in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            torch.nn.init.normal_(value, std=0.3)
        elif name.endswith("running_var"):
            torch.nn.init.uniform_(value, 0.5, 20.0)
    return network.double().eval().requires_grad_(False)


def test_the_filter_is_the_published_one():
    layer = stirred(RelationalGraphFilter(8))
    regions = torch.randn(3, 49, 8, dtype=torch.float64)
    expected = np.stack([plain_filter(weights_of(layer), picture) for picture in regions.numpy()])
    np.testing.assert_allclose(layer(regions).detach().numpy(), expected, atol=1e-10)


def test_the_reasoner_is_the_published_one():
    regions, words = torch.randn(2, 49, 8).double(), torch.randn(2, 4, 8).double()
    contexts, attention = reason(regions, words, torch.ones(2, 4, dtype=torch.bool))
    for row in range(2):
        expected, weights = plain_contexts(regions[row].numpy(), words[row].numpy())
        np.testing.assert_allclose(contexts[row].numpy(), expected, atol=1e-10)
        np.testing.assert_allclose(attention[row].numpy(), weights, atol=1e-10)


def test_the_aggregation_is_the_published_one():
    layer = stirred(GraphAggregation(5))
    nodes = torch.randn(1, 6, 5).double()
    expected = plain_aggregation(weights_of(layer), nodes[0].numpy())
    found = layer(nodes, torch.ones(1, 6, dtype=torch.bool))
    np.testing.assert_allclose(found[0].detach().numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("with_global", [True, False])
def test_the_head_is_the_published_one(with_global):
    network = stirred(RelationNetwork(TINY))
    regions, words = torch.randn(1, 49, 8).double(), torch.randn(1, 4, 8).double()
    image_global, text_global = torch.randn(2, 1, 6).double()
    found = network.vitr(
        regions, words, torch.ones(1, 4, dtype=torch.bool), image_global, text_global, with_global=with_global
    )
    expected = plain_head(
        network.vitr,
        regions[0].numpy(),
        words[0].numpy(),
        image_global[0].numpy(),
        text_global[0].numpy(),
        with_global=with_global,
    )
    assert float(found) == pytest.approx(expected, abs=1e-10)


def test_the_whole_network_of_the_papers_sizes():
    config = replace(PAPER, filters=1)  # all four would only make the test slow; they are the same layer
    network = stirred(RelationNetwork(config))
    image_tokens, text_tokens = torch.randn(1, 49, 2048).double(), torch.randn(1, 3, 768).double()
    image_global, text_global = torch.nn.functional.normalize(torch.randn(2, 1, 768).double(), dim=2)
    with torch.inference_mode():
        regions, words = network.regions(image_tokens), network.words(text_tokens)
        found = network.vitr(regions, words, torch.ones(1, 3, dtype=torch.bool), image_global, text_global)
    own = weights_of(network)
    plain_regions = plain_filter(
        weights_of(network.filters[0]), linear(own, "project_regions", image_tokens[0].numpy())
    )
    plain_words = linear(own, "project_words", text_tokens[0].numpy())
    expected = plain_head(
        network.vitr, plain_regions, plain_words, image_global[0].numpy(), text_global[0].numpy(), with_global=True
    )
    assert regions.shape == (1, 49, 2048)
    np.testing.assert_allclose(regions[0].numpy(), plain_regions, atol=1e-8)
    assert float(found) == pytest.approx(expected, abs=1e-8)


def test_the_papers_configuration_has_the_papers_layers():
    assert (PAPER.embed_size, PAPER.similarity_size, PAPER.filters, PAPER.aggregations) == (2048, 128, 4, 3)
    network = RelationNetwork(replace(PAPER, embed_size=16, image_token_size=4, text_token_size=4))
    assert network.role is None
    assert len(network.filters) == 4
    assert len(network.vitr.aggregations) == 3
    assert isinstance(network.vitr.fuse, torch.nn.GRU)


def test_initial_weights_are_as_published():
    network = RelationNetwork(VitrConfig(6, 400, 7, embed_size=200, similarity_size=50, role=None)).requires_grad_(
        False
    )
    bound = math.sqrt(6.0 / (400 + 200))  # Xavier
    assert float(network.project_regions.weight.abs().max()) == pytest.approx(bound, rel=0.01)
    bound = math.sqrt(6.0 / 200)  # Kaiming, fan in
    assert float(network.filters[0].theta.weight.abs().max()) == pytest.approx(bound, rel=0.01)
    bound = math.sqrt(6.0 / 100)
    assert float(network.vitr.aggregations[0].query.weight.abs().max()) == pytest.approx(bound, rel=0.02)
    assert float(network.filters[0].theta.bias.abs().max()) == 0.0
    assert bool((network.filters[0].norm.weight == 1).all())


def test_padded_words_change_nothing():
    network = RelationNetwork(TINY).eval()
    regions, words = torch.randn(2, 49, 8), torch.randn(2, 5, 8)
    image_global, text_global = torch.randn(2, 2, 6)
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    together = network.vitr(regions, words, mask, image_global, text_global)
    alone = network.vitr(regions[:1], words[:1, :3], mask[:1, :3], image_global[:1], text_global[:1])
    other = words.clone()
    other[0, 3:] = 100.0
    torch.testing.assert_close(together[:1], alone)
    torch.testing.assert_close(network.vitr(regions, other, mask, image_global, text_global), together)


@pytest.mark.parametrize("query", ["text", "picture"])
def test_one_query_against_many_is_the_same_as_pair_by_pair(query):
    network = RelationNetwork(TINY).eval()
    pictures, texts = (4, 1) if query == "text" else (1, 4)
    regions, words = torch.randn(pictures, 49, 8), torch.randn(texts, 5, 8)
    image_global, text_global = torch.randn(pictures, 6), torch.randn(texts, 6)
    mask = torch.ones(texts, 5, dtype=torch.bool)
    together = network.vitr(regions, words, mask, image_global, text_global)
    one_by_one = [
        network.vitr(
            regions[row % pictures][None],
            words[row % texts][None],
            mask[:1],
            image_global[row % pictures][None],
            text_global[row % texts][None],
        )
        for row in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(one_by_one))
