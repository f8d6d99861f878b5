from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from vitr_fakes import TINY, FakeSource, candidate, image, reranker, text

from boonart.errors import InvalidQuery, InvalidRequest, ModelError, ModelMismatch
from boonart.ports import Features, Reranker, RerankRequest
from boonart.vitr.mixture import SHORT, Direction, Mixtures, untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.works import Ranker

RANKERS = [Ranker.LATE, Ranker.VITR, Ranker.ROLE]


async def gallery(source: FakeSource, rng, count: int = 5):
    """A reranker over `count` pictures and descriptions of 1 to `count` words."""
    ranks = reranker(source)
    images, texts = [image(rng) for _ in range(count)], [text(rng, 1 + n) for n in range(count)]
    regions, words = await ranks.prepare_images(images), await ranks.prepare_texts(texts)
    for n in range(count):
        vector = images[n].global_vector.astype(np.float16)
        source.stored["image", str(n)] = Features(f"hash-{n}", vector, regions[n])
        vector = texts[n].global_vector.astype(np.float16)
        source.stored["description", str(n)] = Features(f"hash-{n}", vector, words[n], texts[n].words)
    return ranks, images, texts


def request(query, count: int = 5, **options) -> RerankRequest:
    return RerankRequest("c", query, [candidate(str(n), 1.0 - n / 10) for n in range(count)], **options)


async def test_it_is_a_reranker():
    assert isinstance(reranker(FakeSource()), Reranker)


async def test_what_is_prepared_has_the_stored_form(rng):
    ranks = reranker(FakeSource())
    regions = await ranks.prepare_images([image(rng), image(rng)])
    words = await ranks.prepare_texts([text(rng, 3), text(rng, 1)])
    assert [array.shape for array in regions] == [(49, 8), (49, 8)]
    assert [array.shape for array in words] == [(3, 8), (1, 8)]
    assert {array.dtype for array in (*regions, *words)} == {np.dtype(np.float16)}
    assert await ranks.prepare_images([]) == []
    assert await ranks.prepare_texts([]) == []


@pytest.mark.parametrize("ranker", RANKERS)
@pytest.mark.parametrize("side", ["text", "picture"])
async def test_a_batch_scores_like_one_candidate_after_the_other(rng, ranker, side):
    source = FakeSource()
    ranks, images, texts = await gallery(source, rng)
    query = texts[3] if side == "text" else images[3]
    together = {s.point_id: s for s in await ranks.rerank(request(query, ranker=ranker))}
    assert len(together) == 5
    for n in range(5):
        alone = await ranks.rerank(replace(request(query, ranker=ranker), candidates=[candidate(str(n))]))
        assert alone[0].score == pytest.approx(together[str(n)].score, abs=1e-5)
        assert alone[0].relation_score == pytest.approx(together[str(n)].relation_score, abs=1e-5)


@pytest.mark.parametrize("ranker", RANKERS)
async def test_best_first(rng, ranker):
    ranks, _, texts = await gallery(FakeSource(), rng)
    scores = [s.score for s in await ranks.rerank(request(texts[1], ranker=ranker))]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 5


async def test_warm_queries_fetch_nothing(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    first = await ranks.rerank(request(texts[1]))
    assert sorted(source.asked) == ["0", "1", "2", "3", "4"]
    assert await ranks.rerank(request(texts[1])) == first
    assert len(source.asked) == 5


async def test_a_bank_without_room_gives_the_same_scores(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    cold = reranker(source, bank_bytes=0)
    expected = await ranks.rerank(request(texts[2]))
    found = await cold.rerank(request(texts[2]))
    assert [s.point_id for s in found] == [s.point_id for s in expected]
    assert [s.score for s in found] == pytest.approx([s.score for s in expected], abs=1e-5)


async def test_descriptions_in_several_blocks_score_as_in_one(rng, monkeypatch):
    ranks, images, _ = await gallery(FakeSource(), rng)
    expected = await ranks.rerank(request(images[1]))
    monkeypatch.setattr("boonart.vitr.scoring.WORDS_BLOCK", 2)
    found = await ranks.rerank(request(images[1]))
    assert [s.point_id for s in found] == [s.point_id for s in expected]
    assert [s.score for s in found] == pytest.approx([s.score for s in expected], abs=1e-5)


@pytest.mark.parametrize("side", ["text", "image"])
@pytest.mark.parametrize("block", [2, 256])
@pytest.mark.parametrize("depth", [1, 3])
async def test_the_role_head_judges_those_that_all_else_puts_first(rng, monkeypatch, side, block, depth):
    monkeypatch.setattr("boonart.vitr.scoring.WORDS_BLOCK", block)
    monkeypatch.setattr("boonart.vitr.scoring.SCORE_BLOCK", block)
    source = FakeSource()
    ranks, images, texts = await gallery(source, rng, 7)
    query = texts[3] if side == "text" else images[3]
    weights = ranks._mixtures.of(Ranker.ROLE, Direction.of(query)).weights
    whole = {s.point_id: s for s in await ranks.rerank(request(query, 7))}
    network = ranks._network
    torch.nn.init.zeros_(network.role.score.weight)
    torch.nn.init.zeros_(network.role.score.bias)
    firsts = await ranks.rerank(request(query, 7))  # nobody's role counts
    cascade = reranker(source, depth=depth)
    found = await cascade.rerank(request(query, 7))
    assert weights["role"]
    judged = {s.point_id for s in firsts[:depth]}
    assert {s.point_id for s in found[:depth]} == judged
    for score in found[:depth]:
        assert score.score == pytest.approx(whole[score.point_id].score, abs=1e-5)
    assert [s.point_id for s in found[depth:]] == [s.point_id for s in firsts[depth:]]
    assert found[depth].score <= found[depth - 1].score


async def test_who_was_not_judged_keeps_the_score_that_is_low_enough(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    torch.nn.init.constant_(ranks._network.role.score.bias, 100.0)
    found = await reranker(source, depth=2, network=ranks._network).rerank(request(texts[3]))
    torch.nn.init.zeros_(ranks._network.role.score.weight)
    torch.nn.init.zeros_(ranks._network.role.score.bias)
    firsts = await ranks.rerank(request(texts[3]))
    assert [s.score for s in found[2:]] == pytest.approx([s.score for s in firsts[2:]], abs=1e-5)


async def test_candidates_without_features_come_last_in_their_global_order(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    for name in ("0", "2"):
        del source.stored["image", name]
    found = await ranks.rerank(request(texts[1]))
    assert [s.point_id for s in found][3:] == ["0", "2"]
    assert all(a.score > b.score for a, b in itertools.pairwise(found))
    assert found[-1].relation_score is None


async def test_no_candidate_with_features_at_all(rng):
    found = await reranker(FakeSource()).rerank(request(text(rng, 2)))
    assert [s.point_id for s in found] == ["0", "1", "2", "3", "4"]


async def test_no_candidates(rng):
    assert await reranker(FakeSource()).rerank(request(text(rng, 2), 0)) == []


async def test_default_is_what_the_weights_say(rng):
    ranks, _, texts = await gallery(FakeSource(), rng)
    assert await ranks.rerank(request(texts[0])) == await ranks.rerank(request(texts[0], ranker=Ranker.ROLE))


async def test_a_ranker_that_the_weights_lack_is_refused(rng):
    source = FakeSource()
    ranks = reranker(source, config=replace(TINY, role=None))
    with pytest.raises(InvalidRequest, match="no ranker 'role'"):
        await ranks.rerank(request(text(rng, 2), ranker=Ranker.ROLE))


@pytest.mark.parametrize("ranker", RANKERS)
async def test_each_word_of_the_query_is_explained(rng, ranker):
    ranks, _, texts = await gallery(FakeSource(), rng)
    found = await ranks.rerank(request(texts[3], ranker=ranker, explain=True))
    for score in found:
        assert [m.word for m in score.explanation] == list(texts[3].words)
        for word_map in score.explanation:
            assert word_map.weights.shape == (7, 7)
            assert word_map.weights.dtype == np.float32
            assert float(word_map.weights.sum()) == pytest.approx(1.0, abs=1e-5)


async def test_a_picture_explains_itself_by_the_descriptions_words(rng):
    ranks, images, texts = await gallery(FakeSource(), rng)
    for score in await ranks.rerank(request(images[0], explain=True)):
        assert [m.word for m in score.explanation] == list(texts[int(score.point_id)].words)


@pytest.mark.parametrize("words", [1, 500])
async def test_one_word_and_five_hundred(rng, words):
    source = FakeSource()
    ranks, images, _ = await gallery(source, rng)
    long = text(rng, words)
    stored = (await ranks.prepare_texts([long]))[0]
    source.stored["description", "long"] = Features("hash-long", long.global_vector.astype(np.float16), stored)
    by_text = await ranks.rerank(request(long))
    by_picture = await ranks.rerank(replace(request(images[0]), candidates=[candidate("long"), candidate("1")]))
    assert all(np.isfinite(score.score) for score in (*by_text, *by_picture))


async def test_a_text_without_words_is_refused(rng):
    with pytest.raises(InvalidQuery, match="no word"):
        await reranker(FakeSource()).rerank(request(text(rng, 0)))


async def test_features_of_another_size_are_refused(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    wrong = source.stored["image", "2"]
    source.stored["image", "2"] = replace(wrong, tokens=np.zeros((49, 9), dtype=np.float16))
    with pytest.raises(ModelMismatch, match="boonart reindex c"):
        await ranks.rerank(request(texts[0]))


async def test_features_that_are_not_numbers_are_refused(rng):
    source = FakeSource()
    ranks, images, texts = await gallery(source, rng)
    source.stored["image", "2"].tokens[3, 3] = np.nan
    with pytest.raises(ModelError, match="point 2"):
        await ranks.rerank(request(texts[0]))
    images[0].tokens[0, 0] = np.inf
    with pytest.raises(ModelError, match="not numbers"):
        await ranks.prepare_images(images)
    texts[0].global_vector[0] = np.nan
    with pytest.raises(ModelError, match="not numbers"):
        await ranks.rerank(request(texts[0]))


async def test_another_encoders_tokens_are_refused(rng):
    ranks = reranker(FakeSource())
    other = replace(TINY, image_token_size=11, text_token_size=9)
    for call in (
        ranks.prepare_images([image(rng, other)]),
        ranks.prepare_texts([text(rng, 2, other)]),
        ranks.rerank(request(text(rng, 2, replace(TINY, global_size=9)))),
    ):
        with pytest.raises(ModelMismatch, match="fake-encoder"):
            await call


async def test_relevance_follows_the_calibration(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    assert all(s.relevance is None for s in await ranks.rerank(request(texts[0])))
    values = ranks._mixtures.as_dict()
    for mixture in values["rankers"]["role"].values():
        mixture.update(slope=2.0, offset=-1.0)
    ranks._mixtures = Mixtures.from_dict(values)
    for score in await ranks.rerank(request(texts[0])):
        expected = float(torch.sigmoid(torch.tensor(2.0 * score.score - 1.0)))
        assert score.relevance == pytest.approx(expected, abs=1e-5)


async def test_a_short_query_is_weighed_as_short_ones_are(rng):
    source = FakeSource()
    ranks, _, _ = await gallery(source, rng)
    short, other = text(rng, SHORT), text(rng, SHORT + 1)
    plain = [await ranks.rerank(request(query)) for query in (short, other)]
    values = ranks._mixtures.as_dict()
    values["rankers"]["role"]["short_text_to_image"]["weights"]["global"] = 3.0
    ranks._mixtures = Mixtures.from_dict(values)
    tripled, same = [await ranks.rerank(request(query)) for query in (short, other)]
    assert same == plain[1]
    assert {s.point_id: s.score for s in tripled} == pytest.approx(
        {s.point_id: s.score + 2.0 * (s.score - s.relation_score) for s in plain[0]}, abs=1e-5
    )


async def test_weights_without_a_mixture_for_short_queries_use_the_other(rng):
    source = FakeSource()
    ranks, _, _ = await gallery(source, rng)
    values = ranks._mixtures.as_dict()
    expected = await ranks.rerank(request(query := text(rng, 2)))
    del values["rankers"]["role"]["short_text_to_image"]
    ranks._mixtures = Mixtures.from_dict(values)
    assert await ranks.rerank(request(query)) == expected


def with_querybank(source: FakeSource, weight: float, **calibration: float):
    network = RelationNetwork(replace(TINY, querybank=4))
    network.querybank.fill(*torch.nn.functional.normalize(torch.randn(2, 4, 6), dim=2))
    values = untrained_mixtures(with_role=True).as_dict()
    for mixture in values["rankers"]["role"].values():
        mixture["weights"]["distinctness"] = weight
        mixture.update(calibration)
    return reranker(source, network=network, mixtures=Mixtures.from_dict(values))


@pytest.mark.parametrize("side", ["text", "image"])
@pytest.mark.parametrize("bank_bytes", [0, 1_000_000])
async def test_a_candidates_popularity_is_held_against_it(rng, side, bank_bytes):
    source = FakeSource()
    _, images, texts = await gallery(source, rng)
    query = texts[3] if side == "text" else images[3]
    torch.manual_seed(5)
    plain, weighed = with_querybank(source, 0.0), with_querybank(source, 2.0)
    weighed._network.load_state_dict(plain._network.state_dict())
    before = {s.point_id: s for s in await plain.rerank(request(query))}
    candidates = [source.stored["image" if side == "text" else "description", str(n)] for n in range(5)]
    vectors = torch.from_numpy(np.stack([features.global_vector for features in candidates])).float()
    bank = plain._network.querybank
    popularity = bank.of_pictures(vectors) if side == "text" else bank.of_texts(vectors)
    for score in await weighed.rerank(request(query)):
        difference = before[score.point_id].score - score.score
        assert difference == pytest.approx(2.0 * float(popularity[int(score.point_id)]), abs=1e-5)
        assert score.relation_score == pytest.approx(before[score.point_id].relation_score, abs=1e-6)


@pytest.mark.parametrize("side", ["text", "image"])
async def test_a_popular_querys_scores_mean_less(rng, side):
    source = FakeSource()
    _, images, texts = await gallery(source, rng)
    ranks = with_querybank(source, 0.0, slope=2.0, offset=-1.0, popularity=-3.0)
    query = texts[3] if side == "text" else images[3]
    bank, vector = ranks._network.querybank, torch.from_numpy(query.global_vector).unsqueeze(0)
    popularity = float(bank.of_texts(vector) if side == "text" else bank.of_pictures(vector))
    for score in await ranks.rerank(request(query)):
        expected = float(torch.sigmoid(torch.tensor(2.0 * score.score - 3.0 * popularity - 1.0)))
        assert score.relevance == pytest.approx(expected, abs=1e-5)


async def test_closed_twice_is_closed(rng):
    ranks, _, _ = await gallery(FakeSource(), rng)
    await ranks.close()
    await ranks.close()


async def test_a_query_that_gives_up_leaves_its_features_behind(rng):
    source = FakeSource()
    ranks, _, texts = await gallery(source, rng)
    released, fetch = asyncio.Event(), source.features

    async def slow(*arguments):
        await released.wait()
        return await fetch(*arguments)

    source.features = slow
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ranks.rerank(request(texts[1]))
    waiting = [asyncio.create_task(ranks.rerank(request(texts[1]))) for _ in range(3)]
    await asyncio.sleep(0)
    released.set()
    first, *others = await asyncio.gather(*waiting)
    assert all(other == first for other in others)
    assert sorted(source.asked) == ["0", "1", "2", "3", "4"]


async def test_queries_beside_each_other_score_as_alone(rng):
    ranks, images, texts = await gallery(FakeSource(), rng)
    queries = [*texts, *images]
    alone = [await ranks.rerank(request(query)) for query in queries]
    together = await asyncio.gather(*(ranks.rerank(request(query)) for query in queries))
    for one, other in zip(alone, together, strict=True):
        assert [s.point_id for s in one] == [s.point_id for s in other]
        assert [s.score for s in one] == pytest.approx([s.score for s in other], abs=1e-5)
