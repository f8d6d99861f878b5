"""The import directions of docs/architecture.md, read off the import statements."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A room may import the rooms of its own layer and of the layers below it.
LAYERS = [
    {"errors", "observability", "all_cores"},
    {"works"},
    {"ports"},
    {"records", "manifests", "dates", "keys"},
    {"search", "indexing", "upkeep", "maps", "map_layout"},
    {"reindexing"},
    {"encoders", "vitr", "index", "rpc"},
    {"settings", "bootstrap"},
    {"cli", "client", "services", "ingest", "sample", "training", "evaluation"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Rooms beside each other on the level of encoders, vitr, index and rpc never meet except in bootstrap.
SEPARATE = {"encoders", "vitr", "index", "rpc"}
INNER = {
    "errors",
    "works",
    "ports",
    "records",
    "manifests",
    "search",
    "indexing",
    "reindexing",
    "upkeep",
    "maps",
    "map_layout",
}
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "open_clip",
    "grpc",
    "qdrant_edge",
    "qdrant_client",
    "fastapi",
    "PIL",
}
NOT_SERVING = {"training", "evaluation"}
# Modules that a gateway without torch imports.
LIGHT = [
    "errors.py",
    "works.py",
    "ports.py",
    "records.py",
    "manifests.py",
    "search/__init__.py",
    "search/pipeline.py",
    "search/queries.py",
    "indexing.py",
    "settings.py",
    "bootstrap.py",
    "encoders/pictures.py",
    "encoders/__init__.py",
    "encoders/batching.py",
    "index/schema.py",
    "__init__.py",
]


def files() -> list[Path]:
    return sorted(
        path
        for folder in ("src/boonart", "services", "ingest")
        for path in (ROOT / folder).rglob("*.py")
        if "/rpc/v1/" not in path.as_posix()
    )


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    if parts[0] in ("services", "ingest"):
        return parts[0]
    return parts[2].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            yield node.module
            if node.module == "boonart":
                yield from (f"boonart.{alias.name}" for alias in node.names)


def imported_room(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] == "boonart_services":
        return "services"
    if parts[0] == "boonart_ingest":
        return "ingest"
    if parts[0] == "boonart" and len(parts) > 1:
        return parts[1]
    return None


def violations(room: str, names: Iterator[str]) -> list[str]:
    found = []
    for name in names:
        other = imported_room(name)
        if room in INNER and name.split(".")[0] in HEAVY:
            found.append(f"{room} knows {name}")
        if other is None or other == room or other not in LEVEL or room not in LEVEL:
            continue
        if LEVEL[other] > LEVEL[room]:
            found.append(f"{room} imports {name}, which lies above it")
        if room in SEPARATE and other in SEPARATE:
            found.append(f"{room} imports {name}, its neighbour")
        if other in NOT_SERVING and room not in NOT_SERVING | {"cli"}:
            found.append(f"{room} imports {name}, which only training and measuring need")
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_flow_one_way(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert violations(room_of(path), imports(tree)) == []


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy_at_their_top(module: str) -> None:
    tree = ast.parse((ROOT / "src/boonart" / module).read_text(encoding="utf-8"))
    top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    heavy = HEAVY - {"PIL"}
    assert [name for name in imports(top) if name.split(".")[0] in heavy] == []


def test_every_room_has_its_level() -> None:
    rooms = {room_of(path) for path in files()} - {"__init__"}
    assert rooms - LEVEL.keys() == set()


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("works", "boonart.ports"),
        ("search", "boonart.index.edge"),
        ("search", "torch"),
        ("encoders", "boonart.index.schema"),
        ("services", "boonart.training.encoder"),
    ],
)
def test_the_rule_catches_what_it_should(room: str, name: str) -> None:
    assert violations(room, iter([name]))
