"""Requests made from the OpenAPI document, valid and not, meet no 5xx and no answer that the document does not foresee.

To try it by hand against the coloured paintings: `tests/page_gateway.py PORT HOME`, and then in this folder
`PYTHONPATH=../..:. schemathesis run http://127.0.0.1:PORT/openapi.json --checks all`.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from page_support import free_port, gateway_process

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
pytestmark = pytest.mark.integration


@pytest.mark.timeout(900)
def test_the_whole_interface_keeps_what_its_description_promises(tmp_path: Path) -> None:
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed; it is one of the development dependencies")
    port = free_port()
    command = [sys.executable, str(TESTS / "page_gateway.py"), str(port), str(tmp_path / "home")]
    with gateway_process(command, port, tmp_path / "log", {}) as url:
        paths = httpx.get(f"{url}/openapi.json", timeout=120).json()["paths"]
        run = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", "all"],
            cwd=HERE,
            env=os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{HERE}"},
            capture_output=True,
            text=True,
            timeout=800,
        )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
    assert f"Tested: {sum(map(len, paths.values()))}" in run.stdout
    made = re.search(r"(\d+) generated", run.stdout)
    assert made is not None
    assert int(made[1]) > 500
