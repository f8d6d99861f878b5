from dataclasses import replace

import pytest

from boonart.sample.commissions import commissioned
from boonart.sample.gallery import GALLERY_SEED, exhibits
from boonart.sample.scenes import Manner, Place, Scene, Thing
from boonart.sample.table1 import TABLE_I, TableQuery, satisfied_queries


@pytest.mark.parametrize("query", TABLE_I, ids=lambda query: query.text)
def test_exactly_one_picture_satisfies_each_query(query: TableQuery) -> None:
    satisfying = [exhibit.id for exhibit in exhibits() if query.satisfied_by(exhibit.scene)]

    assert len(satisfying) == 1


def test_there_are_the_papers_twenty() -> None:
    assert [query.number for query in TABLE_I] == list(range(1, 21))
    assert len({query.text for query in TABLE_I}) == 20


def test_each_commission_satisfies_its_own_query_and_no_other() -> None:
    for number, scene in commissioned(GALLERY_SEED).items():
        assert satisfied_queries(scene) == (number,)


def test_a_colour_in_the_query_must_be_the_things_own() -> None:
    cow = Scene((Thing("cow"),), (), Place.ROOM, Manner.REALIST)

    assert satisfied_queries(cow) == (1,)
    assert satisfied_queries(replace(cow, things=(Thing("cow", "red"),))) == (2,)
    assert satisfied_queries(replace(cow, things=(Thing("cow", "blue"),))) == ()
    assert satisfied_queries(replace(cow, place=Place.FIELD)) == ()


def test_the_manner_counts_where_the_query_names_one() -> None:
    ruin = Scene((Thing("ruin"),), (), Place.LANDSCAPE, Manner.IMPRESSIONIST)

    assert satisfied_queries(ruin) == (12,)
    assert satisfied_queries(replace(ruin, manner=Manner.REALIST)) == ()
