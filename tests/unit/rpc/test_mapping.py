"""Each mapped message goes there and back, over the wire's bytes."""

import dataclasses
from typing import Any, TypeVar

import numpy as np
import pytest
import rpc_strategies as strategies
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from boonart.errors import BoonArtError, InvalidRequest, Overloaded, UnsupportedPicture
from boonart.ports import RerankRequest
from boonart.rpc import mapping
from boonart.rpc.v1 import common_pb2, encoder_pb2, reranker_pb2
from boonart.works import (
    REGIONS,
    Candidate,
    ImageEmbedding,
    ModelCard,
    Picture,
    Ranker,
    RerankScore,
    TextEmbedding,
    Work,
)

M = TypeVar("M", bound=Message)


def wired(message: M) -> M:
    """The message after a journey."""
    return type(message).FromString(message.SerializeToString())


def same(one: Any, other: Any) -> bool:
    """Equal in value, type and array contents, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(strategies.text_embeddings())
def test_text_embedding(embedding: TextEmbedding) -> None:
    assert same(mapping.from_text_embedding(wired(mapping.to_text_embedding(embedding)), "x"), embedding)


@given(strategies.image_embeddings())
def test_image_embedding(embedding: ImageEmbedding) -> None:
    assert same(mapping.from_image_embedding(wired(mapping.to_image_embedding(embedding)), "x"), embedding)


@given(strategies.pictures())
def test_picture(picture: Picture) -> None:
    assert same(mapping.from_picture(wired(mapping.to_picture(picture)).decoded, "x"), picture)


@given(strategies.cards)
def test_card(card: ModelCard) -> None:
    assert same(mapping.from_card(wired(mapping.to_card(card))), card)


@given(strategies.scores)
def test_rerank_score(score: RerankScore) -> None:
    assert same(mapping.from_rerank_score(wired(mapping.to_rerank_score(score)), "x"), score)


@given(
    st.builds(
        RerankRequest,
        collection=strategies.texts,
        query=strategies.text_embeddings() | strategies.image_embeddings(),
        candidates=st.lists(
            st.builds(Candidate, strategies.texts, st.just(Work("")), strategies.numbers, strategies.texts), max_size=3
        ),
        ranker=strategies.rankers,
        explain=st.booleans(),
    )
)
def test_rerank_request(request: RerankRequest) -> None:
    assert same(mapping.from_rerank_request(wired(mapping.to_rerank_request(request))), request)


def test_what_a_candidate_is_to_the_gateway_stays_there() -> None:
    candidate = Candidate("p1", Work("w1", title="The Cornfield"), 0.5, "hash")
    query = TextEmbedding(np.ones(2, np.float32), np.ones((1, 2), np.float16), ("cow",))
    back = mapping.from_rerank_request(mapping.to_rerank_request(RerankRequest("c", query, [candidate])))
    assert back.candidates == [Candidate("p1", Work(""), 0.5, "hash")]


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedPicture("Not a picture.", hint="Send a JPEG.", field="images[3]"),
        Overloaded("Full.", retry_after=2.5),
        BoonArtError("Something."),
    ],
)
def test_an_items_error(error: BoonArtError) -> None:
    back = mapping.from_error(wired(mapping.to_error(error)))
    assert type(back) is type(error)
    assert vars(back) == vars(error)


def test_every_ranker_has_its_number() -> None:
    assert {mapping.from_ranker(mapping.to_ranker(ranker), "x") for ranker in Ranker} == set(Ranker)
    assert len(mapping.RANKERS) == len(common_pb2.Ranker.values())
    with pytest.raises(InvalidRequest, match="no ranker"):
        mapping.from_ranker(77, "ranker")


def test_numbers_are_little_endian_on_every_machine() -> None:
    big = np.array([[1.0, -2.0]], dtype=">f4")
    message = mapping.to_tensor(big)
    assert message.data == bytes.fromhex("0000803f000000c0")
    back = mapping.from_tensor(message, np.float32, (1, 2), "x")
    assert back.dtype == np.float32
    assert back.tolist() == [[1.0, -2.0]]


def test_a_read_array_can_be_written_to() -> None:
    array = mapping.from_tensor(mapping.to_tensor(np.zeros(3, np.float32)), np.float32, (3,), "x")
    array[0] = 1.0
    assert array[0] == 1.0


def tensor(data: bytes, shape: list[int], dtype: int = common_pb2.DTYPE_FLOAT32) -> common_pb2.Tensor:
    return common_pb2.Tensor(data=data, shape=shape, dtype=common_pb2.DType.ValueType(dtype))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (tensor(b"\0" * 8, [2], common_pb2.DTYPE_FLOAT16), "must hold float32"),
        (tensor(b"\0" * 8, [2], 0), "must hold float32"),
        (tensor(b"\0" * 8, [2], 99), "type 99"),
        (tensor(b"\0" * 8, [3]), "do not fill"),
        (tensor(b"\0" * 9, [2]), "do not fill"),
        (tensor(b"", []), "has the shape"),
        (tensor(b"\0" * 8, [1, 2]), "has the shape"),
        (tensor(b"", [4294967295]), "do not fill"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(message: common_pb2.Tensor, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        mapping.from_tensor(message, np.float32, (None,), "text.global_vector")
    assert caught.value.field == "text.global_vector"


def test_sizes_whose_product_overflows_64_bits_are_refused() -> None:
    message = tensor(b"", [2**32 - 1, 2**32 - 1, 3], common_pb2.DTYPE_UINT8)
    with pytest.raises(InvalidRequest, match="do not fill"):
        mapping.from_picture(encoder_pb2.DecodedPicture(pixels=message), "images[0]")


@given(st.binary(max_size=60))
def test_random_bytes_are_read_or_refused_but_never_crash(data: bytes) -> None:
    message = encoder_pb2.DecodedPicture()
    try:
        message.ParseFromString(data)
    except Exception:  # noqa: BLE001  # protobuf's own refusal
        return
    try:
        mapping.from_picture(message, "x")
    except InvalidRequest:
        return


def test_a_picture_without_pixels_is_refused() -> None:
    empty = mapping.to_tensor(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(InvalidRequest, match="no pixels"):
        mapping.from_picture(encoder_pb2.DecodedPicture(pixels=empty), "x")


def test_words_and_rows_must_agree() -> None:
    message = mapping.to_text_embedding(TextEmbedding(np.ones(2, np.float32), np.ones((2, 2), np.float16), ("a", "b")))
    del message.words[1:]
    with pytest.raises(InvalidRequest, match="1 words for 2 rows"):
        mapping.from_text_embedding(message, "text")


def test_regions_are_49() -> None:
    rows = mapping.to_features(np.ones((REGIONS - 1, 4), np.float16))
    with pytest.raises(InvalidRequest, match="49"):
        mapping.from_features(rows, "regions", rows=REGIONS)


def test_a_request_without_a_query_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no query"):
        mapping.from_rerank_request(reranker_pb2.RerankRequest(collection="c"))
