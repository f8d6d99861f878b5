from __future__ import annotations

import pytest
from vitr_toys import PAIRS, SquareEncoder, twins

from boonart.training.vitr_features import encode_training_set


@pytest.fixture
def toys(tmp_path):
    """The twins of the world of squares, encoded."""
    return encode_training_set(SquareEncoder(), "toys", twins(PAIRS), tmp_path / "features")
