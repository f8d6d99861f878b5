"""The one form of every measurement."""

import json
from pathlib import Path

from boonart.evaluation.measurement import Measurement, stopwatch, this_machine


def test_a_measurement_is_written_in_the_project_s_form(tmp_path: Path) -> None:
    file = tmp_path / "results" / "x.json"
    Measurement("tate", {"mAP": 12.5}, {"encoder": "starter"}, this_machine(), 1.5).write(file)
    found = json.loads(file.read_text())
    assert set(found) == {"name", "figures", "settings", "machine", "seconds"}
    assert found["figures"] == {"mAP": 12.5}


def test_the_machine_is_described_without_names_or_paths() -> None:
    machine = this_machine()
    assert set(machine) == {"processor", "cores", "system", "python"}
    assert "/" not in str(machine["processor"])


def test_the_stopwatch_stops_also_on_an_error() -> None:
    try:
        with stopwatch() as watch:
            raise ValueError
    except ValueError:
        pass
    assert watch.seconds > 0
