from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from boonart.ports import Features
from boonart.vitr.bank import PAGE_ROWS, FeatureBank, FeatureKey, Room

D, E = 6, 8
PAGE_BYTES = PAGE_ROWS * E * 2 + D + 1  # a page and half a slot's vector


def bank(pages: int) -> FeatureBank:
    return FeatureBank(D, E, max_bytes=pages * PAGE_BYTES, device=torch.device("cpu"))


def key(name: str, collection: str = "c", side: str = "description") -> FeatureKey:
    return FeatureKey(collection, side, name)


def features(rng: np.random.Generator, rows: int, content: str = "h") -> Features:
    tokens = rng.standard_normal((rows, E)).astype(np.float16)
    return Features(content, rng.standard_normal(D).astype(np.float16), tokens, tuple(map(str, range(rows))))


def put(into: FeatureBank, name: str, what: Features):
    return into.gather([key(name)], [what.content_hash], {key(name): what})


def test_what_was_put_in_comes_out(rng):
    held = bank(40)
    stored = {key(str(n)): features(rng, rows) for n, rows in enumerate([1, 7, 8, 20])}
    hashes = ["h"] * 4
    assert held.missing(list(stored), hashes) == [0, 1, 2, 3]
    held.gather(list(stored), hashes, stored)
    assert held.missing(list(stored), hashes) == []
    again = held.gather(list(reversed(stored)), hashes, {})
    assert again.tokens.shape == (4, 20, E)
    for row, one in enumerate(reversed(stored.values())):
        rows = len(one.tokens)
        np.testing.assert_array_equal(again.tokens[row, :rows].numpy(), one.tokens.astype(np.float32))
        np.testing.assert_array_equal(again.global_vectors[row].numpy(), one.global_vector.astype(np.float32))
        assert again.mask[row].tolist() == [True] * rows + [False] * (20 - rows)
        assert again.words[row] == one.words


def test_regions_are_gathered_in_one_piece(rng):
    held = bank(40)
    stored = {key(str(n)): features(rng, 49) for n in range(3)}
    held.gather(list(stored), ["h"] * 3, stored)
    found = held.gather(list(stored), ["h"] * 3, {})
    expected = np.stack([one.tokens for one in stored.values()]).astype(np.float32)
    np.testing.assert_array_equal(found.tokens.numpy(), expected)


def test_another_content_is_not_given_out(rng):
    held = bank(20)
    put(held, "a", features(rng, 5, "old"))
    assert held.missing([key("a")], ["new"]) == [0]
    assert not bool(held.gather([key("a")], ["new"], {}).found)
    new = features(rng, 9, "new")
    found = put(held, "a", new)
    np.testing.assert_array_equal(found.tokens[0].numpy(), new.tokens.astype(np.float32))
    assert len(held) == 1


def test_collections_and_sides_are_kept_apart(rng):
    held = bank(20)
    put(held, "a", features(rng, 5))
    assert held.missing([key("a", collection="other")], ["h"]) == [0]
    assert held.missing([key("a", side="image")], ["h"]) == [0]


def test_the_least_recently_used_leaves_first(rng):
    held = bank(4)  # two slots
    put(held, "a", features(rng, 7))
    put(held, "b", features(rng, 7))
    held.gather([key("a")], ["h"], {})
    put(held, "c", features(rng, 7))
    assert held.missing([key("a"), key("b"), key("c")], ["h"] * 3) == [1]


def test_pages_are_reused_without_end(rng):
    held = bank(10)
    for turn in range(200):
        one = features(rng, 1 + turn % 30)
        found = put(held, str(turn), one)
        np.testing.assert_array_equal(found.tokens[0, : len(one.tokens)].numpy(), one.tokens.astype(np.float32))
    assert len(held) <= 5


@pytest.mark.parametrize("pages", [0, 2, 7])
def test_what_has_no_room_is_still_given_out(rng, pages):
    held = bank(pages)
    stored = {key(str(n)): features(rng, 10 + n) for n in range(6)}
    found = held.gather(list(stored), ["h"] * 6, stored)
    assert found.found.tolist() == [True] * 6
    for row, one in enumerate(stored.values()):
        np.testing.assert_array_equal(found.tokens[row, : len(one.tokens)].numpy(), one.tokens.astype(np.float32))
    assert held.nbytes <= pages * PAGE_BYTES


def test_absent_features_are_marked(rng):
    held = bank(20)
    found = held.gather([key("a"), key("b")], ["h", "h"], {key("a"): features(rng, 4)})
    assert found.found.tolist() == [True, False]
    assert found.mask[1].any().item() is False


def test_threads_do_not_mix_rows(rng):
    held = bank(30)
    stored = {key(str(n)): features(rng, 8) for n in range(40)}
    names = list(stored)
    wrong: list[str] = []

    def work(seed: int) -> None:
        own = np.random.default_rng(seed)
        for _ in range(60):
            chosen = [names[place] for place in own.choice(len(names), size=5, replace=False)]
            found = held.gather(chosen, ["h"] * 5, {name: stored[name] for name in chosen})
            for row, name in enumerate(chosen):
                if not np.array_equal(found.tokens[row].numpy()[:8], stored[name].tokens.astype(np.float32)):
                    wrong.append(name.point_id)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_clear_forgets(rng):
    held = bank(20)
    put(held, "a", features(rng, 5))
    held.clear()
    assert len(held) == 0
    assert held.missing([key("a")], ["h"]) == [0]


def test_what_is_worked_out_of_features_is_held_with_them(rng):
    calls = []

    def summarise(side, vector, tokens):
        calls.append((side, len(vector), len(tokens)))
        return tokens.sum().unsqueeze(0)

    held = FeatureBank(D, E, max_bytes=20 * PAGE_BYTES, device=torch.device("cpu"), summarise=summarise, summary_size=1)
    there, loose = features(rng, 4), features(rng, 3)
    picture, text = FeatureKey("c", "image", "a"), FeatureKey("c", "description", "a")
    first = held.gather([picture, text], ["h", "h"], {picture: there, text: loose})
    again = held.gather([picture, text], ["h", "h"], {})
    expected = [float(torch.from_numpy(some.tokens).float().sum()) for some in (there, loose)]
    assert calls == [("image", D, 4), ("description", D, 3)]
    assert first.summaries[:, 0].tolist() == again.summaries[:, 0].tolist() == pytest.approx(expected, abs=1e-3)
    full = FeatureBank(D, E, max_bytes=0, device=torch.device("cpu"), summarise=summarise, summary_size=1)
    assert full.gather([picture], ["h"], {picture: there}).summaries[0, 0] == pytest.approx(expected[0], abs=1e-3)


def test_room_is_used_again(rng):
    held, room = bank(20), Room()
    stored = {key(name): features(rng, 7) for name in "ab"}
    first = held.gather([key("a")], ["h"], stored, room=room).tokens
    expected = held.gather([key("b")], ["h"], {key("b"): stored[key("b")]}).tokens.clone()
    second = held.gather([key("b")], ["h"], {}, room=room).tokens
    assert first.data_ptr() == second.data_ptr()
    torch.testing.assert_close(second, expected)
