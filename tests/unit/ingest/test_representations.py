"""The paper's files: mapped, checked, and their paddings understood."""

from __future__ import annotations

import numpy as np
import pytest

from boonart.errors import SourceError
from boonart_ingest.representations import CLIP_LENGTH, ENDINGS, check_numbers, described_tokens, open_representations

N, D, WI, WT, LENGTH = 5, 6, 3, 4, 9


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image_globals": rng.standard_normal((N, D)).astype(np.float32),
        "image_locals": rng.standard_normal((N, 49, WI)).astype(np.float16),
        "text_globals": rng.standard_normal((N, D)),
        "text_locals": rng.standard_normal((N, LENGTH, WT)).astype(np.float16),
    }


def save(folder, **changed) -> None:
    for name, array in {**arrays(), **changed}.items():
        if array is not None:
            np.save(folder / f"ArtUK{ENDINGS[name]}", array)


def test_files_are_mapped_and_vectors_have_length_one(tmp_path):
    save(tmp_path)
    files = open_representations(tmp_path)
    check_numbers(files)
    assert isinstance(files.image_globals, np.memmap)
    assert (len(files), files.global_size) == (N, D)
    expected = arrays()["text_globals"][2]
    np.testing.assert_allclose(files.text_vector(2), expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_array_equal(files.image_tokens(1), arrays()["image_locals"][1])


def test_local_files_may_be_missing(tmp_path):
    save(tmp_path, image_locals=None, text_locals=None)
    files = open_representations(tmp_path)
    assert files.image_locals is None
    assert files.text_locals is None


@pytest.mark.parametrize("shape", [(N, 7, 7, WI), (N, 50, WI)])
def test_a_grid_and_a_pooled_token_in_front_are_understood(tmp_path, shape):
    grid = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    save(tmp_path, image_locals=grid)
    tokens = open_representations(tmp_path).image_tokens(0)
    np.testing.assert_array_equal(tokens, grid[0].reshape(-1, WI)[-49:].astype(np.float16))


def spoilt(name: str, row: int, value: float) -> dict[str, np.ndarray]:
    array = arrays()[name].astype(np.float32)
    array[row] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"image_globals": np.array([{}] * N, dtype=object)}, "imGloRp.npy cannot be read .* Python objects"),
        ({"image_locals": np.array([[None]] * N, dtype=object)}, "imLocRp.npy cannot be read .* Python objects"),
        ({"image_globals": np.zeros((N, D), dtype=np.int32)}, "int32; floating-point"),
        ({"image_globals": np.ones(N)}, "shape .* 2 dimensions"),
        ({"text_globals": np.ones((N, D + 1))}, "one space"),
        ({"text_globals": np.ones((N - 1, D))}, "different numbers of rows"),
        ({"image_locals": np.ones((N, 81, WI), dtype=np.float32)}, "49 regions"),
        ({"text_locals": np.ones((N, WT), dtype=np.float32)}, "3 dimensions"),
        ({"text_globals": None}, "no file that ends in deGloRp.npy"),
        (
            {name: np.ones((0, D)) for name in ("image_globals", "text_globals")}
            | {"image_locals": None, "text_locals": None},
            "are empty",
        ),
        (spoilt("image_globals", 3, np.nan), "Row 3 of …imGloRp.npy holds a value that is not a number"),
        (spoilt("image_locals", 4, np.nan), "Row 4 of …imLocRp.npy"),
        (spoilt("text_locals", 1, 1e6), "Row 1 of …deLocRp.npy holds a value that is infinite or too large"),
        (spoilt("text_globals", 0, 0.0), "Row 0 of …deGloRp.npy holds only zeros"),
    ],
)
def test_what_cannot_be_used_is_told_by_file_and_row(tmp_path, changed, words):
    save(tmp_path, **changed)
    with pytest.raises(SourceError, match=words):
        check_numbers(open_representations(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_a_broken_file_is_told(tmp_path, content):
    save(tmp_path)
    (tmp_path / "ArtUKimGloRp.npy").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as an array"):
        open_representations(tmp_path)


def test_a_file_that_ends_too_early_is_told(tmp_path):
    save(tmp_path)
    file = tmp_path / "ArtUKimLocRp.npy"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(SourceError, match="cannot be read as an array"):
        open_representations(tmp_path)


def test_two_files_of_a_kind_or_no_folder_are_told(tmp_path):
    save(tmp_path)
    np.save(tmp_path / "OtherimGloRp.npy", arrays()["image_globals"])
    with pytest.raises(SourceError, match="2 files"):
        open_representations(tmp_path)
    with pytest.raises(SourceError, match="no folder"):
        open_representations(tmp_path / "nothing")


def test_zero_padding_ends_a_text():
    tokens = np.zeros((LENGTH, WT), dtype=np.float16)
    tokens[:3] = 1.0
    rows, words = described_tokens(tokens, "a red cow")
    assert (rows.shape, words) == ((3, WT), ("a", "red", "cow"))
    rows, words = described_tokens(tokens, "a cow")
    assert words == ("token 1", "token 2", "token 3")
    rows, words = described_tokens(np.zeros((LENGTH, WT), dtype=np.float16), "a cow")
    assert len(rows) == len(words) == 1


def test_tokens_padded_as_clip_pads_them_become_one_row_a_word():
    tokens = np.tile(np.arange(CLIP_LENGTH, dtype=np.float16)[:, None], (1, WT))
    rows, words = described_tokens(tokens, "a red cow")
    assert words == ("a", "red", "cow")
    np.testing.assert_array_equal(rows[:, 0], [1, 2, 3])  # without the marks at start and end
    rows, words = described_tokens(tokens, "cow " * 500)
    assert len(rows) == len(words) == CLIP_LENGTH - 2
