from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from vitr_toys import SquareEncoder, scene, twins

from boonart.training.vitr_batches import BatchSampler, Likeness, clumped, padded_texts
from boonart.training.vitr_features import encode_training_set
from boonart.training.vitr_steps import StepOptions, _offsets, candidate_pairs, role_loss
from boonart.vitr.config import VitrConfig
from boonart.vitr.model import RelationNetwork

PAIRS = [("red", "blue"), ("green", "white"), ("red", "white"), ("blue", "green")]


def toys(tmp_path, pictures=None):
    return encode_training_set(SquareEncoder(), "toys", pictures or twins(PAIRS), tmp_path)


def network_and_batch(tmp_path, pictures=None):
    """A small network for the toys, always the same, and eight of them."""
    features = toys(tmp_path, pictures)
    sizes = features.image_tokens.shape[2], features.text_tokens.shape[1]
    torch.manual_seed(0)
    network = RelationNetwork(VitrConfig(features.image_globals.shape[1], *sizes, embed_size=8))
    return network, next(BatchSampler(features, 8).epoch(np.random.default_rng(1)))


def test_an_epoch_shows_each_picture_once(tmp_path):
    features = toys(tmp_path)
    sampler = BatchSampler(features, 4)
    shown = [batch.image_globals for batch in sampler.epoch(np.random.default_rng(0))]
    assert len(shown) == len(sampler) == 2
    found = sorted(torch.cat(shown).tolist())
    assert found == sorted(features.image_globals.tolist())


def test_twins_share_a_batch_and_know_their_places(tmp_path):
    for batch in BatchSampler(toys(tmp_path), 4).epoch(np.random.default_rng(1)):
        assert bool((batch.twins >= 0).all())
        assert bool((batch.twins[batch.twins] == torch.arange(4)).all())


def test_false_texts_follow_the_true_ones(tmp_path):
    batch = next(BatchSampler(toys(tmp_path), 4).epoch(np.random.default_rng(1)))
    assert len(batch.texts.tokens) == 8
    twin_texts = batch.texts.tokens[batch.twins[batch.false_owners]]
    torch.testing.assert_close(batch.texts.tokens[4:], twin_texts)


def test_views_of_one_photograph_are_never_held_against_each_other(tmp_path):
    pictures = [replace(scene("red", "blue", -1), identity=7) for _ in range(4)]
    batch = next(BatchSampler(toys(tmp_path, pictures), 4).epoch(np.random.default_rng(1)))
    assert bool(batch.same.all())
    _, _, valid, _ = candidate_pairs(torch.randn(4, 4), batch, StepOptions(hard_negatives=2, false_texts=False))
    assert valid.sum(dim=1).tolist() == [1, 1, 1, 1]


def test_the_same_seed_gives_the_same_batches_and_skipped_ones_change_nothing(tmp_path):
    sampler = BatchSampler(toys(tmp_path), 2)
    whole = list(sampler.epoch(np.random.default_rng(3)))
    rest = list(sampler.epoch(np.random.default_rng(3), skip=2))
    assert len(rest) == len(whole) - 2
    torch.testing.assert_close(rest[0].image_tokens, whole[2].image_tokens)
    torch.testing.assert_close(rest[-1].texts.tokens, whole[-1].texts.tokens)


def test_texts_are_padded_at_the_end(tmp_path):
    features = toys(tmp_path)
    texts = padded_texts(features, [0, 3])
    assert texts.tokens.shape == (2, 4, 6)
    assert bool(texts.mask.all())


def test_candidates_are_the_true_pair_the_hardest_the_twin_and_the_false_text(tmp_path):
    batch = next(BatchSampler(toys(tmp_path), 8).epoch(np.random.default_rng(1)))
    texts, pictures, valid, by_picture = candidate_pairs(torch.randn(8, 8), batch, StepOptions(hard_negatives=2))
    own = torch.arange(8)
    assert bool((texts[:, 0] == own).all())
    assert bool((pictures[:, 0] == own).all())
    for row in range(8):
        for column in range(1, texts.shape[1]):
            if not valid[row, column]:
                continue
            text, picture = int(texts[row, column]), int(pictures[row, column])
            assert (text == row) != (picture == row)
            assert bool(by_picture[column]) == (picture == row)
        assert batch.twins[row] in pictures[row, valid[row]]
        assert batch.twins[row] in texts[row, valid[row]]


def test_each_part_of_the_role_loss_can_be_left_out(tmp_path):
    alone = [replace(picture, twin=-1) for picture in twins(PAIRS)]
    for pictures, expected in ((None, "twins"), (alone, "exchanged")):
        network, batch = network_and_batch(tmp_path / expected, pictures)
        options = StepOptions(hard_negatives=0, lists=0.0, exchanged=0.3)
        losses = role_loss(network, batch, options)
        assert set(losses) == {"grounding", "twins", "exchanged"}
        assert [name for name in ("twins", "exchanged") if losses[name].item() > 0] == [expected]
        only = role_loss(network, batch, replace(options, grounding=0.0, twins=0.0, exchanged=0.0, lists=1.0))
        assert set(only) == {"role"}


def test_role_tokens_learn_what_the_global_vectors_get_wrong(tmp_path):
    """Where the global vectors are right nothing is left to learn in lists, where they are wrong more than without."""
    network, batch = network_and_batch(tmp_path)
    options = StepOptions(hard_negatives=2, grounding=0.0, twins=0.0, false_texts=False, listed_scale=0.0)
    pictures, texts = torch.eye(8), torch.eye(8)

    def left_to_learn(scale, pictures):
        globals_ = replace(batch.texts, global_vectors=texts, tokens=batch.texts.tokens[:8], mask=batch.texts.mask[:8])
        seen = replace(batch, image_globals=pictures, texts=globals_, false_owners=batch.false_owners[:0])
        return role_loss(network, seen, replace(options, global_scale=scale))["role"].item()

    assert left_to_learn(50.0, pictures) < 1e-3 < left_to_learn(0.0, pictures) < left_to_learn(50.0, -pictures)


def test_offsets_are_what_strangers_score_and_where_a_pair_and_its_counterpart_meet():
    # the true pair, a stranger by the text, the twin's picture; a stranger by the picture, the twin's text, a false one
    by_picture = torch.tensor([False, False, False, True, True, True])
    valid = torch.tensor([[True, True, True, True, True, False]])
    centred = torch.tensor([[3.0, 0.0, -3.0, 0.0, -3.0, 99.0]])
    assert _offsets(centred, valid, by_picture).item() == 0
    assert _offsets(centred + 2, valid, by_picture).item() == 4  # each of the four lies 2 off


def test_centring_pulls_offsets_to_zero(tmp_path):
    network, batch = network_and_batch(tmp_path)
    torch.nn.init.constant_(network.role.score.bias, 5.0)
    only = StepOptions(hard_negatives=1, grounding=0.0, lists=0.0, twins=0.0, centring=1.0)
    optimiser = torch.optim.Adam(network.role.parameters(), lr=0.03)
    found = []
    for _ in range(40):
        (loss,) = role_loss(network, batch, only).values()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    assert found[0] > 10 > 1 > found[-1]


def asking(picture, *queries):
    """The picture with short queries beside its sentence, and what it shows: its two colours."""
    left, _, _, right = picture.captions[0].split()
    captions = (*picture.captions, *(text for text, _ in queries))
    asks = (frozenset[str](), *(frozenset(facts) for _, facts in queries))
    return replace(picture, captions=captions, asks=asks, facts=frozenset({left, right, picture.captions[0]}))


def test_a_short_query_is_not_held_against_pictures_that_show_what_it_asks_for(tmp_path):
    pictures = [
        replace(asking(scene("red", "blue", -1), ("red", {"red"})), false_captions=()),
        replace(asking(scene("red", "white", -1)), false_captions=()),
        replace(asking(scene("green", "white", -1)), false_captions=()),
    ]
    features = toys(tmp_path, pictures)
    for seed in range(20):
        batch = next(BatchSampler(features, 3).epoch(np.random.default_rng(seed)))
        words = batch.texts.mask.sum(dim=1)
        asked = int(words.argmin())
        if words[asked] > 1:
            continue
        shows_red = [features.is_true(1, row) for row in range(3)]
        assert shows_red == [True, True, False]
        assert sorted(batch.same[asked].tolist()) == [False, True, True]
        assert batch.same.sum() == 4
        return
    raise AssertionError("the short query was never drawn")


def test_a_twin_of_which_the_same_words_are_true_is_no_lesson(tmp_path):
    sides = [asking(picture, ("red blue", {"red", "blue"})) for picture in twins([("red", "blue")])]
    features = toys(tmp_path, sides)
    counts = set()
    for seed in range(20):
        batch = next(BatchSampler(features, 2).epoch(np.random.default_rng(seed)))
        options = StepOptions(hard_negatives=1, false_texts=False)
        _, _, valid, _ = candidate_pairs(torch.randn(2, 2), batch, options)
        short = int(batch.texts.mask[0].sum()) == 2
        assert bool(batch.same.all()) == short
        counts.add((short, int(valid[:, 1:].sum())))
    assert counts == {(True, 0), (False, 4)}


def test_clumps_hold_what_is_alike_and_everything_once():
    rng = np.random.default_rng(0)
    centres = np.eye(4, dtype=np.float32).repeat(6, axis=0)
    vectors = centres + 0.01 * rng.standard_normal(centres.shape).astype(np.float32)
    order = clumped(vectors, vectors, rng.permutation(24), 6, rng)
    assert sorted(order.tolist()) == list(range(24))
    assert all(len({place // 6 for place in order[start : start + 6]}) == 1 for start in range(0, 24, 6))


def test_who_asks_for_a_clump_stands_in_it_whatever_is_nearer_to_what_it_asks():
    rng = np.random.default_rng(0)
    vectors = np.eye(4, dtype=np.float32).repeat(2, axis=0)
    asked = np.roll(vectors, 2, axis=0)  # each asks for what others are
    order = clumped(asked, vectors, rng.permutation(8), 3, rng)
    assert sorted(order.tolist()) == list(range(8))


def test_a_clump_is_of_what_a_search_would_mistake_for_each_other(tmp_path):
    """Two scenes' global vectors lie where the other one's text points: said otherwise, seen as one."""
    pairs = [("red", "red"), ("blue", "blue"), ("green", "green"), ("white", "white")]
    features = toys(tmp_path, [scene(*pair, -1) for pair in pairs])
    features = replace(features, image_globals=features.image_globals[[1, 0, 3, 2]])
    texts = features.text_globals[features.true_texts]
    for seed in range(5):
        sampler = BatchSampler(features, 2, alike=2, likeness=Likeness.MISTAKEN)
        for batch in sampler.epoch(np.random.default_rng(seed)):
            seen = {int(row) for row in (batch.image_globals @ torch.from_numpy(texts).T).argmax(dim=1)}
            assert seen in ({0, 1}, {2, 3})


def test_a_grounding_score_counts_in_lists_as_much_as_is_said(tmp_path):
    network, batch = network_and_batch(tmp_path)
    options = StepOptions(hard_negatives=2, twins=0.0, false_texts=False)

    def losses(**changes):
        return {
            name: round(loss.item(), 5) for name, loss in role_loss(network, batch, replace(options, **changes)).items()
        }

    torch.manual_seed(0)
    plain = losses()
    torch.manual_seed(0)
    assert losses(listed_scale=20.0) == plain
    torch.manual_seed(0)
    changed = losses(listed_scale=2.0)
    assert changed["grounding"] == plain["grounding"]
    assert changed["role"] != plain["role"]


@pytest.mark.parametrize("likeness", Likeness)
def test_batches_of_clumps_show_each_picture_once_and_keep_twins_together(tmp_path, likeness):
    features = toys(tmp_path)
    shown = list(BatchSampler(features, 4, alike=4, likeness=likeness).epoch(np.random.default_rng(0)))
    assert sorted(torch.cat([batch.image_globals for batch in shown]).tolist()) == sorted(
        features.image_globals.tolist()
    )
    assert all(bool((batch.twins >= 0).all()) for batch in shown)
