"""Records as museums keep them."""

import json
from pathlib import Path

import pytest

from boonart.errors import PictureTooLarge, RecordError, SourceError
from boonart.records import Rejected, SourceRecord
from boonart.works import Work
from boonart_ingest.main import parse_arguments
from boonart_ingest.quarantine import QuarantineFile
from boonart_ingest.sources import open_source


def read(source) -> tuple[list[Work], list[Rejected]]:
    items = list(source)
    assert len(source) == len(items)
    works = [item.work for item in items if isinstance(item, SourceRecord)]
    return works, [item for item in items if isinstance(item, Rejected)]


def only(source) -> SourceRecord:
    (item,) = source
    assert isinstance(item, SourceRecord), item.error
    return item


def jsonl(folder: Path, *lines: object) -> Path:
    path = folder / "works.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


class TestWorksJsonl:
    def test_a_record_as_found(self, tmp_path: Path) -> None:
        jsonl(
            tmp_path,
            {
                "id": "n03992",
                "title": "Illustration to ‘Judith \n Shakespeare’",
                "artist": None,
                "date": 1883,
                "description": None,
                "subjects": ["people > adults > man", "", "people > adults > man"],
                "source_url": "www.example.org/n03992",
                "image": "images/n03992.webp",
                "dimensions": "305 x 419 mm",
                "height": 305,
                "tags": ["a", "b"],
                "nested": {"x": 1},
                "empty": None,
            },
        )
        item = only(open_source(tmp_path))
        assert item.work == Work(
            id="n03992",
            title="Illustration to ‘Judith Shakespeare’",
            date="1883",
            description="Illustration to ‘Judith Shakespeare’. man",
            subjects=("people > adults > man",),
            source_url="https://www.example.org/n03992",
            image="images/n03992.webp",
            extra={"dimensions": "305 x 419 mm", "height": 305, "tags": "a; b", "nested": '{"x": 1}'},
        )
        assert item.description_composed
        assert item.place == "works.jsonl line 1"

    def test_the_file_itself_or_its_folder(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, {"id": "a"})
        assert read(open_source(path)) == read(open_source(str(tmp_path)))

    def test_bad_lines_are_rejected_with_their_number(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, {"id": "a"}, "", "{not json", "[1]", '{"id": "b", "title": ["x"]}', {"id": "c"})
        with path.open("ab") as file:
            file.write(b'{"id": "d", "title": "\xff"}\n')
        works, rejected = read(open_source(path))
        assert [work.id for work in works] == ["a", "c"]
        assert [(item.place, item.work_id) for item in rejected] == [
            ("works.jsonl line 3", ""),
            ("works.jsonl line 4", ""),
            ("works.jsonl line 5", "b"),
            ("works.jsonl line 7", ""),
        ]
        assert all(isinstance(item.error, RecordError) for item in rejected)

    def test_a_byte_order_mark_and_odd_characters(self, tmp_path: Path) -> None:
        path = tmp_path / "works.jsonl"
        path.write_bytes(b'\xef\xbb\xbf{"id": "a", "title": "x\\u0000y \\ud800"}\r\n')
        assert only(open_source(path)).work.title == "xy ?"

    def test_a_line_without_end_does_not_fill_the_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "works.jsonl"
        path.write_bytes(b'{"id": "' + b"x" * (9 * 1024 * 1024) + b'"}\n{"id": "b"}\n')
        works, rejected = read(open_source(path))
        assert [work.id for work in works] == ["b"]
        assert rejected[0].place == "works.jsonl line 1"

    def test_a_link_that_is_no_web_address_is_not_kept_as_a_link(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, {"id": "a", "source_url": "javascript:alert(1)"})
        work = only(open_source(path)).work
        assert (work.source_url, work.extra) == ("", {"source": "javascript:alert(1)"})


class TestPictures:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "source"
        (folder / "images").mkdir(parents=True)
        (folder / "images" / "a.png").write_bytes(b"picture")
        (tmp_path / "secret.png").write_bytes(b"secret")
        return folder

    def test_a_picture_is_read_when_it_is_asked_for(self, source: Path) -> None:
        for name in ("images/a.png", "images\\a.png", "./images/../images/a.png"):
            item = only(open_source(jsonl(source, {"id": "a", "image": name})))
            assert item.read_picture() == b"picture"

    @pytest.mark.parametrize(
        "name",
        [
            "../secret.png",
            "images/../../secret.png",
            "ABSOLUTE",
            "images/link.png",
            "",
            "images",
            "images/b.png",
            "https://example.org/a.png",
            "file:///etc/passwd",
            "x" * 5000,
        ],
    )
    def test_nothing_outside_the_folder_is_read(self, source: Path, name: str) -> None:
        (source / "images" / "link.png").symlink_to(source.parent / "secret.png")
        name = str(source.parent / "secret.png") if name == "ABSOLUTE" else name
        item = only(open_source(jsonl(source, {"id": "a", "image": name}), template=""))
        with pytest.raises(RecordError):
            item.read_picture()

    def test_a_file_that_is_too_large_is_not_read(self, source: Path) -> None:
        item = only(open_source(jsonl(source, {"id": "a", "image": "images/a.png"}), max_picture_bytes=5))
        with pytest.raises(PictureTooLarge, match="7 bytes"):
            item.read_picture()


class TestTable:
    def write(self, path: Path, text: str, encoding: str = "utf-8") -> Path:
        path.write_bytes(text.encode(encoding))
        return path

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_encoding_and_delimiter_are_found_out(self, tmp_path: Path, encoding: str, delimiter: str) -> None:
        rows = [
            ["InvNr", "Titel", "Künstler", "Datei", "Saal"],
            ["1", '"Die Kuh, im Stall; ""groß"""', "Müller", "a.jpg", "3"],
            ["2", "", "", "b.jpg", ""],
        ]
        path = self.write(tmp_path / "t.csv", "\r\n".join(delimiter.join(row) for row in rows), encoding)
        mapping = {"id": "InvNr", "title": "Titel", "artist": "künstler", "image": "Datei"}
        works, rejected = read(open_source(path, mapping=mapping, template=""))
        assert rejected == []
        assert works == [
            Work("1", title='Die Kuh, im Stall; "groß"', artist="Müller", image="a.jpg", extra={"Saal": "3"}),
            Work("2", image="b.jpg"),
        ]

    def test_columns_named_like_fields_need_no_mapping(self, tmp_path: Path) -> None:
        text = "ID\tTitle\tSubjects\timage\n7\tCow\tanimals > cow; river|sky\tc.jpg\n"
        item = only(open_source(self.write(tmp_path / "t.tsv", text)))
        assert item.work.subjects == ("animals > cow", "river", "sky")
        assert item.work.description == "Cow. cow, river, sky"
        assert item.place == "t.tsv line 2"

    def test_a_missing_mapped_column_is_answered_with_those_there_are(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "t.csv", "id,Titre,image\n1,x,a.jpg\n")
        with pytest.raises(SourceError, match=r"'Titel'.*'id', 'Titre', 'image'"):
            open_source(path, mapping={"title": "Titel"})

    @pytest.mark.parametrize("header", ["nr,title,image", "id,title,file", "", "\n\n"])
    def test_a_table_without_id_or_image_is_refused(self, tmp_path: Path, header: str) -> None:
        with pytest.raises(SourceError, match=r"--map (id|image)="):
            open_source(self.write(tmp_path / "t.csv", header))

    def test_odd_rows(self, tmp_path: Path) -> None:
        text = 'id,title,image\n1,"two\nlines",a.jpg\n\n2,short\n3,a,b.jpg,,\n4,a,b,surplus\n,x,c.jpg\n'
        works, rejected = read(open_source(self.write(tmp_path / "t.csv", text)))
        assert [(work.id, work.title, work.image) for work in works] == [
            ("1", "two lines", "a.jpg"),
            ("2", "short", ""),
            ("3", "a", "b.jpg"),
            ("", "x", "c.jpg"),
        ]
        assert [item.place for item in rejected] == ["t.csv line 7"]

    def test_a_cell_without_end_is_an_error_of_the_source(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "t.csv", 'id,title,image\n1,"' + "x" * 2_000_000)
        with pytest.raises(SourceError, match="as a table"):
            list(open_source(path))


class TestFolder:
    def test_pictures_with_what_lies_beside_them(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        for name in ("b_red-cow.JPG", "a.png", "sub/a.webp", ".hidden.png", "notes.md"):
            (tmp_path / name).write_bytes(name.encode())
        (tmp_path / "b_red-cow.txt").write_bytes("Eine große Kuh\r\n".encode("cp1252"))
        (tmp_path / "a.json").write_text('{"id": "inv-1", "artist": "Cuyp", "title": null, "image": "../x"}')
        items = list(open_source(tmp_path))
        assert [item.work for item in items if isinstance(item, SourceRecord)] == [
            Work("inv-1", title="a", artist="Cuyp", description="a", image="a.png"),
            Work("b_red-cow", title="b red cow", description="Eine große Kuh", image="b_red-cow.JPG"),
            Work("sub/a", title="a", description="a", image="sub/a.webp"),
        ]
        assert [item.read_picture() for item in items if isinstance(item, SourceRecord)] == [
            b"a.png",
            b"b_red-cow.JPG",
            b"sub/a.webp",
        ]

    def test_a_bad_note_rejects_its_picture_alone(self, tmp_path: Path) -> None:
        for name in ("a.png", "b.png", "c.png"):
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "a.json").write_text("{")
        (tmp_path / "b.json").write_text("[]")
        works, rejected = read(open_source(tmp_path))
        assert [work.id for work in works] == ["c"]
        assert [item.work_id for item in rejected] == ["a", "b"]

    def test_a_folder_without_pictures_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no pictures"):
            open_source(tmp_path)


@pytest.mark.parametrize("name", ["missing.csv", "a.pdf"])
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(SourceError):
        open_source(tmp_path / name)


def test_kinds_can_be_given_and_mappings_belong_to_tables(tmp_path: Path) -> None:
    (tmp_path / "export.dat").write_text("id,image\n1,a.jpg\n")
    assert only(open_source(tmp_path / "export.dat", kind="table")).work.id == "1"
    with pytest.raises(SourceError, match="works, table, folder"):
        open_source(tmp_path / "export.dat", kind="database")
    with pytest.raises(SourceError, match="mapped"):
        open_source(jsonl(tmp_path, {"id": "a"}), mapping={"title": "x"})


def test_the_quarantine_is_begun_anew_and_gone_when_empty(tmp_path: Path) -> None:
    path = tmp_path / "q" / "tate.quarantine.jsonl"
    for _ in range(2):
        with QuarantineFile(path) as quarantine:
            quarantine.add(Rejected("ä", "line 1", RecordError("wrong", hint="mend it")))
        line = json.loads(path.read_text(encoding="utf-8"))
        assert line == {"id": "ä", "place": "line 1", "code": "record", "reason": "wrong", "hint": "mend it"}
    with QuarantineFile(path):
        pass
    assert not path.exists()


def test_arguments_of_the_container(capsys: pytest.CaptureFixture[str]) -> None:
    parsed = parse_arguments(["x.csv", "--collection", "c", "--map", "title=Titel", "--map", "id=Inv=Nr"])
    assert parsed.mapping == {"title": "Titel", "id": "Inv=Nr"}
    with pytest.raises(SystemExit):
        parse_arguments(["x.csv", "--collection", "c", "--map", "title"])
    assert "FIELD=COLUMN" in capsys.readouterr().err


def test_the_real_records_are_read(real_data: Path) -> None:
    works, rejected = read(open_source(real_data / "tate"))
    assert (len(works), rejected) == (627, [])
    assert all(work.description for work in works)
