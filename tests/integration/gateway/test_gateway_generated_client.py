"""A client that a stock generator makes from docs/openapi.json works against a running gateway."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from gateway_support import painting
from page_support import free_port, gateway_process

from boonart.encoders.fake import COLOURS

ROOT = Path(__file__).parents[3]
PACKAGE = "boonart_generated"
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package that OpenAPI Generator makes."""
    generator = Path(sys.executable).with_name("openapi-generator-cli")
    if not generator.is_file():
        pytest.skip("openapi-generator-cli is not installed; it is one of the development dependencies")
    folder = tmp_path_factory.mktemp("generated")
    command = [generator, "generate", "-g", "python", "-i", ROOT / "docs" / "openapi.json", "-o", folder]
    made = subprocess.run([*command, "--package-name", PACKAGE], capture_output=True, text=True, timeout=600)
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    command = [sys.executable, str(ROOT / "tests" / "page_gateway.py"), str(port), str(home)]
    with gateway_process(command, port, home / "log", {}) as url:
        yield url


def test_it_searches(generated: ModuleType, base_url: str) -> None:
    with generated.ApiClient(generated.Configuration(host=base_url)) as client:
        search = generated.SearchApi(client)
        where = {"eq": {"field": "artist", "value": "Ada Grey"}}
        asked = {"text": "a red square", "limit": 2, "facets": ["artist"], "filter": where}
        answer = search.search(generated.SearchRequest.from_dict(asked))
        assert answer.hits[0].work.title == "Red <square>"
        assert {hit.work.artist for hit in answer.hits} == {"Ada Grey"}
        assert answer.facets["artist"][0].count == 4
        by_picture = search.search_by_image(image=painting(COLOURS["blue"]), target="works", limit=1)
        assert by_picture.hits[0].work.id == "work/blue"


def test_it_lists_collections_and_reads_errors(generated: ModuleType, base_url: str) -> None:
    with generated.ApiClient(generated.Configuration(host=base_url)) as client:
        listed = generated.CollectionsApi(client).list_collections()
        assert (listed.collections[0].name, listed.default) == ("colours", "colours")
        with pytest.raises(generated.ApiException) as caught:
            generated.WorksApi(client).get_work("nothing")
    assert caught.value.status == 404
    assert caught.value.data.code == "work-not-found"
