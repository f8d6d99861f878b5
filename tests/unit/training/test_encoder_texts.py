import torch

from boonart.training.encoder_texts import class_names, held_words, in_chunks, words_of


def test_words_are_kept_by_how_many_pictures_hold_them() -> None:
    captions = [["A dog runs .", "the dog"], ["a dog sits"], ["a cat sits"], ["a horse"]]
    found = words_of(captions, fewest=2, largest_share=0.5)
    assert found.words == ("dog", "sits")
    assert found.held.tolist() == [[True, False], [True, True], [False, True], [False, False]]


def test_given_words_are_looked_for_however_many_hold_them() -> None:
    captions = [["A dog .", "the Owl"], ["a cat"], []]
    found = held_words(captions, ["owl", "dog", "yak"])
    assert found.words == ("owl", "dog", "yak")
    assert found.held.tolist() == [[True, True, False], [False, False, False], [False, False, False]]


def test_every_class_of_imagenet_has_names() -> None:
    names = class_names()
    assert len(names) == 1000
    assert names[345] == ("ox",)
    assert all(group and all(group) for group in names)


def test_chunks_hold_every_text_once_with_its_padding() -> None:
    ids = [[1, 2, 3], [4], [5, 6], [7]]
    chunks = in_chunks(ids, size=2)
    assert sorted(torch.cat([rows for rows, _, _ in chunks]).tolist()) == [0, 1, 2, 3]
    for rows, pieces, padding in chunks:
        for place, row in enumerate(rows.tolist()):
            assert pieces[place][~padding[place]].tolist() == ids[row]
