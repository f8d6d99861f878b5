from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from boonart.encoders.starter_network import PICTURE_SIZE
from boonart.errors import SourceError
from boonart.training.vitr_sources import (
    HARD_KINDS,
    altered_view,
    hard_replaced_scene_pictures,
    hard_scene_pictures,
    rare_scene_pictures,
    read_source,
    replaced_scene_pictures,
    scene_pictures,
    tagged_scene_pictures,
)


def picture(file, pixels=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    Image.fromarray(pixels).save(file)


def test_captions_by_split(tmp_path):
    records = [
        {"image": f"images/{n}.png", "split": split, "captions": ["A dog chases a boy .", "A dog runs ."]}
        for n, split in enumerate(["train", "dev", "test", "unused", "train"])
    ]
    (tmp_path / "flickr8k").mkdir()
    file = tmp_path / "flickr8k" / "captions.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    picture(tmp_path / "flickr8k/images/0.png")
    for path in (tmp_path, tmp_path / "flickr8k", file):
        source = read_source(path)
        assert (source.name, len(source.train), len(source.dev)) == ("flickr8k", 2, 1)
    first = source.train[0]
    assert first.captions == ("A dog chases a boy .", "A dog runs .")
    assert first.false_captions == (("A boy chases a dog.",), ())
    assert first.load().width == 30
    assert len({p.identity for p in source.train + source.dev}) == 3


def test_karpathy_splits(tmp_path):
    images = [
        {"filename": "a.png", "filepath": "val2014", "split": split, "sentences": [{"raw": " A cat . "}]}
        for split in ("train", "restval", "val", "test")
    ]
    file = tmp_path / "dataset_coco.json"
    file.write_text(json.dumps({"images": images}))
    picture(tmp_path / "images/val2014/a.png")
    source = read_source(file)
    assert (source.name, len(source.train), len(source.dev)) == ("dataset_coco", 2, 1)
    assert source.train[0].captions == ("A cat .",)
    assert source.train[0].load().height == 20


def test_refcocog_cuts_out_what_is_referred_to(tmp_path):
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[10:20, 20:40] = 255
    picture(tmp_path / "images/a.png", pixels)
    instances = {
        "images": [{"id": 5, "file_name": "a.png"}],
        "annotations": [{"id": 9, "bbox": [20, 10, 20, 10]}],
    }
    refs = [
        {"ann_id": 9, "image_id": 5, "split": split, "sentences": [{"sent": "the white box"}]}
        for split in ("train", "val", "test")
    ]
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    (tmp_path / "refs(umd).json").write_text(json.dumps(refs))
    source = read_source(tmp_path)
    assert (len(source.train), len(source.dev)) == (1, 1)
    cut = source.train[0].load()
    assert cut.pixels.shape[:2] == (16, 31)
    assert source.train[0].captions == ("the white box",)


def test_works_with_descriptions(tmp_path):
    records = [{"id": str(n), "image": f"{n}.png", "description": f"Painting {n}."} for n in range(20)]
    records.append({"id": "x", "image": "x.png", "description": None})
    records.append({"id": "y", "image": "y.png", "description": "Held back.", "split": "test"})
    (tmp_path / "works.jsonl").write_text("\n".join(map(json.dumps, records)))
    source = read_source(tmp_path)
    assert (len(source.train), len(source.dev)) == (18, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.jsonl", "{broken"),
        ("data.json", "[]"),
        ("works.jsonl", '{"id": "a", "image": "a.png"}'),
        ("readme.txt", "hello"),
        ("instances.json", "{}"),
    ],
)
def test_what_cannot_be_read_says_so(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError):
        read_source(tmp_path / name if name.endswith((".json", ".txt")) and name != "instances.json" else tmp_path)


def test_scenes_and_their_twins():
    pictures = scene_pictures(3, 12, "train")
    assert len(pictures) >= 12
    twins: dict[int, list] = {}
    for item in pictures:
        if item.twin >= 0:
            twins.setdefault(item.twin, []).append(item)
    assert twins
    for a, b in twins.values():
        assert a.kind == b.kind
        assert tuple(text for (text,) in a.false_captions) == b.own_captions
        assert a.captions != b.captions
    assert pictures[0].load().pixels.ndim == 3
    again = scene_pictures(3, 12, "train")
    assert [item.captions for item in again] == [item.captions for item in pictures]


def test_mirror_images_exchange_left_and_right():
    pictures = scene_pictures(3, 12, "train")
    flipped = altered_view(pictures, 1, 0)
    for old, new in zip(pictures, flipped, strict=True):
        assert new.identity == old.identity
        assert [text.count("left") for text in new.captions] == [text.count("right") for text in old.captions]
        assert (new.twin >= 0) == (old.twin >= 0)
        assert new.twin < 0 or new.twin not in {item.twin for item in pictures}
    assert flipped[0].load().pixels.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)


def test_crops_are_the_same_every_time():
    pictures = scene_pictures(3, 2, "train")
    first, again = (altered_view(pictures, 2, 0)[0].load().pixels for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, altered_view(pictures, 3, 0)[0].load().pixels)


def test_hard_scenes_are_further_scenes_of_the_hard_kinds():
    first = {picture.captions for picture in scene_pictures(3, 12, "train")}
    hard = hard_scene_pictures(3, 12, 60)
    assert 5 < len(hard) < 40
    assert {picture.kind for picture in hard} <= HARD_KINDS
    assert not {picture.captions for picture in hard} & first


def test_rare_scenes_are_further_scenes_until_every_drawing_was_shown():
    known = [*scene_pictures(3, 30, "train", companions=20), *hard_scene_pictures(3, 30, 60)]
    few, many = (rare_scene_pictures(3, 30, 60, 20, 400, often=often) for often in (1, 3))
    assert 20 < len(few) < len(many) < 400
    assert {item.captions for item in few} <= {item.captions for item in many}
    seen = {fact for item in known for fact in item.facts}
    assert any(item.facts - seen for item in few)
    # Far more to look through brings little more: most drawings were shown by then.
    assert len(rare_scene_pictures(3, 30, 60, 20, 3000, often=1)) < 3 * len(few)


def test_companions_follow_and_keep_their_twins_apart():
    first, second = scene_pictures(3, 12, "dev"), scene_pictures(3, 0, "dev", companions=12)
    both = scene_pictures(3, 12, "dev", companions=12)
    assert [item.captions for item in both] == [item.captions for item in (*first, *second)]
    twins: dict[int, int] = {}
    for item in both:
        if item.twin >= 0:
            twins[item.twin] = twins.get(item.twin, 0) + 1
    assert set(twins.values()) == {2}


def test_hard_replaced_scenes_are_abstract_things_on_others_and_some_still_lifes():
    pictures = hard_replaced_scene_pictures(3, 400, still_lifes=3)
    first = [picture.captions[0] for picture in pictures]
    still = ["manner still life" in picture.facts for picture in pictures]
    assert sum(still) == 6
    assert 2 < len(pictures) < 40
    for picture in pictures[:-6]:
        assert "manner abstract" in picture.facts
        assert any(" on " in fact or " under " in fact for fact in picture.facts)
    others = {picture.captions[0] for picture in replaced_scene_pictures(3, 400)}
    assert len(others.intersection(first)) < len(first) / 4


def test_tagged_scenes_have_short_queries_alone():
    pictures = tagged_scene_pictures(3, 8)
    assert [picture.twin for picture in pictures] == [0, 0, 1, 1, 2, 2, 3, 3]
    for picture in pictures:
        assert len(picture.captions) == len(picture.asks) == 6
        assert all(asks and asks <= picture.facts for asks in picture.asks)
        assert picture.own_captions == ()
    assert pictures[0].load().pixels.ndim == 3
