"""Renditions of pictures as files, by key."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from boonart.errors import WorkNotFound
from boonart.index.folders import write_atomically
from boonart.index.schema import check_collection_name
from boonart.ports import THUMBNAIL_HEIGHTS, Renditions

_KEY = re.compile(r"[0-9a-f]{16,128}")
_SUFFIXES = {
    "image/webp": ".webp",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/avif": ".avif",
}
_MEDIA_TYPES = {suffix: media_type for media_type, suffix in _SUFFIXES.items()}
_ADDED = tuple(f"thumbnail-{height}" for height in THUMBNAIL_HEIGHTS)
_RENDITIONS = ("display", "thumbnail", *_ADDED)


class FilePictureStore:
    """`ports.PictureStore` on a folder: ROOT/COLLECTION/ab/abcd….display.webp.

    A key is the picture's digest in hex, so equal keys mean equal bytes and a second `put` has nothing to do.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, collection: str, key: str, renditions: Renditions) -> None:
        """Store so that it survives the death of the process; the same key again is a no-op.

        Not synced to the disk, as the index is not for each work: on a busy disk that would cost more than
        the encoding.

        Raises:
            ValueError: a key that is no digest, or a media type without a known suffix.
        """
        folder = self._folder(collection, key)
        if folder is None:
            raise ValueError(f"{key[:80]!r} is not a digest in hex")
        forms = {
            "display": (renditions.display, renditions.display_media_type),
            "thumbnail": (renditions.thumbnail, renditions.thumbnail_media_type),
        }
        for media_type in (form[1] for form in forms.values()):
            if media_type not in _SUFFIXES:
                raise ValueError(f"no suffix is known for {media_type!r}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, (data, media_type) in forms.items():
            if self._find(folder, key, name) is None:
                write_atomically(folder / f"{key}.{name}{_SUFFIXES[media_type]}", data, durable=False)

    def add(self, collection: str, key: str, rendition: str, data: bytes, media_type: str) -> None:
        """Store a further form, "thumbnail-HEIGHT", of a picture that is there; a no-op where it is not.

        Raises:
            ValueError: an unknown form or media type.
        """
        if rendition not in _ADDED or media_type not in _SUFFIXES:
            raise ValueError(f"{rendition[:40]!r} as {media_type!r} is not stored")
        folder = self._folder(collection, key)
        # A collection that was deleted meanwhile is not begun anew.
        if folder and self._find(folder, key, "display"):
            write_atomically(folder / f"{key}.{rendition}{_SUFFIXES[media_type]}", data, durable=False)

    def read(self, collection: str, key: str, rendition: str) -> tuple[bytes, str]:
        """Bytes and media type of "display", "thumbnail" or "thumbnail-HEIGHT".

        Raises:
            WorkNotFound: nothing under this key, or no such rendition.
        """
        folder = self._folder(collection, key)
        path = self._find(folder, key, rendition) if folder and rendition in _RENDITIONS else None
        if path is None:
            raise WorkNotFound(f"There is no picture {key[:80]!r} as {rendition[:40]!r} in {collection!r}.")
        return path.read_bytes(), _MEDIA_TYPES[path.suffix]

    def drop(self, collection: str) -> None:
        """Delete all pictures of a collection."""
        check_collection_name(collection)
        shutil.rmtree(self._root / collection, ignore_errors=True)

    def _folder(self, collection: str, key: str) -> Path | None:
        check_collection_name(collection)
        if not _KEY.fullmatch(key):
            return None
        return self._root / collection / key[:2]

    @staticmethod
    def _find(folder: Path, key: str, rendition: str) -> Path | None:
        for suffix in _MEDIA_TYPES:
            path = folder / f"{key}.{rendition}{suffix}"
            # A power failure can leave an empty file, which is as good as none.
            if path.is_file() and path.stat().st_size:
                return path
        return None
