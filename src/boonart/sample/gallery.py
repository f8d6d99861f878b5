"""The sample gallery: some 300 painted scenes with their records, the same bytes from the same seed.

The gallery shipped with the package lies under `gallery/`; `write_gallery` makes it anew, there or elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from boonart.errors import SourceError
from boonart.sample.commissions import commissioned
from boonart.sample.grammar import PRODUCTIONS, sample_group
from boonart.sample.kinds import KINDS
from boonart.sample.painting import render
from boonart.sample.provenance import provenance_of
from boonart.sample.scenes import Manner, RelationKind, Scene, Split, TwinGroup, stable_number
from boonart.sample.splits import split_of
from boonart.sample.table1 import satisfied_queries
from boonart.sample.twins import twin_of
from boonart.sample.wording import words_for

GALLERY_SEED = 2023
"""The seed of the shipped gallery."""

WEBP_QUALITY = 84
"""Keeps the shipped gallery under 8 MB."""

RECORDS_FILE = "works.jsonl"

_GROUPS = {Split.TEST: 6, Split.DEV: 1, Split.TRAIN: 3}
_ALONE = {Split.TEST: 4, Split.DEV: 2, Split.TRAIN: 14}
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture of the gallery, not yet painted.

    Attributes:
        id: "sample-001" and so on.
        twins: ids of the scenes that differ from it in the relation alone.
        twin_of: id of the first scene of its group, "" for that one itself and for a scene alone.
    """

    id: str
    scene: Scene
    split: Split
    twins: tuple[str, ...]
    twin_of: str


@lru_cache(maxsize=4)
def exhibits(seed: int = GALLERY_SEED) -> tuple[Exhibit, ...]:
    """What hangs in the gallery, in order; cheap, nothing is painted."""
    hung: list[Exhibit] = []
    for group in _groups(seed):
        ids = [f"sample-{len(hung) + offset + 1:03d}" for offset in range(len(group.scenes))]
        for position, (id_, scene) in enumerate(zip(ids, group.scenes, strict=True)):
            others = tuple(other for other in ids if other != id_)
            hung.append(Exhibit(id_, scene, group.split, others, ids[0] if position else ""))
    return tuple(hung)


def write_gallery(
    folder: Path,
    seed: int = GALLERY_SEED,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Paint the gallery into `folder`: `works.jsonl` and `pictures/*.webp`.

    The same seed gives the same records and pixels. Pictures are written first and the records last, so that a
    folder with records is complete.

    Args:
        progress: called with (pictures done, pictures in all) after each.

    Returns:
        The path of the records.

    Raises:
        SourceError: if the folder cannot be written to.
    """
    hung = exhibits(seed)
    pictures = folder / "pictures"
    records = folder / RECORDS_FILE
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        for done, exhibit in enumerate(hung, start=1):
            save_picture(exhibit, pictures / f"{exhibit.id}.webp")
            if progress is not None:
                progress(done, len(hung))
        lines = [json.dumps(record_of(exhibit), ensure_ascii=False) for exhibit in hung]
        unfinished = records.with_suffix(".part")
        unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
        unfinished.replace(records)
    except OSError as error:
        raise SourceError(
            f"The sample gallery cannot be written to {folder}: {error.strerror or error}.",
            hint="Choose a folder that you may write to, on a disk with 20 MB free.",
        ) from error
    return records


def committed_gallery() -> Path:
    """Path of the records of the gallery that is shipped inside the package.

    Raises:
        SourceError: if the package was installed without its gallery.
    """
    path = Path(str(resources.files("boonart.sample").joinpath("gallery", RECORDS_FILE)))
    if not path.is_file():
        raise SourceError(
            "The shipped sample gallery is not part of this installation.",
            hint="Run `boonart sample --output FOLDER` to paint it anew.",
        )
    return path


def save_picture(exhibit: Exhibit, path: Path) -> None:
    """Paint one picture and write it as WebP."""
    Image.fromarray(render(exhibit.scene)).save(path, "WEBP", quality=WEBP_QUALITY, method=6)


def record_of(exhibit: Exhibit) -> dict[str, Any]:
    """The work's record: the fields of any `works.jsonl`, and what only generated works have."""
    scene = exhibit.scene
    words = words_for(scene)
    origin = provenance_of(scene)
    return {
        "id": exhibit.id,
        "title": words.title,
        "artist": origin.artist,
        "date": origin.date,
        "medium": origin.medium,
        "description": words.description,
        "subjects": subjects_of(scene),
        "source_url": f"https://example.org/sample/{exhibit.id}",
        "image": f"pictures/{exhibit.id}.webp",
        "credit": "BoonArt sample gallery; artwork after Noto Emoji (Apache-2.0) and Fluent Emoji (MIT)",
        "licence": "Apache-2.0",
        "wordings": list(words.others),
        "scene": scene.to_dict(),
        "twin_of": exhibit.twin_of,
        "twins": list(exhibit.twins),
        "relation_kind": scene.kind.value,
        "split": exhibit.split.value,
        "table1": list(satisfied_queries(scene)),
    }


def subjects_of(scene: Scene) -> list[str]:
    """Paths from general to particular, such as "nature > animals > cow"."""
    branches = {
        "person": "people",
        "animal": "nature > animals",
        "plant": "nature > plants",
        "fruit": "nature > fruit",
        "vehicle": "objects > vehicles",
        "furniture": "objects > furniture",
        "building": "architecture > buildings",
    }
    paths = {f"places > {scene.place.value}", f"manner > {scene.manner.value}"}
    for thing in scene.things:
        branch = next((path for tag, path in branches.items() if KINDS[thing.kind].can(tag)), "objects")
        paths.add(f"{branch} > {thing.kind}")
    if scene.rain:
        paths.add("nature > weather > rain")
    return sorted(paths)


# --- which scenes hang -----------------------------------------------------------------------------------


def _groups(seed: int) -> Iterator[TwinGroup]:
    said: set[str] = set()
    for scene in commissioned(seed).values():
        twin = twin_of(scene)
        scenes = (scene,) if twin is None else (scene, twin)
        said.update(words_for(each).description for each in scenes)
        yield TwinGroup(scenes, scene.kind, split_of(scene) or Split.TEST)
    for split in Split:
        for kind in PRODUCTIONS:
            wanted = (_ALONE if kind is RelationKind.ALONE else _GROUPS)[split]
            for number in range(wanted):
                group = _new_group(seed, kind, split, number, said)
                if group is not None:
                    yield group


def _new_group(seed: int, kind: RelationKind, split: Split, number: int, said: set[str]) -> TwinGroup | None:
    """A group that says something new and leaves Table I's queries to their own pictures.

    Manners take turns, as far as the kind of relation allows.
    """
    manners = list(Manner)
    wish = manners[(number + list(PRODUCTIONS).index(kind)) % len(manners)]
    rng = random.Random(stable_number("gallery", seed, kind, split, number))
    spare: TwinGroup | None = None
    for _ in range(_TRIES):
        group = sample_group(rng, kind, split)
        if group is None:
            return None
        descriptions = {words_for(scene).description for scene in group.scenes}
        if descriptions & said or any(satisfied_queries(scene) for scene in group.scenes):
            continue
        spare = spare or group
        if group.scenes[0].manner is wish:
            spare = group
            break
    if spare is not None:
        said.update(words_for(scene).description for scene in spare.scenes)
        spare = replace(spare, split=split)
    return spare
