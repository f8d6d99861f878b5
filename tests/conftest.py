"""What all tests share: a clean environment, and the folder of real data where there is one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
# Two test processes on two cores: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A busy machine must not fail a test: what is generated is checked, not how fast.
settings.register_profile("boonart", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("boonart")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them, and no test writes to their home."""
    for name in [name for name in os.environ if name.startswith("BOONART_")]:
        if not name.startswith(("BOONART_TEST_", "BOONART_DATA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BOONART_HOME", str(tmp_path / "boonart-home"))
    monkeypatch.setenv("BOONART_CACHE", str(tmp_path / "boonart-cache"))


@pytest.fixture
def one_seeded_thread() -> Iterator[None]:
    """Two test processes share two cores, and a test's weights are its own."""
    import torch  # tests without a network do not wait for it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with tate, masters and flickr8k; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("BOONART_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not (folder / "tate" / "works.jsonl").is_file():
        pytest.skip(f"no real data at {folder}; set BOONART_DATA to the folder that holds tate and masters")
    return folder
