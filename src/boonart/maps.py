"""A map of a collection: each work's place by its looks, its colour, and names for the regions of the map.

Read through the ports, so that both shapes have it; laid out by `map_layout`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from boonart.ports import WorkIndex
from boonart.works import Candidate, Float32Array, UInt8Array, subject_name

SIDE = 65_535
"""Places are whole numbers from 0 to this, from the upper left corner."""
MOST_GROUPS = 14
FORMAT = 1
_BATCH = 256
_COMMON = 0.12
"""Share of a region's works that must hold its name."""
UInt16Array = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Group:
    """A region of the map.

    Attributes:
        name: what its works have in common more than others have, or "".
        x, y: its middle.
        radius: within which most of its works lie.
    """

    name: str
    x: int
    y: int
    radius: int
    count: int


@dataclass(frozen=True, slots=True)
class CollectionMap:
    """The map of a collection.

    Attributes:
        digest: of the stored works that it shows; another one means that it is out of date.
        ids: of the works, by point.
        places: (N, 2) uint16, x to the right and y down, 0 to `SIDE`.
        colours: (N, 3) uint8, the pictures' dominant colours.
        groups: the largest first.
    """

    digest: str
    ids: tuple[str, ...]
    places: UInt16Array
    colours: UInt8Array
    groups: tuple[Group, ...] = ()

    def packed(self) -> bytes:
        """For a page: N pairs of little-endian uint16, then N triples of uint8."""
        return self.packed_places() + self.packed_colours()

    def packed_places(self) -> bytes:
        """N pairs of little-endian uint16."""
        return self.places.astype("<u2").tobytes()

    def packed_colours(self) -> bytes:
        """N triples of uint8."""
        return self.colours.tobytes()

    def inside(self, left: float, top: float, right: float, bottom: float) -> list[int]:
        """The points within a rectangle given in parts of a side, those nearest its middle first."""
        x, y = self.places[:, 0] / SIDE, self.places[:, 1] / SIDE
        held = np.flatnonzero((x >= left) & (x <= right) & (y >= top) & (y <= bottom))
        distance = np.hypot(x[held] - (left + right) / 2, y[held] - (top + bottom) / 2)
        return [int(point) for point in held[np.argsort(distance, kind="stable")]]

    def save(self, path: Path) -> None:
        """Write to a file, in one step."""
        about = {
            "format": FORMAT,
            "digest": self.digest,
            "ids": self.ids,
            "groups": [[group.name, group.x, group.y, group.radius, group.count] for group in self.groups],
        }
        text = np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new.npz")
        np.savez_compressed(beside, about=text, places=self.places, colours=self.colours)
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> CollectionMap | None:
        """Read a file; None where there is none that can be read: a map can always be made again."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes())
                if about["format"] != FORMAT:
                    return None
                groups = tuple(Group(*group) for group in about["groups"])
                return cls(about["digest"], tuple(about["ids"]), stored["places"], stored["colours"], groups)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            return None


def digest_of(content_hashes: Mapping[str, str]) -> str:
    """16 hex digits that change when a work comes, goes or changes."""
    digest = hashlib.sha256()
    for work_id in sorted(content_hashes):
        digest.update(f"{work_id}\x1f{content_hashes[work_id]}\x1e".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


async def read_works(
    index: WorkIndex, collection: str, on_progress: Callable[[int], None] | None = None
) -> tuple[list[Candidate], Float32Array]:
    """All works of a collection that have a picture, and their vectors: (N, D) float32.

    Raises:
        CollectionNotFound, IndexLocked, IndexCorrupt: as the index says.
    """
    works: list[Candidate] = []
    vectors: list[Float32Array] = []
    async for batch in index.scroll(collection, batch=_BATCH):
        found = await index.vectors(collection, [item.work.id for item in batch], "image")
        for item in batch:
            if (vector := found.get(item.work.id)) is not None:
                works.append(item)
                vectors.append(vector)
        if on_progress is not None:
            on_progress(len(works))
    return works, np.stack(vectors) if vectors else np.zeros((0, 1), dtype=np.float32)


def make_map(digest: str, works: Sequence[Candidate], places: Float32Array) -> CollectionMap:
    """The map of works that are laid out.

    Args:
        places: (N, 2) float32 in 0..1, one row a work.
    """
    whole = np.rint(places * SIDE).astype(np.uint16)
    colours = np.array([_rgb(item.picture.colour) for item in works], dtype=np.uint8).reshape(-1, 3)
    ids = tuple(item.work.id for item in works)
    return CollectionMap(digest, ids, whole, colours, _groups(works, places))


def _groups(works: Sequence[Candidate], places: Float32Array) -> tuple[Group, ...]:
    if not works:
        return ()
    count = max(1, min(MOST_GROUPS, round(math.sqrt(len(works)) / 2)))
    members = _clustered(places, count)
    terms = [_terms(item) for item in works]
    everywhere = Counter(term for found in terms for term in found)
    groups: list[Group] = []
    taken: set[str] = set()
    for rows in sorted(members, key=len, reverse=True):
        name = _name([terms[row] for row in rows], everywhere, len(works), taken)
        taken.add(name)
        middle = np.median(places[rows], axis=0)
        spread = np.quantile(np.hypot(*(places[rows] - middle).T), 0.8)
        x, y, radius = (int(value) for value in np.rint(np.array([*middle, max(float(spread), 0.02)]) * SIDE))
        groups.append(Group(name, x, y, radius, len(rows)))
    return tuple(groups)


def _clustered(places: Float32Array, count: int) -> list[npt.NDArray[np.intp]]:
    """Lloyd's k-means from centres as far apart as can be: the rows of each cluster."""
    centres = [places[int(np.hypot(*(places - places.mean(axis=0)).T).argmin())]]
    for _ in range(count - 1):
        gaps = np.min([np.hypot(*(places - centre).T) for centre in centres], axis=0)
        centres.append(places[int(gaps.argmax())])
    middle = np.stack(centres)
    nearest = np.zeros(len(places), dtype=np.intp)
    for _ in range(40):
        nearest = np.stack([np.hypot(*(places - centre).T) for centre in middle]).argmin(axis=0)
        moved = np.stack(
            [places[nearest == k].mean(axis=0) if (nearest == k).any() else middle[k] for k in range(len(middle))]
        )
        if np.allclose(moved, middle):
            break
        middle = moved
    found = [np.flatnonzero(nearest == k) for k in range(len(middle))]
    return [rows for rows in found if len(rows)]


def _terms(item: Candidate) -> set[str]:
    """What may name a work's region: the last parts of its subjects, else the words of its title and description."""
    if item.work.subjects:
        return {part for path in item.work.subjects if (part := subject_name(path))}
    return set(re.findall(r"[^\W\d_]{4,}", f"{item.work.title} {item.work.description}".lower()))


def _name(terms: Sequence[Iterable[str]], everywhere: Mapping[str, int], total: int, taken: set[str]) -> str:
    """The term that is commonest here against the whole collection: the share here times the surprise."""
    here = Counter(term for found in terms for term in found)
    best, name = 0.0, ""
    for term, count in sorted(here.items()):
        share = count / len(terms)
        if term in taken or share < _COMMON or count < 2:
            continue
        score = share * math.log(share * total / everywhere[term]) if everywhere[term] < total else 0.0
        if score > best:
            best, name = score, term
    return name


def _rgb(colour: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"#[0-9a-f]{6}", colour):
        return 128, 128, 128
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
