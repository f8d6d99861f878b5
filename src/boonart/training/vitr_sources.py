"""Readers of training data for the relation network."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from boonart.encoders.pictures import decode
from boonart.errors import SourceError
from boonart.evaluation.exchanged import exchange_roles
from boonart.training.encoder_features import altered
from boonart.training.vitr_features import TrainingPicture
from boonart.works import Picture

if TYPE_CHECKING:
    from boonart.sample.scenes import Scene, TwinGroup
    from boonart.sample.short_queries import ShortQuery

HARD_KINDS = frozenset({"colours", "bigger / smaller", "behind / in front of", "holding", "counts"})
"""Kinds of relation that are learned slowly; see `boonart.sample.scenes.RelationKind`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where training pictures come from.

    Attributes:
        name: of the data, for the folder that its features are kept in.
        train, dev: pictures of the two splits; `dev` may be empty.
    """

    name: str
    train: list[TrainingPicture]
    dev: list[TrainingPicture]


def read_source(path: Path) -> Source:
    """Read a folder or file, whatever of the known forms it is.

    - a folder with `flickr8k/captions.jsonl`, or that file's folder, or the file;
    - a JSON file in Karpathy's form (`{"images": [{"filename", "split", "sentences"}]}`), as for Flickr8k,
      Flickr30k and COCO;
    - RefCOCOg: a folder with `instances.json` and `refs*.json`;
    - a `works.jsonl` or its folder: works with descriptions; every tenth is kept for dev.

    Raises:
        SourceError: none of these.
    """
    for folder in (path / "flickr8k", path):
        if (folder / "captions.jsonl").is_file():
            return read_captions(folder / "captions.jsonl")
    if path.name == "captions.jsonl" and path.is_file():
        return read_captions(path)
    if path.suffix == ".jsonl" and path.is_file():
        return read_works(path)
    if (path / "works.jsonl").is_file():
        return read_works(path / "works.jsonl")
    if (path / "instances.json").is_file():
        return read_refcocog(path)
    if path.suffix == ".json" and path.is_file():
        return read_karpathy(path)
    raise SourceError(
        f"{path} holds no training data that is known.",
        hint="Give a folder with captions.jsonl or works.jsonl, a Karpathy-split JSON file, or RefCOCOg's folder.",
    )


def read_captions(file: Path) -> Source:
    """One object a line with `image`, `split` and `captions`."""
    splits: dict[str, list[TrainingPicture]] = {"train": [], "dev": []}
    for number, record in enumerate(_lines(file)):
        split = str(record["split"])
        if split in splits:
            splits[split].append(_captioned(file.parent / str(record["image"]), record["captions"], number))
    return Source(file.parent.name, splits["train"], splits["dev"])


def read_karpathy(file: Path) -> Source:
    """Karpathy's splits; pictures lie beside the file, in `images/`, or under their own `filepath`."""
    try:
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{file} is not a Karpathy-split file: it has no list of images.") from error
    splits: dict[str, list[TrainingPicture]] = {"train": [], "dev": []}
    names = {"train": "train", "restval": "train", "val": "dev", "dev": "dev"}
    for number, record in enumerate(images):
        if (split := names.get(record["split"])) is not None:
            captions = [str(sentence["raw"]).strip() for sentence in record["sentences"]]
            picture = _first_file(file.parent, record.get("filepath", ""), record["filename"])
            splits[split].append(_captioned(picture, captions, number))
    return Source(file.stem, splits["train"], splits["dev"])


def read_refcocog(folder: Path) -> Source:
    """RefCOCOg: each referred thing, cut out with a margin, with its expressions; pictures in `images/`.

    `refs*.json` is a list of `{"ann_id", "image_id", "split", "sentences"}`.
    """
    try:
        instances = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
        refs = json.loads(sorted(folder.glob("refs*.json"))[0].read_text(encoding="utf-8"))
        files = {image["id"]: str(image["file_name"]) for image in instances["images"]}
        boxes = {item["id"]: [float(side) for side in item["bbox"]] for item in instances["annotations"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise SourceError(f"{folder} is not RefCOCOg: instances.json or refs*.json cannot be read.") from error
    splits: dict[str, list[TrainingPicture]] = {"train": [], "dev": []}
    for number, ref in enumerate(refs):
        split = {"train": "train", "val": "dev"}.get(ref["split"])
        if split is None:
            continue
        captions = [str(sentence["sent"]).strip() for sentence in ref["sentences"]]
        picture = _captioned(_first_file(folder, "", files[ref["image_id"]]), captions, number)
        splits[split].append(replace(picture, load=_cut(picture.load, boxes[ref["ann_id"]])))
    return Source("refcocog", splits["train"], splits["dev"])


def read_works(file: Path) -> Source:
    """Works with a description; a record may name its own `split`, else every tenth is for dev."""
    splits: dict[str, list[TrainingPicture]] = {"train": [], "dev": []}
    for number, record in enumerate(_lines(file)):
        description = str(record.get("description") or "").strip()
        split = str(record.get("split") or ("dev" if number % 10 == 9 else "train"))
        if description and split in splits:
            splits[split].append(_captioned(file.parent / str(record["image"]), [description], number))
    if not splits["train"]:
        raise SourceError(f"No work in {file} has a description to train on.")
    return Source(file.parent.name, splits["train"], splits["dev"])


def exchange_sides(text: str) -> str:
    """The text for the mirrored picture: left and right exchanged."""
    sides = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b(?:[Ll]eft|[Rr]ight)\b", lambda match: sides[match[0]], text)


def is_mirrored(view: int, row: int, seed: int) -> bool:
    """Whether `altered` exchanges left and right: never in view 0, always in view 1, in half of the others."""
    if view < 2:
        return view == 1
    return bool(np.random.default_rng((seed, view, row)).random() < 0.5)


def altered_view(pictures: Sequence[TrainingPicture], view: int, seed: int) -> list[TrainingPicture]:
    """The pictures in another view, as the encoder is trained on: 1 is the mirror image, from 2 on random crops.

    Where a view exchanges left and right, so do its sentences. A view has its picture's identity; a twin of a view
    is the twin's view.
    """
    offset = view * (1 + max((picture.twin for picture in pictures), default=0))
    views = []
    for row, picture in enumerate(pictures):
        captions, false = picture.captions, picture.false_captions
        if is_mirrored(view, row, seed):
            captions = tuple(exchange_sides(caption) for caption in captions)
            false = tuple(tuple(exchange_sides(text) for text in counterparts) for counterparts in false)
        views.append(
            replace(
                picture,
                load=_altered(picture.load, view, row, seed),
                captions=captions,
                false_captions=false,
                twin=picture.twin + offset if picture.twin >= 0 else -1,
            )
        )
    return views


def scene_pictures(seed: int, count: int, split: str, *, companions: int = 0) -> list[TrainingPicture]:
    """Generated scenes with their twins, of pairs of things kept for this split ("train" or "dev").

    A picture is painted when it is first needed, from its scene alone.

    Args:
        companions: how many scenes of two of a kind and of coloured cloths follow.
    """
    from boonart.sample.companions import companion_groups
    from boonart.sample.generation import training_groups
    from boonart.sample.scenes import Split

    groups = chain(training_groups(seed, count, Split(split)), companion_groups(seed, companions, Split(split)))
    return _pictures_of(groups)


def hard_scene_pictures(seed: int, first: int, count: int) -> list[TrainingPicture]:
    """Of the `count` scenes that follow the first `first` of the train split, those of the kinds that are hard.

    Colours, sizes, numbers, what hides what and who holds what need more lessons than left and right.
    """
    return _pictures_of(_hard_groups(seed, first, count))


def rare_scene_pictures(
    seed: int, first: int, hard: int, companions: int, count: int, *, often: int = 60
) -> list[TrainingPicture]:
    """Of the `count` scenes that follow `first + hard`, those with a drawing that the other sets show too seldom.

    A kind that many relations and places suit is drawn in hundreds of scenes, an airplane or a fruit in a few dozen,
    and the more of its pairs are kept for dev and test, the fewer.

    Args:
        first, hard, companions: what the other sets are made of, see `scene_pictures` and `hard_scene_pictures`.
        often: how many groups of all sets together are to show each drawing.
    """
    from boonart.sample.companions import companion_groups
    from boonart.sample.generation import training_groups

    known = [*training_groups(seed, first), *_hard_groups(seed, first, hard), *companion_groups(seed, companions)]
    shown = Counter(drawing for group in known for drawing in _drawings(group))
    picked = []
    for group in _following(seed, first + hard, count):
        drawings = _drawings(group)
        if any(shown[drawing] < often for drawing in drawings):
            picked.append(group)
            shown.update(drawings)
    return _pictures_of(picked)


def replaced_scene_pictures(seed: int, count: int) -> list[TrainingPicture]:
    """Scenes of the train split in pairs that differ in one kind of thing or in its colour."""
    from boonart.sample.replacements import replacement_groups

    return _pictures_of(replacement_groups(seed, count))


def hard_replaced_scene_pictures(seed: int, count: int, *, still_lifes: int = 600) -> list[TrainingPicture]:
    """Of `count` further scenes in such pairs, abstract ones of one thing on another, and the first still lifes.

    What a thing is tells least where it is made of a few planes, and a still life shows little else.

    Args:
        still_lifes: how many pairs of these.
    """
    from boonart.sample.replacements import replacement_groups
    from boonart.sample.scenes import Manner, RelationName

    stands = {RelationName.ON, RelationName.UNDER}
    groups = list(replacement_groups(seed + 1, count))  # of another seed: the first ones of this one are trained on
    abstract = [
        group
        for group in groups
        if group.scenes[0].manner is Manner.ABSTRACT
        and any(relation.name in stands for relation in group.scenes[0].relations)
    ]
    still = [group for group in groups if group.scenes[0].manner is Manner.STILL_LIFE]
    return _pictures_of(abstract + still[:still_lifes])


def tagged_scene_pictures(seed: int, count: int) -> list[TrainingPicture]:
    """Scenes of the train split in pairs, one as it is and one painted, with nothing but short queries."""
    from boonart.sample.tagged import tagged_groups, tags

    return [
        _scene_picture(scene, (), tags(scene), twin=number)
        for number, group in enumerate(tagged_groups(seed, count))
        for scene in group.scenes
    ]


def _hard_groups(seed: int, first: int, count: int) -> list[TwinGroup]:
    return [group for group in _following(seed, first, count) if group.scenes[0].kind.value in HARD_KINDS]


def _following(seed: int, first: int, count: int) -> Iterator[TwinGroup]:
    """The groups of the train split after those that hold its first `first` scenes."""
    from boonart.sample.generation import training_groups

    passed = 0
    for group in training_groups(seed, first + count):
        if passed >= first:
            yield group
        passed += len(group.scenes)


def _drawings(group: TwinGroup) -> set[tuple[str, int]]:
    return {(thing.kind, thing.look) for scene in group.scenes for thing in scene.things}


def _pictures_of(groups: Iterable[TwinGroup]) -> list[TrainingPicture]:
    return [picture for number, group in enumerate(groups) for picture in _scene_group(group, number)]


def _scene_group(group: TwinGroup, number: int) -> list[TrainingPicture]:
    from boonart.sample.short_queries import short_queries
    from boonart.sample.twins import twin_of
    from boonart.sample.wording import words_for

    captions = [words_for(scene).captions for scene in group.scenes]
    pictures = []
    for place, scene in enumerate(group.scenes):
        if len(captions) > 1:
            false = captions[1 - place]
        else:
            twin = twin_of(scene)
            false = words_for(twin).captions if twin is not None else ()
        twin_number = number if len(captions) > 1 else -1
        pictures.append(_scene_picture(scene, captions[place], short_queries(scene), twin=twin_number, false=false))
    return pictures


def _scene_picture(
    scene: Scene, captions: Sequence[str], queries: Sequence[ShortQuery], *, twin: int, false: Sequence[str] = ()
) -> TrainingPicture:
    """A scene, painted when it is needed, with what is said of it alone and what is asked for that it shows."""
    from boonart.sample.short_queries import facts

    return TrainingPicture(
        _painting(scene),
        (*captions, *(query.text for query in queries)),
        tuple((text,) for text in false),
        twin=twin,
        kind=scene.kind.value,
        asks=(*[frozenset[str]()] * len(captions), *(query.asks for query in queries)),
        facts=facts(scene),
    )


def _painting(scene: Any) -> Callable[[], Picture]:
    def load() -> Picture:
        from boonart.sample.painting import render

        pixels = render(scene)
        return Picture(pixels, (pixels.shape[1], pixels.shape[0]), "PNG")

    return load


def _captioned(file: Path, captions: Sequence[str], identity: int) -> TrainingPicture:
    texts = tuple(caption for caption in captions if caption.strip())
    if not texts:
        raise SourceError(f"{file} has no caption.")
    exchanged = (exchange_roles(text) for text in texts)
    false = tuple((text,) if text is not None else () for text in exchanged)
    return TrainingPicture(_reading(file), texts, false, identity=identity)


def _reading(file: Path) -> Callable[[], Picture]:
    return lambda: decode(file.read_bytes())


def _altered(load: Callable[[], Picture], view: int, row: int, seed: int) -> Callable[[], Picture]:
    def changed() -> Picture:
        picture = load()
        return replace(picture, pixels=np.asarray(altered(Image.fromarray(picture.pixels), view, row, seed)))

    return changed


def _cut(load: Callable[[], Picture], box: Sequence[float]) -> Callable[[], Picture]:
    """The part of a picture in `box` (x, y, width, height), and half as much again around it."""

    def cut() -> Picture:
        picture = load()
        x, y, width, height = box
        left, top = max(0, int(x - width / 4)), max(0, int(y - height / 4))
        right, bottom = int(x + 1.25 * width) + 1, int(y + 1.25 * height) + 1
        return replace(picture, pixels=np.ascontiguousarray(picture.pixels[top:bottom, left:right]))

    return cut


def _first_file(folder: Path, subfolder: str, name: str) -> Path:
    places = [folder / "images" / subfolder / name, folder / subfolder / name, folder / "images" / name, folder / name]
    return next((place for place in places if place.is_file()), places[0])


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError as error:
                        raise SourceError(f"{file}, line {number}: not JSON.") from error
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}.") from error
