"""The committed pictures are what the code paints."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boonart.sample.gallery import Exhibit, committed_gallery, exhibits, save_picture
from boonart.sample.painting import render
from boonart.sample.scenes import Manner, Split

pytestmark = pytest.mark.integration


def one_of_each_manner() -> list[Exhibit]:
    hung = exhibits()
    chosen = [next(e for e in hung if e.scene.manner is m and e.split is Split.TEST) for m in Manner]
    return [*chosen, hung[-1]]


@pytest.mark.parametrize("exhibit", one_of_each_manner(), ids=lambda exhibit: exhibit.id)
def test_a_committed_picture_is_painted_again(exhibit: Exhibit, tmp_path: Path) -> None:
    committed = committed_gallery().parent / "pictures" / f"{exhibit.id}.webp"
    again = tmp_path / committed.name
    save_picture(exhibit, again)
    if again.read_bytes() == committed.read_bytes():
        return
    # Another encoder or another processor's last bit may differ; what is seen may not.
    with Image.open(committed) as old, Image.open(again) as new:
        difference = np.abs(np.asarray(old, dtype=float) - np.asarray(new, dtype=float))
    assert difference.mean() < 0.5


def test_the_pixels_do_not_depend_on_the_process() -> None:
    exhibit = one_of_each_manner()[1]
    code = (
        "import hashlib, sys\n"
        "from boonart.sample.gallery import exhibits\n"
        "from boonart.sample.painting import render\n"
        "exhibit = next(e for e in exhibits() if e.id == sys.argv[1])\n"
        "sys.stdout.write(hashlib.sha256(render(exhibit.scene).tobytes()).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", code, exhibit.id],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    ).stdout

    assert there == hashlib.sha256(render(exhibit.scene).tobytes()).hexdigest()
