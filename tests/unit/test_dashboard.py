"""The dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from boonart.observability import Metrics
from boonart_services.encoder import main as encoder
from boonart_services.reranker import main as reranker

ROOT = Path(__file__).parents[2]
SUFFIXES = ("_bucket", "_sum", "_count", "_total")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "ops" / "grafana" / "boonart.json").read_text())
    return found


def test_every_panel_asks_for_metrics_that_there_are(dashboard: dict[str, Any]) -> None:
    known = {metric.name for metric in Metrics().registry.collect()}
    watched = {name for name, _ in [*encoder._FIGURES.values(), *reranker._FIGURES.values()]}
    known |= {f"boonart_{name}" for name in watched | {"bank_misses", "ready"}}
    asked = set()
    for panel in dashboard["panels"]:
        assert panel["title"]
        for target in panel["targets"]:
            asked |= set(re.findall(r"boonart_[a-z_]+", target["expr"]))
    bare = {re.sub(rf"({'|'.join(SUFFIXES)})$", "", name) for name in asked}
    assert bare <= known, sorted(bare - known)
    assert {"boonart_requests", "boonart_stage_seconds", "boonart_degraded", "boonart_queue_depth"} <= bare


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_prometheus_reads_the_ports_that_compose_sets() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for job in yaml.safe_load((ROOT / "ops" / "prometheus.yml").read_text())["scrape_configs"]:
        (target,) = job["dns_sd_configs"]
        assert target["names"] == [job["job_name"]]
        environment = services[job["job_name"]]["environment"]
        assert target["port"] == environment.get("BOONART_METRICS_PORT", 6333)
