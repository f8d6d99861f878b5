import json
from pathlib import Path

from PIL import Image

from boonart.sample import gallery
from boonart.sample.gallery import RECORDS_FILE, committed_gallery, exhibits, record_of, subjects_of
from boonart.sample.scenes import Manner, Place, RelationKind, Scene, Thing

MOST_BYTES = 8 * 1000 * 1000


def committed_records() -> list[dict[str, object]]:
    return [json.loads(line) for line in committed_gallery().read_text(encoding="utf-8").splitlines()]


def test_the_committed_records_are_what_the_code_makes() -> None:
    assert committed_records() == [record_of(exhibit) for exhibit in exhibits()]


def test_some_three_hundred_pictures_are_committed_within_eight_megabytes() -> None:
    folder = committed_gallery().parent
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert 280 <= len(exhibits()) <= 330
    assert {path.name for path in files} == {RECORDS_FILE, *(f"{exhibit.id}.webp" for exhibit in exhibits())}
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


def test_every_record_has_its_picture_of_384_pixels() -> None:
    folder = committed_gallery().parent
    for record in committed_records():
        with Image.open(folder / str(record["image"])) as picture:
            assert picture.format == "WEBP"
            assert max(picture.size) == 384


def test_records_speak_of_different_works_in_four_wordings() -> None:
    records = committed_records()

    assert len({record["description"] for record in records}) == len(records)
    assert len({record["id"] for record in records}) == len(records)
    for record in records:
        assert isinstance(record["wordings"], list)
        assert len(record["wordings"]) == 3
        assert record["title"]
        assert record["artist"]
        assert record["date"]
        assert record["medium"]


def test_each_relational_scene_has_a_twin_that_names_it_back() -> None:
    hung = {exhibit.id: exhibit for exhibit in exhibits()}
    for exhibit in hung.values():
        if exhibit.scene.kind is RelationKind.ALONE:
            assert exhibit.twins == ()
            continue
        assert exhibit.twins
        for twin in exhibit.twins:
            assert exhibit.id in hung[twin].twins
            assert hung[twin].split is exhibit.split
            assert hung[twin].scene.seed == exhibit.scene.seed


def test_subjects_are_paths_from_general_to_particular() -> None:
    scene = Scene((Thing("cow"), Thing("teapot")), (), Place.FIELD, Manner.ABSTRACT, rain=True)

    assert subjects_of(scene) == [
        "manner > abstract",
        "nature > animals > cow",
        "nature > weather > rain",
        "objects > teapot",
        "places > field",
    ]


def test_writing_reports_progress_and_puts_the_records_last(tmp_path: Path, monkeypatch) -> None:
    few = exhibits()[:3]
    seen: list[tuple[int, int]] = []

    def paint(exhibit: gallery.Exhibit, path: Path) -> None:
        assert not (tmp_path / RECORDS_FILE).exists()
        path.write_bytes(b"picture")

    monkeypatch.setattr(gallery, "exhibits", lambda seed: few)
    monkeypatch.setattr(gallery, "save_picture", paint)
    records = gallery.write_gallery(tmp_path, progress=lambda done, total: seen.append((done, total)))

    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [json.loads(line)["id"] for line in records.read_text().splitlines()] == [e.id for e in few]
    assert not list(tmp_path.glob("*.part"))
