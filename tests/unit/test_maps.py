"""Maps of collections: places, colours, names of regions, and their file."""

from pathlib import Path

import numpy as np
import pytest

from boonart.map_layout import lay_out
from boonart.maps import SIDE, CollectionMap, digest_of, make_map
from boonart.works import Candidate, Float32Array, StoredPicture, Work

SUBJECTS = ("ship", "cow", "portrait")


def families(each: int, size: int = 24) -> Float32Array:
    """Vectors of three families that look alike within and not beyond."""
    rng = np.random.default_rng(7)
    centres = np.eye(3, size, dtype=np.float32) * 4
    vectors = np.repeat(centres, each, axis=0) + 0.3 * rng.standard_normal((3 * each, size), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def works(each: int) -> list[Candidate]:
    """As many works of three subjects; all of them show sky."""
    return [
        Candidate(
            f"p{number}",
            Work(f"w{number}", title="Untitled", subjects=(f"nature > {SUBJECTS[number // each]}", "nature > sky")),
            picture=StoredPicture("k", (4, 3), "#102030"),
        )
        for number in range(3 * each)
    ]


def apart(places: Float32Array, each: int) -> tuple[float, float]:
    """Largest distance from a family's middle, and smallest distance between two middles."""
    middles = places.reshape(3, each, 2).mean(axis=1)
    within = np.hypot(*(places.reshape(3, each, 2) - middles[:, None]).reshape(-1, 2).T).max()
    between = min(float(np.hypot(*(middles[a] - middles[b]))) for a, b in ((0, 1), (0, 2), (1, 2)))
    return float(within), between


@pytest.mark.parametrize("landmarks", [1_000, 60])
def test_what_looks_alike_lies_close_together(landmarks: int) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    places = lay_out(families(40), landmarks=landmarks)
    assert places.shape == (120, 2)
    assert places.dtype == np.float32
    assert places.min() >= 0
    assert places.max() <= 1
    within, between = apart(places, 40)
    assert within < between


def test_the_same_vectors_give_the_same_map() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    vectors = families(10)
    assert np.array_equal(lay_out(vectors), lay_out(vectors.copy()))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 11])
def test_a_collection_of_a_few_works_has_a_map_too(count: int) -> None:
    places = lay_out(families(10)[:count])
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_regions_are_named_by_what_only_they_show() -> None:
    each = 30
    angles = np.linspace(0, 2 * np.pi, each, endpoint=False)
    ring = 0.08 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    middles = np.array([[0.15, 0.2], [0.85, 0.2], [0.5, 0.85]])
    places = np.concatenate([middle + ring for middle in middles]).astype(np.float32)
    found = make_map("d", works(each), places)
    names = {group.name for group in found.groups}
    assert set(SUBJECTS) <= names
    assert "sky" not in names, "what all works show tells nothing"
    assert sum(group.count for group in found.groups) == 3 * each
    ship = next(group for group in found.groups if group.name == "ship")
    assert abs(ship.x / SIDE - 0.15) < 0.1
    assert abs(ship.y / SIDE - 0.2) < 0.1


def test_a_map_is_packed_for_the_page() -> None:
    places = np.array([[0, 0], [1, 0.5]], dtype=np.float32)
    found = make_map("d", works(1)[:2], places)
    assert found.packed() == bytes([0, 0, 0, 0, 255, 255, 0, 128, 16, 32, 48, 16, 32, 48])


def test_the_points_of_a_part_come_from_its_middle_outwards() -> None:
    places = np.array([[0.5, 0.5], [0.9, 0.9], [0.52, 0.5], [0.1, 0.5]], dtype=np.float32)
    four = [*works(1), Candidate("p", Work("w"))]
    found = make_map("d", four, places)
    assert found.inside(0.4, 0.4, 0.6, 0.6) == [0, 2]
    assert found.inside(0.0, 0.0, 1.0, 1.0) == [0, 2, 3, 1]


def test_a_map_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "maps" / "tate.npz"
    assert CollectionMap.load(path) is None
    made = make_map("0123", works(2), lay_out(families(2)))
    made.save(path)
    found = CollectionMap.load(path)
    assert found is not None
    assert (found.digest, found.ids, found.groups) == (made.digest, made.ids, made.groups)
    assert np.array_equal(found.places, made.places)
    assert np.array_equal(found.colours, made.colours)
    path.write_bytes(path.read_bytes()[:100])
    assert CollectionMap.load(path) is None, "a map can always be made again"
    assert [other.name for other in path.parent.iterdir()] == ["tate.npz"]


def test_the_digest_changes_with_the_works() -> None:
    one = digest_of({"a": "1", "b": "2"})
    assert one == digest_of({"b": "2", "a": "1"})
    assert len({one, digest_of({"a": "1"}), digest_of({"a": "1", "b": "3"}), digest_of({"a": "1", "c": "2"})}) == 4
