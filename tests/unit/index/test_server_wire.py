"""Matrices on the wire are what the generated code would have written and read."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from qdrant_client import grpc

from boonart.index.server_wire import from_dense, from_multi, to_dense, to_multi

SHAPES = [(1, 1), (1, 31), (49, 256), (20, 32), (3, 5000), (128, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_is_written_as_the_generated_code_writes_it(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(1).normal(size=shape).astype(np.float16)
    by_hand = grpc.MultiDenseVector(vectors=[grpc.DenseVector(data=row.astype(np.float32)) for row in matrix])
    assert to_multi(matrix) == by_hand
    np.testing.assert_array_equal(from_multi(by_hand), matrix.astype(np.float32))
    np.testing.assert_array_equal(from_multi(to_multi(matrix)).astype(np.float16), matrix)


@pytest.mark.parametrize("size", [1, 31, 32, 512, 5000])
def test_a_vector_goes_there_and_back(size: int) -> None:
    vector = np.random.default_rng(2).normal(size=size).astype(np.float32)
    assert to_dense(vector) == grpc.DenseVector(data=vector)
    np.testing.assert_array_equal(from_dense(to_dense(vector)), vector)


def test_arrays_that_are_not_contiguous_are_written_right() -> None:
    matrix = np.random.default_rng(3).normal(size=(8, 12)).astype(np.float16)[::2, ::3]
    np.testing.assert_array_equal(from_multi(to_multi(matrix)), matrix.astype(np.float32))


def test_an_empty_matrix_is_empty() -> None:
    assert from_multi(grpc.MultiDenseVector()).shape == (0, 0)


def test_rows_of_different_length_are_refused() -> None:
    ragged = grpc.MultiDenseVector(vectors=[grpc.DenseVector(data=[1, 2]), grpc.DenseVector(data=[1])])
    with pytest.raises(DecodeError, match="differ"):
        from_multi(ragged)


def test_a_row_with_a_field_that_is_not_known_yet_is_read_by_its_values() -> None:
    known = grpc.DenseVector(data=[1.0, 2.0]).SerializeToString()
    later = grpc.DenseVector.FromString(known + b"\x7a\x01x")  # field 15, one byte
    message = grpc.MultiDenseVector(vectors=[later, grpc.DenseVector(data=[3.0, 4.0])])
    np.testing.assert_array_equal(from_multi(message), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(from_dense(later), [1, 2])
