from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from boonart.vitr.config import RoleConfig
from boonart.vitr.role import RoleHead, inner_products

CONFIG = RoleConfig(size=8, layers=2, attention_heads=2, feed_forward=12, max_words=6)


def inputs(pictures: int = 3, texts: int = 3, words: int = 5):
    mask = torch.ones(texts, words, dtype=torch.bool)
    mask[0, 3:] = False
    return torch.randn(pictures, 49, 8), torch.randn(texts, words, 8), mask


def test_the_grounding_matrix_is_the_score_of_every_pair():
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    torch.nn.init.normal_(head.word_weight.weight)
    torch.nn.init.normal_(head.region_weight.weight)
    regions, words, mask = inputs(pictures=2)
    matrix, cosines = head.grounding_matrix(head.view_regions(regions), head.view_words(words, mask))
    expected = inner_products(
        torch.nn.functional.normalize(words, dim=-1)[1:2], torch.nn.functional.normalize(regions, dim=-1)[1:]
    )
    torch.testing.assert_close(cosines.pairs(torch.tensor([1]), torch.tensor([1])), expected)
    for text in range(3):
        for picture in range(2):
            _, score = head(regions[picture][None], words[text][None], mask[text][None])
            assert float(matrix[text, picture]) == pytest.approx(float(score), abs=1e-5)


def test_padded_words_change_nothing():
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    regions, words, mask = inputs()
    other = words.clone()
    other[0, 3:] = 9.0
    for found, expected in zip(head(regions, other, mask), head(regions, words, mask), strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(head(regions[:1], words[:1, :3], mask[:1, :3]), head(regions, words, mask), strict=True):
        torch.testing.assert_close(found, expected[:1])


@pytest.mark.parametrize(("pictures", "texts"), [(4, 1), (1, 4)])
def test_one_query_against_many_is_the_same_as_pair_by_pair(pictures, texts):
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    regions, words, mask = inputs(pictures, texts)
    together = head(regions, words, mask)
    for row in range(4):
        alone = head(regions[row % pictures][None], words[row % texts][None], mask[row % texts][None])
        torch.testing.assert_close(together[0][row : row + 1], alone[0])
        torch.testing.assert_close(together[1][row : row + 1], alone[1])


@pytest.mark.parametrize("similarity", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("seen", [False, True])
def test_pictures_with_summaries_score_as_without(similarity, pooled, seen):
    config = replace(CONFIG, similarity=similarity, pooled=pooled, seen=seen)
    head = RoleHead(8, config).eval().requires_grad_(False)
    for weight in (head.word_weight, head.region_weight):
        torch.nn.init.normal_(weight.weight)
    regions, words, mask = inputs(4, 1)
    regions[3] = 0.0  # a picture whose gates are all shut
    mask[:] = True
    grounded = head.ground_pictures(regions, head.summarise(regions), words[0])
    role, grounding = head(regions, words, mask)
    torch.testing.assert_close(grounded.found.scores, grounding, atol=1e-5, rtol=1e-5)
    chosen = torch.tensor([3, 1])
    torch.testing.assert_close(head.judge_pictures(grounded, regions, chosen), role[chosen], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("similarity", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("neighbours", [False, True])
def test_texts_in_two_steps_score_as_in_one(similarity, pooled, neighbours):
    config = replace(CONFIG, similarity=similarity, pooled=pooled, neighbours=neighbours)
    head = RoleHead(8, config).eval().requires_grad_(False)
    regions, words, mask = inputs(1, 4)
    grounded = head.ground_texts(regions[0], words, mask)
    role, grounding = head(regions, words, mask)
    torch.testing.assert_close(grounded.found.scores, grounding)
    chosen = torch.tensor([3, 1])
    torch.testing.assert_close(head.judge_texts(grounded, chosen), role[chosen])


def test_attention_is_a_distribution_over_the_regions():
    regions, words, _ = inputs()
    attention = RoleHead(8, CONFIG).attention(inner_products(words, regions)).detach()
    torch.testing.assert_close(attention.sum(dim=2), torch.ones(3, 5))


def test_it_sees_where_things_are_and_the_same_head_without_position_does_not():
    regions, words, mask = inputs()
    mirrored = regions.view(3, 7, 7, 8).flip(2).reshape(3, 49, 8)
    seeing = RoleHead(8, CONFIG).eval().requires_grad_(False)
    blind = RoleHead(8, replace(CONFIG, position=False, word_map=False)).eval().requires_grad_(False)
    assert not torch.allclose(seeing(regions, words, mask)[0], seeing(mirrored, words, mask)[0], atol=1e-4)
    torch.testing.assert_close(blind(regions, words, mask)[0], blind(mirrored, words, mask)[0])


def test_a_filters_gate_does_not_change_what_it_sees():
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    regions, words, mask = inputs()
    gated = regions * torch.rand(3, 49, 1).clamp(min=0.1)
    for found, expected in zip(head(gated, words, mask), head(regions, words, mask), strict=True):
        torch.testing.assert_close(found, expected)


def test_sentences_longer_than_the_places_are_read():
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    regions, words = torch.randn(1, 49, 8), torch.randn(1, 500, 8)
    role, grounding = head(regions, words, torch.ones(1, 500, dtype=torch.bool))
    assert bool(role.isfinite())
    assert bool(grounding.isfinite())


@pytest.mark.parametrize("option", ["word_content", "position", "word_map", "seen", "agreement", "similarity"])
def test_each_option_takes_its_piece_away(option):
    regions, words, mask = inputs()
    torch.manual_seed(2)
    whole = RoleHead(8, replace(CONFIG, similarity=True)).eval().requires_grad_(False)
    without = RoleHead(8, replace(CONFIG, **{"similarity": True, option: False})).eval().requires_grad_(False)
    without.load_state_dict({k: v for k, v in whole.state_dict().items() if k in without.state_dict()})
    assert sum(p.numel() for p in without.parameters()) < sum(p.numel() for p in whole.parameters())
    assert not torch.allclose(whole(regions, words, mask)[0], without(regions, words, mask)[0], atol=1e-5)


def test_neighbours_lean_to_what_comes_before_and_what_comes_after():
    config = replace(CONFIG, neighbour_heads=1)
    head = RoleHead(8, config).eval().requires_grad_(False)
    assert head.neighbours is not None
    for layer in (head.neighbours.ask, head.neighbours.offer):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    _, words, mask = inputs()
    neighbours = head.view_words(words, mask).neighbours
    assert neighbours is not None
    torch.testing.assert_close(neighbours.looks.sum(dim=3), torch.ones(3, 2, 5))
    before, after = neighbours.looks[1]
    assert before[2, :2].sum() > 0.8
    assert after[2, 3:].sum() > 0.8
    assert neighbours.looks[0, :, :, 3:].abs().max() < 1e-6, "padding is nobody's neighbour"


def test_what_a_word_says_of_its_neighbours_hangs_on_what_they_found():
    head = RoleHead(8, CONFIG).eval().requires_grad_(False)
    assert head.neighbours is not None
    _, words, mask = inputs()
    neighbours = head.view_words(words, mask).neighbours
    assert neighbours is not None
    looked = torch.randn(3, 5, 8)
    told = head.neighbours(neighbours, looked)
    assert not torch.allclose(told, head.neighbours(neighbours, looked.flip(1)), atol=1e-4)


def test_the_whole_counts_in_the_grounding_score_only_when_asked_for():
    torch.manual_seed(0)
    with_whole = RoleHead(8, CONFIG).eval().requires_grad_(False)
    without = RoleHead(8, replace(CONFIG, pooled=False)).eval().requires_grad_(False)
    without.load_state_dict(with_whole.state_dict())
    regions, words, mask = inputs()
    whole = (with_whole.view_words(words, mask).pooled * with_whole.view_regions(regions).pooled).sum(dim=1)
    torch.testing.assert_close(with_whole(regions, words, mask)[1] - without(regions, words, mask)[1], whole)
