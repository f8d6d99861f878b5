"""Random values of the domain for the mapping's tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from boonart.works import (
    REGIONS,
    And,
    Equals,
    Exists,
    Hit,
    ImageEmbedding,
    ModelCard,
    Not,
    OneOf,
    Or,
    Picture,
    Range,
    Ranker,
    RerankScore,
    StoredPicture,
    TextEmbedding,
    WordMap,
    Words,
    Work,
)

texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.floats(allow_nan=False, width=64)
integers = st.integers(-(2**63), 2**63 - 1)
sizes = st.integers(0, 2**31)


def tensors(dtype: type[np.generic], shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(dtype, shape)


@st.composite
def text_embeddings(draw: st.DrawFn) -> TextEmbedding:
    words = tuple(draw(st.lists(texts, max_size=4)))
    width = draw(st.integers(0, 5))
    vector = draw(tensors(np.float32, (draw(st.integers(0, 6)),)))
    return TextEmbedding(vector, draw(tensors(np.float16, (len(words), width))), words)


@st.composite
def image_embeddings(draw: st.DrawFn) -> ImageEmbedding:
    vector = draw(tensors(np.float32, (draw(st.integers(0, 6)),)))
    return ImageEmbedding(vector, draw(tensors(np.float16, (REGIONS, draw(st.integers(1, 3))))))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), 3)
    return Picture(draw(tensors(np.uint8, shape)), (draw(sizes), draw(sizes)), draw(texts))


cards = st.builds(
    ModelCard,
    id=texts,
    kind=st.sampled_from(["encoder", "reranker"]),
    weights_hash=texts,
    dimensions=st.dictionaries(texts, sizes, max_size=3),
    licence=texts,
    description=texts,
    data=texts,
    encoder_id=texts,
    figures=st.dictionaries(texts, numbers, max_size=3),
)
word_maps = st.builds(WordMap, word=texts, weights=tensors(np.float32, (7, 7)))
scores = st.builds(
    RerankScore,
    point_id=texts,
    score=numbers,
    relation_score=st.none() | numbers,
    relevance=st.none() | numbers,
    explanation=st.lists(word_maps, max_size=2).map(tuple),
)
scalars = texts | integers | numbers | st.booleans()
works = st.builds(
    Work,
    id=texts,
    title=texts,
    artist=texts,
    date=texts,
    medium=texts,
    description=texts,
    subjects=st.lists(texts, max_size=3).map(tuple),
    source_url=texts,
    credit=texts,
    licence=texts,
    image=texts,
    extra=st.dictionaries(texts, scalars, max_size=3),
)
stored_pictures = st.builds(StoredPicture, key=texts, size=st.tuples(sizes, sizes), colour=texts)
hits = st.builds(
    Hit,
    rank=st.integers(1, 1000),
    work=works,
    score=numbers,
    global_score=numbers,
    picture=stored_pictures,
    relation_score=st.none() | numbers,
    relevance=st.none() | numbers,
    explanation=st.lists(word_maps, max_size=2).map(tuple),
)
rankers = st.sampled_from(list(Ranker))
leaves = (
    st.builds(Equals, texts, scalars)
    | st.builds(OneOf, texts, st.lists(texts | integers, max_size=3).map(tuple))
    | st.builds(Range, texts, st.none() | numbers, st.none() | numbers)
    | st.builds(Exists, texts)
    | st.builds(Words, texts, texts)
)
filters = st.recursive(
    leaves,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)
