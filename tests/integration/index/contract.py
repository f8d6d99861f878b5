"""What every `ports.WorkIndex` must do. An engine's test module inherits `IndexContract` and gives `index`.

The fixture `index` gives an empty index, closed after the test.
"""

import asyncio

import numpy as np
import pytest

from boonart.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidFilter,
    InvalidRequest,
    ModelMismatch,
    WorkIndexError,
    WorkNotFound,
)
from boonart.ports import WorkIndex
from boonart.works import (
    And,
    Equals,
    Exists,
    Filter,
    IndexedWork,
    Manifest,
    Not,
    OneOf,
    Or,
    Range,
    StoredPicture,
    Words,
    Work,
    point_id,
)

D = 16
E = 8
PLAIN = Manifest(encoder_id="fake:a", global_size=D)
FULL = Manifest(encoder_id="fake:a", global_size=D, reranker_id="fake-reranker", embed_size=E)
ARTISTS = ("Constable", "Turner", "Blake")


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def made_works(count: int, *, seed: int = 0, features: bool = False) -> list[IndexedWork]:
    """Works with various fields missing; every fifth without a description."""
    random = np.random.default_rng(seed)
    works = []
    for row in range(count):
        described = row % 5 != 4
        work = Work(
            id=f"w{row:05d}",
            title=f"Title {row}" if row % 7 else "",
            artist=ARTISTS[row % 3],
            date=f"c.{1800 + row}",
            description=f"A cow number {row} in “the” room" if described else "",
            subjects=("nature > animals: mammals > cow", f"places > p{row % 4}") if row % 2 else (),
            source_url=f"https://example.org/{row}",
            image=f"images/{row}.webp",
            extra={"room": row % 4, "height_cm": row * 0.5, "on loan": row % 2 == 0, "inv.no": f"N{row}"},
        )
        words = tuple(f"word{n}" for n in range(1 + row % 6))
        works.append(
            IndexedWork(
                work=work,
                content_hash=f"{seed}-{row}",
                image=unit(random.normal(size=D)),
                description=unit(random.normal(size=D)) if described else None,
                regions=random.normal(size=(49, E)).astype(np.float16) if features else None,
                words=random.normal(size=(len(words), E)).astype(np.float16) if features and described else None,
                description_words=words if described else (),
                picture=StoredPicture(f"{row:032x}", (640 + row, 480), "#a0b1c2"),
                description_composed=row % 2 == 0,
            )
        )
    return works


class IndexContract:
    """Inherit and give the fixture `index`."""

    async def test_a_new_collection_is_empty_and_listed(self, index: WorkIndex) -> None:
        assert await index.collections() == []
        await index.create("tate", PLAIN)
        info = await index.describe("tate")
        assert (info.name, info.version, info.count, info.manifest) == ("tate", 1, 0, PLAIN)
        assert [item.name for item in await index.collections()] == ["tate"]
        assert await index.count("tate") == 0
        assert await index.search("tate", unit(np.ones(D)), name="image", limit=5) == []
        assert [batch async for batch in index.scroll("tate")] == []

    async def test_a_name_is_taken_once(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        with pytest.raises(CollectionExists):
            await index.create("tate", PLAIN)

    @pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "a b", "x" * 65, "é", "a\n", "-a"])
    async def test_names_that_could_leave_the_folder_are_refused(self, index: WorkIndex, name: str) -> None:
        with pytest.raises(InvalidRequest):
            await index.create(name, PLAIN)
        with pytest.raises(InvalidRequest):
            await index.describe(name)

    async def test_an_unknown_collection_is_named_as_such(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        for call in (
            index.describe("nope"),
            index.count("nope"),
            index.drop("nope"),
            index.upsert("nope", made_works(1)),
            index.content_hashes("nope"),
        ):
            with pytest.raises(CollectionNotFound, match="nope"):
                await call

    async def test_works_come_back_as_they_were_stored(self, index: WorkIndex) -> None:
        await index.create("tate", FULL)
        works = made_works(12, features=True)
        await index.upsert("tate", works)
        got = await index.get("tate", [work.work.id for work in works])
        assert [candidate.work for candidate in got] == [work.work for work in works]
        assert [candidate.content_hash for candidate in got] == [work.content_hash for work in works]
        assert [candidate.picture for candidate in got] == [work.picture for work in works]
        assert [c.description_composed for c in got] == [work.description_composed for work in works]
        assert [candidate.point_id for candidate in got] == [work.point_id("tate") for work in works]
        assert {candidate.score for candidate in got} == {0.0}

    async def test_get_keeps_the_order_and_leaves_out_what_is_not_there(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(5))
        got = await index.get("tate", ["w00003", "nope", "w00001"])
        assert [candidate.work.id for candidate in got] == ["w00003", "w00001"]

    async def test_search_finds_the_nearest_by_cosine(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = made_works(300)
        await index.upsert("tate", works)
        images = np.stack([work.image for work in works])
        query = unit(np.random.default_rng(5).normal(size=D))
        order = np.argsort(-(images @ query))[:20]
        found = await index.search("tate", query * 3, name="image", limit=20)
        assert [candidate.work.id for candidate in found] == [works[row].work.id for row in order]
        np.testing.assert_allclose([c.score for c in found], (images @ query)[order], atol=1e-5)

    async def test_works_without_a_description_are_not_found_by_it(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = made_works(20)
        await index.upsert("tate", works)
        found = await index.search("tate", unit(np.ones(D)), name="description", limit=50)
        described = {work.work.id for work in works if work.description is not None}
        assert {candidate.work.id for candidate in found} == described

    async def test_an_upsert_replaces_the_whole_work(self, index: WorkIndex) -> None:
        await index.create("tate", FULL)
        await index.upsert("tate", made_works(3, features=True))
        assert len(await index.search("tate", unit(np.ones(D)), name="image", limit=3)) == 3
        bare = IndexedWork(Work("w00000", title="New"), "new", unit(np.ones(D)))
        await index.upsert("tate", [bare])
        assert await index.count("tate") == 3
        (candidate,) = await index.get("tate", ["w00000"])
        assert candidate.work == bare.work
        assert candidate.content_hash == "new"
        found = await index.search("tate", unit(np.ones(D)), name="image", limit=3)
        assert [item.work for item in found if item.work.id == "w00000"] == [bare.work]
        np.testing.assert_allclose(await index.vector("tate", "w00000", "image"), bare.image, atol=1e-6)
        with pytest.raises(WorkNotFound):
            await index.vector("tate", "w00000", "description")
        assert await index.features("tate", [bare.point_id("tate")], "image") == {}

    async def test_vectors_come_back(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        (work,) = made_works(1)
        await index.upsert("tate", [work])
        assert work.description is not None
        for name, stored in (("image", work.image), ("description", work.description)):
            vector = await index.vector("tate", work.work.id, name)
            assert vector.dtype == np.float32
            np.testing.assert_allclose(vector, stored, atol=1e-6)
        with pytest.raises(WorkNotFound):
            await index.vector("tate", "nope", "image")

    async def test_keywords_find_the_works_that_say_them(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = [
            IndexedWork(Work(name, title=title, artist=artist), "h", unit(np.ones(D)))
            for name, title, artist in (
                ("ford", "The Ford", "Ada Grey"),
                ("cows", "Cows at a ford", "Ben Ochre"),
                ("sea", "The Sea", "Ben Ochre"),
                ("none", "", ""),
            )
        ]
        await index.upsert("tate", works)
        found = await index.search_keywords("tate", "a cow at the FORD", limit=5)
        assert [candidate.work.id for candidate in found] == ["cows", "ford"]
        assert found[0].score > found[1].score > 0
        assert found[0].work == works[1].work
        artist = await index.search_keywords("tate", "ochre", limit=1, where=Equals("title", "The Sea"))
        assert [candidate.work.id for candidate in artist] == ["sea"]
        for text in ("zebra", "", "of the", "?!"):
            assert await index.search_keywords("tate", text, limit=5) == []
        with pytest.raises(InvalidFilter):
            await index.search_keywords("tate", "ford", limit=5, where=Equals("colour", "red"))
        with pytest.raises(CollectionNotFound):
            await index.search_keywords("nobody", "ford", limit=5)

    async def test_features_come_back_exactly(self, index: WorkIndex) -> None:
        await index.create("tate", FULL)
        works = made_works(10, features=True)
        await index.upsert("tate", works)
        points = [work.point_id("tate") for work in works]
        images = await index.features("tate", [*points, point_id("tate", "nope")], "image")
        assert set(images) == set(points)
        texts = await index.features("tate", points, "description")
        assert set(texts) == {work.point_id("tate") for work in works if work.words is not None}
        for work in works:
            found = images[work.point_id("tate")]
            assert work.regions is not None
            np.testing.assert_array_equal(found.tokens, work.regions)
            assert (found.tokens.dtype, found.content_hash) == (np.float16, work.content_hash)
            np.testing.assert_allclose(found.global_vector, work.image, atol=1e-3)
            if work.words is not None:
                text = texts[work.point_id("tate")]
                np.testing.assert_array_equal(text.tokens, work.words)
                assert text.words == work.description_words

    async def test_a_collection_without_a_reranker_has_no_features(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = made_works(2)
        await index.upsert("tate", works)
        assert await index.features("tate", [works[0].point_id("tate")], "image") == {}
        with pytest.raises(ModelMismatch, match="reindex"):
            await index.upsert("tate", made_works(2, features=True))

    async def test_vectors_that_do_not_fit_are_refused_whole(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        good = made_works(1)[0]
        long = IndexedWork(Work("long"), "h", np.ones(D + 1, np.float32))
        broken = IndexedWork(Work("broken"), "h", np.full(D, np.nan, np.float32))
        with pytest.raises(ModelMismatch, match=str(D + 1)):
            await index.upsert("tate", [good, long])
        with pytest.raises(WorkIndexError):
            await index.upsert("tate", [good, broken])
        assert await index.count("tate") == 0
        with pytest.raises(ModelMismatch):
            await index.search("tate", np.ones(D + 1, np.float32), name="image", limit=3)

    async def test_delete_says_how_many_there_were(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(6))
        assert await index.delete("tate", ["w00001", "w00004", "nope", "w00001"]) == 2
        assert await index.delete("tate", ["w00001"]) == 0
        assert set(await index.content_hashes("tate")) == {"w00000", "w00002", "w00003", "w00005"}
        assert (await index.describe("tate")).count == 4

    async def test_content_hashes_cover_the_whole_collection(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = made_works(700)
        await index.upsert("tate", works)
        assert await index.content_hashes("tate") == {work.work.id: work.content_hash for work in works}

    async def test_scroll_gives_each_work_once_in_a_stable_order(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(50))
        first = [candidate.work.id async for batch in index.scroll("tate", batch=7) for candidate in batch]
        second = [candidate.work.id async for batch in index.scroll("tate", batch=50) for candidate in batch]
        assert first == second
        assert sorted(first) == [f"w{row:05d}" for row in range(50)]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (Equals("artist", "Blake"), lambda row, work: row % 3 == 2),
            (Equals("subjects", "places > p1"), lambda row, work: "places > p1" in work.subjects),
            (OneOf("artist", ("Blake", "Turner")), lambda row, work: row % 3 in (1, 2)),
            (Range("width", 645, 650), lambda row, work: 5 <= row <= 10),
            (Range("extra.height_cm", None, 4.5), lambda row, work: row <= 9),
            (Equals("room", 2), lambda row, work: row % 4 == 2),
            (Equals("extra.room", 2), lambda row, work: row % 4 == 2),
            (Equals("height_cm", 3), lambda row, work: row == 6),
            (OneOf("room", (1, 3)), lambda row, work: row % 4 in (1, 3)),
            (Equals("extra.on loan", True), lambda row, work: row % 2 == 0),
            (Equals("inv.no", "N7"), lambda row, work: row == 7),
            (Exists("title"), lambda row, work: row % 7 != 0),
            (Exists("description"), lambda row, work: row % 5 != 4),
            (Not(Exists("subjects")), lambda row, work: row % 2 == 0),
            (Equals("description_composed", False), lambda row, work: row % 2 == 1),
            (
                And((Equals("artist", "Blake"), Not(Or((Equals("room", 0), Range("width", 650)))))),
                lambda row, work: row % 3 == 2 and row % 4 != 0 and row < 10,
            ),
        ],
    )
    async def test_filters(self, index: WorkIndex, where: Filter, expected) -> None:
        await index.create("tate", PLAIN)
        works = made_works(30)
        await index.upsert("tate", works)
        wanted = {work.work.id for row, work in enumerate(works) if expected(row, work.work)}
        assert 0 < len(wanted) < 30, "the case would not notice a filter that is ignored"
        assert await index.count("tate", where) == len(wanted)
        found = await index.search("tate", unit(np.ones(D)), name="image", limit=30, where=where)
        assert {candidate.work.id for candidate in found} == wanted

    @pytest.mark.parametrize(
        "where",
        [
            Equals("colour", "red"),
            Exists("content_hash"),
            Range("artist", 1, 2),
            Range("width"),
            Range("width", 5, 1),
            Range("width", float("nan")),
            Equals("width", "wide"),
            Equals("width", True),
            Equals("artist", 3),
            OneOf("artist", ()),
            And(()),
            Not(Or(())),
        ],
    )
    async def test_filters_that_make_no_sense_are_refused(self, index: WorkIndex, where: Filter) -> None:
        await index.create("tate", PLAIN)
        with pytest.raises(InvalidFilter):
            await index.count("tate", where)
        with pytest.raises(InvalidFilter):
            await index.search("tate", unit(np.ones(D)), name="image", limit=3, where=where)

    async def test_an_unknown_field_is_answered_with_the_known_ones(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(1))
        with pytest.raises(InvalidFilter, match=r"colour.*artist.*extra\.room"):
            await index.count("tate", Equals("colour", "red"))

    async def test_a_version_is_built_beside_and_published_in_one_step(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        old, new = made_works(4), made_works(6, seed=1, features=True)
        await index.upsert("tate", old)
        version = await index.create_version("tate", FULL)
        await index.upsert("tate", new, version=version)
        assert (await index.describe("tate")).count == 4
        assert (await index.describe("tate", version=version)).count == 6
        assert len(await index.content_hashes("tate", version=version)) == 6
        await index.publish("tate", version)
        info = await index.describe("tate")
        assert (info.version, info.count, info.manifest) == (version, 6, FULL)
        assert await index.content_hashes("tate") == {work.work.id: work.content_hash for work in new}
        with pytest.raises(CollectionNotFound):
            await index.describe("tate", version=1)
        with pytest.raises(CollectionNotFound):
            await index.publish("tate", 99)

    async def test_searches_go_on_while_works_are_stored_and_a_version_is_published(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        works = made_works(200)
        await index.upsert("tate", works)
        finished = asyncio.Event()

        async def search_until_finished() -> int:
            runs = 0
            while not finished.is_set():
                found = await index.search("tate", works[3].image, name="image", limit=1)
                assert [candidate.work.id for candidate in found] == ["w00003"]
                runs += 1
            return runs

        searching = asyncio.create_task(search_until_finished())
        version = await index.create_version("tate", PLAIN)
        for start in range(0, 200, 20):
            await asyncio.gather(
                index.upsert("tate", works[start : start + 10]),
                index.upsert("tate", works[start : start + 20], version=version),
            )
        await index.publish("tate", version)
        finished.set()
        assert await searching > 0
        assert await index.count("tate") == 200

    async def test_two_collections_do_not_know_each_other(self, index: WorkIndex) -> None:
        await index.create("one", PLAIN)
        await index.create("two", PLAIN)
        await index.upsert("one", made_works(3))
        assert await index.count("two") == 0
        await index.drop("one")
        assert [info.name for info in await index.collections()] == ["two"]
        with pytest.raises(CollectionNotFound):
            await index.count("one")
        await index.create("one", FULL)
        assert await index.count("one") == 0

    async def test_many_vectors_come_at_once(self, index: WorkIndex) -> None:
        works = made_works(6)
        await index.create("tate", PLAIN)
        await index.upsert("tate", works)
        found = await index.vectors("tate", ["w00001", "w00004", "nobody"], "description")
        assert list(found) == ["w00001"], "the fifth work has no description"
        assert works[1].description is not None
        np.testing.assert_allclose(found["w00001"], works[1].description, atol=1e-6)

    async def test_its_fields_and_their_kinds_are_told(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(3))
        fields = await index.fields("tate")
        assert fields["artist"] == "keyword"
        assert fields["description"] == "text"
        assert fields["date_from"] == "integer"
        assert fields["extra.on loan"] == "boolean"

    async def test_values_are_counted_under_the_filter(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(20))
        assert await index.facet("tate", "artist", limit=2) == [("Constable", 7), ("Turner", 7)]
        where = Equals("room", 1)
        assert await index.facet("tate", "subjects", limit=9, where=where) == [
            ("nature > animals: mammals > cow", 5),
            ("places > p1", 5),
        ]
        assert await index.facet("tate", "room", limit=9, where=Equals("artist", "Blake")) == [
            (1, 2),
            (2, 2),
            (0, 1),
            (3, 1),
        ]
        for name in ("height_cm", "description", "nothing", "source_url"):
            with pytest.raises(InvalidFilter, match="artist"):
                await index.facet("tate", name, limit=9)

    async def test_dates_are_ranges_of_years(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(40))
        # "c.1810" may be any year from 1805 to 1815.
        overlapping = And((Range("date_to", minimum=1815), Range("date_from", maximum=1815)))
        assert await index.count("tate", overlapping) == 11

    async def test_words_are_found_in_a_field(self, index: WorkIndex) -> None:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(20))
        assert await index.count("tate", Words("title", "Title 10")) == 1
        assert await index.count("tate", Words("description", "cow")) == 16
        with pytest.raises(InvalidFilter, match="no words"):
            await index.count("tate", Words("room", "one"))
