import json
from pathlib import Path

import pytest

from boonart.errors import SourceError
from boonart.evaluation.datasets import flickr8k, subject_queries, works


def write(file: Path, records: list[dict[str, object]]) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")


def test_flickr8k_keeps_to_the_split(tmp_path: Path) -> None:
    write(
        tmp_path / "flickr8k" / "captions.jsonl",
        [
            {"image": "images/a.webp", "split": "train", "captions": ["one", "two"]},
            {"image": "images/b.webp", "split": "test", "captions": ["three"]},
        ],
    )
    (item,) = flickr8k(tmp_path, "train")
    assert item.image == tmp_path / "flickr8k" / "images" / "a.webp"
    assert item.captions == ("one", "two")
    with pytest.raises(SourceError, match="tset"):
        flickr8k(tmp_path, "tset")


def test_null_fields_become_empty(tmp_path: Path) -> None:
    record = {"id": "t-1", "title": "Cow", "description": None, "subjects": ["nature > cow"], "image": "i.webp"}
    write(tmp_path / "tate" / "works.jsonl", [record])
    (item,) = works(tmp_path, "tate")
    assert (item.work.description, item.work.artist, item.work.subjects) == ("", "", ("nature > cow",))


def test_subjects_are_queries_when_neither_too_rare_nor_too_common(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {
            "id": f"t-{number}",
            "image": "i",
            "subjects": ["animals > Cow"] if number < 5 else ["animals > rare"] * (number == 5),
        }
        for number in range(160)
    ]
    for record in records:
        record["subjects"] = [*record["subjects"], "people > everyone"]  # type: ignore[misc]
    write(tmp_path / "tate" / "works.jsonl", records)
    queries = subject_queries(works(tmp_path, "tate"))
    assert queries.texts == ("cow",)
    assert queries.relevant.shape == (1, 160)
    assert queries.relevant[0].nonzero()[0].tolist() == [0, 1, 2, 3, 4]


def test_an_absent_collection_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="BOONART_DATA"):
        works(tmp_path, "masters")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    write(tmp_path / "tate" / "works.jsonl", [])
    (tmp_path / "tate" / "works.jsonl").write_text('{"id": "a", "image": "i"}\n{"id":\n', encoding="utf-8")
    with pytest.raises(SourceError, match="Line 2"):
        works(tmp_path, "tate")
