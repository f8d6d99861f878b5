"""Pictures as files."""

from pathlib import Path

import pytest

from boonart.errors import InvalidRequest, WorkNotFound
from boonart.index.picture_store import FilePictureStore
from boonart.ports import Renditions

KEY = "0123456789abcdef" * 2
FORMS = Renditions(b"large", "image/jpeg", b"small", "image/webp")


def test_renditions_come_back_with_their_media_types(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("tate", KEY, FORMS)
    assert store.read("tate", KEY, "display") == (b"large", "image/jpeg")
    assert store.read("tate", KEY, "thumbnail") == (b"small", "image/webp")
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_same_key_again_changes_nothing(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("tate", KEY, FORMS)
    store.put("tate", KEY, Renditions(b"other", "image/png", b"other", "image/png"))
    assert store.read("tate", KEY, "display") == (b"large", "image/jpeg")
    assert len(list(tmp_path.rglob(f"{KEY}*"))) == 2


def test_a_file_that_a_power_failure_left_empty_is_written_again(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("tate", KEY, FORMS)
    path = next(tmp_path.rglob(f"{KEY}.display*"))
    path.write_bytes(b"")
    with pytest.raises(WorkNotFound):
        store.read("tate", KEY, "display")
    store.put("tate", KEY, FORMS)
    assert store.read("tate", KEY, "display") == (b"large", "image/jpeg")


@pytest.mark.parametrize("key", ["", "..", "../../etc/passwd", "0" * 15, "g" * 32, f"{KEY}/x", KEY.upper()])
def test_a_key_that_is_no_digest_finds_nothing_and_stores_nothing(tmp_path: Path, key: str) -> None:
    store = FilePictureStore(tmp_path / "store")
    with pytest.raises(WorkNotFound):
        store.read("tate", key, "display")
    with pytest.raises(ValueError, match="digest"):
        store.put("tate", key, FORMS)
    assert list(tmp_path.iterdir()) == []


def test_unknown_renditions_collections_and_media_types(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("tate", KEY, FORMS)
    for collection, rendition in (("tate", "../display"), ("tate", "original"), ("other", "display")):
        with pytest.raises(WorkNotFound):
            store.read(collection, KEY, rendition)
    with pytest.raises(InvalidRequest):
        store.read("../tate", KEY, "display")
    with pytest.raises(ValueError, match="image/heic"):
        store.put("tate", KEY, Renditions(b"", "image/heic", b"", "image/webp"))


def test_dropping_a_collection_leaves_the_others(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("one", KEY, FORMS)
    store.put("two", KEY, FORMS)
    store.drop("one")
    store.drop("never-there")
    with pytest.raises(WorkNotFound):
        store.read("one", KEY, "display")
    assert store.read("two", KEY, "display")


def test_a_further_thumbnail_lies_beside_the_picture(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path)
    store.put("tate", KEY, FORMS)
    with pytest.raises(WorkNotFound):
        store.read("tate", KEY, "thumbnail-320")
    store.add("tate", KEY, "thumbnail-320", b"smaller", "image/webp")
    assert store.read("tate", KEY, "thumbnail-320") == (b"smaller", "image/webp")
    assert store.read("tate", KEY, "thumbnail") == (b"small", "image/webp")


def test_only_known_thumbnails_of_pictures_that_are_there_are_kept(tmp_path: Path) -> None:
    store = FilePictureStore(tmp_path / "store")
    for form, media_type in (
        ("thumbnail-321", "image/webp"),
        ("display", "image/webp"),
        ("thumbnail-320", "text/html"),
    ):
        with pytest.raises(ValueError, match="not stored"):
            store.add("tate", KEY, form, b"x", media_type)
    store.add("tate", KEY, "thumbnail-320", b"x", "image/webp")
    store.add("tate", "..", "thumbnail-320", b"x", "image/webp")
    assert list(tmp_path.iterdir()) == []
