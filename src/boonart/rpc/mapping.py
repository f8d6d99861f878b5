"""Between the frozen types of `boonart.works` and the messages of the contracts, there and back.

`to_*` makes messages, `from_*` reads them. Reading checks what a message claims: shapes against bytes, ranks and
types against what the contract says; whatever does not fit is an InvalidRequest that names the field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from boonart.errors import BoonArtError, IndexLocked, InvalidRequest, Unavailable, make_error
from boonart.ports import RerankRequest
from boonart.rpc.status import MAX_TEXT
from boonart.rpc.v1 import common_pb2, encoder_pb2, reranker_pb2
from boonart.works import (
    GRID,
    Candidate,
    Float16Array,
    ImageEmbedding,
    ModelCard,
    Picture,
    Ranker,
    RerankScore,
    TextEmbedding,
    WordMap,
    Work,
)

Array = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.uint8]

DTYPES: dict[int, np.dtype[np.generic]] = {
    common_pb2.DTYPE_FLOAT32: np.dtype("<f4"),
    common_pb2.DTYPE_FLOAT16: np.dtype("<f2"),
    common_pb2.DTYPE_UINT8: np.dtype("u1"),
}
_DTYPE_OF = {dtype: number for number, dtype in DTYPES.items()}
_MAX_RANK = 4

RANKERS = {
    Ranker.DEFAULT: common_pb2.RANKER_UNSPECIFIED,
    Ranker.NONE: common_pb2.RANKER_NONE,
    Ranker.LATE: common_pb2.RANKER_LATE,
    Ranker.VITR: common_pb2.RANKER_VITR,
    Ranker.ROLE: common_pb2.RANKER_ROLE,
}
_RANKER_OF = {number: ranker for ranker, number in RANKERS.items()}


# --- tensors ---------------------------------------------------------------------------------------------


def to_tensor(array: Array) -> common_pb2.Tensor:
    """A float32, float16 or uint8 array of one to four dimensions as a message."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    number = _DTYPE_OF[little.dtype]
    return common_pb2.Tensor(data=little.tobytes(), shape=array.shape, dtype=common_pb2.DType.ValueType(number))


def from_tensor(
    message: common_pb2.Tensor, dtype: type[np.generic], shape: Sequence[int | None], field: str
) -> npt.NDArray[np.generic]:
    """The array of a message, a writable copy in the machine's byte order.

    Args:
        dtype: the type that the contract asks for.
        shape: the sizes that it asks for; None takes any.
        field: name of the message, for the error.

    Raises:
        InvalidRequest: another type or shape, or bytes that do not fill the shape.
    """
    wire = DTYPES.get(message.dtype)
    wanted = np.dtype(dtype)
    if wire is None or wire != wanted.newbyteorder("<"):
        given = common_pb2.DType.Name(message.dtype) if wire is not None else f"type {message.dtype}"
        raise InvalidRequest(f"{field} holds {given}; it must hold {wanted.name}.", field=field)
    sizes = tuple(message.shape)
    fits = len(sizes) == len(shape) <= _MAX_RANK and all(
        size == want for size, want in zip(sizes, shape, strict=True) if want is not None
    )
    if not fits:
        text = ", ".join("any" if want is None else str(want) for want in shape)
        raise InvalidRequest(f"{field} has the shape {sizes[:8]}; it must be ({text}).", field=field)
    # The product is Python's unbounded integer, so that no shape can overflow into a small one.
    if len(message.data) != math.prod(sizes) * wanted.itemsize:
        raise InvalidRequest(
            f"{field} has {len(message.data):,} bytes, which do not fill the shape {sizes} of {wanted.name}.",
            field=field,
        )
    return np.frombuffer(message.data, dtype=wire).reshape(sizes).astype(wanted)


# --- embeddings and pictures -----------------------------------------------------------------------------


def to_text_embedding(embedding: TextEmbedding) -> common_pb2.TextEmbedding:
    """A text's embedding as a message."""
    return common_pb2.TextEmbedding(
        global_vector=to_tensor(embedding.global_vector), tokens=to_tensor(embedding.tokens), words=embedding.words
    )


def from_text_embedding(message: common_pb2.TextEmbedding, field: str) -> TextEmbedding:
    """A text's embedding from its message.

    Raises:
        InvalidRequest: tensors of another type or shape, or another number of words than rows.
    """
    tokens = from_tensor(message.tokens, np.float16, (None, None), f"{field}.tokens")
    if len(tokens) != len(message.words):
        raise InvalidRequest(
            f"{field} has {len(message.words)} words for {len(tokens)} rows of tokens.", field=f"{field}.words"
        )
    vector = from_tensor(message.global_vector, np.float32, (None,), f"{field}.global_vector")
    return TextEmbedding(vector.astype(np.float32, copy=False), _half(tokens), tuple(message.words))


def to_image_embedding(embedding: ImageEmbedding) -> common_pb2.ImageEmbedding:
    """A picture's embedding as a message."""
    return common_pb2.ImageEmbedding(
        global_vector=to_tensor(embedding.global_vector), tokens=to_tensor(embedding.tokens)
    )


def from_image_embedding(message: common_pb2.ImageEmbedding, field: str) -> ImageEmbedding:
    """A picture's embedding from its message.

    Raises:
        InvalidRequest: tensors of another type or shape.
    """
    vector = from_tensor(message.global_vector, np.float32, (None,), f"{field}.global_vector")
    tokens = from_tensor(message.tokens, np.float16, (GRID * GRID, None), f"{field}.tokens")
    return ImageEmbedding(vector.astype(np.float32, copy=False), _half(tokens))


def to_features(tokens: Float16Array) -> common_pb2.Tensor:
    """Filtered regions or projected words as a message."""
    return to_tensor(tokens)


def from_features(message: common_pb2.Tensor, field: str, *, rows: int | None = None) -> Float16Array:
    """Filtered regions (`rows` = 49) or projected words, (N, E), from their message.

    Raises:
        InvalidRequest: another type or shape.
    """
    return _half(from_tensor(message, np.float16, (rows, None), field))


def _half(array: npt.NDArray[np.generic]) -> Float16Array:
    return array.astype(np.float16, copy=False)


def to_picture(picture: Picture) -> encoder_pb2.ImageInput:
    """A decoded picture as a message."""
    width, height = picture.original_size
    decoded = encoder_pb2.DecodedPicture(
        pixels=to_tensor(picture.pixels), original_width=width, original_height=height, format=picture.format
    )
    return encoder_pb2.ImageInput(decoded=decoded)


def from_picture(message: encoder_pb2.DecodedPicture, field: str) -> Picture:
    """A decoded picture from its message.

    Raises:
        InvalidRequest: pixels of another type or shape, or none at all.
    """
    pixels = from_tensor(message.pixels, np.uint8, (None, None, 3), f"{field}.pixels")
    if pixels.size == 0:
        raise InvalidRequest(f"{field} has no pixels.", field=f"{field}.pixels")
    size = (message.original_width, message.original_height)
    return Picture(pixels.astype(np.uint8, copy=False), size, message.format)


# --- errors and cards ------------------------------------------------------------------------------------


def to_error(error: BoonArtError) -> common_pb2.Error:
    """An item's error as a message."""
    return common_pb2.Error(
        code=error.code,
        message=error.message[:MAX_TEXT],
        hint=error.hint[:MAX_TEXT],
        field=error.field[:MAX_TEXT],
        retry_after_seconds=error.retry_after if isinstance(error, Unavailable) else 0.0,
        url=error.url[:MAX_TEXT] if isinstance(error, IndexLocked) else "",
    )


def from_error(message: common_pb2.Error) -> BoonArtError:
    """An item's error from its message, of the class that its code names."""
    return make_error(
        message.code,
        message.message,
        hint=message.hint,
        field=message.field,
        url=message.url,
        retry_after=message.retry_after_seconds,
    )


def to_card(card: ModelCard) -> common_pb2.ModelCard:
    """A model card as a message."""
    return common_pb2.ModelCard(
        id=card.id,
        kind=card.kind,
        weights_hash=card.weights_hash,
        dimensions=dict(card.dimensions),
        licence=card.licence,
        description=card.description,
        data=card.data,
        encoder_id=card.encoder_id,
        figures=dict(card.figures),
    )


def from_card(message: common_pb2.ModelCard) -> ModelCard:
    """A model card from its message."""
    return ModelCard(
        id=message.id,
        kind=message.kind,
        weights_hash=message.weights_hash,
        dimensions=dict(message.dimensions),
        licence=message.licence,
        description=message.description,
        data=message.data,
        encoder_id=message.encoder_id,
        figures=dict(message.figures),
    )


# --- reranking -------------------------------------------------------------------------------------------


def to_ranker(ranker: Ranker) -> common_pb2.Ranker.ValueType:
    """A ranker as a number of the contract."""
    return RANKERS[ranker]


def from_ranker(number: int, field: str) -> Ranker:
    """A ranker from its number.

    Raises:
        InvalidRequest: a number that this version does not know.
    """
    ranker = _RANKER_OF.get(common_pb2.Ranker.ValueType(number))
    if ranker is None:
        raise InvalidRequest(f"{field} is {number}, which is no ranker that this version knows.", field=field)
    return ranker


def to_rerank_request(request: RerankRequest) -> reranker_pb2.RerankRequest:
    """A query and its candidates as a message. Of a candidate go id, score and hash: the reranker needs no more."""
    is_text = isinstance(request.query, TextEmbedding)
    return reranker_pb2.RerankRequest(
        collection=request.collection,
        text=to_text_embedding(request.query) if isinstance(request.query, TextEmbedding) else None,
        image=None if is_text else to_image_embedding(request.query),  # type: ignore[arg-type]  # narrowed above
        candidates=[
            reranker_pb2.RerankCandidate(
                point_id=candidate.point_id, score=candidate.score, content_hash=candidate.content_hash
            )
            for candidate in request.candidates
        ],
        ranker=to_ranker(request.ranker),
        explain=request.explain,
    )


def from_rerank_request(message: reranker_pb2.RerankRequest) -> RerankRequest:
    """A query and its candidates from their message; the candidates' works are empty.

    Raises:
        InvalidRequest: no query, or tensors that do not fit.
    """
    query: TextEmbedding | ImageEmbedding
    match message.WhichOneof("query"):
        case "text":
            query = from_text_embedding(message.text, "text")
        case "image":
            query = from_image_embedding(message.image, "image")
        case _:
            raise InvalidRequest("The request has no query.", hint="Set text or image.", field="query")
    nothing = Work(id="")
    return RerankRequest(
        collection=message.collection,
        query=query,
        candidates=[
            Candidate(candidate.point_id, nothing, candidate.score, candidate.content_hash)
            for candidate in message.candidates
        ],
        ranker=from_ranker(message.ranker, "ranker"),
        explain=message.explain,
    )


def to_rerank_score(score: RerankScore) -> reranker_pb2.RerankScore:
    """What the reranker says of a candidate as a message."""
    return reranker_pb2.RerankScore(
        point_id=score.point_id,
        score=score.score,
        relation_score=score.relation_score,
        relevance=score.relevance,
        explanation=[to_word_map(word_map) for word_map in score.explanation],
    )


def from_rerank_score(message: reranker_pb2.RerankScore, field: str) -> RerankScore:
    """What the reranker says of a candidate from its message.

    Raises:
        InvalidRequest: a map that is not (7, 7) float32.
    """
    return RerankScore(
        point_id=message.point_id,
        score=message.score,
        relation_score=message.relation_score if message.HasField("relation_score") else None,
        relevance=message.relevance if message.HasField("relevance") else None,
        explanation=tuple(from_word_map(word_map, f"{field}.explanation") for word_map in message.explanation),
    )


def to_word_map(word_map: WordMap) -> common_pb2.WordMap:
    """A word's map as a message."""
    return common_pb2.WordMap(word=word_map.word, weights=to_tensor(word_map.weights))


def from_word_map(message: common_pb2.WordMap, field: str) -> WordMap:
    """A word's map from its message.

    Raises:
        InvalidRequest: a map that is not (7, 7) float32.
    """
    weights = from_tensor(message.weights, np.float32, (GRID, GRID), field)
    return WordMap(message.word, weights.astype(np.float32, copy=False))
