from __future__ import annotations

import pytest

from boonart.evaluation.exchanged import exchange_roles


@pytest.mark.parametrize(
    ("caption", "exchanged"),
    [
        ("A dog chases a boy .", "A boy chases a dog."),
        ("The black dog is running after a small child", "A small child is running after the black dog"),
        ("A man on a motorcycle steers through mud", "A motorcycle on a man steers through mud"),
        ("Two dogs jump over the waves .", "The waves jump over two dogs."),
    ],
)
def test_roles_are_exchanged(caption, exchanged):
    assert exchange_roles(caption) == exchanged


@pytest.mark.parametrize(
    "caption",
    [
        "A man and a woman walk .",  # the same when exchanged
        "A boy with a dog .",
        "A girl next to a horse",
        "A dog chases another dog",  # the same thing twice
        "Two dogs chase a boy",  # the verb would give it away
        "A dog runs",  # one thing
        "Children play",  # no article: not sure to be a phrase
        "A man who is known for being quite tall carries a child",  # too far apart
        "",
    ],
)
def test_other_captions_are_left_alone(caption):
    assert exchange_roles(caption) is None
