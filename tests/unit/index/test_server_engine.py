"""How collections are laid out on a Qdrant server, and what they say of themselves."""

from typing import Any

import pytest
from qdrant_client import AsyncQdrantClient, models

from boonart.errors import IndexCorrupt
from boonart.index import edge_engine
from boonart.index import server_engine as engine
from boonart.index.keywords import keyword_vector
from boonart.index.schema import FIELDS, KEYWORDS
from boonart.index.server_options import ServerOptions
from boonart.works import IndexedWork, Manifest, Work
from tests.integration.index.contract import FULL, PLAIN, made_works


async def info(metadata: Any) -> models.CollectionInfo:
    client = AsyncQdrantClient(location=":memory:")
    await client.create_collection("c", vectors_config={}, metadata=metadata)
    found = await client.get_collection("c")
    await client.close()
    return found


async def test_metadata_comes_back() -> None:
    fields = engine.new_fields(made_works(4), FIELDS)
    found = engine.described(await info({**engine.metadata(3, FULL), **engine.field_metadata(fields)}), "c")
    assert (found.version, found.manifest, found.count) == (3, FULL, 0)
    assert found.fields == {**FIELDS, **fields}
    assert {"extra.room", "extra.inv.no"} <= set(found.fields)


async def test_a_later_version_may_say_more() -> None:
    metadata = engine.metadata(1, PLAIN)
    metadata["manifest"]["language"] = "en"
    metadata["note"] = 1
    assert engine.described(await info(metadata), "c").manifest == PLAIN


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"boonart": 2, "version": 1, "manifest": {}},
        {"boonart": 1, "version": 1},
        {"boonart": 1, "version": 1, "manifest": {"encoder_id": "a"}},
        {"boonart": 1, "version": 1, "manifest": 7},
        {"boonart": 1, "version": "one", "manifest": {"encoder_id": "a", "global_size": 4}},
        {"boonart": 1, "version": 1, "manifest": {"encoder_id": "a", "global_size": 4}, "field:extra.x": {"path": "x"}},
    ],
)
async def test_what_others_made_is_said_to_be_theirs(metadata: Any) -> None:
    with pytest.raises(IndexCorrupt, match="not made by BoonArt"):
        engine.described(await info(metadata), "c")


def test_extra_fields_are_bounded() -> None:
    work = IndexedWork(Work("w", extra={f"f{n}": n for n in range(200)}), "h", made_works(1)[0].image)
    found = engine.new_fields([work], FIELDS)
    assert len(found) == engine.MAX_EXTRA_FIELDS
    assert engine.new_fields([work], {**FIELDS, **found}) == {}


def test_features_are_stored_in_half_precision_on_disk_and_never_searched_by_graph() -> None:
    config = engine.vectors_config(FULL, ServerOptions())
    assert set(config) == {"image", "description", "regions", "words"}
    for name in ("regions", "words"):
        params = config[name]
        assert params.hnsw_config is not None
        assert (params.datatype, params.on_disk, params.hnsw_config.m) == (models.Datatype.FLOAT16, True, 0)
        assert params.multivector_config is not None
    for name in ("image", "description"):
        params = config[name]
        assert (params.size, params.distance) == (FULL.global_size, models.Distance.COSINE)
        assert params.quantization_config is None
    assert set(engine.vectors_config(PLAIN, ServerOptions())) == {"image", "description"}


def test_large_collections_keep_small_copies_in_memory() -> None:
    config = engine.vectors_config(FULL, ServerOptions(quantise=True, vectors_on_disk=True))
    quantisation = config["image"].quantization_config
    assert isinstance(quantisation, models.ScalarQuantization)
    assert quantisation.scalar.always_ram
    assert config["image"].on_disk
    assert config["regions"].quantization_config is None


def test_the_graph_is_the_same_in_both_shapes() -> None:
    manifest = Manifest("a", 512)
    server = engine.hnsw_config(manifest)
    embedded = edge_engine.config(manifest).hnsw_config
    assert (server.m, server.ef_construct) == (embedded.m, embedded.ef_construct)
    assert server.full_scan_threshold == embedded.full_scan_threshold


def test_both_protocols_carry_the_same_point() -> None:
    for work in made_works(12, features=True):
        rest, grpc = engine.point(work, "tate", FULL), engine.grpc_point(work, "tate", FULL)
        vectors = grpc.vectors.vectors.vectors
        assert rest.id == grpc.id.uuid
        assert isinstance(rest.vector, dict)
        assert set(rest.vector) == set(vectors)
        assert list(vectors["image"].dense.data) == pytest.approx(rest.vector["image"])
        assert [list(row.data) for row in vectors["regions"].multi_dense.vectors] == rest.vector["regions"]
        sparse: Any = rest.vector[KEYWORDS]
        assert list(vectors[KEYWORDS].sparse.indices) == sparse.indices
        assert set(grpc.payload) == set(rest.payload or {})


def test_a_work_without_words_has_no_keywords() -> None:
    bare = IndexedWork(Work("w"), "h", made_works(1)[0].image)
    assert not keyword_vector(bare.work).indices
    point: Any = engine.point(bare, "tate", PLAIN)
    assert set(point.vector) == {"image"}
