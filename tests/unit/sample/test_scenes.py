import json

import pytest

from boonart.sample.generation import training_groups
from boonart.sample.scenes import Scene, stable_number


def test_a_scene_survives_being_written_as_json() -> None:
    for group in training_groups(3, 60):
        for scene in group.scenes:
            assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


def test_an_unknown_place_is_refused() -> None:
    record = next(training_groups(3, 1)).scenes[0].to_dict() | {"place": "moon"}

    with pytest.raises(ValueError, match="moon"):
        Scene.from_dict(record)


def test_stable_numbers_stay_what_they_were_in_an_earlier_process() -> None:
    # Pinned: every scene, split and picture hangs on this function.
    assert stable_number("place", 7) == 7981791781301104442
    assert stable_number("ab", "c") != stable_number("a", "bc")
